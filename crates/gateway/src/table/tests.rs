use super::*;
use model::{BasisPoints, ClientTls, Compression, Pins, RouteKey};

fn table(generation: u64, blue: &str, green: &str) -> Arc<RouteTable> {
    let upstream = |endpoint: &str, tap: &str| Upstream {
        backend: Some("http://127.0.0.1:3".to_owned()),
        ..Upstream::plain(endpoint, Protocol::Grpc, tap)
    };
    Arc::new(RouteTable {
        generation,
        active: Environment::Blue,
        weight: BasisPoints::ZERO,
        mirror: false,
        pins: Pins::Keep,
        pin_ms: 60_000,
        key: RouteKey([0; 16]),
        upstreams: PerEnvironment { blue: Some(upstream(blue, "b")), green: Some(upstream(green, "g")) },
        proofs: None,
        redaction: None,
        testers: None,
        proof: None,
    })
}

#[tokio::test]
async fn clients_of_unchanged_endpoints_are_kept() {
    let taps = BTreeSet::from(["b", "g"].map(str::to_owned));
    let limits = Limits { pin_slots: 16, ..Limits::default() };
    let redacting = Redacting::new(redact::Key([0; 32]));
    let install =
        |before: Option<&Snapshot>, table| snapshot(before, table, &taps, (&limits, &redacting)).expect("a good table");
    let first = install(None, table(1, "http://127.0.0.1:1", "http://127.0.0.1:2"));
    let second = install(Some(&first), table(2, "http://127.0.0.1:1", "http://127.0.0.1:4"));
    fn same<T>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => panic!("both are there"),
        }
    }
    assert!(same(&first.upstreams.blue, &second.upstreams.blue));
    assert!(!same(&first.upstreams.green, &second.upstreams.green));
    assert!(same(&first.backends.green, &second.backends.green));
    let mut packed = Arc::unwrap_or_clone(table(3, "http://127.0.0.1:1", "http://127.0.0.1:4"));
    packed.upstreams.blue.as_mut().expect("it is there").transport.compression = Compression::Zstd;
    let third = install(Some(&second), Arc::new(packed));
    assert!(!same(&second.upstreams.blue, &third.upstreams.blue), "another transport is another client");
    assert!(same(&second.upstreams.green, &third.upstreams.green));
    let refused =
        snapshot(Some(&second), table(2, "http://127.0.0.1:1", "http://127.0.0.1:2"), &taps, (&limits, &redacting));
    assert_eq!(refused.err(), Some(TableError::NotNewer { applied: 2, found: 2 }));
}

#[test]
fn endpoints_are_checked() {
    let check = |endpoint: &str| {
        let mut upstream = table(1, endpoint, "").upstreams.blue.clone().expect("it is there");
        upstream.backend = None;
        check_upstream(&upstream).map_err(|error| error.to_string())
    };
    for good in [
        "http://127.0.0.1:4317",
        "http://collector:4317/",
        "http://[::1]:4317",
        "https://collector:4317",
        "https://[::1]:1",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for (bad, expected) in [
        ("", "is no URL"),
        ("collector:4317", "neither an http:// nor an https:// URL"),
        ("ftp://collector:4317", "neither an http:// nor an https:// URL"),
        ("https://collector", "names no port"),
        ("http://collector", "names no port"),
        ("http://collector:x", "names no port"),
        ("http://collector:4317/v1/traces", "more than host and port"),
        ("http://collector:4317?x", "more than host and port"),
        ("http://me:secret@collector:4317", "more than host and port"),
        ("http://collector:99999", ""),
    ] {
        let error = check(bad).expect_err(bad);
        assert!(error.contains(expected) && error.contains("http://host:port"), "{bad}: {error}");
    }
}

#[test]
fn tls_settings_need_https_and_a_name() {
    let check = |endpoint: &str, server_name: &str, on_backend: bool| {
        let mut upstream = table(1, "http://127.0.0.1:1", "").upstreams.blue.clone().expect("it is there");
        let tls = ClientTls { server_name: Some(server_name.to_owned()), ..ClientTls::default() };
        let transport = Transport { tls, compression: Compression::None };
        if on_backend {
            (upstream.backend, upstream.backend_transport) = (Some(endpoint.to_owned()), transport);
        } else {
            (upstream.endpoint, upstream.transport) = (endpoint.to_owned(), transport);
        }
        check_upstream(&upstream).map_err(|error| error.to_string())
    };
    for on_backend in [false, true] {
        assert_eq!(check("https://10.0.0.1:4317", "collector.example", on_backend), Ok(()));
        let error = check("http://10.0.0.1:4317", "collector.example", on_backend).expect_err("clear text");
        assert!(error.contains("not an https:// URL"), "{error}");
        let error = check("https://10.0.0.1:4317", "not a name", on_backend).expect_err("no name");
        assert!(error.contains("\"not a name\" is neither a DNS name"), "{error}");
    }
}
