//! A span that came out as it was sent, in 32 bytes: nearly all of them, for all the time that is left until their batch
//! closes. What is kept is what others are judged by: that it is there, under which parent, of which operation, and when.

use crate::digest::Differences;
use crate::trace::{Content, Second, Span, Times};
use crate::vocabulary::NameId;
use model::{SpanId, UnixMillis};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) span: SpanId,
    parent: SpanId,
    times: Times,
    /// The lower halves of the names' ids.
    names: [u16; 2],
    /// The kind in the three lowest bits; above them whether each name was kept.
    kind_and_kept: u8,
    /// When it came out: milliseconds after its trace was assigned, up to 4.6 hours.
    out_after_ms: [u8; 3],
}

const _: () = assert!(size_of::<Settled>() == 32, "the bounds on memory reckon with it");

/// Kinds that fit: OTLP has 0 to 5.
const KINDS: u8 = 8;

impl Settled {
    /// `None` for a span of which anything may still become known, or that shows anything.
    pub(crate) fn of(span: &Span, assigned: UnixMillis) -> Option<Settled> {
        let Second::Compared { content, differences, shift_us: 0, is_as_long: true } = span.second else { return None };
        let is_as_sent = content == span.first && differences == Differences::default();
        let is_clean = span.judged && span.acknowledged && !span.failed && !span.error;
        if !is_as_sent || !is_clean || span.hand_overs != 1 || span.outs != 1 || span.kind >= KINDS {
            return None;
        }
        let [service, operation] = [span.service.packed()?, span.operation.packed()?];
        let out_after_ms = u32::try_from(span.out_at().0.checked_sub(assigned.0)?).ok()?;
        let [0, out_after_ms @ ..] = out_after_ms.to_be_bytes() else { return None };
        Some(Settled {
            out_after_ms,
            span: span.span,
            parent: span.first.parent,
            times: span.times,
            names: [service.0, operation.0],
            kind_and_kept: span.kind | u8::from(service.1) << 3 | u8::from(operation.1) << 4,
        })
    }

    pub(crate) fn kind(&self) -> u8 {
        self.kind_and_kept & (KINDS - 1)
    }

    pub(crate) fn names(&self) -> [NameId; 2] {
        let name = |at: usize| NameId::unpacked(self.names[at], self.kind_and_kept >> (3 + at) & 1 == 1);
        [name(0), name(1)]
    }

    /// The span again. Its keys and its resource are forgotten, on both sides alike, and when it was handed over: it seems to
    /// have taken no time.
    pub(crate) fn span(&self, assigned: UnixMillis) -> Span {
        let [service, operation] = self.names();
        let content = Content { parent: self.parent, ..Content::default() };
        let [first, second, third] = self.out_after_ms;
        let out_at = assigned.plus_ms(u32::from_be_bytes([0, first, second, third]).into());
        let out_us = out_at.0.saturating_mul(1_000);
        Span {
            first: content,
            second: Second::Compared { content, differences: Differences::default(), shift_us: 0, is_as_long: true },
            times: self.times,
            handed_over_us: out_us,
            out_us,
            service,
            operation,
            hand_overs: 1,
            outs: 1,
            judged: true,
            acknowledged: true,
            ..Span::new(self.span, self.kind())
        }
    }
}
