//! What is kept of a rollout's findings, and what goes when there is too much of it.

use super::*;
use model::{Finding, TraceId};
use rollout::{DeletedBecause, FindingName, Record, RolloutId};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

/// A bench whose blobs are all of one size: the trace's id, and text that makes 100 bytes of it.
fn bench(blobs: u64, keep_ms: u64) -> Bench {
    let text = "0123456789012345678901234567890123456789012345678901234567890";
    let bytes = format!(r#"["{}","{text}"]"#, TraceId([0; 16])).len() as u64;
    assert_eq!(bytes, 100);
    Bench { retention: Retention { keep_ms, max_bytes: blobs * bytes }, example: Some(text), ..Bench::new() }
}

/// An observation in which each of these traces shows a finding of its own.
fn observation(batch: u64, traces: &[u8]) -> Box<Observation> {
    let shown = PerEnvironment { blue: 0, green: 1 };
    let finding = |trace: &u8| Finding {
        check: Check::LostSpan,
        service: "cart".into(),
        operation: format!("op{trace}"),
        key: None,
        traces: shown,
        spans: shown,
        first_seen: UnixMillis(0),
        last_seen: UnixMillis(0),
        example: Some(TraceId([*trace; 16])),
    };
    let arm = |traces| ArmCounts { traces, ..ArmCounts::default() };
    Box::new(Observation {
        arms: PerEnvironment { blue: arm(90), green: arm(10) },
        findings: traces.iter().map(finding).collect(),
        ..Observation::of_nothing(batch, UnixMillis(batch * 2_000), UnixMillis(batch * 2_000 + 2_000))
    })
}

async fn observe(bench: &Bench, server: &Server, rollout: &RolloutId, batch: u64, traces: &[u8]) {
    let observation = observation(batch, traces);
    server.handle.tell(Input::Observed { rollout: rollout.clone(), observation }).await;
    bench.pass(1_000).await;
}

/// A rollout that has ended.
async fn end(server: &Server) {
    server.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
    server.apply().await;
}

fn records(bench: &Bench) -> Vec<Record> {
    let key = SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
    let reader = store::Reader::open(&bench.dir()).unwrap();
    let checkpoint = reader.checkpoint(key.verifier()).unwrap();
    let entries = reader.entries(&checkpoint, 0..checkpoint.size()).unwrap();
    entries.map(|entry| decode(0, &entry.unwrap()).unwrap()).collect()
}

/// What the ledger says that was kept and deleted, by the number of the trace: `+3 -1`.
fn told(bench: &Bench) -> String {
    let mut traces = std::collections::BTreeMap::new();
    let mut told = Vec::new();
    for record in records(bench) {
        match record.body {
            Body::EvidenceKept { digest, trace, findings } => {
                told.push(format!("+{}", trace.0[0]));
                assert!(findings.iter().all(|FindingName { operation, .. }| *operation == format!("op{}", trace.0[0])));
                traces.insert(digest, trace.0[0]);
            }
            Body::EvidenceDeleted { digests, because } => {
                assert_eq!(record.rollout, None, "it is the server's own");
                let why = match because {
                    DeletedBecause::TooOld { .. } => "old",
                    DeletedBecause::NoRoom { .. } => "",
                };
                told.extend(digests.iter().map(|digest| format!("-{}{why}", traces[digest])));
            }
            _ => {}
        }
    }
    told.join(" ")
}

/// The traces whose blobs are there.
fn there(bench: &Bench) -> BTreeSet<u8> {
    let files = std::fs::read_dir(bench.root.path().join("evidence")).unwrap();
    let trace = |path: PathBuf| {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (trace, _): (TraceId, String) = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        trace.0[0]
    };
    files.map(|file| trace(file.unwrap().path())).collect()
}

const DAY_MS: u64 = 24 * 3_600_000;

#[tokio::test(start_paused = true)]
async fn findings_leave_examples_and_a_restart_knows_which() {
    let bench = bench(100, DAY_MS);
    let server = bench.serve();
    let rollout = bench.shifted(&server).await.rollout;
    observe(&bench, &server, &rollout, 1, &[1, 2]).await;
    server.kill().await;
    let server = bench.serve();
    server.apply().await;
    for batch in 2..9 {
        observe(&bench, &server, &rollout, batch, &[1, 3]).await;
    }
    server.stop().await;
    assert_eq!(told(&bench), "+1 +2 +1 +3 +1 +3 +1 +3 +1 +3 +3", "five of each finding, over the restart");
    assert_eq!(there(&bench), [1, 2, 3].into(), "the same blob is kept once");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_for_new_ones_and_never_what_the_running_rollout_names() {
    let bench = bench(4, DAY_MS);
    let server = bench.serve();
    let first = bench.shifted(&server).await.rollout;
    observe(&bench, &server, &first, 1, &[1]).await;
    observe(&bench, &server, &first, 2, &[2]).await;
    end(&server).await;
    server.start(PLAN).await.unwrap();
    let second = server.report().await.rollout;
    observe(&bench, &server, &second, 1, &[3, 4]).await;
    observe(&bench, &server, &second, 2, &[5]).await;
    observe(&bench, &server, &second, 3, &[6]).await;
    // Nothing is left that may go.
    observe(&bench, &server, &second, 4, &[7]).await;
    server.kill().await;
    let server = bench.serve();
    observe(&bench, &server, &second, 5, &[8]).await;
    assert_eq!(there(&bench), [3, 4, 5, 6].into());
    end(&server).await;
    server.stop().await;
    assert_eq!(told(&bench), "+1 +2 +3 +4 -1 +5 -2 +6");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_goes_by_itself_once_its_rollout_has_ended() {
    let bench = bench(100, DAY_MS);
    let server = bench.serve();
    let rollout = bench.shifted(&server).await.rollout;
    observe(&bench, &server, &rollout, 1, &[1]).await;
    bench.pass(DAY_MS / 2).await;
    observe(&bench, &server, &rollout, 2, &[2]).await;
    bench.pass(DAY_MS * 3 / 4).await;
    assert_eq!(there(&bench), [1, 2].into(), "the rollout still runs");
    end(&server).await;
    bench.pass(3_600_000).await;
    assert_eq!(there(&bench), [2].into());
    bench.pass(DAY_MS / 2).await;
    assert_eq!(there(&bench), [].into());
    server.stop().await;
    assert_eq!(told(&bench), "+1 +2 -1old -2old");
}

#[tokio::test(start_paused = true)]
async fn the_examples_of_a_trace_are_erased_and_stay_so() {
    let bench = bench(100, DAY_MS);
    let server = bench.serve();
    let rollout = bench.shifted(&server).await.rollout;
    observe(&bench, &server, &rollout, 1, &[1, 2]).await;
    let blobs = || std::fs::read_dir(bench.root.path().join("evidence")).unwrap().map(|it| it.unwrap().path());
    let of_one = blobs().find(|path| std::fs::read_to_string(path).unwrap().contains("0101")).unwrap();
    let copy = std::fs::read(&of_one).unwrap();
    let subject = format!("trace:{}", TraceId([1; 16]));
    let erased = server.handle.erase(subject.clone(), alice()).await.unwrap();
    assert_eq!((erased.persons, erased.evidence), (0, 1));
    assert_eq!(there(&bench), [2].into());
    assert!(server.handle.erase(subject, alice()).await.is_err(), "there is no other");
    server.kill().await;
    // As if the crash had come before it was deleted.
    std::fs::write(&of_one, copy).unwrap();
    let server = bench.serve();
    assert_eq!(there(&bench), [2].into());
    server.stop().await;
}
