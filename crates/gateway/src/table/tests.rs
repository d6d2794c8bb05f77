use super::*;
use model::{BasisPoints, Pins, RouteKey};

fn table(generation: u64, blue: &str, green: &str) -> Arc<RouteTable> {
    let upstream = |endpoint: &str, tap: &str| Upstream {
        endpoint: endpoint.to_owned(),
        protocol: Protocol::Grpc,
        tap: tap.to_owned(),
        backend: Some("http://127.0.0.1:3".to_owned()),
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
    })
}

#[tokio::test]
async fn clients_of_unchanged_endpoints_are_kept() {
    let taps = BTreeSet::from(["b", "g"].map(str::to_owned));
    let limits = Limits { pin_slots: 16, ..Limits::default() };
    let install = |before: Option<&Snapshot>, table| snapshot(before, table, &taps, &limits).expect("a good table");
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
    let refused = snapshot(Some(&second), table(2, "http://127.0.0.1:1", "http://127.0.0.1:2"), &taps, &limits);
    assert_eq!(refused.err(), Some(TableError::NotNewer { applied: 2, found: 2 }));
}

#[test]
fn endpoints_are_checked() {
    let check = |endpoint: &str| {
        let mut upstream = table(1, endpoint, "").upstreams.blue.clone().expect("it is there");
        upstream.backend = None;
        check_upstream(&upstream).map_err(|error| error.to_string())
    };
    for good in ["http://127.0.0.1:4317", "http://collector:4317/", "http://[::1]:4317"] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for (bad, expected) in [
        ("", "is no URL"),
        ("collector:4317", "not an http:// URL"),
        ("https://collector:4317", "TLS is not supported"),
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
