//! What stands behind a door in tests: a controller that the test itself answers for, and nothing else.

use crate::{Answers, Api, Caller, Condition, LearnError, LedgerFiles, Record, RecordError};
use control::Handle;
use control::rollout::Principal;
use serde_json::json;
use std::sync::Arc;

impl Api {
    /// Nobody is known, nothing is measured, learned or recorded. A test replaces what it is about.
    pub(crate) fn fixture(handle: Handle) -> Api {
        Api {
            handle,
            status: Arc::new(|| json!({})),
            principals: Arc::new(|_| Caller::named(Principal::new("nobody", Vec::new()))),
            signers: Arc::new(|_| None),
            known: Arc::new(Vec::new),
            learn: Arc::new(|_, _| Err(LearnError::Busy)),
            record: Record { prepare: Arc::new(|_| Err(RecordError::Busy)), end: Arc::new(|| false) },
            condition: Condition::default(),
            answers: Answers::default(),
            ledger: no_ledger(),
            calls: Arc::new(|_| None),
        }
    }
}

/// Some key, and a folder that is not there.
fn no_ledger() -> LedgerFiles {
    let key = "verdigris.local/ledger+d6bb7022+AZAigtaLPTNDJ64QLjX6IHt8sF8v7xckJK8BHev8Ve7s";
    LedgerFiles {
        dir: "/nonexistent".into(),
        key: key.parse().expect("a verifier key"),
        words: |_| String::new(),
        time: |at| at.to_string(),
        export: Arc::new(|_| Err("there is no ledger".to_owned())),
    }
}
