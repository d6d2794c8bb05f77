use super::*;
use model::{ClientTls, Compression};

fn target(endpoint: &str) -> Target {
    Target { endpoint: endpoint.into(), protocol: Protocol::Grpc, transport: Transport::default(), headers: Vec::new() }
}

/// Asks for these, where a plan names two, and gives what is refused.
fn check(blue: Option<&str>, green: Option<&str>, refused: Option<&str>) {
    let asked = PerEnvironment { blue: blue.map(target), green: green.map(target) };
    let found = Targets::new(&["http://blue:4317", "https://Green.example:4317/"], asked);
    let words = found.err().map(|error| error.to_string());
    match (&words, refused) {
        (None, None) => {}
        (Some(words), Some(refused)) if words.contains(refused) => {}
        _ => panic!("{words:?}, expected {refused:?}"),
    }
}

#[test]
fn only_what_the_plan_names_is_sent_to() {
    check(Some("http://blue:4317"), Some("https://green.example:4317"), None);
    check(None, Some("https://green.example:4317"), None);
    let refused = "http://production:4317 is not named by the plan";
    check(Some("http://blue:4317"), Some("http://production:4317"), Some(refused));
    // The same host is not the same endpoint.
    check(Some("http://blue:4318"), None, Some("not named"));
    check(Some("https://blue:4317"), None, Some("not named"));
    check(Some("http://127.0.0.1:4317"), None, Some("not named"));
    check(Some("http://blue:4317"), Some("http://blue:4317"), Some("blue and green are both"));
    check(None, None, Some("nowhere to send to"));
    for odd in ["blue:4317", "http://blue", "http://blue:4317/v1/traces", "ftp://blue:4317", "http://blue:4317?x"] {
        check(Some(odd), None, Some("is no endpoint"));
    }
    check(Some("http://user:secret@blue:4317"), None, Some("\"blue:4317\" is no endpoint"));
}

#[test]
fn headers_and_tls_are_checked_and_values_are_not_shown() {
    let with = |headers: Vec<(String, String)>| {
        let asked = Target { headers, ..target("http://blue:4317") };
        Targets::new(&["http://blue:4317"], PerEnvironment { blue: Some(asked), green: None })
    };
    let good = with(vec![("authorization".into(), "Bearer secret".into())]).unwrap();
    assert!(!format!("{good:?}").contains("secret"), "{good:?}");
    let refused = with(vec![("a".into(), "b".into()), ("token".into(), "sec\nret".into())]).unwrap_err().to_string();
    assert!(refused.contains("header 2 of http://blue:4317") && !refused.contains("sec"), "{refused}");
    assert!(with(vec![("a".into(), "b".into()); 33]).is_err());
    let tls = ClientTls { ca: Some("/ca.pem".into()), ..ClientTls::default() };
    let asked = Target { transport: Transport { tls, compression: Compression::None }, ..target("http://blue:4317") };
    let refused = Targets::new(&["http://blue:4317"], PerEnvironment { blue: Some(asked), green: None });
    assert!(matches!(refused, Err(TargetsError::NotHttps { .. })));
}
