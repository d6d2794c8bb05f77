use super::server::{Behaviour, Does, Server, chain, counting, load, target, targets};
use super::*;
use crate::source::Synthetic;
use crate::topology::{Shape, Topology};
use crate::{Schedule, Volume};
use certs::{Authority, Validity};
use model::{ClientTls, Compression, Transport};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::net::Ipv4Addr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn takes(_: u64) -> Does {
    Does::Takes
}

/// Runs a load of 100 requests of 15 spans a second for two seconds against a target that behaves so, by both protocols.
async fn check(behaviour: Behaviour, expected: impl Fn(&TargetReport)) {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let server = Server::start(behaviour, None);
        let report = run(load(chain(100.0, 2_000), targets(protocol, [None, Some(&server)])), None).await.unwrap();
        let green = report.targets.green.unwrap();
        assert_eq!(green.all.due, Volume { requests: 200, items: 3_000 });
        let counts = &green.all;
        let parts = [
            counts.acknowledged,
            counts.throttled,
            counts.refused,
            counts.timed_out,
            counts.disconnected,
            counts.not_sent,
        ];
        assert_eq!(parts.iter().map(|part| part.requests).sum::<u64>(), 200);
        let in_seconds: u64 = green.seconds.iter().map(|second| second.counts.due.requests).sum();
        assert_eq!((in_seconds, green.seconds.len()), (200, 2));
        expected(&green);
    }
}

/// The reason for all of this: a pause of half a second in a run of ten, one request at a time.
#[tokio::test(start_paused = true)]
async fn a_pause_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let server = Server::start(takes, Some((3 * SECOND, 3 * SECOND + SECOND / 2)));
        let mut load = load(chain(100.0, 10_000), targets(protocol, [Some(&server), None]));
        (load.connections, load.streams) = (1, 1);
        // What was due while the target stood still, one in twenty, waited for half a second at most.
        let blue = run(load, None).await.unwrap().targets.blue.unwrap();
        let at = |of: &crate::Distribution, at: f64| of.quantile_us(at).unwrap() / 1_000;
        assert_eq!(blue.measured.acknowledged.requests, 1_000);
        assert!((350..=500).contains(&at(&blue.latency, 0.99)), "{} ms", at(&blue.latency, 0.99));
        assert!((350..=510).contains(&at(&blue.latency, 1.0)), "{} ms", at(&blue.latency, 1.0));
        assert!(at(&blue.service, 0.99) <= 5, "{} ms", at(&blue.service, 0.99));
        // One request alone met the pause.
        assert!(at(&blue.service, 1.0) > 400);
        let slow = |second: &crate::Second| second.latency.iter().any(|(us, _)| *us > 100_000);
        let seconds: Vec<usize> = (0..10).filter(|second| slow(&blue.seconds[*second])).collect();
        assert!(seconds.contains(&3) && seconds.iter().all(|second| (2..=3).contains(second)), "{seconds:?}");
        assert!(blue.lateness.quantile_us(1.0).unwrap() <= 2_000, "the generator was not late");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_and_partial_answers_are_counted() {
    check(takes, |green| assert_eq!(green.measured.taken_items(), 3_000)).await;
    let mixed: Behaviour = |number| if number % 2 == 0 { Does::Rejects(3) } else { Does::Takes };
    check(mixed, |green| {
        assert_eq!((green.all.rejected_items, green.all.missed_items()), (300, 300));
        assert_eq!(green.all.acknowledged.requests, 200);
    })
    .await;
    // More than was sent cannot be rejected.
    check(|_| Does::Rejects(u64::MAX / 2), |green| assert_eq!(green.all.taken_items(), 0)).await;
}

#[tokio::test(start_paused = true)]
async fn throttling_is_told_from_refusal() {
    let (exhausted, invalid): (Behaviour, Behaviour) = (|_| Does::Refuses(8, Some(5_000)), |_| Does::Refuses(3, None));
    for (behaviour, code, delay, throttled) in
        [(exhausted, "grpc RESOURCE_EXHAUSTED", 200, 200), (invalid, "grpc INVALID_ARGUMENT", 0, 0)]
    {
        let server = Server::start(behaviour, None);
        let targets = targets(Protocol::Grpc, [None, Some(&server)]);
        let green = run(load(chain(100.0, 2_000), targets), None).await.unwrap().targets.green.unwrap();
        assert_eq!(green.codes.get(code), Some(&200), "{:?}", green.codes);
        assert_eq!((green.all.throttled.requests, green.all.throttled_with_delay), (throttled, delay));
        assert_eq!(green.all.throttled.requests + green.all.refused.requests, 200);
        assert_eq!(green.latency.count, 0, "a refusal is no latency");
        assert!(!serde_json::to_string(&green).unwrap().contains("secret"));
    }
    let busy: Behaviour =
        |number| Does::Refuses([429, 503, 500, 404][number as usize % 4], (number < 4).then_some(1_000));
    let server = Server::start(busy, None);
    let targets = targets(Protocol::Http, [None, Some(&server)]);
    let green = run(load(chain(100.0, 2_000), targets), None).await.unwrap().targets.green.unwrap();
    assert_eq!((green.all.throttled.requests, green.all.refused.requests), (100, 100));
    assert_eq!(green.all.throttled_with_delay, 2);
}

#[tokio::test(start_paused = true)]
async fn no_redirect_is_followed() {
    let (blue, green) = (Server::start(|_| Does::Redirects, None), Server::start(takes, None));
    let mut targets = targets(Protocol::Http, [Some(&blue), Some(&green)]);
    targets.each.green = None;
    let blue = run(load(chain(100.0, 1_000), targets), None).await.unwrap().targets.blue.unwrap();
    assert_eq!(blue.codes.get("http 307"), Some(&100));
    assert_eq!(*green.came.connections.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_answered_is_timed_out_and_what_cannot_be_sent_is_counted() {
    let server = Server::start(|number| if number < 50 { Does::Takes } else { Does::Nothing }, None);
    let mut load = load(chain(100.0, 5_000), targets(Protocol::Grpc, [Some(&server), None]));
    (load.connections, load.streams, load.timeout_ms, load.backlog) = (1, 4, 1_000, 20);
    let blue = run(load, None).await.unwrap().targets.blue.unwrap();
    let counts = blue.all;
    assert_eq!((counts.due.requests, counts.acknowledged.requests), (500, 50));
    assert_eq!(counts.timed_out.requests + counts.not_sent.requests, 450);
    // Four at a time, for a second each, in the four and a half seconds that are left and what is left in the backlog.
    assert!((16..=28).contains(&counts.timed_out.requests), "{counts:?}");
    assert!(blue.backlog_most >= 20, "{}", blue.backlog_most);
    assert!(blue.latency.quantile_us(0.5).unwrap() >= 990_000, "nothing that was given up makes it look better");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_not_there_is_told() {
    let server = Server::start(takes, None);
    let mut targets = targets(Protocol::Grpc, [Some(&server), None]);
    let (dial, gone) = mpsc::unbounded_channel();
    drop(gone);
    targets.each.blue.as_mut().unwrap().endpoint.dial = Some(dial);
    let blue = run(load(chain(100.0, 1_000), targets), None).await.unwrap().targets.blue.unwrap();
    assert_eq!(blue.all.disconnected.requests, 100);
    assert_eq!(blue.disconnection.as_deref(), Some("cannot connect to blue.test:4317: nobody listens"));
}

#[tokio::test(start_paused = true)]
async fn both_get_the_same_at_the_same_times_and_progress_is_told() {
    let (blue, green) = (Server::start(takes, None), Server::start(takes, None));
    let (told, mut progress) = watch::channel(Progress::default());
    let mut load = load(chain(100.0, 5_000), targets(Protocol::Grpc, [Some(&blue), Some(&green)]));
    load.warm_up_ms = 1_000;
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while progress.changed().await.is_ok() {
            seen.push(progress.borrow().clone());
        }
        seen
    });
    let report = run(load, Some(told)).await.unwrap();
    let seen = watching.await.unwrap();
    assert!((4..=6).contains(&seen.len()), "{}", seen.len());
    let last = seen.last().unwrap();
    assert_eq!(last.targets.green.as_ref().unwrap().second.due.requests, 100);
    assert!(last.targets.green.as_ref().unwrap().p99_us.is_some() && last.total_ms == Some(5_000));
    let sorted = |server: &Server| {
        let mut messages: Vec<Vec<u8>> =
            server.came.messages.lock().unwrap().iter().map(|(_, message)| message.clone()).collect();
        messages.sort();
        messages
    };
    assert_eq!(sorted(&blue).len(), 500);
    assert!(sorted(&blue) == sorted(&green));
    let target = report.targets.blue.as_ref().unwrap();
    assert_eq!((target.all.due.requests, target.measured.due.requests, target.latency.count), (500, 400, 400));
    assert_eq!(report.sustained_items_per_s(Environment::Blue), 1_500.0);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[tokio::test(start_paused = true)]
async fn bodies_are_compressed_as_the_target_wants_them() {
    for (protocol, compression) in [
        (Protocol::Grpc, Compression::Gzip),
        (Protocol::Grpc, Compression::Zstd),
        (Protocol::Http, Compression::Gzip),
        (Protocol::Http, Compression::Zstd),
    ] {
        let (plain, packed) = (Server::start(takes, None), Server::start(takes, None));
        let mut targets = targets(protocol, [Some(&plain), Some(&packed)]);
        targets.each.green.as_mut().unwrap().target = target(server::GREEN, protocol, compression);
        let report = run(load(chain(10.0, 1_000), targets), None).await.unwrap();
        assert_eq!(report.targets.green.unwrap().all.acknowledged.requests, 10);
        let (plain, packed) = (plain.came.messages.lock().unwrap(), packed.came.messages.lock().unwrap());
        for (one, other) in plain.iter().zip(packed.iter()) {
            assert!(one.1 == other.1);
            let request = ExportTraceServiceRequest::decode(&one.1[..]).unwrap();
            assert_eq!(request.resource_spans.len(), 8);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_ends() {
    let server = Server::start(takes, None);
    let load = load(chain(100.0, 60_000), targets(Protocol::Grpc, [Some(&server), None]));
    let running = timeout(2 * SECOND, run(load, None)).await;
    assert!(running.is_err());
    sleep(SECOND).await;
    let came = server.came.messages.lock().unwrap().len();
    assert!((150..=200).contains(&came), "{came}");
    sleep(10 * SECOND).await;
    assert_eq!(server.came.messages.lock().unwrap().len(), came);
}

/// Threads and the clock: counts alone are held, for a shared machine may be late.
#[tokio::test]
async fn threads_send_everything_too_and_saturate() {
    for schedule in [Schedule::constant(150_000.0, 200, crate::Arrival::Poisson), Schedule::saturating(200)] {
        let server = Server::start(takes, None);
        let shape = Shape { spans_per_request: 15, ..Shape::default() };
        let groups = Topology::chain(8).unwrap().groups(&shape, 3, 7).unwrap();
        let source = Synthetic::new(groups, schedule.unwrap(), 7, server::STARTED, counting());
        let targets = targets(Protocol::Grpc, [Some(&server), None]);
        let mut load = load(source.into(), targets);
        load.pacing = Pacing::Threads;
        let report = run(load, None).await.unwrap();
        let open = report.open_loop;
        let blue = report.targets.blue.unwrap();
        assert!(blue.all.due.requests > 10, "{:?}", blue.all);
        assert_eq!(blue.all.due, blue.all.acknowledged);
        assert_eq!(server.came.messages.lock().unwrap().len() as u64, blue.all.acknowledged.requests);
        assert!(!open || (1_500..2_500).contains(&blue.all.due.requests));
    }
}

async fn over_tls(authority: &str, serve: impl Fn(tokio::net::TcpStream) + Send + 'static) -> TargetReport {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream);
        }
    });
    let tls = ClientTls { ca: Some(authority.to_owned()), ..ClientTls::default() };
    let transport = Transport { tls, ..Transport::default() };
    let target = crate::Target { endpoint: endpoint.clone(), protocol: Protocol::Grpc, transport, headers: Vec::new() };
    let asked = PerEnvironment { blue: None, green: Some(target) };
    let targets = Targets::new(&[&endpoint], asked).unwrap();
    let mut load = load(chain(200.0, 100), targets);
    (load.pacing, load.connections, load.streams) = (Pacing::Threads, 1, 2);
    run(load, None).await.unwrap().targets.green.unwrap()
}

#[tokio::test]
async fn a_peer_with_broken_tls_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = Authority::new("ours").write(folder.path(), "ca.pem");
    let trusted = trusted.to_str().unwrap();
    let other = Authority::new("another").server(&["127.0.0.1"], Validity::Long).write(folder.path(), "server");
    let files = tls::ServerFiles { cert: other.0, key: other.1, client_ca: None };
    let server = tls::Server::open(files).unwrap();
    let server = Arc::new(server);
    let unknown = over_tls(trusted, move |stream| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { drop(server.accept(stream).await) });
    });
    let unknown = unknown.await;
    assert_eq!((unknown.all.disconnected.requests, unknown.all.acknowledged.requests), (20, 0));
    assert!(unknown.disconnection.unwrap().contains("TLS: "));

    let received = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&received);
    let clear = over_tls(trusted, move |mut stream| {
        let received = Arc::clone(&theirs);
        tokio::spawn(async move {
            let mut bytes = vec![0; 1 << 16];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            // A record of TLS, type handshake.
            received.fetch_add(usize::from(read > 0 && bytes[0] == 22), Relaxed);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
    });
    let clear = clear.await;
    assert_eq!(clear.all.disconnected.requests, 20);
    assert!(received.load(Relaxed) > 0);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let server = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    server.block_on(async {
        let server = Server::start(takes, None);
        let load = || load(chain(1.0, 1_000), targets(Protocol::Grpc, [Some(&server), None]));
        for (load, what) in [
            (Load { connections: 0, ..load() }, "connections of the load is 0"),
            (Load { streams: 5_000, ..load() }, "streams of the load is 5000"),
            (Load { timeout_ms: 60_001, ..load() }, "timeout_ms of the load is 60001"),
            (Load { connections: 256, streams: 1_024, ..load() }, "connections times streams"),
        ] {
            let error = run(load, None).await.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_waits_for_what_is_under_way_and_reports_it() {
    let server = Server::start(takes, None);
    let load = load(chain(100.0, 10_000), targets(Protocol::Grpc, [None, Some(&server)]));
    let stopped = Arc::clone(&load.stopped);
    tokio::spawn(async move {
        sleep(3 * SECOND).await;
        stopped.store(true, Relaxed);
    });
    let report = run(load, None).await.unwrap();
    assert!(report.trouble.as_ref().is_some_and(|why| why.contains("stopped before its end")), "{:?}", report.trouble);
    let green = report.targets.green.unwrap();
    assert!((200..=300).contains(&green.all.due.requests), "{:?}", green.all);
    assert_eq!(green.all.acknowledged, green.all.due);
}
