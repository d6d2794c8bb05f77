//! A gateway: applies newer tables, keeps traces where they began, says what it applied.

use model::{Environment, Pins, RouteTable, TraceId};
use std::collections::BTreeMap;

pub(crate) struct Gateway {
    pub(crate) table: RouteTable,
    pins: BTreeMap<TraceId, (Environment, u64)>,
    /// Traces torn by rollbacks.
    pub(crate) torn: u64,
    /// Tables with [`Pins::Tear`] that were applied.
    pub(crate) tears: u64,
    /// Tables that were refused, being no newer.
    pub(crate) refused: u64,
    /// Tables that were applied.
    pub(crate) applied: u64,
}

/// Where a trace goes.
pub(crate) struct Route {
    pub(crate) environment: Environment,
    pub(crate) mirror: Option<Environment>,
}

impl Gateway {
    pub(crate) fn new(table: RouteTable) -> Gateway {
        Gateway { table, pins: BTreeMap::new(), torn: 0, tears: 0, refused: 0, applied: 0 }
    }

    /// Starts anew: it knows no trace, and routes by the table that it is given.
    pub(crate) fn restart(&mut self, table: RouteTable) {
        self.pins.clear();
        self.applied += 1;
        self.table = table;
    }

    /// Applies a newer table; `false` if this one is not.
    pub(crate) fn publish(&mut self, table: RouteTable) -> bool {
        if table.generation <= self.table.generation {
            self.refused += 1;
            return false;
        }
        // Pins are found by a hash under the table's key: another key knows none of them.
        if table.key != self.table.key {
            self.pins.clear();
        }
        self.tears += u64::from(table.pins == Pins::Tear);
        self.applied += 1;
        self.table = table;
        true
    }

    pub(crate) fn route(&mut self, trace: TraceId, now: u64) -> Route {
        let wanted = self.table.environment(self.table.key.bucket(trace));
        let pinned = self.pins.get(&trace).filter(|(_, seen)| now - seen <= self.table.pin_ms);
        let environment = match (pinned, self.table.pins) {
            (Some((began, _)), Pins::Keep) => *began,
            (Some((began, _)), Pins::Tear) if *began != wanted => {
                self.torn += 1;
                wanted
            }
            (Some(_), Pins::Tear) | (None, Pins::Keep | Pins::Tear) => wanted,
        };
        self.pins.insert(trace, (environment, now));
        let mirror = self.table.mirror.then(|| self.table.active.other());
        Route { environment, mirror }
    }

    /// The endpoint behind an environment's name: after a promotion the next rollout calls it blue.
    pub(crate) fn endpoint(&self, environment: Environment) -> Option<String> {
        self.table.upstreams[environment].as_ref().map(|upstream| upstream.endpoint.clone())
    }
}
