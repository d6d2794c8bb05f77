//! The client's book: every request, when it was sent, how each attempt ended, and which spans were acknowledged.

use super::bitmap::Bitmap;
use super::numbering::Part;
use serde::Serialize;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Acknowledged,
    /// Answered: to be sent again, or never.
    Refused,
    /// Not answered. Perhaps it came to the gateway.
    Lost,
    /// There was no connection: it did not come to the gateway.
    NotSent,
}

/// One sending of a request. Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub sent_ms: u64,
    pub ended_ms: u64,
    pub end: End,
}

/// A request, as long as the book lives.
#[derive(Clone, Debug)]
pub struct Request {
    pub exporter: u64,
    pub parts: Vec<Part>,
    /// When it was ready to be sent. Unix milliseconds.
    pub ready_ms: u64,
    pub attempts: Vec<Attempt>,
}

/// Which request, by its place in the book.
pub type RequestId = usize;

#[derive(Default)]
pub struct Book {
    requests: Vec<Request>,
    /// The request that has a part, by the part's number. Each part is in one request.
    request_of: Vec<Option<u32>>,
    pub acknowledged: Bitmap,
    pub counts: Counts,
    /// Of attempts that were acknowledged: from sending to the answer.
    pub answered_ms: Vec<u32>,
    /// From when a request was ready to its acknowledgement, with all attempts and waits.
    pub delivered_ms: Vec<u32>,
    /// Why requests were refused for good: the first few reasons.
    pub refusals: Vec<String>,
}

/// In requests, if nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Spans that were put into requests.
    pub spans: u64,
    pub requests: u64,
    /// Attempts, first ones and others.
    pub attempts: u64,
    /// Attempts that were refused.
    pub refused: u64,
    /// Attempts that were not answered, and connections that could not be made.
    pub lost: u64,
    /// Those that were refused for good.
    pub never: u64,
    /// Thrown away by the client: its queue was full.
    pub overflowed: u64,
}

/// Reasons that are kept.
const MAX_REFUSALS: usize = 5;

impl Book {
    /// A new request.
    pub fn open(&mut self, exporter: u64, parts: Vec<Part>, ready_ms: u64) -> RequestId {
        let id = self.requests.len();
        for part in &parts {
            let number = part.number() as usize;
            if number >= self.request_of.len() {
                self.request_of.resize(number + 1, None);
            }
            self.request_of[number] = u32::try_from(id).ok();
            self.counts.spans += part.spans().count() as u64;
        }
        self.counts.requests += 1;
        self.requests.push(Request { exporter, parts, ready_ms, attempts: Vec::new() });
        id
    }

    pub fn request(&self, id: RequestId) -> &Request {
        &self.requests[id]
    }

    /// An attempt has ended.
    pub fn note(&mut self, id: RequestId, attempt: Attempt) {
        self.counts.attempts += 1;
        let request = &mut self.requests[id];
        request.attempts.push(attempt);
        let since = |from: u64| u32::try_from(attempt.ended_ms.saturating_sub(from)).unwrap_or(u32::MAX);
        match attempt.end {
            End::Refused => self.counts.refused += 1,
            End::Lost | End::NotSent => self.counts.lost += 1,
            End::Acknowledged => {
                self.answered_ms.push(since(attempt.sent_ms));
                self.delivered_ms.push(since(request.ready_ms));
                for span in request.parts.iter().flat_map(|part| part.spans()) {
                    self.acknowledged.insert(span);
                }
            }
        }
    }

    /// The attempt that was noted last was refused for good.
    pub fn note_refusal(&mut self, why: String) {
        self.counts.never += 1;
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(why);
        }
    }

    /// The requests that have a part of the trace.
    pub fn requests_of(&self, trace: u64) -> impl Iterator<Item = &Request> {
        let ids = Part::of(trace).filter_map(|part| *self.request_of.get(part.number() as usize)?);
        ids.map(|id| &self.requests[id as usize])
    }
}

/// The quantile; 0 of nothing.
pub fn quantile(values: &mut [u32], quantile: f64) -> u32 {
    values.sort_unstable();
    let rank = (values.len() as f64 * quantile) as usize;
    values.get(rank.min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_counts_every_span_of_the_request_and_no_other() {
        let mut book = Book::default();
        let parts = vec![Part { trace: 0, part: 1 }, Part { trace: 2, part: 0 }];
        let id = book.open(3, parts, 100);
        let attempt = |sent_ms, end| Attempt { sent_ms, ended_ms: sent_ms + 7, end };
        book.note(id, attempt(110, End::Lost));
        book.note(id, attempt(200, End::Refused));
        assert_eq!(book.acknowledged.len(), 0);
        book.note(id, attempt(300, End::Acknowledged));
        assert!((0..100).all(|span| book.acknowledged.contains(span) == [4, 5, 6, 7, 40, 41, 42, 43].contains(&span)));
        assert_eq!((book.answered_ms, book.delivered_ms), (vec![7], vec![207]));
        let expected = Counts { spans: 8, requests: 1, attempts: 3, refused: 1, lost: 1, ..Counts::default() };
        assert_eq!(book.counts, expected);
    }

    #[test]
    fn a_traces_requests_are_found() {
        let mut book = Book::default();
        let part = |trace, part| Part { trace, part };
        book.open(0, vec![part(0, 0), part(1, 0)], 0);
        book.open(1, vec![part(1, 1)], 1);
        let of = |trace| book.requests_of(trace).map(|request| request.exporter).collect::<Vec<_>>();
        assert_eq!((of(0), of(1), of(2)), (vec![0], vec![0, 1], vec![]));
    }

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        assert_eq!(quantile(&mut [3, 1, 2], 0.5), 2);
        assert_eq!(quantile(&mut (0..100).collect::<Vec<_>>(), 0.99), 99);
        assert_eq!(quantile(&mut [], 0.5), 0);
    }
}
