//! Ports that close, move and are shared, under clients that know nothing of it: a request is answered, and a connection
//! that closes has said so before.

use crate::upstream::Upstream;
use crate::*;
use gateway::{BindError, Limits, NotMoved};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};

/// Connections that wait in a socket's queue; fewer than any system's bound on it.
const QUEUED: usize = 64;

/// A client of HTTP/1.1 that blocks: the gateway shares the test's thread, and does nothing while this works.
struct Blocking(BufReader<std::net::TcpStream>);

impl Blocking {
    fn connect(address: SocketAddr) -> Blocking {
        Blocking(BufReader::new(std::net::TcpStream::connect(address).expect("the gateway listens")))
    }

    fn ask(&mut self, trace: u64) {
        let message = request([(trace, 1)]);
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            message.len()
        );
        self.0.get_mut().write_all(&[head.as_bytes(), &message].concat()).expect("the gateway reads");
    }

    /// The status line, whether the answer says that the connection closes, and whether it did.
    async fn answer(mut self) -> (Blocking, String, bool) {
        let read = tokio::task::spawn_blocking(move || {
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line).expect("an answer, not a reset");
                if line == "\r\n" || line.is_empty() {
                    break;
                }
                let line = line.trim().to_lowercase();
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.parse().expect("a number");
                }
                head.push(line);
            }
            self.0.read_exact(&mut vec![0; length]).expect("the body");
            let closes = head.contains(&"connection: close".to_owned());
            (self, head.first().cloned().unwrap_or_default(), closes)
        });
        read.await.expect("an answer")
    }

    async fn comes_to_an_end(mut self) {
        let read = tokio::task::spawn_blocking(move || self.0.read(&mut [0]));
        assert_eq!(read.await.expect("a thread").expect("closed in order"), 0, "nothing more comes");
    }
}

/// A gateway of which one port is looked at; its idle connections are kept for long enough not to be seen closing.
async fn fixture() -> (Upstream, Fixture) {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { idle_grace_ms: 20_000, ..Limits::default() };
    let fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    (blue, fixture)
}

/// A port that was free a moment ago: 0 would mean that any will do, also the one that is open.
fn free() -> SocketAddr {
    let socket = std::net::TcpListener::bind(any()).expect("a free port");
    socket.local_addr().expect("it is bound")
}

fn taps(listen: impl Fn(&str) -> Listen, names: &[&str]) -> BTreeMap<String, Listen> {
    names.iter().map(|name| ((*name).to_owned(), listen(name))).collect()
}

#[tokio::test]
async fn what_waits_in_the_queue_of_a_port_that_closes_is_served() {
    let (_blue, mut fixture) = fixture().await;
    let clients: Vec<Blocking> = (0..QUEUED).map(|_| Blocking::connect(fixture.addresses.gateway.http)).collect();
    // The gateway has not run since: it finds all of them in the queue, and that it shall stop.
    fixture.begin_stop();
    for mut client in clients {
        client.ask(1);
        let (client, status, closes) = client.answer().await;
        assert_eq!((status.as_str(), closes), ("http/1.1 200 ok", true));
        client.comes_to_an_end().await;
    }
    assert_eq!(fixture.stopped().await, Stopped::Drained);
}

#[tokio::test]
async fn a_connection_is_kept_until_an_answer_can_say_that_it_closes() {
    let (_blue, mut fixture) = fixture().await;
    let mut idle = Blocking::connect(fixture.addresses.gateway.grpc);
    idle.ask(1);
    let (mut idle, _, closes) = idle.answer().await;
    assert!(!closes, "it is kept");
    let mut silent = Blocking::connect(fixture.addresses.gateway.grpc);
    fixture.begin_stop();
    while TcpStream::connect(fixture.addresses.gateway.grpc).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for client in [&mut idle, &mut silent] {
        client.ask(2);
    }
    for client in [idle, silent] {
        let (client, status, closes) = client.answer().await;
        assert_eq!((status.as_str(), closes), ("http/1.1 200 ok", true));
        client.comes_to_an_end().await;
    }
    assert_eq!(fixture.stopped().await, Stopped::Drained);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_does_not_hold_up_a_stop() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let limits = Limits { idle_grace_ms: 20, ..Limits::default() };
    let mut fixture = Fixture::start_with(table(&blue, None, 0), limits, 10).await;
    let mut idle = Blocking::connect(fixture.addresses.gateway.http);
    idle.ask(1);
    let (idle, ..) = idle.answer().await;
    let silent = Blocking::connect(fixture.addresses.gateway.http);
    fixture.begin_stop();
    assert_eq!(fixture.stopped().await, Stopped::Drained);
    idle.comes_to_an_end().await;
    silent.comes_to_an_end().await;
}

#[tokio::test]
async fn ports_move_with_the_new_open_before_the_old_are_closed() {
    let (_blue, fixture) = fixture().await;
    let before = fixture.addresses.clone();
    let mut old = Blocking::connect(before.gateway.http);
    let moved = Listen { grpc: before.gateway.grpc, http: free(), tls: None };
    let names = ["blue", "green", "other"];
    let taps = taps(|name| before.taps.get(name).cloned().unwrap_or_else(anywhere), &names);
    let http = before.gateway.http;
    let consent = async {
        // Asked when the new ports are bound and the old ones still accept.
        TcpStream::connect(http).await.map(drop).map_err(|_| "the old port is closed already")
    };
    let after = fixture.gateway.listen(moved, BTreeMap::new(), taps, consent).await.expect("free ports");
    assert_eq!((after.gateway.grpc, &after.taps["blue"]), (before.gateway.grpc, &before.taps["blue"]));
    assert_ne!(after.gateway.http, before.gateway.http);
    assert_eq!(fixture.gateway.addresses(), after);
    for address in [after.gateway.grpc, after.gateway.http, after.taps["other"].http] {
        let mut client = Blocking::connect(address);
        client.ask(1);
        assert_eq!(client.answer().await.1, "http/1.1 200 ok");
    }
    for address in [before.gateway.http, before.taps["spare"].grpc] {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    old.ask(2);
    let (old, status, closes) = old.answer().await;
    assert_eq!((status.as_str(), closes), ("http/1.1 200 ok", true), "what the old port took is finished");
    old.comes_to_an_end().await;
}

#[tokio::test]
async fn ports_that_change_places_keep_their_sockets() {
    let (blue, fixture) = fixture().await;
    let before = fixture.addresses.clone();
    let swap = |listen: &Listen| Listen { grpc: listen.http, http: listen.grpc, tls: None };
    let taps = taps(
        |name| if name == "blue" { before.gateway.clone() } else { before.taps[name].clone() },
        &["blue", "green", "spare"],
    );
    let after =
        fixture.gateway.listen::<Infallible>(swap(&before.taps["blue"]), BTreeMap::new(), taps, async { Ok(()) }).await;
    let after = after.expect("no port needs to be bound");
    assert_eq!((&after.gateway, &after.taps["blue"]), (&swap(&before.taps["blue"]), &before.gateway));
    // What comes to a tap is acknowledged and goes nowhere; what comes to the gateway goes to blue. A connection that was
    // there before the change is served as it began.
    for (address, is_gateway) in [(before.taps["blue"].grpc, true), (before.gateway.grpc, false)] {
        loop {
            let arrived = blue.seen().len();
            let mut client = Blocking::connect(address);
            client.ask(1);
            assert_eq!(client.answer().await.1, "http/1.1 200 ok", "no connection is lost in between");
            if (blue.seen().len() > arrived) == is_gateway {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_move_that_cannot_be_changes_nothing() {
    let (blue, mut fixture) = fixture().await;
    let before = fixture.addresses.clone();
    let taken = tokio::net::TcpListener::bind(any()).await.expect("a free port");
    let listen = Listen { grpc: any(), http: taken.local_addr().expect("it is bound"), tls: None };
    let moved = fixture.gateway.listen::<Infallible>(listen, BTreeMap::new(), BTreeMap::new(), async { Ok(()) }).await;
    assert!(matches!(moved, Err(NotMoved::Bind(BindError::InUse { .. }))));
    let moved = fixture.gateway.listen(anywhere(), BTreeMap::new(), BTreeMap::new(), async { Err("no") }).await;
    assert!(matches!(moved, Err(NotMoved::Refused("no"))));
    assert_eq!(fixture.gateway.addresses(), before);
    for address in [before.gateway.grpc, before.gateway.http, before.taps["spare"].grpc] {
        let mut client = Blocking::connect(address);
        client.ask(1);
        let (_, status, closes) = client.answer().await;
        assert_eq!((status.as_str(), closes), ("http/1.1 200 ok", false));
    }
    let event = fixture.publish(RouteTable { generation: 2, ..table(&blue, Some(&blue), 0) }).await;
    assert!(matches!(event, Event::Applied { generation: 2, .. }), "the taps are still known: {event:?}");
}

/// Clients that connect anew for each request, until they are told to stop; how many requests were answered.
fn connecting_anew(address: SocketAddr) -> (watch::Sender<bool>, JoinHandle<u64>) {
    let (stop, stopped) = watch::channel(false);
    let clients = tokio::spawn(async move {
        let mut answered = 0;
        while !*stopped.borrow() {
            for headers in [&[PROTOBUF][..], &[GRPC][..]] {
                let grpc = headers.contains(&GRPC);
                let path = if grpc { Signal::Traces.grpc_path() } else { Signal::Traces.http_path() };
                let message = request([(answered, 1)]);
                let body = if grpc { framed(false, &message) } else { message };
                let got = send(address, "POST", path, headers, body).await;
                assert_eq!(got.status, 200);
                assert!(!grpc || got.header("grpc-status") == Some("0"), "{got:?}");
                answered += 1;
            }
        }
        answered
    });
    (stop, clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_connect_anew_do_not_see_one_gateway_follow_another() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let mut fixture = Fixture::start(table(&blue, None, 0)).await;
    let clients: Vec<_> = (0..4).map(|_| connecting_anew(fixture.addresses.gateway.grpc)).collect();
    for generation in 1..=3 {
        blue.arrived(50 * generation).await;
        let sockets = fixture.gateway.sockets().expect("file descriptors");
        let next = Fixture::start_on(table(&blue, None, 0), Limits::default(), sockets).await;
        assert_eq!(next.addresses, fixture.addresses);
        fixture.begin_stop();
        assert_eq!(fixture.stopped().await, Stopped::Drained);
        fixture = next;
    }
    blue.arrived(200).await;
    let mut answered = 0;
    for (stop, client) in clients {
        stop.send_replace(true);
        answered += client.await.expect("every request is answered");
    }
    assert_eq!(blue.seen().len() as u64, answered);
}
