mod field;

use super::*;
use crate::integration::agent::{AgentError, Config, serve};
use certs::{Authority, Validity, place};
use field::Field;
use integrations::{Address, Attempt, Call, MAX_CALLS_BYTES, Method as Asking, Origin, Records, Target, Why};
use model::GateVerdict::{self, Error, Fail, Inconclusive, Pass};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const TOKEN: &str = "a-token-of-this-test";
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn calls(of: &[(&str, Target, u16)]) -> Calls {
    let call = |(name, to, repetitions): &(&str, Target, u16)| Call {
        name: (*name).to_owned(),
        to: to.clone(),
        repetitions: *repetitions,
        timeout_ms: 10_000,
    };
    Calls::new(of.iter().map(call).collect()).unwrap()
}

fn get(url: String) -> Target {
    Target::Http { method: Asking::Get, url, status: 200, headers: vec!["ETag".to_owned()] }
}

fn health(url: String, service: &str) -> Target {
    Target::GrpcHealth { url, service: service.to_owned() }
}

fn tcp(port: u16) -> Target {
    Target::Tcp { host: "127.0.0.1".to_owned(), port }
}

fn secure(port: u16, min_validity_ms: u64) -> Target {
    Target::Tls { host: "localhost".to_owned(), port, server_name: None, min_validity_ms }
}

fn demanded(calls: Calls) -> Demanded {
    let slower = Slower { by_percent: 50, by_us: 2_000 };
    Demanded { calls, slower, controller_is_meant: false, tls: ClientTls::default() }
}

/// A port that is taken, so that nobody else gets it meanwhile, and that nobody listens on.
fn nobody() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn is(result: &GateResult, verdict: GateVerdict, words: &str) {
    assert!(result.verdict == verdict && result.reasons[0].starts_with(words), "{result:?}");
}

#[tokio::test]
async fn calls_of_every_kind_from_two_agents() {
    let mut field = Field::new();
    let (plain, tls) = (field.api(None).await, field.api(Some(("localhost", Validity::Long))).await);
    let (plain_at, tls_at) = (format!("127.0.0.1:{plain}"), format!("localhost:{tls}"));
    let allow = [plain_at.as_str(), tls_at.as_str()];
    let (blue, green) = (field.agent(&allow).await, field.agent(&allow).await);
    field.takes(0);
    let dns = Target::Dns { name: "localhost".to_owned(), records: Records::Any };
    let made = calls(&[
        ("http", get(format!("http://{plain_at}/")), 20),
        ("https", get(format!("https://{tls_at}/a?b=c")), 20),
        ("tcp", tcp(plain), 20),
        ("tls", secure(tls, 1), 20),
        ("dns", dns, 20),
        ("grpc", health(format!("http://{plain_at}"), "up"), 20),
        ("grpcs", health(format!("https://{tls_at}"), ""), 20),
    ]);
    let result = field.run(Some(blue), Some(green), &demanded(made)).await;
    is(&result, Pass, "green can make all 7 calls");
}

/// An external API that is slow from green only.
#[tokio::test]
async fn an_api_that_is_slow_from_green_alone() {
    let mut field = Field::new();
    let at = format!("127.0.0.1:{}", field.api(None).await);
    let agent = field.agent(&[&at]).await;
    let made = calls(&[("billing", get(format!("http://{at}/")), 20)]);
    let blue = ask(&agent, &made).await.map_err(|error| error.to_string());
    field.takes(300_000);
    let green = ask(&agent, &made).await.map_err(|error| error.to_string());
    assert_eq!(green.as_ref().unwrap().attempts["billing"][0].took_us, 300_000);
    let decide = |blue, green| {
        let slower = Slower { by_percent: 50, by_us: 2_000 };
        let outcomes = PerEnvironment { blue, green };
        let answer = compare(&integrations::Question { calls: &made, outcomes, slower, controller_is_meant: false });
        GateResult { verdict: answer.verdict, reasons: answer.reasons, evidence: None }
    };
    let words = "the call billing is slow from green alone: its median is 300ms to 300ms, from blue 10.0ms to 10.0ms";
    is(&decide(&blue, &green), Fail, words);
    is(&decide(&green, &green), Pass, "green can make all 1 calls");
    // And one that refuses green alone.
    field.behaviour.status.store(503, Ordering::SeqCst);
    let green = ask(&agent, &made).await.map_err(|error| error.to_string());
    let words = "green cannot make the call billing, which blue can: it answered HTTP status 503, expected 200";
    is(&decide(&blue, &green), Fail, words);
}

#[tokio::test]
async fn answers_that_are_not_as_expected() {
    let mut field = Field::new();
    let port = field.api(None).await;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    field.check(get(url("/")), None).await;
    field.check(get(url("/endless")), None).await;
    field.check(get(url("/moved")), Some((Why::Answer, "it answered HTTP status 302, expected 200"))).await;
    let header = Target::Http { method: Asking::Head, url: url("/"), status: 200, headers: vec!["x-none".to_owned()] };
    field.check(header, Some((Why::Answer, "without the header x-none"))).await;
    field.check(health(url(""), "down"), Some((Why::Answer, "it is not serving"))).await;
    field.check(health(url(""), "other"), Some((Why::Answer, "it does not know the service"))).await;
    field.behaviour.status.store(503, Ordering::SeqCst);
    field.check(get(url("/")), Some((Why::Answer, "it answered HTTP status 503, expected 200"))).await;
    field.check(health(url(""), ""), Some((Why::Answer, "it answered HTTP status 503"))).await;
    let (_taken, none) = nobody();
    field.check(tcp(none), Some((Why::Connect, "does not accept connections"))).await;
    let nowhere = Target::Dns { name: "nowhere.invalid".to_owned(), records: Records::Any };
    field.check(nowhere, Some((Why::Name, "nowhere.invalid cannot be resolved"))).await;
    let aaaa = Target::Dns { name: "127.0.0.1".to_owned(), records: Records::Aaaa };
    field.check(aaaa, Some((Why::Name, "has no address of the type Aaaa"))).await;
}

#[tokio::test]
async fn certificates_must_be_trusted_for_the_name_and_last() {
    let mut field = Field::new();
    let good = field.api(Some(("localhost", Validity::Long))).await;
    let other = field.api(Some(("other.example", Validity::Long))).await;
    let plain = field.api(None).await;
    field.check(secure(good, 86_400_000), None).await;
    field.check(secure(good, u64::MAX), Some((Why::Tls, "its certificate holds for"))).await;
    field.check(secure(other, 0), Some((Why::Tls, "TLS: "))).await;
    let named = Target::Tls {
        host: "127.0.0.1".to_owned(),
        port: other,
        server_name: Some("other.example".to_owned()),
        min_validity_ms: 0,
    };
    field.check(named, None).await;
    field.check(secure(plain, 0), Some((Why::Tls, "TLS: "))).await;
    place(field.path(), "ca.pem", Authority::new("others").pem(), 0o644);
    field.check(secure(good, 0), Some((Why::Tls, "TLS: "))).await;
    std::fs::remove_file(field.path().join("ca.pem")).unwrap();
    field.check(secure(good, 0), Some((Why::NotMade, "ca.pem: cannot be read"))).await;
}

/// What never answers is given up after three attempts.
#[tokio::test]
async fn silence_is_given_up() {
    let mut field = Field::new();
    let url = format!("http://127.0.0.1:{}/held", field.api(None).await);
    let call = Call { name: "held".to_owned(), to: get(url), repetitions: 30, timeout_ms: 1 };
    let attempts = field.maker(Allowed::AnythingButMetadata).make(&Calls::new(vec![call]).unwrap()).await;
    let late: Vec<Why> = attempts["held"].iter().map(|attempt| attempt.failed.as_ref().unwrap().why).collect();
    assert_eq!(late, [Why::Timeout; 3]);
}

/// A name that leads to a cloud's metadata is not enough: its address must be allowed itself.
#[tokio::test]
async fn metadata_services_are_not_called() {
    let field = Field::new();
    let only = |allowed: &[&str]| Allowed::Only(allowed.iter().map(|address| address.parse().unwrap()).collect());
    let named: Address = "metadata.internal:80".parse().unwrap();
    for ip in
        ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200"]
    {
        let ip: IpAddr = ip.parse().unwrap();
        for allowed in [only(&["metadata.internal:80"]), Allowed::AnythingButMetadata] {
            assert_eq!(allowed.check_ip(&named, ip).unwrap_err().why, Why::NotMade, "{ip}");
        }
    }
    let ip: IpAddr = "169.254.169.254".parse().unwrap();
    let itself: Address = "169.254.169.254:80".parse().unwrap();
    assert!(only(&["169.254.169.254:80"]).check_ip(&itself, ip).is_ok());
    assert!(only(&["169.254.169.254:81"]).check_ip(&itself, ip).is_err());
    let to = Target::Tcp { host: "169.254.169.254".to_owned(), port: 80 };
    field.check(to, Some((Why::NotMade, "leads to a link-local address or a cloud's metadata service"))).await;
}

#[tokio::test]
async fn an_agent_calls_only_where_it_may() {
    let mut field = Field::new();
    let (port, other) = (field.api(None).await, field.api(None).await);
    let agent = field.agent(&[&format!("127.0.0.1:{port}")]).await;
    let dns = Target::Dns { name: "localhost".to_owned(), records: Records::Any };
    let made = calls(&[("may", tcp(port), 2), ("may not", tcp(other), 2), ("name", dns, 2)]);
    let outcomes = ask(&agent, &made).await.unwrap();
    assert_eq!(outcomes.from, Origin::Agent);
    assert!(outcomes.attempts["may"].iter().all(|attempt| attempt.failed.is_none()));
    for name in ["may not", "name"] {
        let [Attempt { failed: Some(failure), .. }] = &outcomes.attempts[name][..] else { panic!("{outcomes:?}") };
        assert!(failure.why == Why::NotMade && failure.words.contains("(--allow)"), "{failure:?}");
    }
    let result = field.run(Some(agent.clone()), Some(agent), &demanded(calls(&[("may not", tcp(other), 2)]))).await;
    assert_eq!(result.verdict, Error, "{result:?}");
}

/// What an agent answers to a request as it is written here, behind its head's first line.
async fn raw(agent: &AgentAddress, first: &str, head: &str, body: &str) -> String {
    let client = Arc::new(tls::Client::new(&agent.tls, "localhost", tls::Alpn::Http1).unwrap());
    let port = agent.url.rsplit_once(':').unwrap().1;
    let stream = TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())).await.unwrap();
    let mut stream = client.connect(stream).await.unwrap();
    let request = format!(
        "{first} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = Vec::new();
    // An agent that refuses does not read to the end.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn who_shows_no_token_gets_nothing() {
    let mut field = Field::new();
    let port = field.api(None).await;
    let agent = field.agent(&[&format!("127.0.0.1:{port}")]).await;
    let body = calls(&[("tcp", tcp(port), 1)]).to_json();
    let post = "POST /v1/calls";
    let token = format!("authorization: bearer {TOKEN}\r\n");
    let checks = [
        (post, "", body.as_str(), "401"),
        (post, "authorization: Bearer another-token\r\n", &body, "401"),
        (post, &format!("authorization: Bearer {}\r\n", &TOKEN[..5]), &body, "401"),
        (post, &format!("authorization: Basic {TOKEN}\r\n"), &body, "401"),
        (post, &format!("authorization: {TOKEN}\r\n"), &body, "401"),
        (post, &token, &body, "200"),
        (post, &token, "{}", "400"),
        (post, &token, &" ".repeat(MAX_CALLS_BYTES + 1), "413"),
        ("GET /v1/calls", &token, "", "405"),
        ("POST /", &token, &body, "404"),
    ];
    for (first, head, body, expect) in checks {
        let answer = raw(&agent, first, head, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expect}")), "{first} {head}: {answer}");
        assert!(!answer.contains(TOKEN), "{answer}");
    }
    // The token may be renewed while the agent runs.
    place(field.path(), "token", "another-token", 0o600);
    assert!(raw(&agent, post, &token, &body).await.starts_with("HTTP/1.1 401"));
    place(field.path(), "token", TOKEN, 0o644);
    assert!(raw(&agent, post, &token, &body).await.starts_with("HTTP/1.1 500"));
}

#[tokio::test]
async fn one_at_a_time() {
    let mut field = Field::new();
    let at = format!("127.0.0.1:{}", field.api(None).await);
    let agent = field.agent(&[&at]).await;
    let made = calls(&[("held", get(format!("http://{at}/held")), 1)]);
    let first = tokio::spawn({
        let (agent, made) = (agent.clone(), made.clone());
        async move { ask(&agent, &made).await.unwrap() }
    });
    field.behaviour.asked.notified().await;
    let refused = ask(&agent, &made).await.unwrap_err().to_string();
    assert!(refused.ends_with("it makes somebody else's calls at the moment"), "{refused}");
    field.behaviour.may_answer.add_permits(1);
    assert_eq!(first.await.unwrap().attempts["held"][0].failed, None);
}

#[tokio::test]
async fn the_controllers_own_calls_are_said() {
    let mut field = Field::new();
    let mut demanded = demanded(calls(&[("tcp", tcp(field.api(None).await), 20)]));
    let words = "the calls were made from the controller, not from the environment";
    is(&field.run(None, None, &demanded).await, Inconclusive, words);
    demanded.controller_is_meant = true;
    let result = field.run(None, None, &demanded).await;
    is(&result, Pass, "green can make all 1 calls");
    assert!(result.reasons[1].starts_with(words), "{result:?}");
}

/// Invariant 4.
#[tokio::test]
async fn an_agent_that_does_not_answer_is_an_error() {
    let mut field = Field::new();
    let port = field.api(None).await;
    let demanded = demanded(calls(&[("tcp", tcp(port), 20)]));
    let good = field.agent(&[&format!("127.0.0.1:{port}")]).await;
    let (_taken, none) = nobody();
    let gone = AgentAddress { url: format!("http://127.0.0.1:{none}"), ..good.clone() };
    let first = "no calls could be made from green: http://127.0.0.1";
    is(&field.run(Some(good.clone()), Some(gone), &demanded).await, Error, first);
    let no_agent = AgentAddress { url: format!("http://127.0.0.1:{port}/x"), ..good.clone() };
    is(
        &field.run(Some(no_agent), Some(good.clone()), &demanded).await,
        Error,
        "no calls could be made from blue: http",
    );
    let wrong = field.path().join("wrong");
    place(field.path(), "wrong", "another-token", 0o600);
    let stranger = AgentAddress { token_file: wrong, ..good.clone() };
    let result = field.run(Some(good), Some(stranger), &demanded).await;
    assert!(result.verdict == Error && result.reasons[0].ends_with("it does not take the token"), "{result:?}");
}

#[tokio::test]
async fn an_agent_that_nobody_can_use_does_not_begin() {
    let field = Field::new();
    let config = |allow: Vec<Address>, token: &str| Config {
        token_file: field.path().join(token),
        allow,
        tls: field.tls(),
        server: None,
        stopwatch: field.stopwatch(),
        clock: Arc::new(|| NOW),
    };
    let listener = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let none = serve(listener().await, config(Vec::new(), "token")).await.unwrap_err();
    assert!(matches!(none, AgentError::Allow { found: 0 }));
    let allow = vec!["a:1".parse().unwrap()];
    let error = serve(listener().await, config(allow, "none")).await.unwrap_err().to_string();
    assert!(error.contains("none: cannot be read"), "{error}");
}
