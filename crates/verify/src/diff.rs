//! Two traces side by side: the spans that one side alone has, and what differs of those that both have.
//!
//! It knows nothing of the join of this crate, of its tables or its times: a side is whatever a file, a store or an example
//! says of a trace. What a side does not know is not compared, so that a difference is always one that both sides show.
//! Nothing recurses, for a trace may be a chain of [`MAX_SPANS`] spans, or a loop.

mod example;
mod layout;
mod pair;
mod place;
mod time;

pub use example::{ExampleSides, RawExample};
use layout::{Link, Placed, lay_out};
use model::SpanId;
use pair::{Node, pair};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
pub use time::{Spent, spent};

/// Spans of one side: as many as verification follows of a trace. With 1 KiB each, which is a lot, 64 MiB.
pub const MAX_SPANS: usize = 65_536;

/// One side: a trace as somebody knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    spans: Vec<Span>,
}

/// A trace that is too large to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{spans} spans are more than the {MAX_SPANS} of a trace that are compared")]
pub struct TooManySpans {
    /// How many there are.
    pub spans: usize,
}

impl Side {
    /// Takes at most [`MAX_SPANS`] spans.
    pub fn new(spans: Vec<Span>) -> Result<Side, TooManySpans> {
        if spans.len() > MAX_SPANS { Err(TooManySpans { spans: spans.len() }) } else { Ok(Side { spans }) }
    }

    /// Its spans, in the order in which they came.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
}

/// Values by their key. Two of one key are compared as JSON compares: `1`, `1.0` and `"1"` are three.
pub type Values = BTreeMap<String, Value>;

/// A span as one side knows it. `None` is what the side does not know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// Its id. Several spans may have one: copies, or the two ends of a call that share it (Zipkin).
    pub span: SpanId,
    /// The parent's id, [`SpanId::NONE`] for a root.
    pub parent: SpanId,
    /// OTLP's SpanKind, 0 to 5.
    pub kind: u8,
    /// `service.name`.
    pub service: String,
    /// The span's name.
    pub operation: String,
    /// When it began and ended.
    pub times: Option<Times>,
    /// The same, where only the trace's first span is known to begin at 0. It is shown, and not compared.
    pub since: Option<Since>,
    /// How it ended.
    pub status: Option<Status>,
    /// Its attributes.
    pub attributes: Option<Values>,
    /// Its resource's attributes, which many spans share.
    pub resource: Option<Arc<Values>>,
    /// What instrumented it, by OTLP's names: `name`, `version`, …; shared likewise.
    pub scope: Option<Arc<Values>>,
    /// Everything else that it holds, by OTLP's names: `events`, `links`, `traceState`, …
    pub fields: Option<Values>,
    /// What whoever wrote this side says that it lacks of the other one. Counts on the second side alone.
    pub noted: Vec<Difference>,
}

/// Nanoseconds since the Unix epoch. In JSON they are texts, as OTLP/JSON has them: most readers' numbers are too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// `start_time_unix_nano`.
    #[serde(serialize_with = "as_text")]
    pub start_unix_ns: u64,
    /// `end_time_unix_nano`.
    #[serde(serialize_with = "as_text")]
    pub end_unix_ns: u64,
}

/// Microseconds from the start of the trace's first span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Since {
    /// Until it began.
    pub start_us: i64,
    /// From then on until it ended.
    pub duration_us: u64,
}

fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// A span's status (opentelemetry/proto/trace/v1, `Status`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// 0 unset, 1 ok, 2 error; others as they came.
    pub code: i32,
    /// What the developer says about it.
    pub message: String,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// Among the span's attributes.
    Attribute,
    /// Among its resource's attributes.
    Resource,
    /// In its instrumentation scope.
    Scope,
    /// In the span itself: [`Span::fields`].
    Field,
}

/// What differs of one span, from side `a` to side `b`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "difference", rename_all = "camelCase")]
pub enum Difference {
    /// `a` has it and `b` does not.
    Lost,
    /// `b` has it and `a` does not.
    Fabricated,
    /// `b` has it more often.
    Duplicated {
        /// How often `a` has it.
        a: usize,
        /// How often `b` has it.
        b: usize,
    },
    /// Both have it, `b` less often.
    FewerCopies {
        /// How often `a` has it.
        a: usize,
        /// How often `b` has it.
        b: usize,
    },
    /// It has another parent.
    Reparented {
        /// In `a`.
        a: SpanId,
        /// In `b`.
        b: SpanId,
    },
    /// Its parent is not among the spans of `b`, and `a` does not have it so.
    Orphan {
        /// The parent that is absent.
        parent: SpanId,
    },
    /// It has another kind.
    Kind {
        /// In `a`.
        a: u8,
        /// In `b`.
        b: u8,
    },
    /// It has another name.
    Operation {
        /// In `a`.
        a: String,
        /// In `b`.
        b: String,
    },
    /// It began at another time, in nanoseconds since the Unix epoch.
    Start {
        /// In `a`.
        #[serde(serialize_with = "as_text")]
        a: u64,
        /// In `b`.
        #[serde(serialize_with = "as_text")]
        b: u64,
    },
    /// It ended at another time, in nanoseconds since the Unix epoch.
    End {
        /// In `a`.
        #[serde(serialize_with = "as_text")]
        a: u64,
        /// In `b`.
        #[serde(serialize_with = "as_text")]
        b: u64,
    },
    /// It has another status.
    Status {
        /// In `a`.
        a: Status,
        /// In `b`.
        b: Status,
    },
    /// `a` has this key and `b` does not.
    Missing {
        /// Where.
        place: Place,
        /// Which.
        key: String,
        /// What `a` has, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<Value>,
    },
    /// `b` has this key and `a` does not.
    Added {
        /// Where.
        place: Place,
        /// Which.
        key: String,
        /// What `b` has, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<Value>,
    },
    /// Both have this key, with another value.
    Changed {
        /// Where.
        place: Place,
        /// Which.
        key: String,
        /// What `a` has, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<Value>,
        /// What `b` has, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<Value>,
    },
}

/// Why a span stands where it does in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stands {
    /// It has no parent.
    Root,
    /// Below its parent.
    Child,
    /// Its parent is on neither side, so it stands like a root.
    WithoutParent,
    /// Its parents lead back to it: the loop is cut here.
    Loop,
}

/// What one side has of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// How often it is there: 1 or more.
    pub copies: usize,
    /// When it began and ended (of several copies the first), if that is known.
    #[serde(flatten)]
    pub times: Option<Times>,
    /// The same, if only that is known.
    #[serde(flatten)]
    pub since: Option<Since>,
}

/// One span of the tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// How many spans stand above it.
    pub depth: usize,
    /// Why it stands there.
    pub stands: Stands,
    /// Its id.
    pub span: SpanId,
    /// Its parent's id, in `a` if that has it.
    pub parent: SpanId,
    /// OTLP's SpanKind, in `a` if that has it.
    pub kind: u8,
    /// `service.name`, in `a` if that has it.
    pub service: String,
    /// Its name, in `a` if that has it.
    pub operation: String,
    /// What `a` has of it.
    pub a: Option<Seen>,
    /// What `b` has of it.
    pub b: Option<Seen>,
    /// What differs, in the order of [`Difference`]'s variants.
    pub differences: Vec<Difference>,
    /// Whether it is the last one below its parent.
    #[serde(skip)]
    pub is_last: bool,
    /// Whether anything differs of the spans below it.
    #[serde(skip)]
    pub differs_below: bool,
}

/// Both sides as one tree, each span once: parents before their children, children by their start and then by their id, or
/// in the order in which they came where no start is known. What `b` alone has stands where `b` has it, all else where `a` does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The tree.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.rows.iter().all(|row| row.differences.is_empty())
    }
}

/// Which spans are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// Those with the same id and kind, and with the same id where the kind differs. For two sides of one trace. Of several
    /// copies the equal ones are held against each other first.
    Id,
    /// Those of the same service, name and kind below the same spans, in the order of their starts. For two traces that
    /// have no span in common: ids, times and values are not compared, for they differ anyway; keys and statuses are.
    Place,
}

/// Compares two sides, span by span.
pub fn compare(a: &Side, b: &Side, by: By) -> Comparison {
    let (a, b) = (a.spans(), b.spans());
    let (nodes, links, stands) = match by {
        By::Id => {
            let nodes = pair(a, b);
            let links = links(&nodes, a, b);
            (nodes, links, None)
        }
        By::Place => {
            let joined = place::join(a, b).into_iter();
            let (nodes, rest): (Vec<_>, Vec<_>) = joined.map(|it| (it.node, (it.link, it.stands))).unzip();
            let (links, stands): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
            (nodes, links, Some(stands))
        }
    };
    let ids = |spans: &[Span]| spans.iter().map(|span| span.span).collect::<BTreeSet<_>>();
    let (in_a, in_b) = (ids(a), ids(b));
    let row = |placed: Placed| {
        let Placed { node: at, depth, is_last, .. } = placed;
        let node = &nodes[at];
        let first = node.first(a, b);
        let seen = |of: &[usize], spans: &[Span]| {
            let first = &spans[*of.first()?];
            Some(Seen { copies: of.len(), times: first.times, since: first.since })
        };
        Row {
            depth,
            stands: stands.as_ref().map_or(placed.stands, |stands| stands[at]),
            span: first.span,
            parent: first.parent,
            kind: first.kind,
            service: first.service.clone(),
            operation: first.operation.clone(),
            a: seen(&node.a, a),
            b: seen(&node.b, b),
            differences: match by {
                By::Id => differences(node, (a, &in_a), (b, &in_b)),
                By::Place => place::differences(node, a, b),
            },
            is_last,
            differs_below: false,
        }
    };
    let mut rows: Vec<Row> = lay_out(&links).into_iter().map(row).collect();
    mark_what_differs_below(&mut rows);
    Comparison { rows }
}

/// The parent of each node, among the nodes. Where two share an id, children belong to the end that was called.
fn links(nodes: &[Node], a: &[Span], b: &[Span]) -> Vec<Link> {
    let mut by_id: BTreeMap<SpanId, Vec<usize>> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        by_id.entry(node.first(a, b).span).or_default().push(at);
    }
    let is_called = |at: usize| matches!(nodes[at].first(a, b).kind, pair::SERVER | pair::CONSUMER);
    let link = |at: usize, span: &Span| {
        if span.parent == SpanId::NONE {
            return Link::None;
        }
        let Some(candidates) = by_id.get(&span.parent) else { return Link::Absent };
        // A span that names itself means the other end of its call, if there is one.
        let others = || candidates.iter().copied().filter(|other| *other != at);
        Link::To(others().find(|other| is_called(*other)).or_else(|| others().next()).unwrap_or(at))
    };
    nodes.iter().enumerate().map(|(at, node)| link(at, node.first(a, b))).collect()
}

fn differences(node: &Node, (a, in_a): SideAndIds<'_>, (b, in_b): SideAndIds<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let of_b = node.b.iter().map(|at| &b[*at]);
    let is_orphan = |span: &Span, ids: &BTreeSet<SpanId>| span.parent != SpanId::NONE && !ids.contains(&span.parent);
    match (node.a.len(), node.b.len()) {
        (_, 0) => found.push(Difference::Lost),
        (0, _) => {
            found.push(Difference::Fabricated);
            let orphans = of_b.filter(|span| is_orphan(span, in_b));
            orphans.for_each(|span| note(&mut found, Difference::Orphan { parent: span.parent }));
        }
        (copies_in_a, copies_in_b) => {
            match copies_in_a.cmp(&copies_in_b) {
                std::cmp::Ordering::Less => found.push(Difference::Duplicated { a: copies_in_a, b: copies_in_b }),
                std::cmp::Ordering::Greater => found.push(Difference::FewerCopies { a: copies_in_a, b: copies_in_b }),
                std::cmp::Ordering::Equal => {}
            }
            for (a, b) in node.a.iter().zip(&node.b).map(|(at_a, at_b)| (&a[*at_a], &b[*at_b])) {
                let was_orphan = is_orphan(a, in_a) && a.parent == b.parent;
                let mut of_pair = Vec::new();
                if a.parent != b.parent {
                    of_pair.push(Difference::Reparented { a: a.parent, b: b.parent });
                }
                if is_orphan(b, in_b) && !was_orphan {
                    of_pair.push(Difference::Orphan { parent: b.parent });
                }
                content(a, b, &mut of_pair);
                of_pair.into_iter().for_each(|difference| note(&mut found, difference));
            }
        }
    }
    found
}

type SideAndIds<'a> = (&'a [Span], &'a BTreeSet<SpanId>);

/// Copies that differ in the same way say it once. What copies differ in is compared with what they differed in before:
/// [`pair`] puts equal copies together, so that only those that differ come here, and one span has few keys.
fn note(found: &mut Vec<Difference>, difference: Difference) {
    if found.len() < MAX_NOTED && !found.contains(&difference) {
        found.push(difference);
    }
}

/// Differences of one span that are told: a span has at most 128 attributes by the SDKs' default, twice that with its
/// resource; the rest is copies. It bounds what comparing them with each other takes: 65,536 times 1,024.
const MAX_NOTED: usize = 1_024;

fn content(a: &Span, b: &Span, found: &mut Vec<Difference>) {
    if a.kind != b.kind {
        found.push(Difference::Kind { a: a.kind, b: b.kind });
    }
    if a.operation != b.operation {
        found.push(Difference::Operation { a: a.operation.clone(), b: b.operation.clone() });
    }
    if let (Some(a), Some(b)) = (a.times, b.times) {
        if a.start_unix_ns != b.start_unix_ns {
            found.push(Difference::Start { a: a.start_unix_ns, b: b.start_unix_ns });
        }
        if a.end_unix_ns != b.end_unix_ns {
            found.push(Difference::End { a: a.end_unix_ns, b: b.end_unix_ns });
        }
    }
    if let (Some(a), Some(b)) = (&a.status, &b.status)
        && a != b
    {
        found.push(Difference::Status { a: a.clone(), b: b.clone() });
    }
    values(Place::Attribute, a.attributes.as_ref(), b.attributes.as_ref(), found);
    match (a.resource.as_deref(), b.resource.as_deref()) {
        (Some(a), Some(b)) => values(Place::Resource, Some(a), Some(b), found),
        // The service is all that is known of it.
        _ if a.service != b.service => {
            let (a, b) = (a.service.clone().into(), b.service.clone().into());
            let key = "service.name".to_owned();
            found.push(Difference::Changed { place: Place::Resource, key, a: Some(a), b: Some(b) });
        }
        _ => {}
    }
    values(Place::Scope, a.scope.as_deref(), b.scope.as_deref(), found);
    values(Place::Field, a.fields.as_ref(), b.fields.as_ref(), found);
    found.extend(b.noted.iter().cloned());
}

fn values(place: Place, a: Option<&Values>, b: Option<&Values>, found: &mut Vec<Difference>) {
    let (Some(a), Some(b)) = (a, b) else { return };
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for name in keys.into_iter().filter(|name| a.get(*name) != b.get(*name)) {
        let key = name.clone();
        found.push(match (a.get(name).cloned(), b.get(name).cloned()) {
            (a, None) => Difference::Missing { place, key, a },
            (None, b) => Difference::Added { place, key, b },
            (a, b) => Difference::Changed { place, key, a, b },
        });
    }
}

fn mark_what_differs_below(rows: &mut [Row]) {
    // By depth: whether anything differs in what stands at this depth below the row that is looked at.
    let mut differs = vec![false; rows.iter().map(|row| row.depth + 2).max().unwrap_or_default()];
    for row in rows.iter_mut().rev() {
        row.differs_below = std::mem::take(&mut differs[row.depth + 1]);
        differs[row.depth] |= row.differs_below || !row.differences.is_empty();
    }
}

#[cfg(test)]
mod tests;
