//! What traces are for stays: identifiers of every kind, wherever they stand.

use crate::dice::{BASE62, Dice};
use crate::{edit, redactor};

/// Of each kind.
const COUNT: u64 = 20_000;

/// At most one in a thousand of a kind is touched, in any of the places.
const MAX_TOUCHED: u64 = COUNT / 1_000;

type Make = fn(&mut Dice, u64) -> String;

/// Epochs lie within ten years from 2020 on.
const EPOCH_S: u64 = 1_577_836_800;
const TEN_YEARS_S: u64 = 315_360_000;

const KINDS: [(&str, Make); 18] = [
    ("hex of 16", |dice, _| format!("{:016x}", dice.next())),
    ("hex of 32", |dice, _| format!("{:016x}{:016x}", dice.next(), dice.next())),
    ("hex of 16, capitals", |dice, _| format!("{:016X}", dice.next())),
    ("traceparent", |dice, _| format!("00-{:016x}{:016x}-{:016x}-01", dice.next(), dice.next(), dice.next())),
    ("decimal of 64 bits", |dice, _| dice.next().to_string()),
    ("decimal of 63 bits", |dice, _| (dice.next() >> 1).to_string()),
    ("snowflake", |dice, number| (((41_000_000_000 + number * 977) << 22) | dice.below(1 << 22)).to_string()),
    ("snowflake of 2024", |dice, number| {
        (((450_000_000_000 + number * 97_777) << 22) | dice.below(1 << 22)).to_string()
    }),
    ("epoch s", |dice, _| (EPOCH_S + dice.below(TEN_YEARS_S)).to_string()),
    ("epoch ms", |dice, _| (EPOCH_S * 1_000 + dice.below(TEN_YEARS_S * 1_000)).to_string()),
    ("epoch us", |dice, _| (EPOCH_S * 1_000_000 + dice.below(TEN_YEARS_S * 1_000_000)).to_string()),
    ("epoch ns", |dice, _| (EPOCH_S * 1_000_000_000 + dice.below(TEN_YEARS_S * 1_000_000_000)).to_string()),
    ("UUID 4", |dice, _| uuid(dice.next(), dice.next(), 4)),
    ("UUID 7", |dice, number| uuid((1_700_000_000_000 + number) << 16 | dice.below(1 << 12), dice.next(), 7)),
    ("ULID", |dice, _| format!("01{}", dice.letters(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24))),
    ("sequential", |_, number| (1_000_000_000 + number).to_string()),
    ("sequential of 12 digits", |_, number| format!("{:012}", 600_000_000_000 + number)),
    ("base64", |dice, _| format!("{}{}==", dice.letters(BASE62, 11), dice.letters(b"+/abcXYZ0123456789", 11))),
];

fn uuid(high: u64, low: u64, version: u64) -> String {
    let (high, low) = (high & !0xf000 | version << 12, low & !(0b11 << 62) | 0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Key and text of the places where identifiers stand.
fn places(id: &str) -> [(Option<&'static str>, String); 8] {
    [
        (None, id.to_owned()),
        (Some("app.field"), id.to_owned()),
        (Some("order.id"), id.to_owned()),
        (Some("app.access.token"), id.to_owned()),
        (Some("log.body"), format!("handled {id} in 3 ms")),
        (Some("url.full"), format!("https://shop.example.com/orders/{id}/items?after={id}")),
        (Some("http.request.body"), format!(r#"{{"id":"{id}","next":{{"ref": "{id}"}}}}"#)),
        (Some("baggage"), format!("request={id},tenant=7")),
    ]
}

#[test]
fn identifiers_stay() {
    let redactor = redactor();
    let mut report = String::new();
    let mut worst = 0;
    for (seed, (kind, make)) in (1..).zip(KINDS) {
        let mut dice = Dice(seed);
        let mut touched = [0; 8];
        for number in 0..COUNT {
            let id = make(&mut dice, number);
            for (count, (key, text)) in touched.iter_mut().zip(places(&id)) {
                // A base64 text under the name of a token is no identifier.
                let is_token = key == Some("app.access.token") && matches!(kind, "base64" | "ULID" | "traceparent");
                *count += u64::from(!is_token && edit(&redactor, key, &text).is_some());
            }
        }
        report += &format!("{kind:<24} {touched:?} of {COUNT}\n");
        worst = worst.max(touched.into_iter().max().unwrap_or_default());
    }
    println!("touched: bare, app.field, order.id, token, sentence, URL, JSON, baggage\n{report}");
    assert!(worst <= MAX_TOUCHED, "more than {MAX_TOUCHED} of {COUNT}:\n{report}");
}

#[test]
fn trace_and_span_ids_stay() {
    let redactor = redactor();
    let mut dice = Dice(99);
    for _ in 0..10 * COUNT {
        let (trace, span) = (format!("{:016x}{:016x}", dice.next(), dice.next()), format!("{:016x}", dice.next()));
        for (key, id) in [("trace_id", &trace), ("span_id", &span), ("dd.span_id", &span), ("auth.token", &trace)] {
            assert_eq!(edit(&redactor, Some(key), id), None, "{key} {id}");
        }
        assert_eq!(edit(&redactor, None, &format!("00-{trace}-{span}-01")), None);
        assert_eq!(edit(&redactor, None, &format!("trace_id={trace} span_id={span}")), None);
        // As decimal numbers, which Datadog writes.
        let number = dice.next().to_string();
        assert_eq!(edit(&redactor, Some("dd.trace_id"), &number), None, "{number}");
    }
}
