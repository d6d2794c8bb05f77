//! Redaction of any text, and of any message: twice is once, what is edited is still a message, and ids stay.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::{Signal, edit_texts};
use prost::Message;
use redact::{Action, Class, Counts, Key, Policy, Redactor};

/// Keys whose words say something.
const KEYS: [Option<&str>; 6] =
    [None, Some("card"), Some("order.id"), Some("db.password"), Some("authorization"), Some("baggage")];

/// The target.
pub(crate) fn run(bytes: &[u8]) {
    let policy = Policy::default().with(Class::Ipv4, Action::Hash).with(Class::Ipv6, Action::Mask);
    let redactor = Redactor::new(&policy.with(Class::Email, Action::Hash), &Key([7; 32]));
    let edit = |key: Option<&str>, text: &str| redactor.text(key, text, &mut Counts::default());
    let text = String::from_utf8_lossy(bytes);
    for key in KEYS {
        if let Some(once) = edit(key, &text) {
            assert_ne!(once, text, "an edit changes something");
            assert_eq!(edit(key, &once), None, "twice is once");
        }
    }
    for signal in Signal::ALL {
        let Ok(Some(edited)) = edit_texts(signal, bytes, |_, key, text| edit(key, text)) else { continue };
        let again = edit_texts(signal, &edited, |_, _, _| None).expect("what was edited is a message");
        assert_eq!(again, None);
        if let (Signal::Traces, Ok(before)) = (signal, ExportTraceServiceRequest::decode(bytes)) {
            let after = ExportTraceServiceRequest::decode(&edited[..]).expect("prost reads what was edited");
            assert_eq!(ids(&after), ids(&before), "ids stay");
        }
    }
}

fn ids(request: &ExportTraceServiceRequest) -> Vec<[&[u8]; 3]> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let spans = scopes.flat_map(|scope| &scope.spans);
    spans.map(|span| [&span.trace_id[..], &span.span_id, &span.parent_span_id]).collect()
}
