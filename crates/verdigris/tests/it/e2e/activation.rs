//! Sockets that a service manager holds: systemd's own `systemd-socket-activate`, and a parent in Python that starts the
//! server again as `systemctl restart` does, with the sockets open all the time.

use crate::load::Load;
use crate::process::{Process, verdigris};
use crate::server::{Config, START_LIMIT, announced};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// Listens at the two addresses of its arguments, starts the rest of them with these sockets as `grpc` and `http`, and
/// stops and starts it again at each SIGUSR1.
const PARENT: &str = r#"
import os, signal, socket, subprocess, sys
sockets = [socket.create_server(("127.0.0.1", int(port)), backlog=4096) for port in sys.argv[1:3]]
for fd, listening in enumerate(sockets, 10):
    os.dup2(listening.fileno(), fd)
    listening.detach()
for fd in (10, 11):
    os.dup2(fd, fd - 7)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
unblock = lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGTERM])
environment = dict(os.environ, LISTEN_FDS="2", LISTEN_FDNAMES="grpc:http")
while True:
    child = subprocess.Popen(sys.argv[3:], pass_fds=(3, 4), env=environment, preexec_fn=unblock)
    caught = signal.sigwait([signal.SIGUSR1, signal.SIGTERM])
    child.terminate()
    code = child.wait()
    if code or caught == signal.SIGTERM:
        sys.exit(code)
"#;

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

/// The arguments of `systemd-socket-activate` for these addresses and names, and the server's.
fn socket_activate(sockets: &[SocketAddr], names: &str, config: &Path) -> Command {
    let mut command = Command::new("systemd-socket-activate");
    for address in sockets {
        command.arg("-l").arg(address.to_string());
    }
    let serve = verdigris();
    command.arg(format!("--fdname={names}")).arg(serve.get_program());
    command.args(["serve", "--format", "json", "--config"]).arg(config);
    command
}

/// It starts the server at the first connection.
fn connect(address: SocketAddr) -> TcpStream {
    eventually("systemd-socket-activate to listen", START_LIMIT, || TcpStream::connect(address).ok())
}

#[test]
fn sockets_of_systemd_take_the_place_of_the_addresses_in_the_configuration() {
    let stage = Stage::set();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::of(&stage.blue.endpoint()).write(folder.path());
    let ports = [free(), free(), free()];
    let mut command = socket_activate(&ports, "http:tap-blue-grpc:grpc", &config);
    let process = Process::start("systemd-socket-activate", &mut command);
    let _first = connect(ports[0]);
    let server = announced(process, &config).expect("it serves");
    assert_eq!(
        (server.addresses.http, server.addresses.blue_tap, server.addresses.grpc),
        (ports[0], ports[1], ports[2])
    );
    // They stay where they are whatever the file says.
    let yaml = std::fs::read_to_string(&config).expect("it was written");
    std::fs::write(&config, yaml.replacen("127.0.0.1:0", &free().to_string(), 1)).expect("the folder is ours");
    server.hang_up();
    eventually("the reload", seconds(30), || server.log().contains("applies; listening").then_some(()));
    let load = Load::start(&stage, [ports[2], ports[0]]);
    load.flows(100);
    let tally = load.stop(&stage);
    assert_eq!((tally.refused, &tally.broken, &tally.broken_anew), (0, &vec![], &vec![]));
    assert_eq!(server.stop().code, 0);
}

#[test]
fn a_socket_that_nothing_asks_for_is_refused_with_the_names_that_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::of("http://127.0.0.1:9").write(folder.path());
    for (names, says) in [("grpc:otlp", "a socket named"), ("grpc:grpc", "two sockets named")] {
        let ports = [free(), free()];
        let process = Process::start("systemd-socket-activate", &mut socket_activate(&ports, names, &config));
        let _first = connect(ports[0]);
        let ran = process.wait(START_LIMIT).expect(2).says(&[says]);
        let expected = "one of grpc, http, tap-blue-grpc, tap-blue-http, tap-green-grpc, tap-green-http";
        assert!(names == "grpc:grpc" || ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn a_restart_under_a_service_manager_that_holds_the_sockets_is_seen_by_no_client() {
    let stage = Stage::set();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::of(&stage.blue.endpoint()).write(folder.path());
    let ports = [free(), free()];
    let mut command = Command::new("python3");
    command.arg("-c").arg(PARENT).args(ports.map(|port| port.port().to_string()));
    command.arg(verdigris().get_program()).args(["serve", "--config"]).arg(&config);
    let parent = Process::start("a parent that holds the sockets", &mut command);
    let starts = |times: usize| {
        let started = || parent.stdout().matches("verify it").count() == times;
        eventually("the server to start", seconds(60), || started().then_some(()));
    };
    starts(1);
    let load = Load::start(&stage, ports);
    for restart in 1..=2 {
        load.flows(200);
        parent.signal("USR1");
        starts(1 + restart);
    }
    load.flows(200);
    let tally = load.stop(&stage);
    assert_eq!((tally.refused, &tally.broken, &tally.broken_anew), (0, &vec![], &vec![]));
    parent.terminate();
    parent.wait(seconds(60)).expect(0);
}
