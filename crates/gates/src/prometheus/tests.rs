use super::*;
use crate::server::answering::{Answer, Answering, http, once};
use certs::{Authority, Validity};
use model::{PerEnvironment, UnixMillis};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tls::{Server, ServerFiles};
use tokio::net::TcpListener;

impl Answering {
    fn prometheus(&self, token_file: Option<PathBuf>) -> Prometheus {
        Prometheus::new(&self.url, &ClientTls::default(), token_file, queries()).unwrap()
    }
}

fn queries() -> Queries {
    let text = |what: &str| PerEnvironment::from_fn(|environment| format!("sum({what}{{env=\"{environment}\"}})"));
    Queries { events: text("errors_total"), total: text("requests_total") }
}

/// A good answer, as Prometheus gives it.
fn counters() -> String {
    let element = |(part, value)| format!(r#"{{"metric":{{"verdigris":"{part}"}},"value":[1700000000,"{value}"]}}"#);
    let parts = [("blueEvents", 1), ("blueTotal", 100), ("greenEvents", 2), ("greenTotal", 50)].map(element).join(",");
    http("200 OK", &format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{parts}]}}}}"#))
}

async fn failed(prometheus: &Prometheus, patience: &Patience) -> String {
    match prometheus.read(patience).await {
        Measurement::Failed { reason } => reason,
        read @ Measurement::Read(_) => panic!("{read:?}"),
    }
}

/// The answer makes a failure with these words.
async fn check(answer: &str, expected: &str) {
    let server = Answering::once(answer).await;
    let reason = failed(&server.prometheus(None), &once()).await;
    assert!(reason.starts_with(&server.url) && reason.contains(expected), "{reason:?} does not say {expected:?}");
}

#[tokio::test]
async fn the_four_counters_are_asked_for_at_once() {
    let mut server = Answering::once(&counters()).await;
    let Measurement::Read(reading) = server.prometheus(None).read(&once()).await else { panic!("a good answer") };
    assert_eq!(reading.at, UnixMillis(1_700_000_000_000));
    assert_eq!((reading.counters.blue.total, reading.counters.green.events), (100.0, 2.0));
    let asked = server.asked.recv().await.unwrap();
    assert!(asked.starts_with("POST /api/v1/query HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/x-www-form-urlencoded\r\n"), "{asked}");
    assert!(asked.contains("\r\n\r\ntimeout=60000ms&query=label_replace%28%0Asum%28errors_total"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
}

#[tokio::test]
async fn a_server_below_a_path_is_asked_there() {
    let mut server = Answering::once(&counters()).await;
    server.url.push_str("/monitoring/prometheus/");
    assert!(matches!(server.prometheus(None).read(&once()).await, Measurement::Read(_)));
    assert!(server.asked.recv().await.unwrap().starts_with("POST /monitoring/prometheus/api/v1/query HTTP/1.1\r\n"));
}

#[tokio::test]
async fn what_is_no_reading_says_why() {
    check(&http("401 Unauthorized", "no"), "`bearerTokenFile`").await;
    check(&http("503 Service Unavailable", "starting"), "HTTP status 503").await;
    check("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n", "not another address").await;
    check("SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP/1.1").await;
    check("", "does not speak HTTP/1.1").await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "does not speak HTTP/1.1").await;
    let long = " ".repeat(MAX_ANSWER_BYTES + 1);
    check(&http("200 OK", &long), "answered with more than 64 KiB; expected four numbers: put sum(…)").await;
    // A body that claims no length, and never ends.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(64));
    check(&endless, "answered with more than 64 KiB").await;
}

#[tokio::test]
async fn nobody_there_and_nobody_answering() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gone = Prometheus::new(&url, &ClientTls::default(), None, queries()).unwrap();
    assert!(failed(&gone, &once()).await.contains("does not accept connections"));
    let server = Answering::with(vec![Answer::Silence], None).await;
    let short = Patience { attempt: Duration::from_millis(30), pauses: Vec::new() };
    let reason = failed(&server.prometheus(None), &short).await;
    assert!(reason.contains("did not answer within 30 ms"), "{reason}");
    for url in ["127.0.0.1:9090", "ftp://127.0.0.1:9090", "http://127.0.0.1"] {
        assert!(Prometheus::new(url, &ClientTls::default(), None, queries()).is_err(), "{url}");
    }
}

#[tokio::test]
async fn it_is_asked_again_as_often_as_there_are_pauses() {
    let good = Answer::Bytes(counters().into_bytes());
    let bad = Answer::Bytes(http("503 Service Unavailable", "starting").into_bytes());
    let patience = Patience { attempt: Duration::from_secs(60), pauses: vec![Duration::from_millis(1); 2] };
    let server = Answering::with(vec![bad.clone(), Answer::Nothing, good.clone()], None).await;
    assert!(matches!(server.prometheus(None).read(&patience).await, Measurement::Read(_)));
    let mut server = Answering::with(vec![bad.clone(), Answer::Nothing, bad, good], None).await;
    let reason = failed(&server.prometheus(None), &patience).await;
    assert!(reason.contains("HTTP status 503"), "the last failure: {reason}");
    for _ in 0..3 {
        server.asked.recv().await.unwrap();
    }
    assert!(server.asked.try_recv().is_err(), "three attempts");
}

struct TokenFile {
    folder: tempfile::TempDir,
}

impl TokenFile {
    fn new(content: &[u8], mode: u32) -> TokenFile {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile { folder };
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("token")
    }
}

#[tokio::test]
async fn the_token_is_shown_and_read_anew_and_never_told() {
    const SECRET: &str = "s3cr3t-0123456789";
    let file = TokenFile::new(format!("{SECRET}\n").as_bytes(), 0o600);
    // Somebody in between repeats what it was sent, in the middle of what is cut off.
    let echo = format!(r#"{{"status":"error","errorType":"x","error":"{}Bearer {SECRET}"}}"#, "a".repeat(140));
    let answers = [counters(), http("400 Bad Request", &echo), counters()].map(|it| Answer::Bytes(it.into_bytes()));
    let mut server = Answering::with(answers.to_vec(), None).await;
    let prometheus = server.prometheus(Some(file.path()));
    assert!(matches!(prometheus.read(&once()).await, Measurement::Read(_)));
    assert!(server.asked.recv().await.unwrap().contains(&format!("authorization: Bearer {SECRET}\r\n")));
    let reason = failed(&prometheus, &once()).await;
    assert!(reason.contains("Bearer (the token)") && !reason.contains("s3cr3t"), "{reason}");
    fs::write(file.path(), "another").unwrap();
    server.asked.recv().await.unwrap();
    assert!(matches!(prometheus.read(&once()).await, Measurement::Read(_)));
    assert!(server.asked.recv().await.unwrap().contains("authorization: Bearer another\r\n"));
    assert!(!format!("{prometheus:?}").contains("another"));
}

#[tokio::test]
async fn a_token_that_cannot_be_used_says_why_and_nothing_is_asked() {
    for (content, mode, expected) in [
        (&b"s3cr3t"[..], 0o644, "may be read or written by others (mode 644); expected 600, or 640"),
        (b"s3cr3t", 0o620, "may be read or written by others (mode 620)"),
        (b"", 0o600, "holds no token; expected one line of visible ASCII characters"),
        (b"s3cr3t more", 0o600, "holds no token"),
        (b"s3cr3t\r\nx-other: 1", 0o600, "holds no token"),
        (b"\xff\xfe", 0o600, "holds no token"),
        (&[b'a'; 16_385], 0o600, "is longer than 16384 bytes"),
    ] {
        let file = TokenFile::new(content, mode);
        let mut server = Answering::once(&counters()).await;
        let reason = failed(&server.prometheus(Some(file.path())), &once()).await;
        assert!(reason.contains(expected) && !reason.contains("s3cr3t"), "{reason}");
        assert!(reason.starts_with(&file.path().display().to_string()), "{reason}");
        assert!(server.asked.try_recv().is_err());
    }
    let server = Answering::once(&counters()).await;
    let missing = failed(&server.prometheus(Some("/no/such/token".into())), &once()).await;
    assert!(missing.starts_with("/no/such/token: cannot be read: "), "{missing}");
    let folder = failed(&server.prometheus(Some("/".into())), &once()).await;
    assert!(folder.contains("is no file"), "{folder}");
}

#[tokio::test]
async fn an_https_server_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let ca = ours.write(folder.path(), "ca.pem");
    let (cert, key) = ours.server(&["localhost"], Validity::Long).write(folder.path(), "server");
    let secure = Arc::new(Server::open(ServerFiles { cert, key, client_ca: None }).unwrap());
    let answers = vec![Answer::Bytes(counters().into_bytes()); 2];
    let server = Answering::with(answers, Some(secure)).await;
    let with_ca = |ca: Option<String>| {
        let tls = ClientTls { ca, ..ClientTls::default() };
        Prometheus::new(&server.url, &tls, None, queries()).unwrap()
    };
    assert!(matches!(with_ca(Some(ca.display().to_string())).read(&once()).await, Measurement::Read(_)));
    let other = Authority::new("other").write(folder.path(), "other.pem");
    let reason = failed(&with_ca(Some(other.display().to_string())), &once()).await;
    assert!(reason.contains("signed by none of the authorities"), "{reason}");
}
