//! Canaries (STATISTICS.md, check 16): synthetic traces with marked secrets, planted into both environments while the
//! candidate gets any traffic, and searched for the secrets in what comes out at the taps.
//!
//! They go past everything that is the traffic's, and what comes out of them is kept out of verification: they are in no
//! count, no finding and no verdict but the one on them. A canary is known by its trace id, so that one that comes out
//! late, or that another process planted, is kept out as well; it is then not counted.

mod search;
mod secrets;

use bytes::Bytes;
use control::Watching;
use gateway::{Gateway, Outcome};
use model::{Canary, CanaryFate, Environment, Leak, PerEnvironment, RouteKey, SpanId, TraceId, UnixMillis};
use secrets::{SPANS, Secrets};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A canary is waited for no longer than a span of the traffic, and not longer than this: a tail sampler decides after
/// 30 s by default.
const MAX_WAIT_MS: u64 = 120_000;
/// Canaries that are followed at once: one in 5 s, the most frequent, for the longest wait are 24. At most 2 KiB each.
const MAX_OPEN: usize = 32;
/// Trace ids that are drawn for one that verification is shown, where it is shown a share: one in 500 is found nearly
/// always (87 %), and otherwise the next time.
const MAX_DRAWN: usize = 1_024;

/// The canaries of the rollout that is watched.
pub(super) struct Canaries {
    key: RouteKey,
    every_ms: u64,
    wait_ms: u64,
    gateway: Gateway,
    runtime: Handle,
    random: fn() -> [u8; 8],
    due: UnixMillis,
    /// The oldest first.
    open: VecDeque<Open>,
    sender: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
}

/// One that is followed.
struct Open {
    trace: TraceId,
    planted_at: UnixMillis,
    arms: PerEnvironment<Arm>,
}

#[derive(Default)]
struct Arm {
    /// Whether the environment took it; `None` until that is known.
    taken: Option<bool>,
    /// Its spans that came out, at most [`SPANS`].
    out: BTreeSet<SpanId>,
    leaks: Vec<Leak>,
}

struct Answer {
    trace: TraceId,
    environment: Environment,
    taken: bool,
}

impl Canaries {
    /// Those of the plan, if it has any planted: sent through `gateway`, on `runtime`.
    pub(super) fn of(
        watching: &Watching,
        gateway: &Gateway,
        runtime: Handle,
        random: fn() -> [u8; 8],
    ) -> Option<Canaries> {
        let every_ms = watching.canary_every_ms?;
        // Two for each canary that is followed: nobody waits to tell.
        let (sender, answers) = mpsc::channel(2 * MAX_OPEN);
        Some(Canaries {
            key: watching.route_key,
            every_ms,
            wait_ms: watching.horizon_ms.min(MAX_WAIT_MS),
            gateway: gateway.clone(),
            runtime,
            random,
            due: UnixMillis(0),
            open: VecDeque::new(),
            sender,
            answers,
        })
    }

    /// Whether a trace is one of them, followed or not.
    pub(super) fn include(&self, trace: TraceId) -> bool {
        self.key.is_canary(trace)
    }

    /// Spans of canaries came out, in this message.
    pub(super) fn came_out(&mut self, environment: Environment, spans: &[(TraceId, SpanId)], message: &[u8]) {
        for open in &mut self.open {
            let own = || spans.iter().filter(|(trace, _)| *trace == open.trace).map(|(_, span)| *span);
            if own().next().is_none() {
                continue;
            }
            let arm = &mut open.arms[environment];
            // Whatever its ids are by now, there are no more of them than were planted.
            let room = SPANS.saturating_sub(arm.out.len());
            let new: Vec<SpanId> = own().filter(|span| !arm.out.contains(span)).take(room).collect();
            arm.out.extend(new);
            for leak in search::leaks(self.key, open.trace, message) {
                if !arm.leaks.iter().any(|known| known.secret == leak.secret) {
                    arm.leaks.push(leak);
                }
            }
        }
    }

    /// Plants one if its time has come, of a trace whose mark is at most `ceiling`; gives those that are followed to their
    /// end.
    pub(super) fn advance(&mut self, now: UnixMillis, ceiling: u64) -> Vec<Canary> {
        while let Ok(Answer { trace, environment, taken }) = self.answers.try_recv() {
            if let Some(open) = self.open.iter_mut().find(|open| open.trace == trace) {
                open.arms[environment].taken = Some(taken);
            }
        }
        let wait_ms = self.wait_ms;
        let mut followed = Vec::new();
        self.open.retain_mut(|open| {
            let goes_on = !open.is_complete() && now < open.planted_at.plus_ms(wait_ms);
            if !goes_on {
                followed.extend(open.end());
            }
            goes_on
        });
        if now >= self.due {
            self.plant(now, ceiling);
        }
        followed
    }

    /// In both environments at once, or in none. Not while the one before is still under way to one of them: there is
    /// never more than one under way.
    fn plant(&mut self, now: UnixMillis, ceiling: u64) {
        let is_free =
            self.open.iter().all(|open| Environment::BOTH.into_iter().all(|it| open.arms[it].taken.is_some()));
        if !is_free || self.open.len() >= MAX_OPEN {
            return;
        }
        let Some(ground) = self.gateway.ground(self.key) else { return };
        self.due = now.plus_ms(self.every_ms);
        let drawn = (0..MAX_DRAWN).map(|_| self.key.canary((self.random)()));
        let Some(trace) = drawn.into_iter().find(|trace| self.key.mark(*trace) <= ceiling) else { return };
        self.open.push_back(Open { trace, planted_at: now, arms: PerEnvironment::default() });
        let message = Bytes::from(Secrets::of(self.key, trace).request(now.0.saturating_mul(1_000)));
        let ground = Arc::new(ground);
        for environment in Environment::BOTH {
            let (ground, message, sender) = (ground.clone(), message.clone(), self.sender.clone());
            self.runtime.spawn(async move {
                let outcome = ground.plant(environment, trace, message).await;
                let taken = matches!(outcome, Outcome::Acknowledged(partial) if partial.rejected == 0);
                // Nobody hears it if another rollout is watched by now.
                let _ = sender.send(Answer { trace, environment, taken }).await;
            });
        }
    }
}

impl Open {
    /// Whether nothing more is to come, in both environments.
    fn is_complete(&self) -> bool {
        Environment::BOTH.into_iter().all(|environment| {
            let arm = &self.arms[environment];
            arm.out.len() >= SPANS || (arm.taken == Some(false) && arm.out.is_empty())
        })
    }

    /// What became of it; nothing is said of one that no environment took.
    fn end(&mut self) -> Option<Canary> {
        let fates = std::mem::take(&mut self.arms).map(|arm| match arm.taken {
            // Also if the answer was lost on the way.
            _ if !arm.out.is_empty() => CanaryFate::Out { leaks: arm.leaks },
            Some(true) => CanaryFate::NotOut,
            Some(false) | None => CanaryFate::NotTaken,
        });
        let nowhere = fates == PerEnvironment::default();
        (!nowhere).then_some(Canary { trace: self.trace, planted_at: self.planted_at, fates })
    }
}

#[cfg(test)]
mod tests;
