//! Messages that no encoder of ours and no good one of others writes. Tags and lengths are written by hand here, by
//! nothing of `otlp`: groups, unknown fields between known ones, singular fields twice, resources after their spans,
//! submessages in pieces, numbers longer than they need be, ids of any length and more than one of them, empty envelopes.
//!
//! A message is made of [`Choices`], bytes that say what comes next. So proptest makes it smaller by making them smaller,
//! and libFuzzer looks for choices that reach new code.

use crate::spans;
use crate::split::{self, Understood};
use otlp::Signal;

/// What may be wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Nothing, by protobuf's rules: every decoder must take it.
    Valid,
    /// Known fields have wire types that are not theirs, and text is no UTF-8. The framing of all that the splitter reads
    /// holds. Most decoders refuse it; the splitter passes it on.
    Odd,
    /// Lengths lie, and bytes are missing or changed.
    Broken,
}

impl Manner {
    /// All of them.
    pub const ALL: [Manner; 3] = [Manner::Valid, Manner::Odd, Manner::Broken];
}

/// The target: the bytes are the choices that make a message, of any manner and signal.
pub(crate) fn run(bytes: &[u8]) {
    let Some((first, choices)) = bytes.split_first() else { return };
    let manner = Manner::ALL[usize::from(*first) % Manner::ALL.len()];
    let signal = Signal::ALL[usize::from(*first) / Manner::ALL.len() % Signal::ALL.len()];
    check(signal, manner, choices);
}

/// Makes a message and holds the splitter to it, and the reader of spans; how far it was understood.
///
/// # Panics
/// If the splitter or a decoder does not do with it what the manner promises, or a part is not what it must be.
pub fn check(signal: Signal, manner: Manner, choices: &[u8]) -> Understood {
    let message = message(signal, manner, choices);
    let understood = match signal {
        Signal::Traces => {
            spans::run(&message);
            split::check(signal, &message)
        }
        Signal::Logs => split::check(signal, &message),
        Signal::Metrics => split::check_metrics(&message),
    };
    match manner {
        Manner::Valid => assert!(understood.taken && understood.decoded, "every decoder takes a valid message"),
        Manner::Odd => assert!(understood.taken, "what is odd inside is passed on"),
        Manner::Broken => {}
    }
    understood
}

/// A request. It is some twenty times as long as the choices at most: one choice writes a field.
pub fn message(signal: Signal, manner: Manner, choices: &[u8]) -> Vec<u8> {
    let mut writer = Writer { choices: Choices { rest: choices }, manner, depth: 0 };
    let mut message = writer.message(match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
    });
    if manner == Manner::Broken {
        writer.damage(&mut message);
    }
    message
}

/// What a field is.
#[derive(Clone, Copy)]
enum Kind {
    Message(&'static Shape),
    Text,
    /// A trace's id, from few, so that runs and repetitions are common.
    TraceId,
    Bytes,
    Varint,
    Fixed64,
    Fixed32,
    /// A repeated `fixed64`: one key for all of them, or one for each; a decoder takes both.
    PackedFixed64,
}

/// The fields of a message. The more often one stands here, the more often it is written.
struct Shape(&'static [(u32, Kind)]);

use Kind::{Bytes, Fixed32, Fixed64, PackedFixed64, Text, TraceId, Varint};

const fn inside(shape: &'static Shape) -> Kind {
    Kind::Message(shape)
}

static TRACES: Shape = Shape(&[(1, inside(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Shape =
    Shape(&[(2, inside(&SCOPE_SPANS)), (2, inside(&SCOPE_SPANS)), (1, inside(&RESOURCE)), (3, Text)]);
static SCOPE_SPANS: Shape = Shape(&[(2, inside(&SPAN)), (2, inside(&SPAN)), (1, inside(&SCOPE)), (3, Text)]);
static SPAN: Shape = Shape(&[
    (1, TraceId),
    (2, Bytes),
    (5, Text),
    (4, Bytes),
    (6, Varint),
    (7, Fixed64),
    (8, Fixed64),
    (9, inside(&ATTRIBUTE)),
    (11, inside(&EVENT)),
    (13, inside(&LINK)),
    (14, Varint),
    (15, inside(&STATUS)),
    (16, Fixed32),
    (1, TraceId),
]);
static EVENT: Shape = Shape(&[(1, Fixed64), (2, Text), (3, inside(&ATTRIBUTE)), (4, Varint)]);
static LINK: Shape = Shape(&[(1, TraceId), (2, Bytes), (3, Text), (4, inside(&ATTRIBUTE)), (6, Fixed32)]);
static STATUS: Shape = Shape(&[(3, Varint), (2, Text)]);
static RESOURCE: Shape = Shape(&[(1, inside(&ATTRIBUTE)), (2, Varint)]);
static SCOPE: Shape = Shape(&[(1, Text), (2, Text), (3, inside(&ATTRIBUTE)), (4, Varint)]);
static ATTRIBUTE: Shape = Shape(&[(1, Text), (2, inside(&ANY_VALUE))]);
static ANY_VALUE: Shape =
    Shape(&[(1, Text), (2, Varint), (3, Varint), (5, inside(&ARRAY)), (6, inside(&LIST)), (7, Bytes)]);
static ARRAY: Shape = Shape(&[(1, inside(&ANY_VALUE))]);
static LIST: Shape = Shape(&[(1, inside(&ATTRIBUTE))]);

static LOGS: Shape = Shape(&[(1, inside(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape =
    Shape(&[(2, inside(&SCOPE_LOGS)), (2, inside(&SCOPE_LOGS)), (1, inside(&RESOURCE)), (3, Text)]);
static SCOPE_LOGS: Shape = Shape(&[(2, inside(&RECORD)), (2, inside(&RECORD)), (1, inside(&SCOPE)), (3, Text)]);
static RECORD: Shape = Shape(&[
    (9, TraceId),
    (1, Fixed64),
    (2, Varint),
    (3, Text),
    (5, inside(&ANY_VALUE)),
    (6, inside(&ATTRIBUTE)),
    (8, Fixed32),
    (10, Bytes),
    (12, Text),
    (9, TraceId),
]);

static METRICS: Shape = Shape(&[(1, inside(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Shape =
    Shape(&[(2, inside(&SCOPE_METRICS)), (2, inside(&SCOPE_METRICS)), (1, inside(&RESOURCE)), (3, Text)]);
static SCOPE_METRICS: Shape = Shape(&[(2, inside(&METRIC)), (2, inside(&METRIC)), (1, inside(&SCOPE)), (3, Text)]);
static METRIC: Shape = Shape(&[
    (5, inside(&GAUGE)),
    (1, Text),
    (7, inside(&GAUGE)),
    (9, inside(&HISTOGRAM)),
    (10, inside(&EXPONENTIAL)),
    (11, inside(&SUMMARY)),
    (12, inside(&ATTRIBUTE)),
]);
static GAUGE: Shape = Shape(&[(1, inside(&NUMBER))]);
static NUMBER: Shape = Shape(&[(6, Fixed64), (4, Fixed64), (3, Fixed64), (7, inside(&ATTRIBUTE)), (8, Varint)]);
static HISTOGRAM: Shape = Shape(&[(1, inside(&HISTOGRAM_POINT)), (2, Varint)]);
static HISTOGRAM_POINT: Shape = Shape(&[(6, PackedFixed64), (7, PackedFixed64), (3, Fixed64), (9, inside(&ATTRIBUTE))]);
static EXPONENTIAL: Shape = Shape(&[(1, inside(&EXPONENTIAL_POINT)), (2, Varint)]);
static EXPONENTIAL_POINT: Shape = Shape(&[(1, inside(&ATTRIBUTE)), (3, Fixed64), (6, Varint)]);
static SUMMARY: Shape = Shape(&[(1, inside(&SUMMARY_POINT))]);
static SUMMARY_POINT: Shape = Shape(&[(4, Fixed64), (7, inside(&ATTRIBUTE)), (8, Varint)]);

/// A number above all that OTLP uses, and the deprecated number of `instrumentation_library_spans`.
const UNKNOWN_NUMBERS: [u32; 4] = [100, 1000, 536_870_911, 17];

/// Bytes that decide. Where they end, every choice is the plainest, and nothing more is begun.
struct Choices<'c> {
    rest: &'c [u8],
}

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// One time in so many; never by a zero.
    fn one_in(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }
}

struct Writer<'c> {
    choices: Choices<'c>,
    manner: Manner,
    /// Messages around the one that is being written.
    depth: usize,
}

/// Decoders let messages nest 100 deep; lists in lists stop before that.
const MAX_DEPTH: usize = 20;

impl Writer<'_> {
    /// The fields of one message. The request is as long as there are choices; the deeper a message is, the sooner it
    /// ends, so that one does not take all choices.
    fn message(&mut self, shape: &Shape) -> Vec<u8> {
        let mut out = Vec::new();
        self.depth += 1;
        let last = [255, 250, 250, 225, 140][self.depth.min(5) - 1];
        while self.depth <= MAX_DEPTH && !self.choices.rest.is_empty() && self.choices.byte() <= last {
            match self.choices.byte() {
                choice @ 0..240 => {
                    let (number, kind) = shape.0[usize::from(choice) % shape.0.len()];
                    self.field(&mut out, number, kind);
                }
                // A known field that is delimited, but no message, would be a broken one.
                240..244 if self.manner >= Manner::Odd => {
                    let (number, _) = shape.0[self.choices.below(shape.0.len())];
                    self.not_delimited(&mut out, number);
                }
                _ => {
                    let number = UNKNOWN_NUMBERS[self.choices.below(UNKNOWN_NUMBERS.len())];
                    let delimited = self.choices.one_in(5);
                    if delimited { self.field(&mut out, number, Bytes) } else { self.not_delimited(&mut out, number) }
                }
            }
        }
        self.depth -= 1;
        out
    }

    fn field(&mut self, out: &mut Vec<u8>, number: u32, kind: Kind) {
        match kind {
            Kind::Message(shape) => {
                let content = self.message(shape);
                self.delimited(out, number, &content);
            }
            Text => {
                let text: &[u8] = match self.choices.below(16) {
                    14 => "ä\u{10FFFF}\0".as_bytes(),
                    15 if self.manner >= Manner::Odd => b"\xff\xfe",
                    0..4 => b"service.name",
                    4..6 => b"host.id",
                    _ => b"a",
                };
                self.delimited(out, number, text);
            }
            TraceId => {
                let id = [self.choices.byte() % 4; 32];
                let length = if self.choices.one_in(8) { [0, 1, 8, 15, 17, 32][self.choices.below(6)] } else { 16 };
                self.delimited(out, number, &id[..length]);
            }
            Bytes => {
                let length = self.choices.below(10);
                self.delimited(out, number, &[0xa5; 10][..length]);
            }
            Varint => {
                self.key(out, number, 0);
                let value = [0, 1, 2, 300, (1 << 32) + 3, u64::MAX][self.choices.below(6)];
                self.varint(out, value);
            }
            Fixed64 => self.fixed(out, number, 1, 8),
            Fixed32 => self.fixed(out, number, 5, 4),
            PackedFixed64 if self.choices.one_in(2) => self.fixed(out, number, 1, 8),
            PackedFixed64 => {
                let numbers = self.choices.below(4);
                self.delimited(out, number, &[0x5a; 32][..8 * numbers]);
            }
        }
    }

    /// A field of any other wire type.
    fn not_delimited(&mut self, out: &mut Vec<u8>, number: u32) {
        match self.choices.below(4) {
            0 => self.field(out, number, Varint),
            1 => self.fixed(out, number, 1, 8),
            2 => {
                let depth = 1 + self.choices.below(4);
                self.group(out, number, depth);
            }
            _ => self.fixed(out, number, 5, 4),
        }
    }

    /// A group in a group, and so on; it looks like a record inside, which it is not.
    fn group(&mut self, out: &mut Vec<u8>, number: u32, depth: usize) {
        self.key(out, number, 3);
        if depth > 1 {
            self.group(out, 2, depth - 1);
        }
        self.field(out, 1, TraceId);
        self.key(out, number, 4);
    }

    fn fixed(&mut self, out: &mut Vec<u8>, number: u32, wire_type: u8, length: usize) {
        self.key(out, number, wire_type);
        out.extend(std::iter::repeat_n(self.choices.byte(), length));
    }

    fn delimited(&mut self, out: &mut Vec<u8>, number: u32, content: &[u8]) {
        self.key(out, number, 2);
        let mut length = content.len() as u64;
        if self.manner == Manner::Broken && self.choices.one_in(64) {
            length = [length + 1, length.saturating_sub(1), u64::MAX, 1 << 31][self.choices.below(4)];
        }
        self.varint(out, length);
        out.extend_from_slice(content);
    }

    fn key(&mut self, out: &mut Vec<u8>, number: u32, wire_type: u8) {
        self.varint(out, u64::from(number) << 3 | u64::from(wire_type));
    }

    /// Sometimes longer than it needs be, up to ten bytes.
    fn varint(&mut self, out: &mut Vec<u8>, mut value: u64) {
        let start = out.len();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        if self.choices.one_in(16) {
            let room = 10 - (out.len() - start);
            let more = self.choices.below(room + 1);
            if let Some(last) = out.last_mut().filter(|_| more > 0) {
                *last |= 0x80;
                out.extend(std::iter::repeat_n(0x80, more - 1));
                out.push(0);
            }
        }
    }

    /// Changes some bytes and cuts the end off.
    fn damage(&mut self, message: &mut Vec<u8>) {
        for _ in 0..self.choices.below(3) {
            let (high, low, byte) = (self.choices.byte(), self.choices.byte(), self.choices.byte());
            let at = usize::from(u16::from_be_bytes([high, low]));
            if let Some(place) = at.checked_rem(message.len()).and_then(|at| message.get_mut(at)) {
                *place = byte;
            }
        }
        if self.choices.one_in(2) {
            let kept = message.len().saturating_sub(self.choices.below(32));
            message.truncate(kept);
        }
    }
}
