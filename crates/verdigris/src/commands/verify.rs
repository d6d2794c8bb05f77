//! `verdigris verify …`: needs no server.

mod files;
mod kept;

use crate::cli::{Format, Learn, Verify};
use crate::describe::{Exit, Failed, say, say_as_is, thousands};
use crate::observe::fact;
use kept::Kept;
use model::{SpanId, TraceId};
use otlp::SpanView;
use std::collections::BTreeMap;
use verify::{Learned, Learner, Least};

/// Spans that are held, as they were sent, until they come out: at about 2 kB each 400 MB. Of a longer recording the traces
/// that come first are learned from.
const MAX_SPANS: usize = 200_000;
/// Bytes that they have at most, names and values alone.
const MAX_BYTES: usize = 256 << 20;

/// Runs it.
pub fn run(command: &Verify, format: Format) -> Result<Exit, Failed> {
    match command {
        Verify::Learn(command) => learn(command, format),
    }
}

fn learn(command: &Learn, format: Format) -> Result<Exit, Failed> {
    let mut sent = Sent::default();
    for file in &command.sent {
        files::for_each_span(file, |span| sent.take(span))?;
    }
    let mut learner = Learner::new(Least { share: command.least_share, count: command.least_spans });
    for file in &command.out {
        files::for_each_span(file, |span| sent.pair(span, &mut learner))?;
    }
    let seen = sent.finish(&mut learner);
    if seen.paired == 0 {
        return Err(Failed::usage(format!(
            "none of the {} spans that were sent came out: --sent and --out must be of the same time",
            thousands(seen.sent)
        )));
    }
    let learned = learner.finish();
    match format {
        Format::Text => say_as_is(format_args!("{learned}{seen}")),
        Format::Json => say(json(&learned, &seen)),
    }
    Ok(Exit::Done)
}

fn json(learned: &Learned, seen: &Seen) -> serde_json::Value {
    let told = |differences: &[verify::Difference]| -> Vec<serde_json::Value> {
        let one = |it: &verify::Difference| serde_json::json!({ "what": it.change.to_string(), "shown": it.shown, "of": it.of });
        differences.iter().map(one).collect()
    };
    serde_json::json!({
        "yaml": learned.to_string(),
        "declared": told(&learned.declared),
        "leftOut": told(&learned.left_out),
        "spans": { "sent": seen.sent, "compared": seen.paired, "lost": seen.lost, "unsent": seen.unsent },
        "isWhole": !seen.is_full,
    })
}

type Key = (TraceId, SpanId, u8);

/// The spans that were sent, by trace.
#[derive(Default)]
struct Sent {
    spans: BTreeMap<Key, Kept>,
    bytes: usize,
    unsent: u64,
    is_full: bool,
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
        let kept = Kept::of(&fact(span));
        self.bytes += kept.bytes();
        self.spans.insert(key, kept);
    }

    fn pair(&mut self, span: &SpanView<'_>, learner: &mut Learner) {
        match self.spans.get_mut(&(span.trace_id, span.span_id, span.kind)) {
            // What comes out twice is compared once, as verification does it.
            Some(sent) if sent.came_out => {}
            Some(sent) => {
                sent.came_out = true;
                sent.with(|sent| learner.pair(sent, &fact(span)));
            }
            None => self.unsent += 1,
        }
    }

    /// Tells of the traces that came out, and of those that did not.
    fn finish(self, learner: &mut Learner) -> Seen {
        let spans: Vec<(TraceId, bool)> =
            self.spans.iter().map(|((trace, ..), kept)| (*trace, kept.came_out)).collect();
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

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seen { sent, lost, unsent, .. } = self;
        for (count, what) in [(lost, "did not come out of traces that did"), (unsent, "came out and were not sent")] {
            if *count > 0 {
                writeln!(f, "      # No declaration explains {} spans that {what}.", thousands(*count))?;
            }
        }
        if self.is_full {
            writeln!(
                f,
                "      # The recording is longer: only its first {} spans were learned from.",
                thousands(*sent)
            )?;
        }
        Ok(())
    }
}
