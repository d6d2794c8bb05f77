//! From requests to sealed bytes: redacts, writes, seals. Without time and without waiting.

use base64::prelude::{BASE64_STANDARD, Engine};
use gateway::Received;
use model::UnixMillis;
use otlp::{Malformed, Signal, count_items, edit_texts};
use recording::{Attempt, Bound, Bounds, Frame, Header, Pushed, SealError, Sealed, Totals, Writer, seal};
use redact::{Counts, Key, Policy, Redactor};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use web::{RecordRequest, RecordedLine};

/// Sealed bytes in a line: as base64 5.6 MB, of the 16 MiB that a client takes.
const MAX_LINE_BYTES: usize = 4 << 20;

/// A recording that grows.
pub(super) struct Work {
    writer: Writer<Sealed<Pipe>>,
    out: Pipe,
    redactor: Option<Redactor>,
    started_us: u64,
    unreadable: u64,
    full: Option<&'static str>,
    failed: Option<io::Error>,
}

/// The figures so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
    unreadable: u64,
}

/// What was sealed and not yet taken.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Work {
    /// Begins a recording that is sealed to the request's recipient.
    pub(super) fn begin(request: &RecordRequest, key: &Key, started_us: u64) -> Result<Work, SealError> {
        let policy = (!request.keep_sensitive).then(Policy::default);
        let header = Header {
            started: UnixMillis(started_us / 1_000),
            redaction: policy.as_ref().map(digest),
            bounds: Bounds { max_bytes: request.max_bytes, max_ms: request.for_ms },
        };
        let out = Pipe::default();
        let writer = Writer::new(seal(&request.recipient, out.clone())?, header).map_err(SealError::Write)?;
        let redactor = policy.map(|policy| Redactor::new(&policy, key));
        Ok(Work { writer, out, redactor, started_us, unreadable: 0, full: None, failed: None })
    }

    /// Records what came, and counts what was dropped on the way here: requests and their bytes.
    pub(super) fn take(&mut self, batch: Vec<Received>, dropped: (u64, u64)) {
        self.writer.count_dropped(dropped.0, dropped.1);
        for Received { signal, protocol, message, at_us, .. } in batch {
            let Ok(body) = self.body(signal, &message) else {
                self.unreadable += 1;
                self.writer.count_dropped(1, message.len() as u64);
                continue;
            };
            let offset_us = at_us.saturating_sub(self.started_us);
            let pushed = self.writer.push(&Frame { offset_us, signal, protocol, attempt: Attempt::Unknown, body });
            match pushed {
                Ok(Pushed::Dropped(Bound::Bytes)) => self.full = Some("it is as large as it may become"),
                Ok(Pushed::Kept | Pushed::Dropped(Bound::Time | Bound::Body)) => {}
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Writes what waits for a full block.
    pub(super) fn flush(&mut self) {
        if let Err(error) = self.writer.flush() {
            self.failed = Some(error);
        }
    }

    /// Why nothing more can be added, if so.
    pub(super) fn full(&self) -> Option<&'static str> {
        self.full.or(self.failed.as_ref().map(|_| "it failed"))
    }

    /// What was sealed since this was asked last.
    pub(super) fn sealed(&self) -> (Vec<u8>, Figures) {
        (self.out.take(), Figures::new(self.writer.totals(), self.unreadable))
    }

    /// The end of it.
    pub(super) fn finish(self) -> io::Result<(Vec<u8>, Figures)> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (sealed, totals) = self.writer.finish()?;
        sealed.finish()?;
        Ok((self.out.take(), Figures::new(totals, self.unreadable)))
    }

    fn body(&self, signal: Signal, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        // What the gateway refuses for that is no load that anybody could send again.
        count_items(signal, message)?;
        let Some(redactor) = &self.redactor else { return Ok(message.to_vec()) };
        let mut counts = Counts::default();
        let edited = edit_texts(signal, message, |_, key, text| redactor.text(key, text, &mut counts))?;
        Ok(edited.unwrap_or_else(|| message.to_vec()))
    }
}

/// Equal policies are equal bytes.
fn digest(policy: &Policy) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(policy).expect("a policy is JSON")).into()
}

impl Figures {
    fn new(totals: Totals, unreadable: u64) -> Figures {
        let Totals { frames, body_bytes, dropped_frames, .. } = totals;
        Figures { requests: frames, bytes: body_bytes, dropped: dropped_frames, unreadable }
    }

    /// The bytes as lines, the last one of which says why it is over, if it is; at least one.
    pub(super) fn lines(self, sealed: &[u8], left_ms: u64, over: Option<&str>) -> Vec<RecordedLine> {
        let line = |sealed: &[u8]| RecordedLine {
            sealed: BASE64_STANDARD.encode(sealed),
            requests: self.requests,
            bytes: self.bytes,
            dropped_requests: self.dropped,
            unreadable_requests: self.unreadable,
            left_ms,
            over: None,
        };
        let mut lines: Vec<RecordedLine> = sealed.chunks(MAX_LINE_BYTES).map(line).collect();
        if lines.is_empty() {
            lines.push(line(&[]));
        }
        if let Some(last) = lines.last_mut() {
            last.over = over.map(str::to_owned);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::secrecy::ExposeSecret;
    use recording::{Reader, open};

    #[test]
    fn lines_are_of_bounded_length_and_the_last_one_says_that_it_is_over() {
        let figures = Figures { requests: 1, bytes: 2, dropped: 3, unreadable: 4 };
        let check = |length: usize, expected: usize| {
            let sealed: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let lines = figures.lines(&sealed, 7, Some("done"));
            let bytes: Vec<u8> = lines.iter().flat_map(|line| BASE64_STANDARD.decode(&line.sealed).unwrap()).collect();
            assert!(bytes == sealed && lines.len() == expected, "{length}");
            let over: Vec<usize> = (0..expected).filter(|at| lines[*at].over.is_some()).collect();
            assert_eq!(over, [expected - 1]);
            assert!(lines.iter().all(|line| line.sealed.len() < 6 << 20 && line.dropped_requests == 3));
        };
        check(0, 1);
        check(MAX_LINE_BYTES, 1);
        check(2 * MAX_LINE_BYTES + 1, 3);
    }

    #[test]
    fn a_recording_without_a_request_is_whole_and_says_what_was_dropped_and_how_it_is_redacted() {
        let identity = age::x25519::Identity::generate();
        let check = |keep_sensitive: bool| {
            let (recipient, for_ms, max_bytes) = (identity.to_public().to_string(), 1_000, 1 << 20);
            let request = RecordRequest { recipient, for_ms, max_bytes, keep_sensitive };
            let mut work = Work::begin(&request, &Key([1; 32]), 1_790_000_000_000_000).unwrap();
            work.take(Vec::new(), (2, 30));
            let (sealed, figures) = work.finish().unwrap();
            assert_eq!((figures.requests, figures.dropped), (0, 2));
            let opened = open(identity.to_string().expose_secret(), &sealed[..]).unwrap();
            let mut reader = Reader::new(opened).unwrap();
            assert_eq!(reader.header().started, UnixMillis(1_790_000_000_000));
            assert_eq!(reader.header().redaction.is_none(), keep_sensitive);
            assert!(reader.next().is_none());
            assert_eq!(reader.totals().map(|totals| (totals.dropped_frames, totals.dropped_bytes)), Some((2, 30)));
        };
        check(false);
        check(true);
    }
}
