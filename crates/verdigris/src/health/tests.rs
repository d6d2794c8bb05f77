use super::*;
use crate::config::Config;
use model::UnixMillis;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const LISTEN: &str = "listen: { grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\" }\n\
    serving: { otlp: { grpc: \"http://127.0.0.1:14317\" } }\ndata: data\n";

fn config(folder: &Path, more: &str) -> Config {
    let path = folder.join("verdigris.yaml");
    fs::write(&path, format!("{LISTEN}{more}")).unwrap();
    Config::read(&path).unwrap()
}

/// The level of what was said of something, and that it says so.
fn check(findings: &[Finding], what: &str, level: Level, says: &str) {
    let found = findings.iter().find(|finding| finding.what.contains(what) && finding.says.contains(says));
    let found = found.unwrap_or_else(|| panic!("nothing says {says:?} of {what:?}: {findings:#?}"));
    assert_eq!(found.level, level, "{found:?}");
    assert_eq!(found.do_this.is_some(), level != Level::Ok, "{found:?}");
}

fn certificate(until: UnixMillis) -> posture::Certificate {
    posture::Certificate {
        not_before: UnixMillis(1_000),
        not_after: until,
        names: ["gateway.test".to_owned()].into(),
        key: "Ed25519".to_owned(),
        key_bits: Some(128),
        signature: "Ed25519".to_owned(),
        signature_bits: Some(128),
        self_signed: false,
    }
}

#[test]
fn a_certificate_says_how_many_days_are_left() {
    let day = 24 * 3_600_000;
    let check_at = |now: u64, level: Level, says: &str| {
        check(&[left("listen.tls", &certificate(UnixMillis(100 * day)), UnixMillis(now))], "listen.tls", level, says);
    };
    check_at(10 * day, Level::Ok, "gateway.test: holds for 90 days");
    check_at(80 * day, Level::Warning, "holds for 20 days");
    check_at(103 * day + 1, Level::Trouble, "expired 3 days ago");
    check_at(0, Level::Trouble, "holds only in");
}

#[test]
fn ports_in_use_are_told_from_free_ones() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(folder.path(), "");
    config.listen.grpc = taken.local_addr().unwrap();
    let found = ports(&config);
    check(&found, "(grpc)", Level::Trouble, "in use by somebody else");
    check(&found, "(http)", Level::Ok, "is free");
    check(&found, "socket", Level::Ok, "no server runs");
}

#[test]
fn a_folder_that_others_may_enter_is_trouble_and_the_disk_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    check(&data_folder(&config), "data folder", Level::Ok, "made at the first start");
    fs::create_dir(&config.data).unwrap();
    fs::set_permissions(&config.data, Permissions::from_mode(0o755)).unwrap();
    check(&data_folder(&config), "data folder", Level::Trouble, "mode 755");
    let found = disk(&config);
    assert!(found.iter().any(|finding| finding.says.contains("a sync takes")), "{found:#?}");
    assert_eq!(fs::read_dir(&config.data).unwrap().count(), 0, "the probe's file is removed");
}

#[test]
fn keys_and_programs_are_looked_at_without_being_opened_or_run() {
    let folder = tempfile::tempdir().unwrap();
    let found = files(&config(folder.path(), ""));
    check(&found, "ledger.key", Level::Ok, "made at the first start");
    let key: PathBuf = folder.path().join("ledger.key");
    fs::write(&key, "no key").unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let more = "ledger: { key: { file: ledger.key } }\ngates: { commands: [/nowhere/kubectl] }\n";
    let found = files(&config(folder.path(), more));
    check(&found, "ledger.key", Level::Trouble, "ledger.key");
    check(&found, "/nowhere/kubectl", Level::Trouble, "No such file");
}

#[test]
fn a_ledger_without_its_key_or_checkpoint_is_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    check(&ledger(&config), "ledger", Level::Ok, "made at the first start");
    fs::create_dir_all(config.data.join("ledger")).unwrap();
    check(&ledger(&config), "ledger", Level::Trouble, "ledger.key.pub");
}

#[tokio::test]
async fn an_environment_that_is_not_there_is_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(folder.path(), "");
    config.serving.endpoint = format!("http://{closed}");
    check(&reach(&config).await, "serving", Level::Trouble, "does not accept connections");
}
