//! What whoever operates a server uses beside it: config check, doctor, completions, man pages, notifications, and the live
//! view in a real pseudo-terminal (`script` of util-linux).

use crate::process::{Process, run, verdigris};
use crate::server::Config;
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const LIMIT: std::time::Duration = seconds(60);

fn secret(folder: &Path, text: &str) {
    let path = folder.join("hook.secret");
    fs::write(&path, text).expect("the folder is ours");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("the file is ours");
}

fn notifications(address: SocketAddr) -> String {
    format!(
        "notifications:\n  - {{ name: pager, to: webhook, url: \"http://{address}/hook\", secretFile: hook.secret, \
         on: [rolloutStarted] }}\n"
    )
}

/// Takes one POST and gives it whole.
fn take(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}") {
        let mut chunk = [0; 4_096];
        let read = stream.read(&mut chunk).expect("a request");
        assert!(read > 0, "it broke off: {bytes:?}");
        bytes.extend_from_slice(&chunk[..read]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[test]
fn what_was_decided_and_not_delivered_is_delivered_after_a_restart_and_recorded() {
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = receiver.local_addr().expect("it is bound");
    drop(receiver);
    let mut stage = Stage::set_with(&notifications(address));
    secret(stage.folder.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    stage.start(&stage.plan(&["pause: {}", "setWeight: 100%", "bake: { for: 1s }"])).expect(0);
    eventually("the first try", LIMIT, || stage.server.log().contains("a notification failed").then_some(()));
    let receiver = TcpListener::bind(address).expect("the port is still free");
    stage.server.kill_and_start();
    let request = take(&receiver);
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(body["type"], "verdigris.rolloutStarted");
    let id = body["data"]["id"].as_str().expect("an id").to_owned();
    assert!(request.contains(&format!("webhook-id: {id}")) && request.contains("webhook-signature: v1,"), "{request}");
    let shown = eventually("the record", LIMIT, || {
        let shown = stage.server.ledger_command(&["show", "--decisions"]).stdout;
        shown.contains("\"notified\"").then_some(shown)
    });
    assert!(shown.contains("notificationsRead") && shown.contains(&id), "{shown}");
    assert!(!shown.contains("whsec_") && !shown.contains(&address.to_string()), "{shown}");
    stage.server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn a_configuration_is_checked_with_the_files_that_it_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = notifications(([127, 0, 0, 1], 9).into());
    let config = Config { more, ..Config::of("http://127.0.0.1:9") }.write(folder.path());
    let config = config.display().to_string();
    let check = |code: i32, worst: &str| {
        let ran = run(&["config", "check", "--config", &config, "--format", "json"]).expect(code);
        assert_eq!(ran.json()["worst"], worst, "{ran:?}");
        ran
    };
    let missing = check(2, "trouble");
    assert!(missing.stdout.contains("hook.secret is not there"), "{missing:?}");
    secret(folder.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let ran = check(0, "ok");
    assert_eq!(ran.json()["would"]["serving"], "http://127.0.0.1:9");
    assert!(!folder.path().join("data").exists(), "nothing is made");
    let text = run(&["config", "check", "--config", &config]).expect(0).stdout;
    assert!(text.contains("can be served with") && !text.contains("whsec_"), "{text}");
    fs::write(&config, "serving: { otlp: { grpc: 7 } }\nservin: 1\n").expect("the folder is ours");
    run(&["config", "check", "--config", &config]).expect(2).says(&["line"]);
}

#[test]
fn a_doctor_sees_a_server_and_its_environment_come_and_go() {
    let stage = Stage::set();
    let config = stage.server.config().display().to_string();
    let levels = |what: &str| -> Vec<String> {
        let ran = run(&["doctor", "--config", &config, "--format", "json"]);
        let value = ran.json();
        let findings = value["findings"].as_array().expect("a list");
        let of = findings.iter().filter(|it| it["what"].as_str().is_some_and(|it| it.starts_with(what)));
        of.map(|it| it["level"].as_str().expect("a level").to_owned()).collect()
    };
    assert_eq!(levels("serving"), ["ok"]);
    assert_eq!(levels("socket"), ["ok"]);
    assert_eq!(levels("ledger /"), ["ok"]);
    assert_eq!(levels("data folder"), ["ok"]);
    let Stage { server, folder, runtime, blue, .. } = stage;
    server.stop();
    // The environment ends with its tasks.
    drop((blue, runtime));
    let config = folder.path().join("verdigris.yaml").display().to_string();
    let ran = run(&["doctor", "--config", &config]).expect(1);
    assert!(ran.stdout.contains("TROUBLE  serving") && ran.stdout.contains("         > "), "{}", ran.stdout);
}

#[test]
fn completions_and_man_pages_are_what_their_readers_take() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef verdigris"), ("fish", "complete -c verdigris")] {
        let script = run(&["completions", shell]).expect(0).stdout;
        assert!(script.contains(word) && script.contains("rollback"), "{shell}");
        if shell == "bash" {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("verdigris");
            fs::write(&path, script).expect("the folder is ours");
            // What a person types: `verdigris rollout roll<Tab>`.
            let line = "source \"$0\"; COMP_WORDS=(verdigris rollout roll); COMP_CWORD=2; \
                        _verdigris verdigris roll rollout; echo \"${COMPREPLY[*]}\"";
            let mut bash = Command::new("bash");
            bash.args(["-c", line]).arg(path);
            assert_eq!(Process::start("bash", &mut bash).wait(LIMIT).expect(0).stdout.trim(), "rollback");
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(&["man", &folder.path().display().to_string()]).expect(0);
    for page in ["verdigris.1", "verdigris-rollout-watch.1", "verdigris-config-check.1", "verdigris-ledger-key.1"] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    run(&["man", "/nowhere"]).expect(1).says(&["/nowhere/verdigris.1: cannot be written"]);
}

/// The keys reach the program as a terminal sends them, and what they ask for reaches the server.
#[test]
fn a_person_pauses_a_rollout_in_a_small_terminal_after_the_server_was_away() {
    let mut stage = Stage::set();
    stage.start(&stage.plan(&["mirror: { for: 60s }", "setWeight: 100%", "bake: { for: 1s }"])).expect(0);
    let program = verdigris().get_program().to_string_lossy().into_owned();
    let watch =
        format!("stty cols 40 rows 14; exec '{program}' rollout watch --socket '{}'", stage.server.socket().display());
    let seen = stage.folder.path().join("typescript");
    let mut script = Command::new("script");
    script.args(["-qefc", &watch]).arg(&seen).env("TERM", "xterm-256color");
    let spawned = script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = spawned.expect("util-linux has script");
    let mut keys = child.stdin.take().expect("it is piped");
    let shows = |what: &str| {
        eventually(what, LIMIT, || {
            let bytes = fs::read(&seen).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(what).then_some(())
        });
    };
    let mut press = |key: &[u8]| {
        keys.write_all(key).and_then(|()| keys.flush()).expect("it reads");
    };
    shows("steps");
    // The view outlives a server that goes away.
    stage.server.kill();
    shows("answer");
    stage.server.kill_and_start();
    press(b"p");
    shows("pause?");
    press(b"y");
    stage.server.eventually_reports("a pause", LIMIT, |report| report["progress"] == "paused");
    press(b"q");
    let status = eventually("the end of the view", LIMIT, || child.try_wait().expect("it is our child"));
    assert!(status.success(), "{status}");
}
