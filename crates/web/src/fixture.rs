//! What stands behind a door in tests: a controller that the test itself answers for, and nothing else.

use crate::{Answers, Api, Caller, Condition, LearnError, LedgerFiles, Record, RecordError};
use control::Handle;
use control::rollout::{Principal, Report, RolloutId, Start};
use model::{RouteKey, UnixMillis};
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

const PLAN: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: collectors, reason: a test }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:14317" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:24317" } }
  strategy: { steps: [{ setWeight: 10% }, { pause: {} }, { setWeight: 100% }, { bake: { for: 20s } }] }
  guards: { spanLoss: { atMost: 1% } }
"#;

/// How a rollout of this name begins, that follows this plan.
pub(crate) fn start(rollout: &str, yaml: &str) -> Start {
    let plan = control::rollout::plan::parse(yaml).expect("the plan holds");
    Start {
        rollout: RolloutId(rollout.to_owned()),
        plan_digest: plan.digest(),
        plan,
        by: Principal::new("ada", vec![]),
        program: "1".to_owned(),
        log: "log".to_owned(),
        route_key: RouteKey([7; 16]),
        base_dir: "/".to_owned(),
        last_generation: 0,
    }
}

/// What a rollout of this name says of itself that has just begun.
pub(crate) fn report(rollout: &str) -> Report {
    let now = UnixMillis(1_700_000_000_000);
    control::rollout::report(&control::rollout::start(&start(rollout, PLAN), now).state, now)
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
