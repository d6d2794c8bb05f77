//! `verdigris verify …`: on recordings, which need no server, or on a server's traffic.

mod live;

use crate::cli::{Format, Learn, Verify};
use crate::describe::{Exit, Failed, say, say_as_is, thousands};
use crate::learned::{Told, unexplained};
use crate::observe::fact;
use model::{SpanId, TraceId};
use otlp::SpanView;
use std::collections::BTreeMap;
use verify::{Kept, Learner, Least};

/// Spans that are held, as they were sent, until they come out: at about 2 kB each 400 MB. Of a longer recording the traces
/// that come first are learned from.
const MAX_SPANS: usize = 200_000;
/// Bytes that they have at most, names and values alone.
const MAX_BYTES: usize = 256 << 20;

/// Runs it.
pub async fn run(command: &Verify, format: Format) -> Result<Exit, Failed> {
    match command {
        Verify::Learn(command) if command.sent.is_empty() => live::learn(command, format).await,
        Verify::Learn(command) => learn(command, format),
    }
}

fn learn(command: &Learn, format: Format) -> Result<Exit, Failed> {
    let mut sent = Sent::default();
    for file in &command.sent {
        super::recording::for_each_span(file, |span| sent.take(span))?;
    }
    let mut learner = Learner::new(Least { share: command.least_share, count: command.least_spans });
    for file in &command.out {
        super::recording::for_each_span(file, |span| sent.pair(span, &mut learner))?;
    }
    let seen = sent.finish(&mut learner);
    if seen.paired == 0 {
        return Err(Failed::usage(format!(
            "none of the {} spans that were sent came out: --sent and --out must be of the same time",
            thousands(seen.sent)
        )));
    }
    let told = Told { learned: &learner.finish(), notes: seen.notes() };
    match format {
        Format::Text => say_as_is(told.yaml()),
        Format::Json => {
            let Seen { sent, paired, lost, unsent, is_full } = seen;
            let mut json = told.json();
            json["spans"] = serde_json::json!({ "sent": sent, "compared": paired, "lost": lost, "unsent": unsent });
            json["isWhole"] = (!is_full).into();
            say(json);
        }
    }
    Ok(Exit::Done)
}

type Key = (TraceId, SpanId, u8);

/// The spans that were sent, by trace.
#[derive(Default)]
struct Sent {
    spans: BTreeMap<Key, Side>,
    bytes: usize,
    unsent: u64,
    is_full: bool,
}

/// A span that was sent, and whether it came out.
struct Side {
    sent: Kept,
    came_out: bool,
}

/// How many spans there were, and what no declaration explains.
struct Seen {
    sent: u64,
    paired: u64,
    /// Spans that did not come out, of traces that came out in part.
    lost: u64,
    /// Spans that came out and are not among those that were sent.
    unsent: u64,
    is_full: bool,
}

impl Sent {
    fn take(&mut self, span: &SpanView<'_>) {
        let key = (span.trace_id, span.span_id, span.kind);
        self.is_full |= self.spans.len() >= MAX_SPANS || self.bytes >= MAX_BYTES;
        if self.is_full || self.spans.contains_key(&key) {
            return;
        }
        let sent = Kept::of(&fact(span));
        self.bytes += sent.bytes();
        self.spans.insert(key, Side { sent, came_out: false });
    }

    fn pair(&mut self, span: &SpanView<'_>, learner: &mut Learner) {
        match self.spans.get_mut(&(span.trace_id, span.span_id, span.kind)) {
            // What comes out twice is compared once, as verification does it.
            Some(side) if side.came_out => {}
            Some(side) => {
                side.came_out = true;
                side.sent.with(|sent| learner.pair(sent, &fact(span)));
            }
            None => self.unsent += 1,
        }
    }

    /// Tells of the traces that came out, and of those that did not.
    fn finish(self, learner: &mut Learner) -> Seen {
        let spans: Vec<(TraceId, bool)> =
            self.spans.iter().map(|((trace, ..), side)| (*trace, side.came_out)).collect();
        let count = |spans: &[(TraceId, bool)]| spans.iter().filter(|(_, came_out)| *came_out).count();
        let (mut lost, paired) = (0, count(&spans) as u64);
        for trace in spans.chunk_by(|one, other| one.0 == other.0) {
            let out = count(trace);
            learner.trace(out > 0);
            lost += if out > 0 { trace.len() - out } else { 0 } as u64;
        }
        // Where not all that was sent is held, nobody knows what was not.
        let unsent = if self.is_full { 0 } else { self.unsent };
        Seen { sent: spans.len() as u64, paired, lost, unsent, is_full: self.is_full }
    }
}

impl Seen {
    fn notes(&self) -> Vec<String> {
        let mut notes = unexplained(self.lost, self.unsent);
        if self.is_full {
            let sent = thousands(self.sent);
            notes.push(format!("The recording is longer: only its first {sent} spans were learned from."));
        }
        notes
    }
}
