//! Trace stores' answers: the spans of a trace are of that trace alone and no more than promised, ids are no more than
//! the answer has room for; what is refused is refused in words that a log can hold.

use ::backends::{Api, MAX_SPANS, Stored, found, greeted, trace};
use model::TraceId;

/// The statuses of the interfaces, of what stands before them, and of neither.
const STATUSES: [u16; 8] = [200, 404, 500, 503, 302, 401, 429, 999];
/// Two quotations of 160 characters of at most four bytes, and the words around them.
const MAX_WORDS: usize = 1_600;
/// The trace of the seeds.
const TRACE: TraceId = TraceId(0x83a9_efd1_5c1c_98a9_77e0_711c_c93e_e28b_u128.to_be_bytes());

/// The target: the first byte says which store and which HTTP status, the rest is the body.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let (api, status) = (Api::ALL[usize::from(*choice % 4)], STATUSES[usize::from(*choice / 4) % STATUSES.len()]);
    let read = trace(api, status, body, TRACE);
    if let Ok(Stored::Trace(stored)) = &read {
        assert_eq!(status, 200, "only a good answer is read");
        let mut spans = 0;
        stored.for_each(|span| {
            spans += 1;
            assert_eq!(span.trace_id, TRACE, "another trace's span");
        });
        assert!((1..=MAX_SPANS).contains(&spans), "{spans} spans");
    }
    let ids = found(api, status, body);
    if let Ok(ids) = &ids {
        assert!(status == 200 || ids.is_empty(), "only a good answer is read");
        assert!(ids.len() * 8 <= body.len(), "{} ids of {} bytes", ids.len(), body.len());
    }
    let errors = [read.err(), ids.err(), greeted(api, status, body).err()];
    for error in errors.into_iter().flatten() {
        let words = error.to_string();
        assert!(!words.is_empty() && words.len() < MAX_WORDS, "{} bytes", words.len());
        assert!(!words.contains(char::is_control), "{words:?}");
    }
}
