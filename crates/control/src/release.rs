//! The ledger in other hands for a while: closed in order for a process that takes over, and taken back if that one does
//! not come to serve. Whatever it recorded is replayed then.

use crate::controller::{Controller, SELF, started};
use crate::errors::{ReleaseError, TapsError};
use crate::journal::JournalError;
use crate::watching::Watching;
use model::Environment;
use rollout::{Body, Event};
use std::collections::BTreeSet;
use store::Reserve;

/// Who has the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// This controller; also while it is closed since an append failed.
    Open,
    /// Another process: nothing is decided, and nothing recorded.
    Released,
    /// Perhaps still another process; it is opened as soon as that one has closed it.
    TakingBack,
}

impl Controller {
    pub(crate) fn record_stop(&mut self) -> Result<(), JournalError> {
        let stopped = self.journal.number(None, (self.clock)(), [(SELF.to_owned(), Body::ServerStopped)]);
        self.journal.append(&stopped, Reserve::Use)
    }

    pub(crate) fn release(&mut self) -> Result<(), ReleaseError> {
        self.record_stop().map_err(|error| ReleaseError::Ledger(error.to_string()))?;
        self.journal.close();
        // The other process asks from here on.
        self.outlets.leave_outside();
        self.held = Held::Released;
        tracing::info!("the ledger is closed, for another process to take over");
        Ok(())
    }

    pub(crate) fn take_back(&mut self) {
        if self.held == Held::Released {
            self.held = Held::TakingBack;
            self.mend();
            if self.held == Held::TakingBack {
                tracing::error!("the other process still has the ledger; it is taken back as soon as that one ends");
            }
        }
    }

    /// After the ledger was closed: opens it again. What was durable after all is decided, and is carried out now.
    pub(crate) fn mend(&mut self) {
        if self.held == Held::Released {
            return;
        }
        match self.journal.mend() {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!("the ledger is open again");
                if self.held == Held::TakingBack {
                    self.go_on_from_records();
                }
                // What was told of metrics meanwhile is in no record.
                self.outlets.leave_outside();
                self.happened(Event::Restarted, SELF);
            }
            Err(error) => tracing::debug!("the ledger cannot be opened: {error}"),
        }
    }

    /// The other process may have decided something before it ended.
    fn go_on_from_records(&mut self) {
        self.held = Held::Open;
        self.taken_back += 1;
        let record = started(&self.journal, (self.clock)());
        if let Err(error) = self.journal.append(&record, Reserve::Use) {
            tracing::error!("the start is not in the ledger: {error}");
        }
        let replay = self.journal.replay();
        let applied = self.outlets.table.borrow().generation;
        if let Some(table) = replay.table().filter(|table| table.generation > applied).cloned() {
            self.outlets.publish_proved(table, self.journal.landmarks());
        }
        let watching =
            self.journal.replay().running().map(|state| Watching::of(state, &self.base_dir, self.taken_back));
        self.outlets.watching.send_replace(watching);
    }

    /// A table that names a tap which is gone would be refused by the gateway, and with it all traffic.
    pub(crate) fn change_taps(&mut self, taps: BTreeSet<String>) -> Result<(), TapsError> {
        let table = self.outlets.table.borrow().clone();
        for environment in Environment::BOTH {
            if let Some(upstream) = table.upstreams[environment].as_ref().filter(|it| !taps.contains(&it.tap)) {
                return Err(TapsError::InUse { environment, tap: upstream.tap.clone() });
            }
        }
        self.settings.taps = taps;
        Ok(())
    }
}
