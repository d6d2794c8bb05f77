//! Searches what comes out at the taps for sensitive values, and tells which environment shows which class where. What
//! follows is the rollout's to decide.
//!
//! A share of the traces is searched, the same of both environments, chosen by hash: as many as [`MAX_BYTES_PER_S`]
//! allows. What was found is a class and a place; the value is neither kept nor told, and neither is a key that holds one.
//!
//! Green's traces are told only when blue's have had the time to come out too: blue may gather its spans for longer, and
//! would seem to show nothing. What blue shows is told at once, for it clears green.

mod recent;

use control::Watching;
use model::{CanaryPlace, Environment, Exposure, LeakSearch, MAX_CANARY_KEY_CHARACTERS, MAX_EXPOSURES};
use model::{PerEnvironment, RouteKey, TraceId, UnixMillis};
use otlp::{Part, Place, Signal, Splitter, Unit, edit_texts};
use recent::Recent;
use redact::{Class, Counts, Key, Policy, Redactor};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of traces that are searched in a second, of both environments: at some 100 MB/s two hundredths of a core.
const MAX_BYTES_PER_S: u64 = 2 << 20;
/// How long one interval is.
const INTERVAL_MS: u64 = 5_000;
/// Where so many times the allowance is used up the rest of the interval is left out, of both environments.
const MAX_OVERRUN: u64 = 4;
/// Green's traces wait no longer than this for blue's: a tail sampler decides after 30 s by default.
const MAX_WAIT_MS: u64 = 120_000;
/// How often it is told that something was searched, and nothing found.
const TOLD_EVERY_MS: u64 = 60_000;
/// Traces of one message that are told apart; the others of it are not searched.
const MAX_TRACES: Part = 250;

/// A place by its number in [`Leaks::places`].
type PlaceNumber = u8;
const _: () = assert!(MAX_EXPOSURES <= 1 << PlaceNumber::BITS);

/// Of one rollout.
pub(super) struct Leaks {
    key: RouteKey,
    wait_ms: u64,
    redactor: Redactor,
    splitter: Splitter,
    /// The largest [`RouteKey::mark`] of a trace that is searched.
    ceiling: u64,
    used_bytes: u64,
    places: Vec<(Class, CanaryPlace)>,
    /// The places that blue ever showed: nothing more is to be told of them.
    cleared: [bool; MAX_EXPOSURES],
    recent: PerEnvironment<Recent>,
    interval: Interval,
    /// Over, and not told yet; the oldest first. At most `MAX_WAIT_MS / INTERVAL_MS + 1`.
    waiting: VecDeque<Interval>,
    /// What blue showed for the first time and is not told yet.
    of_blue: BTreeMap<PlaceNumber, TraceId>,
    /// Searched, without anything to tell.
    untold: PerEnvironment<u64>,
    told_at: UnixMillis,
}

/// What was searched in some seconds.
#[derive(Default)]
struct Interval {
    began: UnixMillis,
    searched: PerEnvironment<u64>,
    /// In how many of green's traces each place showed something, and in which first.
    of_green: BTreeMap<PlaceNumber, (u64, TraceId)>,
    beyond: u64,
}

impl Leaks {
    /// What the plan asks for, if it does. The key is used for nothing but to be there: no hash is made.
    pub(super) fn of(watching: &Watching, key: [u8; 32], now: UnixMillis) -> Option<Leaks> {
        watching.searches_leaks.then(|| Leaks {
            key: watching.route_key,
            wait_ms: watching.horizon_ms.min(MAX_WAIT_MS),
            redactor: Redactor::new(&Policy::default(), &Key(key)),
            splitter: Splitter::default(),
            ceiling: u64::MAX,
            used_bytes: 0,
            places: Vec::new(),
            cleared: [false; MAX_EXPOSURES],
            recent: PerEnvironment::default(),
            interval: Interval { began: now, ..Interval::default() },
            waiting: VecDeque::new(),
            of_blue: BTreeMap::new(),
            untold: PerEnvironment::default(),
            told_at: now,
        })
    }

    /// Searches a message that came out.
    pub(super) fn came_out(&mut self, environment: Environment, message: &[u8]) {
        if self.used_bytes >= MAX_OVERRUN * allowance_bytes() {
            return;
        }
        let mut traces: BTreeMap<TraceId, Part> = BTreeMap::new();
        let (key, ceiling) = (self.key, self.ceiling);
        let mut splitter = std::mem::take(&mut self.splitter);
        let scanned = splitter.scan(Signal::Traces, message, |unit| match unit {
            Unit::Trace(trace) if key.mark(trace) <= ceiling && !key.is_canary(trace) && !key.is_load(trace) => {
                let next = (traces.len() as Part).saturating_add(1);
                match traces.get(&trace) {
                    Some(part) => *part,
                    None if next > MAX_TRACES => 0,
                    None => *traces.entry(trace).or_insert(next),
                }
            }
            Unit::Trace(_) | Unit::Resource(_) => 0,
        });
        if scanned.is_ok() {
            let mut own = Vec::new();
            for (trace, part) in traces {
                own.clear();
                splitter.write(message, |other| other == part, &mut own);
                self.search(environment, trace, &own);
            }
        }
        self.splitter = splitter;
    }

    fn search(&mut self, environment: Environment, trace: TraceId, spans: &[u8]) {
        self.used_bytes = self.used_bytes.saturating_add(spans.len() as u64);
        let mut found: Vec<(Class, CanaryPlace)> = Vec::new();
        let redactor = &self.redactor;
        let read = edit_texts(Signal::Traces, spans, |place, key, text| {
            let mut counts = Counts::default();
            redactor.text(key, text, &mut counts)?;
            let classes = Class::ALL.into_iter().filter(|class| counts.of(*class) > 0);
            // So many that nobody could name them are one too many: the trace is searched to its end all the same.
            found.extend(classes.map(|class| (class, words(redactor, place, key))).take(MAX_EXPOSURES));
            found.sort_unstable();
            found.dedup();
            None
        });
        // What cannot be read so far was not searched.
        if read.is_err() {
            return;
        }
        if self.recent[environment].is_new(trace) {
            self.interval.searched[environment] += 1;
        }
        for it in found {
            let number = match self.places.iter().position(|place| *place == it) {
                Some(number) => number,
                None if self.places.len() < MAX_EXPOSURES => {
                    self.places.push(it);
                    self.places.len() - 1
                }
                None => {
                    self.interval.beyond = self.interval.beyond.saturating_add(1);
                    continue;
                }
            };
            if self.cleared[number] || !self.recent[environment].shows(trace, number) {
                continue;
            }
            let place = number as PlaceNumber;
            match environment {
                Environment::Blue => {
                    self.cleared[number] = true;
                    self.of_blue.insert(place, trace);
                }
                Environment::Green => self.interval.of_green.entry(place).or_insert((0, trace)).0 += 1,
            }
        }
    }

    /// What is to be told by now.
    pub(super) fn advance(&mut self, now: UnixMillis) -> Vec<LeakSearch> {
        if now >= self.interval.began.plus_ms(INTERVAL_MS) {
            let over = std::mem::replace(&mut self.interval, Interval { began: now, ..Interval::default() });
            self.waiting.push_back(over);
            self.ceiling = ceiling(self.ceiling, self.used_bytes);
            self.used_bytes = 0;
        }
        let mut told = Vec::new();
        let after_ms = INTERVAL_MS + self.wait_ms;
        let is_due = |interval: &Interval| now >= interval.began.plus_ms(after_ms);
        while self.waiting.front().is_some_and(is_due) {
            let Some(interval) = self.waiting.pop_front() else { break };
            told.extend(self.tell(interval));
        }
        if told.is_empty() && !self.of_blue.is_empty() {
            told.extend(self.tell(Interval::default()));
        }
        let searched = self.untold != PerEnvironment::default();
        if searched && now >= self.told_at.plus_ms(TOLD_EVERY_MS) {
            let searched = std::mem::take(&mut self.untold);
            told.push(LeakSearch { searched, ..LeakSearch::default() });
        }
        if !told.is_empty() {
            self.told_at = now;
        }
        told
    }

    /// What an interval shows, with what blue showed since; nothing if that is nothing.
    fn tell(&mut self, interval: Interval) -> Option<LeakSearch> {
        let Interval { searched, of_green, beyond, .. } = interval;
        let mut exposures: BTreeMap<PlaceNumber, Exposure> = BTreeMap::new();
        let places = &self.places;
        let exposure = |number: PlaceNumber, trace: TraceId| {
            let (class, place) = places[usize::from(number)].clone();
            Exposure::new(class, place, trace)
        };
        for (number, (traces, trace)) in of_green {
            // Green showed it before blue did, and blue has: it is blue's as well.
            if !self.cleared[usize::from(number)] || self.of_blue.contains_key(&number) {
                exposures.entry(number).or_insert_with(|| exposure(number, trace)).traces.green = traces;
            }
        }
        for (number, trace) in std::mem::take(&mut self.of_blue) {
            exposures.entry(number).or_insert_with(|| exposure(number, trace)).traces.blue = 1;
        }
        if exposures.is_empty() && beyond == 0 {
            self.untold.blue += searched.blue;
            self.untold.green += searched.green;
            return None;
        }
        Some(LeakSearch { searched, exposures: exposures.into_values().collect(), beyond })
    }
}

fn allowance_bytes() -> u64 {
    MAX_BYTES_PER_S * INTERVAL_MS / 1_000
}

/// The share for the next interval: what would have used the allowance up, at most twice and at least a sixteenth of the
/// share before.
fn ceiling(before: u64, used_bytes: u64) -> u64 {
    let wanted = u128::from(before) * u128::from(allowance_bytes()) / u128::from(used_bytes.max(1));
    u64::try_from(wanted).unwrap_or(u64::MAX).clamp(before / 16, before.saturating_mul(2)).max(1)
}

/// Where a text stands. A key that holds a sensitive value itself is not named.
fn words(redactor: &Redactor, place: Place, key: Option<&str>) -> CanaryPlace {
    match place {
        Place::Attribute | Place::LogBody => match key {
            Some(key) if redactor.text(None, key, &mut Counts::default()).is_none() => {
                CanaryPlace::Attribute { key: key.chars().take(MAX_CANARY_KEY_CHARACTERS).collect() }
            }
            Some(_) | None => CanaryPlace::Key,
        },
        Place::Key => CanaryPlace::Key,
        Place::SpanName => CanaryPlace::Name,
        Place::EventName => CanaryPlace::EventName,
        Place::StatusMessage => CanaryPlace::Status,
        Place::TraceState => CanaryPlace::TraceState,
    }
}

#[cfg(test)]
mod tests;
