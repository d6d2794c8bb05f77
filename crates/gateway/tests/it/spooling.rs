//! What waits on the disk while an environment takes nothing: acknowledged, and delivered later.

use crate::upstream::{Reply, Upstream};
use crate::*;
use gateway::{Outcome, Role, Status};
use spool::Spool;
use tempfile::TempDir;

const SPOOL: spool::Limits =
    spool::Limits { max_bytes: 4 << 20, segment_bytes: 1 << 20, max_entries: 10_000, max_waiting_bytes: 1 << 20 };

fn refusal(code: u32) -> Reply {
    Reply::Grpc(Status { code, message: "a test's".to_owned(), retry_after_ms: None })
}

fn unavailable() -> Reply {
    refusal(14)
}

fn refused_for_good() -> Reply {
    refusal(3)
}

/// Both environments' spools in a folder.
fn spools(folder: &TempDir) -> Spools {
    let spools = Spools::default();
    for environment in Environment::BOTH {
        let (spool, _) = Spool::open(&folder.path().join(environment.name()), SPOOL).expect("a spool opens");
        spools.set(environment, spool);
    }
    spools
}

async fn start(table: RouteTable, folder: &TempDir) -> (Fixture, Spools) {
    let spools = spools(folder);
    (Fixture::start_with_spools(table, spools.clone()).await, spools)
}

fn entries(spools: &Spools) -> PerEnvironment<u64> {
    spools.stats().map(|stats| stats.expect("it is open").entries)
}

/// Lets time pass until nothing waits.
async fn drained(fixture: &Fixture, spools: &Spools) {
    while entries(spools) != PerEnvironment::default() {
        fixture.pass_ms(1_000);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_pushed_back_is_acknowledged_and_delivered_when_it_is_taken_again() {
    let folder = TempDir::new().expect("a folder");
    let blue = Upstream::start(Protocol::Grpc).await;
    let (fixture, spools) = start(table(&blue, None, 0), &folder).await;
    let client = fixture.client(Protocol::Grpc);
    blue.reply(unavailable());
    for signal in Signal::ALL {
        for number in 0..5 {
            assert_eq!(client.export(signal, request([(number, number)])).await, Outcome::TAKEN);
        }
    }
    assert_eq!(entries(&spools).blue, 15);
    assert_eq!(fixture.stats().environments.blue.spooled_spans, 5);
    blue.reply(Reply::Taken);
    drained(&fixture, &spools).await;
    for signal in Signal::ALL {
        let taken = blue.taken(signal);
        let expected: BTreeMap<_, _> = (0..5).map(|number| ((trace_id(number), number), 1)).collect();
        assert_eq!(spans_of(&taken), expected, "{signal:?}");
    }
    assert_eq!(fixture.stats().environments.blue.drained_spans, 5);
    // Afterwards nothing goes over the disk any more.
    assert_eq!(client.export(Signal::Traces, request([(9, 9)])).await, Outcome::TAKEN);
    assert_eq!(fixture.stats().environments.blue.spooled_spans, 5);
}

#[tokio::test]
async fn one_environment_that_is_down_holds_up_nothing_of_the_other() {
    let folder = TempDir::new().expect("a folder");
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    let (mut fixture, spools) = start(table(&blue, Some(&green), 5_000), &folder).await;
    let client = fixture.client(Protocol::Grpc);
    green.reply(unavailable());
    let traces: Vec<u64> = (0..40).collect();
    let (to_green, to_blue): (Vec<u64>, Vec<u64>) =
        traces.iter().partition(|trace| KEY.bucket(trace_id(**trace)).0 < 5_000);
    for trace in &traces {
        assert_eq!(client.export(Signal::Traces, request([(*trace, 1)])).await, Outcome::TAKEN);
    }
    let of = |traces: &[u64]| -> BTreeMap<_, _> { traces.iter().map(|trace| ((trace_id(*trace), 1), 1)).collect() };
    assert_eq!(spans_of(&blue.taken(Signal::Traces)), of(&to_blue));
    assert_eq!(entries(&spools), PerEnvironment { blue: 0, green: to_green.len() as u64 });
    // Verification hears of every one that was not taken.
    let mut refused = Vec::new();
    while let Ok(view) = fixture.views.try_recv() {
        if let View::Sent { environment: Environment::Green, message, outcome: Outcome::Refused(_), .. } = view {
            refused.push(message);
        }
    }
    assert!(spans_of(&refused).keys().eq(of(&to_green).keys()), "{refused:?}");
    // A rollback routes what waits to the other environment.
    let rollback = RouteTable { generation: 2, pins: Pins::Tear, ..table(&blue, Some(&green), 0) };
    fixture.publish(rollback).await;
    drained(&fixture, &spools).await;
    assert_eq!(spans_of(&blue.taken(Signal::Traces)), of(&traces));
    // And of these that they come from the disk.
    let mut redelivered = Vec::new();
    while let Ok(view) = fixture.views.try_recv() {
        if let View::Sent { role: Role::Redelivering, message, outcome: Outcome::Acknowledged(_), .. } = view {
            redelivered.push(message);
        }
    }
    assert!(spans_of(&redelivered).keys().eq(of(&to_green).keys()), "{redelivered:?}");
}

#[tokio::test]
async fn what_waits_survives_the_gateway() {
    let folder = TempDir::new().expect("a folder");
    let blue = Upstream::start(Protocol::Grpc).await;
    blue.reply(unavailable());
    let (mut fixture, spools) = start(table(&blue, None, 0), &folder).await;
    let message = request([(1, 1), (2, 2)]);
    assert_eq!(fixture.client(Protocol::Http).export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
    fixture.begin_stop();
    assert_eq!(fixture.stopped().await, Stopped::Drained);
    drop(spools);
    blue.reply(Reply::Taken);
    let (fixture, spools) = start(table(&blue, None, 0), &folder).await;
    drained(&fixture, &spools).await;
    assert_eq!(blue.taken(Signal::Traces), [message]);
}

#[tokio::test]
async fn without_a_route_table_what_waits_goes_on_waiting() {
    let folder = TempDir::new().expect("a folder");
    let blue = Upstream::start(Protocol::Grpc).await;
    blue.reply(unavailable());
    let (mut fixture, spools) = start(table(&blue, None, 0), &folder).await;
    assert_eq!(fixture.client(Protocol::Grpc).export(Signal::Traces, request([(1, 1)])).await, Outcome::TAKEN);
    fixture.begin_stop();
    fixture.stopped().await;
    drop(spools);
    blue.reply(Reply::Taken);
    let mut nowhere = table(&blue, None, 0);
    nowhere.upstreams.blue.as_mut().expect("it is there").endpoint = "ftp://127.0.0.1:1".to_owned();
    let (mut fixture, spools) = start(nowhere, &folder).await;
    // It is taken out, and there is nowhere to send it.
    while spools.stats().blue.expect("it is open").taken == 0 {
        tokio::task::yield_now().await;
    }
    fixture.publish(RouteTable { generation: 2, ..table(&blue, None, 0) }).await;
    drained(&fixture, &spools).await;
    assert_eq!(blue.taken(Signal::Traces), [request([(1, 1)])]);
}

#[tokio::test]
async fn a_full_spool_tells_the_sender_to_wait() {
    let folder = TempDir::new().expect("a folder");
    let blue = Upstream::start(Protocol::Grpc).await;
    blue.reply(unavailable());
    let (fixture, spools) = start(table(&blue, None, 0), &folder).await;
    let client = fixture.client(Protocol::Grpc);
    let mut acknowledged = 0;
    let refused = loop {
        // 300 spans of some 50 bytes; 4 MiB hold less than 1,000 of them.
        assert!(acknowledged < 1_000);
        match client.export(Signal::Traces, request((0..300).map(|span| (acknowledged, span)))).await {
            outcome if outcome == Outcome::TAKEN => acknowledged += 1,
            refused => break refused,
        }
    };
    let Outcome::Refused(status) = refused else { panic!("{refused:?}") };
    assert_eq!((status.code, status.retry_after_ms), (8, Some(1_000)), "{status:?}");
    assert!(status.message.contains("spool"), "{status:?}");
    blue.reply(Reply::Taken);
    drained(&fixture, &spools).await;
    assert_eq!(spans_of(&blue.taken(Signal::Traces)).len() as u64, acknowledged * 300);
}

#[tokio::test]
async fn what_is_refused_for_good_does_not_wait() {
    let folder = TempDir::new().expect("a folder");
    let blue = Upstream::start(Protocol::Grpc).await;
    let (fixture, spools) = start(table(&blue, None, 0), &folder).await;
    blue.reply(refused_for_good());
    let outcome = fixture.client(Protocol::Grpc).export(Signal::Traces, request([(1, 1)])).await;
    assert!(matches!(&outcome, Outcome::Refused(status) if !status.is_retryable()), "{outcome:?}");
    // Nor is it given back for ever when its turn comes and it is refused then: it is counted, and gone.
    blue.reply(unavailable());
    assert_eq!(fixture.client(Protocol::Grpc).export(Signal::Traces, request([(2, 2)])).await, Outcome::TAKEN);
    blue.reply(refused_for_good());
    drained(&fixture, &spools).await;
    let counts = fixture.stats().environments.blue;
    assert_eq!((counts.spooled_spans, counts.drained_spans, counts.spool_refused_spans), (1, 0, 1));
}
