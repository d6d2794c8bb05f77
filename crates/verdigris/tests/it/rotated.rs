//! Keys of a ledger from end to end: changed while the server is stopped, in a file that a passphrase opens, and followed by
//! whoever has the old one.

use crate::process::{Ran, run, verdigris};
use crate::server::{Config, Server, try_serve};
use crate::wait::seconds;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn config(more: &str) -> Config {
    Config { more: more.to_owned(), ..Config::of("http://127.0.0.1:9") }
}

fn of_yaml(folder: &Path, command: &[&str]) -> Ran {
    let config = folder.join("verdigris.yaml").display().to_string();
    run(&[command, &["--config", &config, "--format", "json"]].concat())
}

fn verify(folder: &Path, key: &str) -> Ran {
    let dir = folder.join("data/ledger").display().to_string();
    run(&["ledger", "verify", "--dir", &dir, "--key", key, "--format", "json"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[test]
fn the_key_is_changed_and_the_old_one_leads_to_the_new() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &config("principals: [{ name: ada, uids: [0] }]\n"));
    let old = server.verifier_key();
    // The server has the ledger's lock.
    let refused = of_yaml(folder.path(), &["ledger", "rotate-key"]).expect(1);
    assert!(refused.stderr.contains("another process writes"), "{}", refused.stderr);
    server.stop().expect(0);
    let changed = of_yaml(folder.path(), &["ledger", "rotate-key"]).expect(0).json();
    let new = text(&changed["new"]);
    assert!(changed["old"] == old.as_str() && new != old, "{changed}");
    // The server goes on with it, and its file is the key's.
    let mut server = try_serve(&folder.path().join("verdigris.yaml")).expect("it starts");
    assert_eq!(server.verifier_key(), new);
    server.kill_and_start();
    let public = fs::read_to_string(folder.path().join("data/ledger.key.pub")).expect("it is there");
    assert_eq!(public.trim_end(), new);
    for key in [&old, &new] {
        let verified = verify(folder.path(), key).expect(0).json();
        assert_eq!(verified["keys"], serde_json::json!([old, new]));
        assert_eq!(verified["keyChangedAt"], serde_json::json!([changed["entry"]]));
    }
    let dir = folder.path().join("data/ledger");
    let shown = run(&["ledger", "show", "--dir", &dir.display().to_string(), "--key", &old]).expect(0).stdout;
    assert!(shown.contains(&format!("the ledger is signed by {new} from here on, before by {old}")), "{shown}");
    // Without the checkpoint that both signed, nobody follows.
    let signed = fs::read_dir(dir.join("rotation")).expect("a folder").next().expect("one").expect("a file").path();
    let kept = fs::read(&signed).expect("it is there");
    fs::remove_file(&signed).expect("it is ours");
    verify(folder.path(), &old).expect(5);
    verify(folder.path(), &new).expect(0);
    fs::write(&signed, kept).expect("it is ours");
    verify(folder.path(), &old).expect(0);
    server.stop().expect(0);
}

#[test]
fn an_encrypted_key_opens_by_its_passphrase_alone_and_is_followed_by_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("the folder is ours");
        fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o600)).expect("it is ours");
    };
    let server = Server::start(folder.path(), &config(""));
    let key = server.verifier_key();
    server.stop().expect(0);
    write("passphrase", "correct horse\n");
    let at = ["--file", &path("data/ledger.key"), "--passphrase-file", &path("passphrase"), "--format", "json"];
    let encrypted = run(&[&["ledger", "key", "encrypt"], &at[..]].concat()).expect(0).json();
    assert_eq!(encrypted["verifierKey"], key.as_str());
    assert!(fs::read_to_string(path("data/ledger.key")).expect("text").starts_with("-----BEGIN AGE ENCRYPTED FILE"));
    // The configuration does not say where the passphrase is, then it names a wrong one, then the right one.
    let refused = try_serve(&folder.path().join("verdigris.yaml")).err().expect("it does not start");
    assert!(refused.code == 1 && refused.stderr.contains("no passphrase is named"), "{}", refused.stderr);
    write("wrong", "wrong horse\n");
    config("ledger: { key: { passphrase: { file: wrong } } }\n").write(folder.path());
    let refused = try_serve(&folder.path().join("verdigris.yaml")).err().expect("it does not start");
    assert!(refused.stderr.contains("the passphrase is wrong"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("wrong horse"), "{}", refused.stderr);
    let mut server = Server::start(folder.path(), &config("ledger: { key: { passphrase: { file: passphrase } } }\n"));
    assert_eq!(server.verifier_key(), key);
    // Another process asks for it again, and the ledger is passed on.
    let old = server.take_over();
    old.wait(seconds(60)).expect(0);
    assert_eq!(server.verifier_key(), key);
    server.stop().expect(0);
    // The key that follows is encrypted as that one was.
    let new = text(&of_yaml(folder.path(), &["ledger", "rotate-key"]).expect(0).json()["new"]);
    let shown = of_yaml(folder.path(), &["ledger", "key", "show"]).expect(0).json();
    assert_eq!(shown["verifierKey"], new.as_str());
    let decrypted = run(&[&["ledger", "key", "decrypt"], &at[..]].concat()).expect(0).json();
    assert_eq!(decrypted["verifierKey"], new.as_str());
    assert!(fs::read_to_string(path("data/ledger.key")).expect("text").starts_with("PRIVATE+KEY+"));
    // A passphrase for a file that needs none is a mistake of somebody's.
    let refused = of_yaml(folder.path(), &["ledger", "key", "show"]);
    assert!(refused.code != 0 && refused.stderr.contains("it is not encrypted"), "{}", refused.stderr);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Server::start(folder.path(), &config("")).stop().expect(0);
    let mut command = std::process::Command::new("setsid");
    command.arg("--wait").arg(verdigris().get_program());
    command.args(["ledger", "key", "encrypt", "--file"]).arg(folder.path().join("data/ledger.key"));
    let ran = crate::process::Process::start("verdigris ledger key encrypt", &mut command).wait(seconds(30));
    assert!(ran.code == 2 && ran.stderr.contains("there is no terminal: name a file instead"), "{ran:?}");
    assert!(fs::read_to_string(folder.path().join("data/ledger.key")).expect("text").starts_with("PRIVATE+KEY+"));
}
