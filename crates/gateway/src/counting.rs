//! Counts what comes out of the pipelines of a load that the gate `load` sends: its traces are known by their ids.
//!
//! Nothing is counted, and nothing read for it, but while that gate runs.

use crate::run::Gateway;
use crate::share::with_splitter;
use model::{Environment, PerEnvironment, RouteKey};
use otlp::{Part, Signal, Unit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Spans of a load that came out at the taps.
#[derive(Debug)]
pub struct LoadOut {
    key: RouteKey,
    spans: PerEnvironment<AtomicU64>,
}

impl LoadOut {
    /// How many so far. What a pipeline puts out twice counts twice.
    pub fn spans(&self) -> PerEnvironment<u64> {
        PerEnvironment::from_fn(|environment| self.spans[environment].load(Relaxed))
    }

    pub(crate) fn count(&self, environment: Environment, message: &[u8]) {
        const OWN: Part = 1;
        let of_load = |unit: Unit| match unit {
            Unit::Trace(trace) => Part::from(self.key.is_load(trace)),
            Unit::Resource(_) => 0,
        };
        let spans = with_splitter(message, |splitter| {
            splitter.scan(Signal::Traces, message, of_load).map(|()| splitter.records(OWN))
        });
        // What cannot be read so far was refused before.
        self.spans[environment].fetch_add(spans.unwrap_or_default(), Relaxed);
    }
}

impl Gateway {
    /// From now on what comes out of the load with this key is counted, until the next call or [`Gateway::stop_counting`].
    pub fn count_load(&self, key: RouteKey) -> Arc<LoadOut> {
        let counting = Arc::new(LoadOut { key, spans: PerEnvironment::default() });
        self.shared.counting.store(Some(counting.clone()));
        counting
    }

    /// Nothing is counted any more.
    pub fn stop_counting(&self) {
        self.shared.counting.store(None);
    }
}
