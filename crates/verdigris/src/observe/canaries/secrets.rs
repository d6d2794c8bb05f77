//! The secrets of a canary, and the trace that has them.
//!
//! Everything is made from the trace id and the rollout's key, so that whoever knows these can make it again: what comes
//! out is searched for it without anything having been kept.

use model::{CanarySite, RouteKey, Secret, SecretKind, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// `service.name` of every canary: by it a back end's users can leave them out.
pub(super) const SERVICE: &str = "verdigris-canary";
/// The attribute of every canary's resource and spans that says what it is.
pub(super) const SYNTHETIC: &str = "verdigris.synthetic";
/// Spans of a canary.
pub(super) const SPANS: usize = 2;

/// The first six digits of every card number: those of the test cards of payment services (Stripe, *Testing*, "Declined
/// payments"), in the range of a network, so that detectors which know the networks' ranges see a card.
const TEST_RANGE: &str = "400000";
/// W3C Trace Context's `sampled`.
const SAMPLED: u32 = 1;
/// Bits of ids are numbered behind those of the secrets, of which each has three words at most.
const FIRST_ID: u8 = 64;

const _: () = assert!(Secret::ALL.len() * 3 <= FIRST_ID as usize, "the bits of secrets and ids are different ones");

/// The secrets of one canary.
pub(super) struct Secrets {
    key: RouteKey,
    trace: TraceId,
}

impl Secrets {
    pub(super) fn of(key: RouteKey, trace: TraceId) -> Secrets {
        Secrets { key, trace }
    }

    /// All of them, in lower case as they are planted.
    pub(super) fn values(&self) -> [(Secret, String); Secret::ALL.len()] {
        Secret::ALL.map(|secret| (secret, self.value(secret)))
    }

    fn value(&self, wanted: Secret) -> String {
        let number = Secret::ALL.iter().position(|secret| *secret == wanted).expect("a canary has them all");
        let bits = |word: usize| {
            let number = u8::try_from(number * 3 + word).expect("it is below FIRST_ID");
            self.key.canary_bits(self.trace, number)
        };
        match wanted.kind {
            SecretKind::CardNumber => with_check_digit(format!("{TEST_RANGE}{:09}", bits(0) % 1_000_000_000)),
            // As long as a SHA-1 with a prefix: what detectors of tokens take for one.
            SecretKind::BearerToken => format!("{:016x}{:016x}{:016x}", bits(0), bits(1), bits(2)),
            SecretKind::Email => format!("canary.{:016x}@example.com", bits(0)),
        }
    }

    fn span_id(&self, number: usize) -> SpanId {
        let number = FIRST_ID + u8::try_from(number).expect("a canary has few spans");
        SpanId(self.key.canary_bits(self.trace, number).to_be_bytes())
    }

    /// An `ExportTraceServiceRequest` of the whole canary: a request to a shop and the payment within it. No span is an
    /// error, so that nobody's alerts count one.
    pub(super) fn request(&self, now_us: u64) -> Vec<u8> {
        let text = |kind: SecretKind, planted_in: CanarySite| self.value(Secret { kind, planted_in });
        let all = |site: CanarySite| {
            [SecretKind::CardNumber, SecretKind::BearerToken, SecretKind::Email].map(|kind| text(kind, site))
        };
        let ns = |us: u64| now_us.saturating_sub(us).saturating_mul(1_000);
        let [card, token, email] = all(CanarySite::Url);
        let url = format!(
            "https://shop.example.com/pay?card={card}&access_token={token}&email={}",
            email.replace('@', "%40")
        );
        let root = Span {
            name: format!("GET /users/{}", text(SecretKind::Email, CanarySite::Name)),
            kind: SpanKind::Server.into(),
            attributes: vec![string("url.full", url)],
            ..self.span(0, None, (ns(3_000), ns(0)))
        };
        let [card, token, email] = all(CanarySite::TellingKey);
        let told = all(CanarySite::Event);
        let event = Event {
            time_unix_nano: ns(1_500),
            name: "charge".to_owned(),
            attributes: vec![string("message", sentence("charging", &told))],
            ..Event::default()
        };
        let payment = Span {
            name: "charge".to_owned(),
            kind: SpanKind::Client.into(),
            attributes: vec![
                string("payment.card.number", card),
                string("http.request.header.authorization", format!("Bearer {token}")),
                string("user.email", email),
            ],
            events: vec![event],
            status: Some(Status { message: sentence("charged", &all(CanarySite::Status)), code: 0 }),
            ..self.span(1, Some(0), (ns(2_000), ns(1_000)))
        };
        request(vec![root, payment]).encode_to_vec()
    }

    fn span(&self, number: usize, parent: Option<usize>, (start, end): (u64, u64)) -> Span {
        Span {
            trace_id: self.trace.0.to_vec(),
            span_id: self.span_id(number).0.to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| self.span_id(parent).0.to_vec()),
            flags: SAMPLED,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..Span::default()
        }
    }
}

fn sentence(verb: &str, [card, token, email]: &[String; 3]) -> String {
    format!("{verb} card {card} of {email} with Bearer {token} done")
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let synthetic = || KeyValue { value: Some(AnyValue { value: Some(Value::BoolValue(true)) }), ..key(SYNTHETIC) };
    let marked = |span: Span| Span { attributes: [span.attributes, vec![synthetic()]].concat(), ..span };
    let resource =
        Resource { attributes: vec![string("service.name", SERVICE.to_owned()), synthetic()], ..Resource::default() };
    let scope = InstrumentationScope { name: "verdigris".to_owned(), ..InstrumentationScope::default() };
    let spans = spans.into_iter().map(marked).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn string(name: &str, value: String) -> KeyValue {
    KeyValue { value: Some(AnyValue { value: Some(Value::StringValue(value)) }), ..key(name) }
}

fn key(name: &str) -> KeyValue {
    KeyValue { key: name.to_owned(), ..KeyValue::default() }
}

/// A number with the digit that makes it pass Luhn's check.
fn with_check_digit(digits: String) -> String {
    let last = (0..10).map(|digit| format!("{digits}{digit}")).find(|number| passes_luhn(number));
    last.expect("one digit of ten makes the sum a multiple of ten")
}

/// Whether a number passes Luhn's check (ISO/IEC 7812-1, annex B): from the right every second digit counts twice, its own
/// digits summed.
pub(super) fn passes_luhn(number: &str) -> bool {
    let digits = number.bytes().rev().map(|byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    let weighted = digits.enumerate().map(|(place, digit)| match (place % 2, digit?) {
        (0, digit) => Some(digit),
        (_, digit) => Some(digit * 2 / 10 + digit * 2 % 10),
    });
    weighted.sum::<Option<u64>>().is_some_and(|sum| sum % 10 == 0)
}
