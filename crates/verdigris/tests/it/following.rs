//! One process after another, one configuration after another: what clients see of it, which is nothing, and what the
//! ledger says.

use crate::load::{Load, export};
use crate::process::{Process, verdigris};
use crate::server::{Addresses, Config, START_LIMIT, Server, announced};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The old process finishes its requests within 35 s, and connections that nobody uses within 6.
const LEAVE_LIMIT: Duration = seconds(60);
/// Answers that show that the traffic goes on: every client has some dozens of them.
const FLOW: u64 = 400;

fn ports(addresses: &Addresses) -> [SocketAddr; 2] {
    [addresses.grpc, addresses.http]
}

/// How the server's own records go: `+` started, `-` stopped.
fn starts_and_stops(server: &Server) -> String {
    let shown = server.ledger_command(&["show"]).expect(0).stdout;
    let sign = |line: &str| match serde_json::from_str::<Value>(line).ok()?.pointer("/record/body")? {
        Value::String(body) if body == "serverStopped" => Some('-'),
        Value::Object(body) if body.contains_key("serverStarted") => Some('+'),
        _ => None,
    };
    shown.lines().filter_map(sign).collect()
}

#[test]
fn two_takeovers_in_a_row_are_seen_by_no_client() {
    let mut stage = Stage::set();
    let load = Load::start(&stage, ports(&stage.server.addresses));
    for _ in 0..2 {
        load.flows(FLOW);
        let old = stage.server.take_over();
        load.flows(FLOW);
        let ended = old.wait(LEAVE_LIMIT).expect(0);
        assert!(ended.stderr.contains("takes over"), "{}", ended.stderr);
    }
    load.flows(FLOW);
    let tally = load.stop(&stage);
    assert_eq!((tally.refused, &tally.broken, &tally.broken_anew), (0, &vec![], &vec![]));
    assert!(tally.closed > 0, "connections of the old processes were closed in order");
    assert_eq!(starts_and_stops(&stage.server), "+-+-+");
    stage.server.rollout(&["list"]).expect(0);
    let config = stage.server.config().to_owned();
    let stopped = stage.server.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    let left = ["verdigris.sock", "takeover.sock"].map(|name| config.with_file_name("data").join(name).exists());
    assert_eq!(left, [false; 2], "the last one takes its sockets away");
}

#[test]
fn a_takeover_that_fails_leaves_everything_as_it_was() {
    let stage = Stage::set();
    let load = Load::start(&stage, ports(&stage.server.addresses));
    let good = std::fs::read_to_string(stage.server.config()).expect("it was written");
    // Before it asks for anything, when it binds a port, and when it has the ledger and cannot use it.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound");
    let elsewhere = format!("taps:\n  red: {{ grpc: \"{port}\", http: \"127.0.0.1:0\" }}\n");
    // Where it would seal who its principals are.
    let subjects = stage.folder.path().join("data/subjects");
    std::fs::remove_dir(&subjects).expect("nothing is sealed");
    std::fs::write(&subjects, "").expect("the folder is ours");
    let person = "principals: [{ name: ada, person: Ada }]\n";
    for (bad, code, says, entries) in [
        (good.replace("serving:", "servin:"), 2, "servin", "+"),
        (good.replace("taps:\n", &elsewhere), 1, "the port is in use", "+"),
        (format!("{good}name: another.example/ledger\n"), 1, "is the key of", "+"),
        (format!("{good}{person}"), 1, "could not be sealed", "+-++"),
    ] {
        let config = stage.folder.path().join("bad.yaml");
        std::fs::write(&config, bad).expect("the folder is ours");
        let mut command = verdigris();
        command.args(["serve", "--takeover", "--config"]).arg(&config);
        Process::start("verdigris serve --takeover", &mut command).wait(START_LIMIT).expect(code).says(&[says]);
        load.flows(FLOW);
        eventually("the ledger to be taken back", LEAVE_LIMIT, || {
            (starts_and_stops(&stage.server) == entries).then_some(())
        });
    }
    let tally = load.stop(&stage);
    assert_eq!((tally.refused, &tally.broken, &tally.broken_anew), (0, &vec![], &vec![]));
    // It decides again, and records what it decides.
    let report = stage.start(&stage.plan(&["pause: {}", "setWeight: 100%", "bake: { for: 1s }"])).expect(0).json();
    assert_eq!(report["progress"], "paused", "{report}");
    stage.server.ledger_command(&["verify"]).expect(0);
    let mut stage = stage;
    let old = stage.server.take_over();
    old.wait(LEAVE_LIMIT).expect(0);
    let report = stage.server.report().expect("a report");
    assert_eq!(report["progress"], "paused", "the next takeover goes well: {report}");
}

/// A new process that says what it is told to, and no more.
struct Impostor(std::os::unix::net::UnixStream);

impl Impostor {
    fn connect(server: &Server) -> Impostor {
        let path = server.folder().join("data/takeover.sock");
        let stream = std::os::unix::net::UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(seconds(30))).expect("a socket takes a timeout");
        Impostor(stream)
    }

    /// Says it, and gives the answer. File descriptors that come with it are not taken, and closed by the kernel.
    fn say(&mut self, json: &str) -> Value {
        let length = u32::try_from(json.len()).expect("a short message");
        self.0.write_all(&[&length.to_le_bytes()[..], json.as_bytes()].concat()).expect("the server reads");
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("an answer");
        let mut json = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut json).expect("the whole answer");
        serde_json::from_slice(&json).expect("JSON")
    }
}

#[test]
fn a_process_that_ends_or_talks_nonsense_when_it_has_the_ledger_does_not_keep_it() {
    let stage = Stage::set();
    let hello = |protocol| format!("{{\"says\":\"hello\",\"protocol\":{protocol},\"program\":\"9.9.9\"}}");
    let refused = Impostor::connect(&stage.server).say(&hello(99));
    assert_eq!(refused["says"], "refused", "{refused}");
    assert!(refused["reason"].as_str().is_some_and(|why| why.contains("9.9.9 version 99")), "{refused}");
    for (last, expected) in [(None, "+-+"), (Some("{\"says\":\"good evening\"}"), "+-+-+")] {
        let mut impostor = Impostor::connect(&stage.server);
        let sockets = impostor.say(&hello(1));
        assert_eq!(sockets["ports"].as_array().map(Vec::len), Some(6), "{sockets}");
        let released = impostor.say("{\"says\":\"release\",\"keepsApi\":true}");
        assert_eq!(released["says"], "released", "{released}");
        assert!(starts_and_stops(&stage.server).ends_with('-'), "the ledger is closed");
        if let Some(last) = last {
            assert_eq!(impostor.say(last)["says"], "refused");
        }
        drop(impostor);
        eventually("the ledger to be taken back", LEAVE_LIMIT, || {
            (starts_and_stops(&stage.server) == expected).then_some(())
        });
        assert_eq!(stage.server.rollout(&["list"]).code, 0, "the API answers again");
    }
    stage.start(&stage.plan(&["pause: {}", "setWeight: 100%", "bake: { for: 1s }"])).expect(0);
    stage.server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn without_a_server_there_is_nothing_to_take_over() {
    let stage = Stage::set();
    let config = stage.server.config().to_owned();
    stage.server.stop().expect(0);
    let mut command = verdigris();
    command.args(["serve", "--takeover", "--config"]).arg(&config);
    let ran = Process::start("verdigris serve --takeover", &mut command).wait(START_LIMIT);
    ran.expect(1).says(&["takeover.sock", "no server runs there", "start without --takeover"]);
}

#[test]
fn a_trace_in_flight_stays_where_it_began_through_a_takeover() {
    let mut stage = Stage::set();
    let mut plan = stage.plan(&["setWeight: 100%", "pause: {}", "bake: { for: 1s }"]);
    plan.pin = "6s";
    let traces: Vec<[u8; 16]> = (1..=40).map(|trace| [trace; 16]).collect();
    let send = |stage: &Stage, traces: &[[u8; 16]], span| {
        let before = (stage.blue.stats().spans, stage.green.stats().spans);
        for trace in traces {
            let (message, _) = export(*trace, span);
            assert_eq!(crate::requests::post_protobuf(stage, message.to_vec()), 200);
        }
        (stage.blue.stats().spans - before.0, stage.green.stats().spans - before.1)
    };
    stage.start(&plan).expect(0);
    let span = Cell::new(0);
    let shifted = stage.server.eventually_reports("the shift", seconds(60), |report| {
        span.set(span.get() + 1);
        let (blue, _) = send(&stage, &traces, span.get());
        assert_eq!(blue, 40, "they began before the shift");
        report["weightObserved"] == 10_000
    });
    assert_eq!(shifted["progress"], "paused", "{shifted}");
    assert_eq!(send(&stage, &traces, 1_000), (40, 0));
    stage.server.take_over().wait(LEAVE_LIMIT).expect(0);
    assert_eq!(send(&stage, &traces, 1_001), (40, 0), "no trace is torn: {}", stage.server.log());
    assert_eq!(send(&stage, &[[77; 16]], 1_002), (0, 1), "a new one begins where the weight says");
    let report = stage.server.eventually_reports("the table", seconds(60), |report| report["weightObserved"] == 10_000);
    assert_eq!(report["progress"], "paused", "{report}");
}

#[test]
fn a_configuration_that_is_read_again_moves_the_ports_and_loses_nothing() {
    let stage = Stage::set();
    let before = stage.server.addresses;
    let load = Load::start(&stage, ports(&before));
    load.flows(FLOW);
    let good = std::fs::read_to_string(stage.server.config()).expect("it was written");
    let free = || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        socket.local_addr().expect("it is bound")
    };
    let http = free();
    let write = |yaml: &str| std::fs::write(stage.server.config(), yaml).expect("the folder is ours");
    let listen = good.lines().next().expect("the first line is `listen`");
    let moved = good.replace(listen, &format!("listen: {{ grpc: \"127.0.0.1:0\", http: \"{http}\" }}"));
    let reload = |says: &str| {
        let logged = stage.server.log().matches(says).count();
        stage.server.hang_up();
        eventually(says, seconds(30), || (stage.server.log().matches(says).count() > logged).then_some(()));
    };
    write(&moved);
    reload("applies; listening");
    load.moved([before.grpc, http]);
    load.flows(FLOW);
    for (bad, says) in [
        (moved.replace("serving:", "servin:"), "unknown field `servin`"),
        (format!("{moved}name: another.example/ledger\n"), "name: found another.example/ledger"),
        (moved.replace("data: data", "data: elsewhere"), "it cannot change while the server runs"),
    ] {
        write(&bad);
        reload(says);
        load.flows(FLOW);
    }
    let uid = std::fs::metadata("/proc/self").expect("Linux").uid();
    write(&format!("{moved}principals: [{{ name: ada, uids: [{uid}] }}]\n"));
    reload("applies; listening");
    let tally = load.stop(&stage);
    assert_eq!(&tally.broken, &Vec::<String>::new());
    // Whoever connects to the port that closes is refused, or reset if its connection comes up at that very moment.
    assert!(tally.broken_anew.iter().all(|error| error.contains("ConnectionReset")), "{:?}", tally.broken_anew);
    assert!(std::net::TcpStream::connect(before.http).is_err(), "the port was given up");
    let started = stage.start(&stage.plan(&["pause: {}", "setWeight: 100%", "bake: { for: 1s }"])).expect(0).json();
    assert_eq!(started["startedBy"], "ada", "{started}");
    assert_eq!(starts_and_stops(&stage.server), "+");
}

/// What a service manager was told, as one text; waits until it holds this.
fn told(socket: &UnixDatagram, so_far: &mut String, wanted: &str) {
    let mut message = [0; 4_096];
    while !so_far.contains(wanted) {
        let length = socket.recv(&mut message).unwrap_or_else(|error| panic!("{wanted:?} was not told: {error}"));
        so_far.push_str(&String::from_utf8_lossy(&message[..length]));
    }
}

#[test]
fn a_service_manager_is_told_how_it_goes() {
    let stage = Stage::set();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(START_LIMIT)).expect("a socket takes a timeout");
    let config = Config::of(&stage.blue.endpoint()).write(folder.path());
    let serve = |more: &[&str]| {
        let mut command = verdigris();
        command.args(["serve", "--format", "json", "--config"]).arg(&config).args(more).env("NOTIFY_SOCKET", &path);
        announced(Process::start("verdigris serve", &mut command), &config).expect("it serves")
    };
    let mut so_far = String::new();
    let old = serve(&[]);
    told(&socket, &mut so_far, "READY=1\nSTATUS=serving\n");
    so_far.clear();
    old.hang_up();
    told(&socket, &mut so_far, "READY=1\nSTATUS=serving\n");
    assert!(so_far.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{so_far}");
    so_far.clear();
    let new = serve(&["--takeover"]);
    told(&socket, &mut so_far, &format!("MAINPID={}\n", new.process_id()));
    told(&socket, &mut so_far, "READY=1\n");
    assert!(!so_far.contains("STOPPING"), "the service goes on: {so_far}");
    so_far.clear();
    new.terminate();
    told(&socket, &mut so_far, "STOPPING=1\n");
}

#[test]
fn a_stop_under_load_breaks_no_request() {
    let stage = Stage::set();
    let load = Load::start(&stage, ports(&stage.server.addresses));
    load.flows(FLOW);
    stage.server.terminate();
    eventually("the server to stop", LEAVE_LIMIT, || {
        (!stage.folder.path().join("data/verdigris.sock").exists()).then_some(())
    });
    let http = stage.server.addresses.http;
    eventually("the ports to be closed", LEAVE_LIMIT, || std::net::TcpStream::connect(http).is_err().then_some(()));
    let tally = load.stop(&stage);
    assert_eq!(&tally.broken, &Vec::<String>::new());
    assert!(tally.broken_anew.iter().all(|error| error.contains("ConnectionReset")), "{:?}", tally.broken_anew);
    let Stage { server, .. } = stage;
    assert_eq!(server.stop().code, 0);
}
