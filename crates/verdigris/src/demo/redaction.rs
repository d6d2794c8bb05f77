//! What the pipeline writes over: words in texts that look like a test card's number, a token or an e-mail address, as a
//! collector's redaction processor does by patterns. The shop has none of them.

use super::fault::spans_mut;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;

/// What is written over a secret.
const MASK: &str = "****";
/// Letters and digits of a token at least: longer than any id of the shop.
const TOKEN: usize = 40;

/// Writes over every secret.
pub fn mask(batch: &mut ExportTraceServiceRequest) {
    each_text(batch, |text| {
        if let Some(masked) = masked(text) {
            *text = masked;
        }
    });
}

/// How many texts have one.
pub fn secrets(batch: &mut ExportTraceServiceRequest) -> u64 {
    let mut texts = 0;
    each_text(batch, |text| texts += u64::from(masked(text).is_some()));
    texts
}

fn each_text(batch: &mut ExportTraceServiceRequest, mut each: impl FnMut(&mut String)) {
    for span in batch.resource_spans.iter_mut().flat_map(spans_mut) {
        let Span { name, attributes, events, status, .. } = span;
        each(name);
        status.iter_mut().for_each(|status| each(&mut status.message));
        let of_events = events.iter_mut().flat_map(|event| &mut event.attributes);
        attributes.iter_mut().chain(of_events).for_each(|attribute| string(attribute, &mut each));
    }
}

fn string(attribute: &mut KeyValue, each: &mut impl FnMut(&mut String)) {
    if let Some(Value::StringValue(text)) = attribute.value.as_mut().and_then(|value| value.value.as_mut()) {
        each(text);
    }
}

/// The text with its secrets written over; `None` if it has none.
fn masked(text: &str) -> Option<String> {
    let ends_word = |c: char| !(c.is_ascii_alphanumeric() || "@%.".contains(c));
    let words = text.split_inclusive(ends_word).map(|word| {
        let (word, end) = word.split_at(word.trim_end_matches(ends_word).len());
        (if is_secret(word) { MASK } else { word }, end)
    });
    let masked: String = words.flat_map(|(word, end)| [word, end]).collect();
    (masked != text).then_some(masked)
}

fn is_secret(word: &str) -> bool {
    let is_card = word.len() == 16 && word.starts_with("4000") && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_token = word.len() >= TOKEN && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_email = word.contains('.') && (word.contains('@') || word.contains("%40"));
    is_card || is_token || is_email
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_written_over_and_nothing_else_is() {
        let token = "0123456789abcdef0123456789abcdef0123456789abcdef";
        for (text, expected) in [
            ("4000001234567899".to_owned(), Some("****".to_owned())),
            (format!("Bearer {token}"), Some("Bearer ****".to_owned())),
            ("of a.b@example.com, and c".to_owned(), Some("of ****, and c".to_owned())),
            ("?card=4000001234567899&to=a%40example.com".to_owned(), Some("?card=****&to=****".to_owned())),
            ("GET /users/{id}".to_owned(), None),
            ("payment.shop.svc.cluster.local".to_owned(), None),
            ("4111111111111111 0123456789abcdef 100%".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(masked(&text), expected, "{text}");
        }
    }
}
