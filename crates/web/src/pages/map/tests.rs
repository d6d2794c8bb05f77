use crate::SeenCalls;
use crate::pages::serving::{Served, check, started};
use access::Role;
use control::rollout::RolloutId;
use model::{PerEnvironment, UnixMillis};
use std::collections::BTreeMap;
use verify::{CallCount, CallCounts};

fn call(from: &str, to: &str, blue: [u64; 2], green: [u64; 2]) -> CallCount {
    let of = |at: usize| PerEnvironment { blue: blue[at], green: green[at] };
    CallCount { from: from.to_owned(), to: to.to_owned(), sent: of(0), out: of(1) }
}

async fn served(calls: Vec<CallCount>, traces: PerEnvironment<u64>) -> Served {
    let bodies = vec![(Some(RolloutId("demo.1".into())), started("demo.1", "gate: probe", ""))];
    let (since, until) = (UnixMillis(0), UnixMillis(61_000));
    let seen = SeenCalls { since, until, counts: CallCounts { traces, calls, left_out: 3 } };
    Served::with_calls(bodies, BTreeMap::new(), &[Role::Viewer], Some(seen)).await
}

#[tokio::test]
async fn what_came_out_of_one_environment_alone_is_marked_once_there_were_traces_enough() {
    let calls = vec![
        call("web", "<shop>", [500, 500], [480, 480]),
        call("web", "cart", [500, 500], [480, 0]),
        call("web", "ads", [0, 0], [480, 470]),
        call("web", "rare", [2, 2], [0, 0]),
    ];
    let served = served(calls, PerEnvironment { blue: 500, green: 480 }).await;
    let stands = [
        "4 calls between services, in 500 traces of blue and 480 of green",
        "2 calls are missing or new",
        "Of 1 it is too early to say",
        "no room for 3 further calls",
        "1970-01-01 00:00:00 UTC",
        "00:01:01 UTC",
        "15 of them would have it",
        "✕ missing: never came out of green",
        "+ new: not in blue's traces; 10 of 480 traces without it out of green",
        "? not out of green so far; too few traces to say",
        "0 of 480",
        "<bdi>&lt;shop&gt;</bdi>",
        "class=\"too-few\"",
    ];
    check(&served.get("/rollouts/demo.1/map").await, &stands, &["<shop>"]);
}

#[tokio::test]
async fn without_counts_the_map_is_made_of_the_ledger_and_says_so() {
    let none = served(Vec::new(), PerEnvironment::default()).await;
    let page = none.get("/rollouts/demo.1/map").await;
    check(
        &page,
        &["From 0 observations in the ledger", "No call between services is known so far."],
        &["in memory: after"],
    );
    assert!(none.get("/rollouts/other.1/map").await.contains("404 Not Found"));
}
