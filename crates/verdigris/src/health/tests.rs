use super::*;
use crate::config::Config;
use certs::{Authority, Validity};
use model::UnixMillis;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

/// A configuration with this `web` section, whose files are in the folder.
fn with_web(folder: &Path, section: &str) -> Config {
    config(folder, &format!("web: {{ {section} }}\n"))
}

#[test]
fn the_web_port_is_one_of_those_that_can_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen: '{}'", taken.local_addr().unwrap());
    check(&ports(&with_web(folder.path(), &listen)), "(web)", Level::Trouble, "in use by somebody else");
    check(&ports(&with_web(folder.path(), "listen: '127.0.0.1:0'")), "(web)", Level::Ok, "is free");
}

#[test]
fn the_web_ports_certificate_key_and_names_are_looked_at() {
    let (folder, ours) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let server = |name: &str, validity| ours.server(&[name], validity).write(folder.path(), name);
    server("a.example", Validity::Long);
    server("*.b.example", Validity::Over);
    ours.write(folder.path(), "ca.pem");
    let found = |cert: &str, key: &str, names: &str| {
        let ca = if key == "a.example" { ", clientCa: ca.pem" } else { "" };
        let tls = format!("tls: {{ cert: '{cert}.pem', key: '{key}.key'{ca} }}");
        files(&with_web(folder.path(), &format!("listen: '127.0.0.1:0', names: [{names}], {tls}")))
    };
    let good = found("a.example", "a.example", "a.example");
    check(&good, "web.tls (", Level::Ok, "a.example: holds for");
    check(&good, "web.tls.clientCa", Level::Ok, "holds for");
    assert!(!good.iter().any(|it| it.says.contains("is not for")), "{good:#?}");
    check(&found("a.example", "*.b.example", "a.example"), "web.tls", Level::Trouble, "");
    check(&found("a.example", "nowhere", "a.example"), "web.tls", Level::Trouble, "nowhere.key");
    check(&found("*.b.example", "*.b.example", "a.example"), "web.tls (", Level::Trouble, "expired");
    let other = found("a.example", "a.example", "a.example, B.example");
    check(&other, "web.tls (", Level::Warning, "is not for B.example");
    let under = found("*.b.example", "*.b.example", "x.B.example, x.y.b.example");
    check(&under, "web.tls (", Level::Warning, "is not for x.y.b.example");
}

#[test]
fn an_operator_token_is_for_nobody_else_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_web(folder.path(), "listen: '127.0.0.1:0'");
    check(&files(&config), "operator token", Level::Ok, "made at the first start");
    assert!(!config.data.exists());
    fs::create_dir(&config.data).unwrap();
    let token = config.data.join("operator.token");
    fs::write(&token, "0123456789012345678901234567890123456789\n").unwrap();
    check(&files(&config), "operator token", Level::Trouble, "may be read by others (mode 644)");
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    check(&files(&config), "operator token", Level::Ok, "nobody else's");
    fs::write(&token, "short\n").unwrap();
    check(&files(&config), "operator token", Level::Trouble, "expected 32 to 256 letters");
}

const KEY: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn oidc(keys: &str, more: &str) -> String {
    let sso = "issuer: 'https://sso.example', audience: verdigris";
    format!("listen: '127.0.0.1:0', oidc: {{ {sso}, keys: '{keys}'{more} }}")
}

#[test]
fn an_issuers_keys_are_there_and_can_check_what_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let found = |more: &str| files(&with_web(folder.path(), &oidc("keys.json", more)));
    check(&found(""), "web.oidc.keys", Level::Trouble, "keys.json: cannot be read");
    fs::write(folder.path().join("keys.json"), KEY).unwrap();
    check(&found(""), "web.oidc.keys", Level::Ok, "1 keys, of which 1 can be used");
    check(
        &found(", algorithms: [RS256]"),
        "web.oidc.keys",
        Level::Trouble,
        "has 1 keys, and none for signatures by RS256",
    );
    fs::write(folder.path().join("keys.json"), "[]").unwrap();
    check(&found(""), "web.oidc.keys", Level::Trouble, "expected a JSON Web Key Set");
    let url = files(&with_web(folder.path(), &oidc("https://sso.example/keys", ", tls: { ca: none.pem }")));
    check(&url, "web.oidc.keys", Level::Trouble, "none.pem");
}

#[tokio::test]
async fn an_issuers_server_is_asked_and_its_clock_compared() {
    let (folder, ours) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (cert, key) = ours.server(&["localhost"], Validity::Long).write(folder.path(), "sso");
    ours.write(folder.path(), "ca.pem");
    let server = tls::Server::open(tls::ServerFiles { cert, key, client_ca: None }).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = server.accept(stream).await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length";
        stream.write_all(format!("{head}: {}\r\n\r\n{KEY}", KEY.len()).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let section = oidc(&format!("https://localhost:{port}/keys"), ", tls: { ca: ca.pem }");
    let config = with_web(folder.path(), &section);
    check(&files(&config), "web.oidc.keys", Level::Ok, "TLS files can be used");
    let found = reach(&config).await;
    check(&found, "web.oidc.keys", Level::Ok, "of which 1 can be used");
    check(&found, "clock, beside that of https://localhost", Level::Trouble, "ahead of it");
    answering.await.unwrap();
    // Nobody answers any more.
    check(&reach(&config).await, "web.oidc.keys", Level::Trouble, "does not accept connections");
}

#[test]
fn clocks_are_compared_within_what_can_be_known() {
    let check_at = |said: &str, age: u64, asked_s: u64, answered_s: u64, level: Level, says: &str| {
        // 2026-12-01T12:00:00Z.
        let at = |offset: u64| UnixMillis(1_796_126_400_000 + offset * 1_000 - 1_000_000);
        let found = skew::skew("sso", &(said.to_owned(), age), (at(asked_s), at(answered_s)));
        check(&[found.unwrap()], "clock, beside that of sso", level, says);
    };
    let noon = "Tue, 01 Dec 2026 12:00:00 GMT";
    check_at(noon, 0, 1_000, 1_000, Level::Ok, "less than 30 s apart");
    check_at(noon, 0, 970, 970, Level::Ok, "less than");
    check_at(noon, 0, 969, 969, Level::Warning, "is 31s behind it");
    // An answer that took a minute may have been made at its begin.
    check_at(noon, 0, 940, 1_000, Level::Ok, "less than");
    check_at(noon, 0, 1_033, 1_033, Level::Warning, "is 31s ahead of it");
    check_at(noon, 0, 1_303, 1_303, Level::Trouble, "ahead of it");
    check_at(noon, 0, 699, 699, Level::Trouble, "behind it");
    // A cache says how old its answer is.
    check_at(noon, 600, 1_600, 1_600, Level::Ok, "less than");
    for none in ["", "yesterday", "Tue, 01 Dec 1026 12:00:00 GMT"] {
        assert_eq!(skew::skew("sso", &(none.to_owned(), 0), (UnixMillis(0), UnixMillis(0))), None, "{none}");
    }
}

#[test]
fn tokens_of_senders_are_nobody_elses_and_no_two_taps_share_one() {
    let folder = tempfile::tempdir().unwrap();
    let token = |name: &str, mode: u32, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let tap = |tokens: &str| format!("{{ grpc: '127.0.0.1:0', http: '127.0.0.1:0', tokens: [{tokens}] }}");
    let more = format!("taps: {{ blue: {}, green: {} }}\n", tap("b, c"), tap("g, n"));
    let config = config(folder.path(), &more);
    token("b", 0o600, "0123456789abcdef0123456789abcdef\n");
    token("c", 0o600, "too-short\n");
    token("g", 0o644, "fedcba9876543210fedcba9876543210\n");
    let found = files(&config);
    let at = |name: &str| folder.path().join(name).display().to_string();
    check(&found, &at("b"), Level::Ok, "nobody else's");
    check(&found, &at("c"), Level::Trouble, "expected one token of 32");
    check(&found, &at("g"), Level::Trouble, "may be read by others (mode 644)");
    check(&found, &at("n"), Level::Trouble, "No such file");
    assert!(!format!("{found:?}").contains("0123456789abcdef"), "{found:#?}");
    token("g", 0o600, "0123456789abcdef0123456789abcdef\n");
    check(&files(&config), "taps.blue and taps.green", Level::Warning, "take the same token");
}
