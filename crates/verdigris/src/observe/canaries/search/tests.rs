use super::*;
use crate::observe::canaries::secrets::{SERVICE, passes_luhn};
use model::CanarySite;
use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use proptest::prelude::*;
use std::collections::BTreeSet;

const KEY: RouteKey = RouteKey([5; 16]);

fn trace() -> TraceId {
    KEY.canary([1; 8])
}

fn values() -> Vec<(Secret, String)> {
    Secrets::of(KEY, trace()).values().into()
}

fn whole() -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&Secrets::of(KEY, trace()).request(1_700_000_000_000_000)[..]).unwrap()
}

/// The canary without its texts: nothing of it is secret.
fn bare() -> ExportTraceServiceRequest {
    let mut request = whole();
    let resource_spans = &mut request.resource_spans[0];
    for span in &mut resource_spans.scope_spans[0].spans {
        (span.name, span.attributes, span.events, span.status) = (String::new(), vec![], vec![], None);
    }
    request
}

fn found(request: &ExportTraceServiceRequest) -> BTreeSet<(Secret, CanaryPlace)> {
    let leaks = leaks(KEY, trace(), &request.encode_to_vec());
    let found: BTreeSet<_> = leaks.iter().map(|leak| (leak.secret, leak.came_out_in.clone())).collect();
    assert_eq!(found.len(), leaks.len(), "each once: {leaks:?}");
    found
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Ways in which a text comes out that everybody can read.
fn readable(secret: Secret, value: &str) -> Vec<String> {
    let grouped = |by: &str| {
        let digits: Vec<&str> = (0..4).map(|group| &value[4 * group..4 * group + 4]).collect();
        digits.join(by)
    };
    let encoded = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let mut forms = vec![
        value.to_owned(),
        value.to_ascii_uppercase(),
        format!("it is {value}, see there"),
        encoded(value),
        encoded(value).to_ascii_uppercase(),
        value.replace('@', "%2540"),
        format!("100%{value}"),
    ];
    if secret.kind == SecretKind::CardNumber {
        forms.extend([grouped(" "), grouped("-"), grouped("."), grouped("%20")]);
    }
    forms
}

/// Ways in which it does not.
fn masked(value: &str) -> Vec<String> {
    let (half, last) = value.split_at(value.len() / 2);
    let tail = &value[value.len() - 4..];
    vec![
        String::new(),
        "****".to_owned(),
        format!("************{tail}"),
        format!("{half}{}", "*".repeat(last.len())),
        value.chars().rev().collect(),
        format!("{}x{last}", half),
        format!("{:x}", value.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))),
    ]
}

/// Puts a text somewhere into the canary, and says where that is.
fn put(request: &mut ExportTraceServiceRequest, place: usize, text: String) -> CanaryPlace {
    let string = |text: String| Value::StringValue(text);
    let key = || "k".to_owned();
    let resource_spans = &mut request.resource_spans[0];
    let ([scope_spans], resource) = (&mut resource_spans.scope_spans[..], &mut resource_spans.resource) else {
        panic!("one scope")
    };
    let span = &mut scope_spans.spans[1];
    let nested = |value| Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] });
    let listed = |key: &str, value| Value::KvlistValue(KeyValueList { values: vec![attribute(key, value)] });
    match place {
        0 => span.attributes.push(attribute("k", string(text))),
        1 => span.attributes.push(attribute("k", Value::BytesValue(text.into_bytes()))),
        2 => span.attributes.push(attribute("k", nested(listed("inner", nested(string(text)))))),
        3 => {
            span.attributes.push(attribute(&text, Value::BoolValue(true)));
            return CanaryPlace::Key;
        }
        4 => {
            span.attributes.push(attribute("k", listed(&text, Value::BoolValue(true))));
            return CanaryPlace::Key;
        }
        5 => {
            span.events.push(Event { attributes: vec![attribute("k", string(text))], ..Event::default() });
            return CanaryPlace::EventAttribute { key: key() };
        }
        6 => {
            span.events.push(Event { name: text, ..Event::default() });
            return CanaryPlace::EventName;
        }
        7 => {
            span.links.push(Link { attributes: vec![attribute("k", string(text))], ..Link::default() });
            return CanaryPlace::LinkAttribute { key: key() };
        }
        8 => {
            span.links.push(Link { trace_state: text, ..Link::default() });
            return CanaryPlace::TraceState;
        }
        9 => {
            span.status = Some(Status { message: text, code: 2 });
            return CanaryPlace::Status;
        }
        10 => {
            span.name = text;
            return CanaryPlace::Name;
        }
        11 => {
            resource.get_or_insert_default().attributes.push(attribute("k", string(text)));
            return CanaryPlace::ResourceAttribute { key: key() };
        }
        _ => {
            scope_spans.scope.get_or_insert_default().attributes.push(attribute("k", string(text)));
            return CanaryPlace::Scope;
        }
    }
    CanaryPlace::Attribute { key: key() }
}

const PLACES: usize = 13;

#[test]
fn a_canary_has_each_secret_where_it_says() {
    let attribute = |key: &str| CanaryPlace::Attribute { key: key.to_owned() };
    let place = |secret: Secret| match (secret.planted_in, secret.kind) {
        (CanarySite::TellingKey, SecretKind::CardNumber) => attribute("payment.card.number"),
        (CanarySite::TellingKey, SecretKind::BearerToken) => attribute("http.request.header.authorization"),
        (CanarySite::TellingKey, SecretKind::Email) => attribute("user.email"),
        (CanarySite::Url, _) => attribute("url.full"),
        (CanarySite::Event, _) => CanaryPlace::EventAttribute { key: "message".to_owned() },
        (CanarySite::Status, _) => CanaryPlace::Status,
        (CanarySite::Name, _) => CanaryPlace::Name,
    };
    assert_eq!(found(&whole()), Secret::ALL.map(|secret| (secret, place(secret))).into());
    assert_eq!(found(&bare()), BTreeSet::new());
    let cards = values().into_iter().filter(|(secret, _)| secret.kind == SecretKind::CardNumber);
    assert!(cards.clone().all(|(_, card)| card.len() == 16 && card.starts_with("400000") && passes_luhn(&card)));
    assert_eq!(cards.map(|(_, card)| card).collect::<BTreeSet<_>>().len(), 4, "each site has its own");
    for (number, passes) in [("4242424242424242", true), ("4242424242424241", false), ("79927398713", true)] {
        assert_eq!(passes_luhn(number), passes, "{number}");
    }
}

#[test]
fn every_span_and_the_resource_say_that_it_is_synthetic() {
    let request = whole();
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert!(resource.attributes.contains(&attribute("service.name", Value::StringValue(SERVICE.to_owned()))));
    let synthetic = attribute("verdigris.synthetic", Value::BoolValue(true));
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    assert!(resource.attributes.contains(&synthetic) && spans.iter().all(|span| span.attributes.contains(&synthetic)));
    assert!(spans.iter().all(|span| span.status.as_ref().is_none_or(|status| status.code == 0)), "no errors");
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
}

#[test]
fn a_card_that_became_a_number_is_found() {
    let (secret, card) = values().into_iter().find(|(secret, _)| secret.kind == SecretKind::CardNumber).unwrap();
    for number in [Value::IntValue(card.parse().unwrap()), Value::DoubleValue(card.parse().unwrap())] {
        let mut request = bare();
        request.resource_spans[0].scope_spans[0].spans[0].attributes.push(attribute("card", number));
        assert_eq!(found(&request), [(secret, CanaryPlace::Attribute { key: "card".to_owned() })].into());
    }
}

#[test]
fn what_others_have_in_the_same_message_is_not_searched() {
    let mut request = bare();
    let (secret, value) = values().remove(0);
    let mut other = request.resource_spans[0].clone();
    for span in &mut other.scope_spans[0].spans {
        span.trace_id = vec![9; 16];
        span.name.clone_from(&value);
    }
    request.resource_spans.push(other);
    assert_eq!(found(&request), BTreeSet::new());
    request.resource_spans[0].scope_spans[0].spans[0].name = value;
    assert_eq!(found(&request), [(secret, CanaryPlace::Name)].into());
}

#[test]
fn a_message_that_cannot_be_decoded_is_searched_as_it_is() {
    let mut request = bare();
    let (secret, value) = values().remove(0);
    request.resource_spans[0].scope_spans[0].spans[0].name = format!("{value}#");
    let mut bytes = request.encode_to_vec();
    let place = bytes.iter().position(|byte| *byte == b'#').unwrap();
    bytes[place] = 0xff;
    assert_eq!(leaks(KEY, trace(), &bytes), [Leak { secret, came_out_in: CanaryPlace::Unreadable }]);
    assert_eq!(leaks(KEY, trace(), b"\xff\xff\xff"), []);
}

#[test]
fn a_key_is_cut_to_what_a_record_holds() {
    let (_, value) = values().remove(0);
    let mut request = bare();
    request.resource_spans[0].scope_spans[0].spans[0]
        .attributes
        .push(attribute(&"ä".repeat(500), Value::StringValue(value)));
    let place = found(&request).into_iter().next().map(|(_, place)| place);
    assert_eq!(place, Some(CanaryPlace::Attribute { key: "ä".repeat(MAX_CANARY_KEY_CHARACTERS) }));
}

proptest! {
    #[test]
    fn what_is_readable_is_found_wherever_it_stands_and_what_is_masked_is_not(
        which in 0..Secret::ALL.len(),
        place in 0..PLACES,
        form in 0..20usize,
        around in "[a-z /&=%@]{0,12}",
    ) {
        let (secret, value) = values().swap_remove(which);
        let forms = readable(secret, &value);
        let mut request = bare();
        let expected = put(&mut request, place, format!("{around} {} {around}", forms[form % forms.len()]));
        prop_assert_eq!(found(&request), [(secret, expected)].into());

        let forms = masked(&value);
        let mut request = bare();
        put(&mut request, place, format!("{around} {} {around}", forms[form % forms.len()]));
        prop_assert_eq!(found(&request), BTreeSet::new());
    }

    #[test]
    fn any_canary_is_found_whole_by_its_own_secrets_alone(key: [u8; 16], one: [u8; 8], other: [u8; 8]) {
        prop_assume!(one != other);
        let key = RouteKey(key);
        let (one, other) = (key.canary(one), key.canary(other));
        let message = Secrets::of(key, one).request(0);
        prop_assert_eq!(leaks(key, one, &message).len(), Secret::ALL.len());
        prop_assert_eq!(leaks(key, other, &message), []);
    }

    #[test]
    fn any_bytes_can_be_searched(bytes: Vec<u8>) {
        leaks(KEY, trace(), &bytes);
    }
}
