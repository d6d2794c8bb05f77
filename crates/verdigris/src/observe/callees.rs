//! Whom the services of each environment call, from the spans as they were sent: what the dependencies gate asks for.

use control::Watching;
use integrations::{Dependencies, Window};
use model::{Environment, PerEnvironment, RouteKey, UnixMillis};
use otlp::{SpanView, string_value};
use rollout::plan::SpansOf;
use std::sync::{Arc, Mutex, PoisonError};

/// How often others are shown what was counted.
const SHOWN_EVERY_MS: u64 = 1_000;

/// What others see of it, with the key of the rollout; nothing while none is watched that asks.
#[derive(Clone, Default)]
pub struct SeenCallees(Arc<Mutex<Option<Seen>>>);

type Seen = (RouteKey, PerEnvironment<Dependencies>);

impl SeenCallees {
    /// So far, in the rollout of this key.
    pub fn get(&self, rollout: RouteKey) -> Option<PerEnvironment<Dependencies>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().filter(|(key, _)| *key == rollout).map(|(_, seen)| seen.clone())
    }

    fn set(&self, seen: Option<Seen>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Those of the rollout that is watched.
pub(super) struct Callees {
    rollout: RouteKey,
    by: SpansOf,
    versions: PerEnvironment<String>,
    windows: PerEnvironment<Window>,
    called: PerEnvironment<Dependencies>,
    seen: SeenCallees,
    shown_at: UnixMillis,
}

impl Callees {
    /// If the plan asks for them.
    pub(super) fn of(watching: &Watching, seen: &SeenCallees, key: [u8; 16], now: UnixMillis) -> Option<Callees> {
        let Some((by, versions)) = watching.callees.clone() else {
            seen.set(None);
            return None;
        };
        // The requests of a trace come in within the time that its batch waits for them.
        let settle_ms = watching.linger_ms;
        let callees = Callees {
            rollout: watching.route_key,
            by,
            versions,
            windows: PerEnvironment::from_fn(|_| Window::new(settle_ms, key)),
            called: PerEnvironment::default(),
            seen: seen.clone(),
            shown_at: now,
        };
        callees.show();
        Some(callees)
    }

    /// A span was sent to the environment that serves its trace.
    pub(super) fn take(&mut self, served_by: Environment, span: &SpanView<'_>, now: UnixMillis) {
        let environment = match self.by {
            SpansOf::Serving => Some(served_by),
            SpansOf::Version => self.of_version(span),
        };
        if let Some(environment) = environment {
            self.windows[environment].take(span, now);
        }
    }

    /// Whose version the span's service has; none of another version's.
    fn of_version(&self, span: &SpanView<'_>) -> Option<Environment> {
        let found = span.resource.binary_search_by_key(&"service.version", |(key, _)| key).ok()?;
        let version = string_value(span.resource[found].1);
        Environment::BOTH.into_iter().find(|environment| self.versions[*environment] == version)
    }

    pub(super) fn advance(&mut self, now: UnixMillis) {
        if now < self.shown_at.plus_ms(SHOWN_EVERY_MS) {
            return;
        }
        self.shown_at = now;
        for environment in Environment::BOTH {
            self.windows[environment].settle(now);
            let settled = self.windows[environment].drain();
            self.called[environment].merge(&settled);
        }
        self.show();
    }

    fn show(&self) {
        self.seen.set(Some((self.rollout, self.called.clone())));
    }
}
