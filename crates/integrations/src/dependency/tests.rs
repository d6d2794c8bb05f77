use super::*;
use crate::window::tests::{int, span, text};
use proptest::prelude::*;

/// Attributes as `key=value`, numbers as `key:=value`; `expect` is who is called.
fn check(attributes: &[&str], expect: &str) {
    let values: Vec<(&str, Vec<u8>)> = attributes
        .iter()
        .map(|attribute| match attribute.split_once(":=") {
            Some((key, value)) => (key, int(value.parse().unwrap())),
            None => attribute.split_once('=').map(|(key, value)| (key, text(value))).unwrap(),
        })
        .collect();
    let mut attributes: Vec<(&str, &[u8])> = values.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    attributes.sort_unstable();
    let found = of_span(&SpanView { attributes: &attributes, ..span(CLIENT, 1, 1, 0) });
    assert_eq!(found.map_or(String::new(), |found| found.to_string()), expect);
}

#[test]
fn http_by_old_and_new_names() {
    let expect = "http scheduling.hospital.example";
    check(&["http.request.method=POST", "server.address=Scheduling.Hospital.Example", "server.port:=443"], expect);
    check(&["http.method=POST", "http.url=https://scheduling.hospital.example/fhir?patient=4711"], expect);
    check(&["http.method=POST", "http.host=scheduling.hospital.example:443"], expect);
    check(&["http.method=GET", "net.peer.name=scheduling.hospital.example", "net.peer.port:=443"], expect);
    check(
        &["http.method=GET", "net.peer.name=scheduling.hospital.example", "net.peer.port=8443"],
        "http scheduling.hospital.example:8443",
    );
    check(&["url.full=https://scheduling.hospital.example/"], expect);
    check(&["http.method=GET", "peer.service=scheduling"], "http scheduling");
    check(&["http.method=GET"], "");
}

#[test]
fn nothing_of_a_user_or_a_query_is_kept() {
    check(&["http.url=https://me:hunter2@api.example:8443/a?token=x#y"], "http api.example:8443");
    check(&["http.url=https://api.example?token=x"], "http api.example");
    check(&["http.method=GET", "server.address=https://me:hunter2@api.example/a"], "http api.example");
    check(&["db.system=mysql", "server.address=db", "db.name=shop?password=x"], "database mysql db/shop");
}

#[test]
fn private_addresses_are_one() {
    check(&["http.method=GET", "server.address=10.1.2.3", "server.port:=8080"], "http (private address):8080");
    check(&["http.method=GET", "server.address=10.1.2.3", "server.port:=41234"], "http (private address)");
    check(&["http.method=GET", "server.address=::ffff:192.168.0.1", "server.port:=80"], "http (private address)");
    check(&["http.method=GET", "server.address=[fd00::1]", "peer.service=cart"], "http cart");
    check(&["http.method=GET", "server.address=203.0.113.7"], "http 203.0.113.7");
    check(&["url.full=http://[2001:db8::1]:8080/"], "http [2001:db8::1]:8080");
}

#[test]
fn databases_brokers_and_calls() {
    check(
        &["db.system.name=postgresql", "server.address=db.example", "server.port:=5432", "db.namespace=shop"],
        "database postgresql db.example:5432/shop",
    );
    check(&["db.system=redis"], "database redis");
    check(
        &["messaging.system=kafka", "messaging.destination.name=orders", "server.address=k1"],
        "messaging kafka orders",
    );
    check(
        &["messaging.system=rabbitmq", "messaging.destination=amq.gen-1", "messaging.destination.temporary:=1"],
        "messaging rabbitmq (temporary)",
    );
    check(&["rpc.system=grpc", "rpc.service=hospital.Scheduling", "rpc.method=Book"], "rpc grpc hospital.Scheduling");
    check(&["rpc.system.name=grpc", "rpc.method=hospital.Scheduling/Book"], "rpc grpc hospital.Scheduling");
    check(&["peer.service=billing"], "peer billing");
    check(&["server.address=smtp.example", "server.port:=25"], "peer smtp.example:25");
}

#[test]
fn only_who_calls_has_a_dependency() {
    let value = text("a");
    let attributes = [("peer.service", value.as_slice())];
    for kind in [0, 1, 2, 5] {
        assert_eq!(of_span(&SpanView { attributes: &attributes, ..span(kind, 1, 1, 0) }), None);
    }
    assert!(of_span(&SpanView { attributes: &attributes, ..span(PRODUCER, 1, 1, 0) }).is_some());
}

const KEYS: [&str; 12] = [
    "db.name",
    "db.system",
    "http.host",
    "http.url",
    "messaging.destination",
    "messaging.system",
    "net.peer.name",
    "peer.service",
    "rpc.method",
    "rpc.service",
    "server.address",
    "url.full",
];

proptest! {
    /// Whatever is sent, a name is bounded, printable, and read again.
    #[test]
    fn names_are_bounded(values in prop::collection::vec("(://|@|:|/|\\?|\\[|\\]|[a-zé0-9 \\x00.]|.){0,300}", 12), chosen in any::<u16>()) {
        let values: Vec<Vec<u8>> = values.iter().map(|value| text(value)).collect();
        let attributes: Vec<(&str, &[u8])> = KEYS.iter().zip(&values).enumerate()
            .filter(|(index, _)| chosen & (1 << index) != 0)
            .map(|(_, (key, value))| (*key, value.as_slice()))
            .collect();
        if let Some(found) = of_span(&SpanView { attributes: &attributes, ..span(CLIENT, 1, 1, 0) }) {
            prop_assert!(found.name.len() <= MAX_NAME_BYTES && !found.name.contains(char::is_control));
            prop_assert_eq!(found.to_string().parse::<Dependency>().unwrap(), found);
        }
    }
}
