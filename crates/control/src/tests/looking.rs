//! Who looked at evidence stands in the ledger, and who was refused.

use super::*;
use crate::{LookError, Recording};

fn known(name: &str) -> KnownPrincipal {
    let (roles, uids, keys) = (Vec::new(), Vec::new(), Vec::new());
    KnownPrincipal { name: name.to_owned(), roles, uids, keys, person: None }
}

#[tokio::test(start_paused = true)]
async fn a_look_is_recorded_before_it_is_shown_and_a_refusal_once_a_minute() {
    let bench = Bench { principals: vec![known("alice")], ..Bench::new() };
    let blob = b"{\"what\":\"a verdict rests on\"}".to_vec();
    let digest = {
        let mut evidence = Evidence::open(&bench.root.path().join("evidence"), bench.retention).unwrap();
        evidence.keep(&blob, bench.now.load(Ordering::Relaxed)).unwrap()
    };
    let server = bench.serve();
    let mallory = || Principal::new("mallory", vec![]);
    assert_eq!(server.handle.look(digest.clone(), alice()).await.unwrap(), blob);
    for _ in 0..3 {
        let refused = server.handle.look(digest.clone(), mallory()).await;
        assert!(matches!(refused, Err(LookError::Refused { by }) if by == "mallory"));
    }
    bench.pass(60_000).await;
    assert!(server.handle.look(digest.clone(), mallory()).await.is_err());
    for unknown in ["sha256:0", "../../etc/passwd", &digest.replace("sha256:", "sha256:0")] {
        let found = server.handle.look(unknown.to_owned(), alice()).await;
        assert!(matches!(found, Err(LookError::NotThere { .. })), "{unknown}");
    }
    let path = bench.root.path().join("evidence").join(digest.trim_start_matches("sha256:"));
    std::fs::write(path, "altered").unwrap();
    assert!(matches!(server.handle.look(digest.clone(), alice()).await, Err(LookError::Disk(_))));
    server.stop().await;
    let said = bodies(&bench);
    let count = |what: &str| said.iter().filter(|body| body.contains(what)).count();
    assert_eq!((count("EvidenceRead"), count("AccessRefused")), (1, 2), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn who_records_the_traffic_stands_in_the_ledger_first() {
    let bench = Bench { principals: vec![known("alice")], ..Bench::new() };
    let server = bench.serve();
    let recording =
        || Recording { for_ms: 600_000, max_bytes: 1 << 30, redacted: false, recipient: "age1x".to_owned() };
    server.handle.record(recording(), alice()).await.unwrap();
    let refused = server.handle.record(recording(), Principal::new("mallory", vec![])).await;
    assert!(matches!(refused, Err(LookError::Refused { by }) if by == "mallory"));
    server.stop().await;
    let said = bodies(&bench);
    let count = |what: &str| said.iter().filter(|body| body.contains(what)).count();
    assert_eq!((count("TrafficRecorded"), count("AccessRefused")), (1, 1), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_principal_may_not_is_recorded_once_a_minute_for_each_action() {
    let bench = Bench::new();
    let server = bench.serve();
    let refuse = async |what: &str| {
        let by = Principal::new("mallory", vec!["viewer".to_owned()]);
        server.handle.tell(Input::AccessRefused { what: what.to_owned(), by }).await;
        // An answer says that everything before it was heard.
        server.handle.list().await;
    };
    for _ in 0..5 {
        refuse("approve").await;
    }
    refuse("start a rollout").await;
    let what = "the web port, 7 times: 7 unknown token".to_owned();
    server.handle.tell(Input::CallersRefused { what, from: Some("192.0.2.1".to_owned()) }).await;
    server.handle.list().await;
    bench.pass(60_000).await;
    refuse("approve").await;
    server.stop().await;
    let said = bodies(&bench);
    let refused: Vec<&String> = said.iter().filter(|body| body.contains("AccessRefused")).collect();
    assert_eq!(refused.len(), 4, "{refused:?}");
    for (body, words) in
        refused.iter().zip(["\"approve\"", "\"start a rollout\"", "7 unknown token", "approve (4 more times"])
    {
        assert!(body.contains(words), "{body} does not say {words}");
    }
}
