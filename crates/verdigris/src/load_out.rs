//! What comes out of a load at the gateway's taps, in the words of the gate that sends it.

use control::CountsLoad;
use gateway::{Gateway, LoadOut};
use model::{PerEnvironment, RouteKey};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One load at a time is counted.
pub(crate) struct LoadAtTaps {
    gateway: Gateway,
    counted: Mutex<Option<Arc<LoadOut>>>,
}

impl LoadAtTaps {
    pub(crate) fn of(gateway: Gateway) -> LoadAtTaps {
        LoadAtTaps { gateway, counted: Mutex::default() }
    }

    fn counted(&self) -> MutexGuard<'_, Option<Arc<LoadOut>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CountsLoad for LoadAtTaps {
    fn begin(&self, key: RouteKey) {
        *self.counted() = Some(self.gateway.count_load(key));
    }

    fn spans(&self) -> PerEnvironment<u64> {
        self.counted().as_ref().map(|counted| counted.spans()).unwrap_or_default()
    }

    fn end(&self) {
        self.gateway.stop_counting();
        *self.counted() = None;
    }
}
