//! One module a command.

pub mod agent;
pub mod approve;
pub mod audit;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod drift;
mod evidence;
pub mod gate;
pub mod judge;
pub mod ledger;
pub mod load;
pub mod plan;
pub mod record;
mod recording;
pub mod redact;
pub mod rollout;
pub mod trace;
pub mod verify;

use crate::describe::timestamp;
use ::ledger::VerifierKey;
use std::path::Path;
use std::sync::Arc;

/// What pages need to show a ledger, in the words of `verdigris ledger show`.
pub fn ledger_files(dir: &Path, key: &VerifierKey) -> web::LedgerFiles {
    let (at, by) = (dir.to_owned(), key.clone());
    web::LedgerFiles {
        dir: dir.to_owned(),
        key: key.clone(),
        words: ledger::words,
        time: timestamp,
        export: Arc::new(move |rollout| audit::plain(&at, &by, rollout)),
    }
}
