use super::*;
use proptest::prelude::*;

fn tcp(name: &str) -> Call {
    let to = Target::Tcp { host: "db.example".to_owned(), port: 5432 };
    Call { name: name.to_owned(), to, repetitions: 30, timeout_ms: 1_000 }
}

/// `expect` is a part of what is said of the call; empty if it is fine.
fn check(call: Call, expect: &str) {
    let said = Calls::new(vec![call]).map_or_else(|error| error.to_string(), |_| String::new());
    assert!(said.contains(expect) && said.is_empty() == expect.is_empty(), "{said}");
}

fn http(url: &str) -> Call {
    let to = Target::Http { method: Method::Get, url: url.to_owned(), status: 200, headers: vec!["etag".to_owned()] };
    Call { to, ..tcp("http") }
}

#[test]
fn calls_are_within_their_bounds() {
    check(tcp("db"), "");
    check(tcp(""), "expected 1 to 128 printable");
    check(Call { repetitions: 0, ..tcp("db") }, "repetitions is 0");
    check(Call { repetitions: 101, ..tcp("db") }, "repetitions is 101");
    check(Call { timeout_ms: 10_001, ..tcp("db") }, "timeoutMs is 10001");
    check(Call { to: Target::Tcp { host: "a b".to_owned(), port: 1 }, ..tcp("db") }, "is no address");
    check(Call { to: Target::Tcp { host: "a".to_owned(), port: 0 }, ..tcp("db") }, "a port from 1");
    check(http("https://api.example/v1?x=1"), "");
    check(http("ftp://api.example/"), "expected http:// or https://");
    check(http("/v1"), "expected http");
    let bad = Target::Http { method: Method::Get, url: "http://a".to_owned(), status: 99, headers: Vec::new() };
    check(Call { to: bad, ..tcp("http") }, "status is 99");
    assert!(Calls::new(Vec::new()).is_err());
    assert!(Calls::new(vec![tcp("db"), tcp("db")]).unwrap_err().to_string().contains("another call's too"));
    let many = (0..=MAX_CALLS).map(|index| tcp(&index.to_string())).collect();
    assert!(Calls::new(many).is_err());
}

/// A password in a URL is refused, and not repeated.
#[test]
fn a_user_in_a_url_is_a_secret() {
    let said = Calls::new(vec![http("https://me:hunter2@api.example/?t=hunter2")]).unwrap_err().to_string();
    assert!(said.contains("a URL with a user") && !said.contains("hunter2"), "{said}");
}

#[test]
fn what_is_asked_is_read_again() {
    let grpc = Target::GrpcHealth { url: "http://[::1]:50051".to_owned(), service: String::new() };
    let tls = Target::Tls { host: "a".to_owned(), port: 443, server_name: None, min_validity_ms: 1 };
    let dns = Target::Dns { name: "a.example.".to_owned(), records: Records::Aaaa };
    let to = |name: &str, to: &Target| Call { to: to.clone(), ..tcp(name) };
    let calls = vec![http("http://a/"), tcp("t"), to("g", &grpc), to("s", &tls), to("d", &dns)];
    let calls = Calls::new(calls).unwrap();
    assert_eq!(Calls::read(calls.to_json().as_bytes()).unwrap(), calls);
    let addresses: Vec<String> = calls.iter().map(|call| call.address().unwrap().to_string()).collect();
    assert_eq!(addresses, ["a:80", "db.example:5432", "[::1]:50051", "a:443", "a.example:53"]);
    assert!(Calls::read(&vec![b' '; MAX_CALLS_BYTES + 1]).unwrap_err().to_string().contains("more than 64 KiB"));
    assert!(Calls::read(br#"{"calls":[],"more":1}"#).is_err());
}

#[test]
fn outcomes_tell_only_of_what_was_asked() {
    let calls = Calls::new(vec![Call { repetitions: 1, ..tcp("db") }]).unwrap();
    let read = |json: &str| Outcomes::read(json.as_bytes(), &calls);
    let one = r#"{"from":"controller","attempts":{"db":[{"tookUs":5,"failed":{"why":"connect","words":"a\u0000b"}}]}}"#;
    let outcomes = read(one).unwrap();
    assert_eq!(outcomes.from, Origin::Agent, "an agent cannot say that it is something else");
    assert_eq!(outcomes.attempts["db"][0].failed.as_ref().unwrap().words, "a\u{fffd}b");
    assert!(read(&one.replace("\"db\"", "\"other\"")).unwrap_err().to_string().contains("not asked for"));
    let twice = r#"{"from":"agent","attempts":{"db":[{"tookUs":5},{"tookUs":5}]}}"#;
    assert!(read(twice).unwrap_err().to_string().contains("2 attempts"));
}

#[test]
fn addresses_are_of_one_form() {
    let of = |text: &str| text.parse::<Address>().map(|address| address.to_string());
    assert_eq!(of("API.Example.:443").unwrap(), "api.example:443");
    assert_eq!(of("[::1]:80").unwrap(), "[::1]:80");
    for bad in ["", "a", "a:", "a:0", "a:65536", "::1:80", "a b:1", "[a]b:1", "*:80"] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused_in_words(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9]{0,80}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            if let Err(error) = Calls::read(bytes) {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
    }
}
