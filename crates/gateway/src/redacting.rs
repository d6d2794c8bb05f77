//! Takes what is sensitive out of the copies for the candidate. A copy that cannot be read that far is not sent.

use crate::route::Part;
use crate::share::Shown;
use bytes::Bytes;
use otlp::{Malformed, Signal, edit_texts};
use redact::{Counts, Key, Policy, Redactor};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Copies that are looked through at once, each on a thread of its own: a message takes some 30 ms a MiB, and what serves
/// must not wait for the processors.
const MAX_AT_ONCE: usize = 2;

pub(crate) struct Redacting {
    key: Key,
    turns: Semaphore,
}

impl Redacting {
    pub(crate) fn new(key: Key) -> Redacting {
        Redacting { key, turns: Semaphore::new(MAX_AT_ONCE) }
    }

    pub(crate) fn redactor(&self, policy: &Policy) -> Arc<Redactor> {
        Arc::new(Redactor::new(policy, &self.key))
    }

    /// The part with what the policy says in the place of what is sensitive, and how much that was. `None` if it cannot be
    /// read, and so not be sent.
    pub(crate) async fn part(&self, redactor: &Arc<Redactor>, part: Part) -> Option<(Part, Counts)> {
        let _turn = self.turns.acquire().await.ok()?;
        let redactor = Arc::clone(redactor);
        let edited = tokio::task::spawn_blocking(move || redacted(&redactor, part)).await.ok()?;
        edited.inspect_err(|error| tracing::warn!(%error, "a copy for the candidate cannot be redacted")).ok()
    }
}

fn redacted(redactor: &Redactor, part: Part) -> Result<(Part, Counts), Malformed> {
    let mut counts = Counts::default();
    let message = edit(redactor, part.signal, &part.message, &mut counts)?;
    let shown = match part.shown {
        Shown::Nothing => Shown::Nothing,
        Shown::Spans(spans) if spans == part.message => Shown::Spans(message.clone()),
        // Spans of the message, so that nothing is counted twice.
        Shown::Spans(spans) => Shown::Spans(edit(redactor, part.signal, &spans, &mut Counts::default())?),
    };
    // The form in which it came holds what was replaced.
    let packed = if message == part.message { part.packed } else { None };
    Ok((Part { message, shown, packed, ..part }, counts))
}

fn edit(redactor: &Redactor, signal: Signal, message: &Bytes, counts: &mut Counts) -> Result<Bytes, Malformed> {
    let edited = edit_texts(signal, message, |_, key, text| redactor.text(key, text, counts))?;
    Ok(edited.map_or_else(|| message.clone(), Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    fn part(message: Bytes, shown: Shown) -> Part {
        Part { signal: Signal::Traces, message, items: 1, shown, packed: None, tried: None }
    }

    #[test]
    fn a_copy_without_anything_sensitive_is_the_same_bytes() {
        let redactor = Redactor::new(&Policy::default(), &Key([1; 32]));
        let message = Bytes::from(ExportTraceServiceRequest::default().encode_to_vec());
        let (same, counts) = redacted(&redactor, part(message.clone(), Shown::Nothing)).unwrap();
        assert_eq!((same.message, counts.total()), (message, 0));
    }

    #[test]
    fn what_cannot_be_read_is_not_sent() {
        let redactor = Redactor::new(&Policy::default(), &Key([1; 32]));
        assert!(redacted(&redactor, part(Bytes::from_static(b"\x0a\xff"), Shown::Nothing)).is_err());
    }
}
