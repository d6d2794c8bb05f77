//! Testers' traffic (user acceptance): a request with the testers' header, or spans whose resource has their attribute, is
//! served by green whatever its weight, and so are the trace's other spans, which carry no sign of it.
//!
//! A tester's trace has a place of its own among the pins. So it follows its first span, is never torn by a shift, and is
//! known at the tap: verification is shown none of it, for it was assigned and not drawn, and would bias what is compared.
//! Where the table lets no testers in, nothing of this costs more than one relaxed load a request.

use crate::pins::{PinHash, PinTable, Place};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use model::{MAX_TESTER_TRACES_PER_MINUTE, MAX_TESTERS, TesterRoute, TraceId};
use otlp::for_each_tagged_trace;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The first tester's place among the pins; the environments have those before.
pub(crate) const FIRST_PLACE: Place = 2;

/// Tagged traces of one request at most: what is beyond is routed as any other. A batch of the SDKs has 512 spans.
const MAX_TAGGED: usize = 10_000;

/// A table's testers, as requests are asked for them.
pub(crate) struct Testers {
    pub(crate) names: Vec<Arc<str>>,
    sign: Sign,
}

enum Sign {
    Header(HeaderName),
    ResourceAttribute(String),
}

/// Whose the traces of one request are.
pub(crate) enum Assigned {
    /// As far as the request says, nobody's.
    Nobody,
    /// All of them are this tester's.
    All(u8),
    /// These are.
    Some(BTreeMap<TraceId, u8>),
}

/// Testers' spans of a part of a request.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// Which traces, and whose.
    pub(crate) traces: Vec<(TraceId, Arc<str>)>,
    /// An `ExportTraceServiceRequest` of them alone.
    pub(crate) message: Bytes,
}

impl Testers {
    /// Of a table; none if the header is no header's name.
    pub(crate) fn of(testers: &model::Testers) -> Option<Testers> {
        let sign = match &testers.route {
            TesterRoute::Header(name) if TesterRoute::is_header_name(name) => {
                Sign::Header(HeaderName::from_bytes(name.as_bytes()).ok()?)
            }
            TesterRoute::Header(_) => return None,
            TesterRoute::ResourceAttribute(key) => Sign::ResourceAttribute(key.clone()),
        };
        let names = testers.names.iter().take(MAX_TESTERS).map(|name| Arc::from(name.as_str())).collect();
        Some(Testers { names, sign })
    }

    /// Whether requests' headers must be looked at.
    pub(crate) fn look_at_headers(&self) -> bool {
        matches!(self.sign, Sign::Header(_))
    }

    /// Whose a request with these headers is.
    pub(crate) fn named_by(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let Sign::Header(name) = &self.sign else { return None };
        let value = headers.get(name)?.as_bytes();
        self.names.iter().find(|tester| tester.as_bytes() == value).cloned()
    }

    /// Whose the traces of a request are. `named` came with its headers, under this table or the one before.
    pub(crate) fn assigned(&self, named: Option<&Arc<str>>, is_traces: bool, message: &[u8]) -> Assigned {
        match (&self.sign, named) {
            (Sign::Header(_), Some(named)) => self.index(named).map_or(Assigned::Nobody, Assigned::All),
            (Sign::ResourceAttribute(key), _) if is_traces => {
                let mut tagged = BTreeMap::new();
                // What cannot be read that far passes as it would if nobody looked.
                let _ = for_each_tagged_trace(message, key, |value, trace| {
                    if let Some(tester) = self.index(value).filter(|_| tagged.len() < MAX_TAGGED) {
                        tagged.insert(trace, tester);
                    }
                });
                if tagged.is_empty() { Assigned::Nobody } else { Assigned::Some(tagged) }
            }
            (Sign::Header(_) | Sign::ResourceAttribute(_), _) => Assigned::Nobody,
        }
    }

    fn index(&self, name: &str) -> Option<u8> {
        self.names.iter().position(|tester| **tester == *name).and_then(|index| u8::try_from(index).ok())
    }

    /// The traces that were tried in one request, with the names of their testers.
    pub(crate) fn tried(&self, traces: &BTreeMap<TraceId, u8>) -> Vec<(TraceId, Arc<str>)> {
        let named = |(trace, tester): (&TraceId, &u8)| Some((*trace, self.names.get(usize::from(*tester))?.clone()));
        traces.iter().filter_map(named).collect()
    }
}

impl Assigned {
    pub(crate) fn tester(&self, trace: TraceId) -> Option<u8> {
        match self {
            Assigned::Nobody => None,
            Assigned::All(tester) => Some(*tester),
            Assigned::Some(traces) => traces.get(&trace).copied(),
        }
    }
}

/// Whether a trace is a tester's, as far as the pins remember: at the tap, seconds after it went in.
pub(crate) fn is_testers(pins: &PinTable, mark: u64) -> bool {
    pins.peek(PinHash(mark), None).is_some_and(|place| place >= FIRST_PLACE)
}

/// How many new traces of testers this minute has let through: the minute above, the count below.
#[derive(Default)]
pub(crate) struct Minute(AtomicU64);

impl Minute {
    /// Lets one more through, unless the minute has had its share.
    pub(crate) fn take(&self, now_us: u64) -> bool {
        let minute = now_us / 60_000_000;
        let next = |word: u64| match (word >> 32 == minute & 0xffff_ffff, word & 0xffff_ffff) {
            (true, count) if count >= u64::from(MAX_TESTER_TRACES_PER_MINUTE) => None,
            (true, _) => Some(word + 1),
            (false, _) => Some((minute & 0xffff_ffff) << 32 | 1),
        };
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn testers() -> Testers {
        let route = TesterRoute::Header("x-tester".to_owned());
        Testers::of(&model::Testers { route, names: vec!["bob".to_owned(), "carol".to_owned()] }).unwrap()
    }

    fn check(value: &[u8], expect: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert("x-tester", HeaderValue::from_bytes(value).unwrap());
        assert_eq!(testers().named_by(&headers).as_deref(), expect, "{value:?}");
    }

    #[test]
    fn a_header_names_a_tester_of_the_table_and_nobody_else() {
        check(b"bob", Some("bob"));
        check(b"carol", Some("carol"));
        check(b"Bob", None);
        check(b"dave", None);
        check(b"\xff", None);
        assert!(testers().named_by(&HeaderMap::new()).is_none());
    }

    #[test]
    fn a_minute_lets_its_share_through_and_the_next_one_too() {
        let minute = Minute::default();
        let most = MAX_TESTER_TRACES_PER_MINUTE as usize;
        let let_through = |now_us: u64| (0..2 * most).filter(|_| minute.take(now_us)).count();
        assert_eq!(let_through(60_000_000), most);
        assert_eq!(let_through(119_000_000), 0);
        assert_eq!(let_through(120_000_000), most);
    }
}
