use super::*;
use crate::config::Config;
use model::UnixMillis;
use rollout::RolloutId;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn read(folder: &Path, more: &str) -> Result<Config, String> {
    let path = folder.join("verdigris.yaml");
    let yaml = format!("serving: {{ otlp: {{ grpc: \"http://127.0.0.1:14317\" }} }}\nnotifications:\n{more}");
    fs::write(&path, yaml).unwrap();
    Config::read(&path).map_err(|failed| failed.to_string())
}

fn secret(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn notice() -> Notice {
    Notice {
        id: "msg_1".to_owned(),
        to: "team".to_owned(),
        event: Event::RolledBack,
        rollout: Some(RolloutId("shop.1".to_owned())),
        at: UnixMillis(1_767_225_600_000),
        headline: "shop.1 rolls back: Größe".to_owned(),
        cause: None,
    }
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let check = |more: &str, says: &str| {
        let error = read(folder.path(), more).unwrap_err();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    };
    let hook = "  - { name: a, to: webhook, url: \"https://x.example/h\", secretFile: s, on: [held]";
    read(folder.path(), &format!("{hook} }}\n")).unwrap();
    check(&format!("{hook} }}\n{hook} }}\n"), "notifications[1].name: \"a\" stands twice");
    check(&format!("{hook}, template: \"see {{url}}\" }}\n"), "notifications[0].template: character 5");
    check(&hook.replace("held", "helled").replace("]", "] }\n"), "on: found \"helled\"");
    check(&hook.replace("https", "http").replace("]", "] }\n"), "http:// to another machine");
    check(&hook.replace("secretFile: s, ", "").replace("]", "] }\n"), "secretFile: expected one");
    check(&hook.replace("webhook", "slack").replace("]", "] }\n"), "expected urlFile");
    check(&hook.replace("x.example", "u:p@x.example").replace("]", "] }\n"), "without a user");
    let mail = "  - { name: m, to: email, smtp: \"smtp://mail.example\", from: v@x.example, recipients: [a@x.example], on: [held] }\n";
    read(folder.path(), mail).unwrap();
    check(&mail.replace("a@x.example", "\"a@x.example>\\r\\nDATA\""), "recipients: found");
    check(&mail.replace("smtp://", "https://"), "smtp: found");
}

#[test]
fn secrets_that_others_may_read_are_refused_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let more = "  - { name: a, to: webhook, url: \"https://x.example/h\", secretFile: s, on: [held] }\n";
    let target = read(folder.path(), more).unwrap().notifications.remove(0);
    let check = |text: &str, mode: u32, says: &str| {
        secret(folder.path(), "s", text, mode);
        let error = target.secrets().unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    };
    check(SECRET, 0o644, "644");
    check("hunter2", 0o600, "expected whsec_");
    secret(folder.path(), "s", SECRET, 0o600);
    target.secrets().unwrap();
}

/// Answers each connection with one status, and tells what it was sent.
async fn receiver(statuses: &'static [&'static str]) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = mpsc::channel(16);
    tokio::spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            // Until the body is whole: its end is that of its JSON.
            while !bytes.ends_with(b"}") {
                let mut chunk = [0; 4_096];
                let read = stream.read(&mut chunk).await.unwrap();
                bytes.extend_from_slice(&chunk[..read]);
            }
            let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            told.send(String::from_utf8(bytes).unwrap()).await.unwrap();
        }
    });
    (address, heard)
}

fn webhook(folder: &Path, address: SocketAddr) -> Target {
    secret(folder, "s", SECRET, 0o600);
    let more =
        format!("  - {{ name: team, to: webhook, url: \"http://{address}/h\", secretFile: s, on: [rolledBack] }}\n");
    read(folder, &more).unwrap().notifications.remove(0)
}

#[tokio::test]
async fn a_webhook_is_signed_over_what_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (address, mut heard) = receiver(&["204 No Content"]).await;
    deliver(&webhook(folder.path(), address), &notice()).await.unwrap();
    let request = heard.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(header("webhook-id"), "msg_1");
    let at = header("webhook-timestamp").parse().unwrap();
    let expected = SigningSecret::parse(SECRET).unwrap().sign("msg_1", at, body.as_bytes());
    assert_eq!(header("webhook-signature"), expected);
    assert!(!request.contains("whsec_"), "{request}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_only_gone_is_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _heard) = receiver(&["302 Found", "500 Oops", "410 Gone"]).await;
    let target = webhook(folder.path(), address);
    let again = |words: &str| Err(Failure::Again(words.to_owned()));
    assert_eq!(deliver(&target, &notice()).await, again("HTTP status 302: redirects are not followed"));
    assert_eq!(deliver(&target, &notice()).await, again("HTTP status 500"));
    assert!(matches!(deliver(&target, &notice()).await, Err(Failure::Never(_))));
}

/// What the controller was told of a notification, once it waits no more; between tries there is a millisecond.
async fn outcome(target: Target) -> (u32, Option<String>) {
    let (handle, mut inputs) = Handle::new();
    let (pending, waiting) = watch::channel(Arc::from([notice()]) as Pending);
    let notifying =
        Notifying::start(vec![target], waiting, handle, |id, failed| notices::wait_ms(id, failed).map(|_| 1));
    let told = loop {
        if let Some(Input::Notified { id, tries, gave_up }) = inputs.recv().await {
            assert_eq!(id, "msg_1");
            break (tries, gave_up);
        }
    };
    pending.send_replace(Arc::from([]));
    notifying.stop();
    told
}

#[tokio::test]
async fn a_notification_is_tried_again_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (address, mut heard) = receiver(&["503 Busy", "503 Busy", "200 OK"]).await;
    assert_eq!(outcome(webhook(folder.path(), address)).await, (3, None));
    let mut ids = Vec::new();
    while let Some(request) = heard.recv().await {
        ids.push(request.contains("webhook-id: msg_1"));
    }
    assert_eq!(ids, [true; 3], "each try has the same id");
}

#[tokio::test]
async fn it_is_given_up_in_the_end_without_its_address_in_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (tries, gave_up) = outcome(webhook(folder.path(), closed)).await;
    let why = gave_up.unwrap();
    assert_eq!(tries, MAX_TRIES);
    assert!(why.contains("does not accept connections") && !why.contains(&closed.to_string()), "{why}");
    let renamed = Target { name: "other".to_owned(), ..webhook(folder.path(), closed) };
    assert_eq!(outcome(renamed).await, (0, Some("verdigris.yaml does not name it any more".to_owned())));
}

/// An SMTP server that says what it was told; `offers` stands in its answer to EHLO.
async fn mail_server(offers: &'static str, to_data: &'static str) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut said, mut data) = (Vec::new(), false);
        stream.write_all(b"220-mail.test\r\n220 ready\r\n").await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
            let taken = std::mem::take(&mut line).trim_end().to_owned();
            let answer = match taken.split(' ').next().unwrap_or_default() {
                "." if data => {
                    data = false;
                    to_data.to_owned()
                }
                _ if data => String::new(),
                "EHLO" => format!("250-mail.test\r\n{offers}250 SIZE 1000\r\n"),
                "DATA" => {
                    data = true;
                    "354 go on\r\n".to_owned()
                }
                "AUTH" => "235 in\r\n".to_owned(),
                _ => "250 ok\r\n".to_owned(),
            };
            said.push(taken);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        said
    });
    (address, serving)
}

fn mail(folder: &Path, address: SocketAddr) -> Target {
    secret(folder, "password", "hunter2\n", 0o600);
    let more = format!(
        "  - {{ name: team, to: email, smtp: \"smtp://{address}\", from: v@x.example, user: v, secretFile: password,\n\
         \x20     recipients: [a@x.example, b@x.example], on: [rolledBack] }}\n"
    );
    read(folder, &more).unwrap().notifications.remove(0)
}

#[tokio::test]
async fn an_email_has_its_receivers_and_survives_every_character() {
    let folder = tempfile::tempdir().unwrap();
    let (address, serving) = mail_server("", "250 taken\r\n").await;
    deliver(&mail(folder.path(), address), &notice()).await.unwrap();
    let said = serving.await.unwrap();
    for line in ["MAIL FROM:<v@x.example>", "RCPT TO:<a@x.example>", "RCPT TO:<b@x.example>", "QUIT"] {
        assert!(said.iter().any(|it| it == line), "{said:#?} lacks {line}");
    }
    assert!(said.iter().any(|line| line.starts_with("Subject: =?utf-8?B?")), "{said:#?}");
    assert!(said.iter().any(|line| line == "Message-ID: <msg_1@x.example>"), "{said:#?}");
    assert!(said.iter().all(|line| line.len() <= 78), "{said:#?}");
}

#[tokio::test]
async fn a_mail_server_that_refuses_for_good_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |answer: &'static str, expected: Failure| {
        let (address, _serving) = mail_server("", answer).await;
        assert_eq!(deliver(&mail(folder.path(), address), &notice()).await, Err(expected));
    };
    check("550 no\r\n", Failure::Never("SMTP code 550".to_owned())).await;
    check("451 later\r\n", Failure::Again("SMTP code 451".to_owned())).await;
    check("hello\r\n", Failure::Again("does not speak SMTP".to_owned())).await;
}

#[tokio::test]
async fn where_tls_is_offered_nothing_goes_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let (address, serving) = mail_server("250-STARTTLS\r\n", "250 taken\r\n").await;
    let failed = deliver(&mail(folder.path(), address), &notice()).await.unwrap_err();
    assert!(matches!(failed, Failure::Again(_)), "{failed:?}");
    let said = serving.await.unwrap();
    assert!(!said.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{said:#?}");
}
