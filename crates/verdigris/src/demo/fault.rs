//! Ways in which a pipeline can be broken. What a fault does to a batch is decided here, from a seed; the pipeline
//! carries it out and counts.

use super::random::SplitMix64;
use super::redaction;
use super::server::refused;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use otlp::reply::{Status, code};
use std::collections::{BTreeMap, VecDeque};

/// How a pipeline is broken.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Not at all.
    None,
    /// Drops every span of one service.
    BlindSpot {
        /// `service.name`.
        service: String,
    },
    /// Drops spans at random.
    SpanLoss {
        /// The share that is dropped, 0.0 to 1.0.
        share: f64,
    },
    /// Removes one attribute from the spans of one service.
    AttributeDrop {
        /// `service.name`.
        service: String,
        /// The attribute's key.
        key: String,
    },
    /// Writes asterisks over the value of one attribute of one service's spans, as a redaction that goes too far does.
    Mask {
        /// `service.name`.
        service: String,
        /// The attribute's key.
        key: String,
    },
    /// Leaves what its redaction should write over, as one that was forgotten does.
    Leak,
    /// Hangs the spans of one service onto their grandparents, as far as the pipeline has seen the parents.
    Reparent {
        /// `service.name`.
        service: String,
    },
    /// Delays every batch.
    Slow {
        /// By how much, in milliseconds.
        ms: u64,
    },
    /// Refuses requests at random.
    Errors {
        /// The share that is refused, 0.0 to 1.0.
        share: f64,
        /// With what.
        refusal: Refusal,
    },
    /// Behaves well until it is killed.
    Crash,
}

/// How a broken pipeline refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// UNAVAILABLE: the client sends the request again.
    Unavailable,
    /// INVALID_ARGUMENT: the client gives it up.
    InvalidArgument,
}

impl Fault {
    /// The names that [`Fault::by_name`] knows, as `verdigris demo --fault` takes them.
    pub const NAMES: [&'static str; 10] =
        ["none", "blind-spot", "span-loss", "attribute-drop", "mask", "leak", "reparent", "slow", "errors", "crash"];

    /// The demo's fault of this name, with the values that suit the shop.
    pub fn by_name(name: &str) -> Option<Fault> {
        match name {
            "none" => Some(Fault::None),
            "blind-spot" => Some(Fault::BlindSpot { service: "payment".into() }),
            "span-loss" => Some(Fault::SpanLoss { share: 0.01 }),
            "attribute-drop" => Some(Fault::AttributeDrop { service: "frontend".into(), key: "http.route".into() }),
            "mask" => Some(Fault::Mask { service: "frontend".into(), key: "http.route".into() }),
            "leak" => Some(Fault::Leak),
            "reparent" => Some(Fault::Reparent { service: "catalogue".into() }),
            "slow" => Some(Fault::Slow { ms: 1_500 }),
            "errors" => Some(Fault::Errors { share: 0.2, refusal: Refusal::InvalidArgument }),
            "crash" => Some(Fault::Crash),
            _ => None,
        }
    }
}

/// What a fault did to one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Spans taken out.
    pub dropped: u64,
    /// Attributes written over.
    pub masked: u64,
    /// Texts with a secret that were left as they were.
    pub leaked: u64,
    /// Attributes taken off spans.
    pub attributes_removed: u64,
    /// Spans given another parent.
    pub reparented: u64,
}

impl Damage {
    /// Whether nothing was done.
    pub fn is_none(&self) -> bool {
        *self == Damage::default()
    }

    /// Adds what was done to another batch.
    pub fn add(&mut self, other: Damage) {
        self.dropped += other.dropped;
        self.attributes_removed += other.attributes_removed;
        self.masked += other.masked;
        self.leaked += other.leaked;
        self.reparented += other.reparented;
    }
}

/// A fault at work: its randomness, and what it remembers.
#[derive(Debug)]
pub struct Saboteur {
    fault: Fault,
    random: SplitMix64,
    parents: RecentParents,
}

impl Saboteur {
    /// The same seed breaks the same requests in the same order.
    pub fn new(fault: Fault, seed: u64) -> Saboteur {
        Saboteur { fault, random: SplitMix64::new(seed), parents: RecentParents::default() }
    }

    /// The refusal, if this request is to be refused.
    pub fn refusal(&mut self) -> Option<Status> {
        let Fault::Errors { share, refusal } = &self.fault else { return None };
        self.random.chance(*share).then(|| match refusal {
            Refusal::Unavailable => refused(code::UNAVAILABLE, "the pipeline's exporter is not available"),
            Refusal::InvalidArgument => refused(code::INVALID_ARGUMENT, "the pipeline cannot read this request"),
        })
    }

    /// Whether the pipeline writes over secrets.
    pub fn masks(&self) -> bool {
        self.fault != Fault::Leak
    }

    /// Breaks one batch.
    pub fn damage(&mut self, batch: &mut ExportTraceServiceRequest) -> Damage {
        let mut damage = Damage::default();
        match &self.fault {
            Fault::Leak => damage.leaked = redaction::secrets(batch),
            Fault::None | Fault::Slow { .. } | Fault::Errors { .. } | Fault::Crash => {}
            Fault::BlindSpot { service } => {
                for resource in of_service(batch, service) {
                    damage.dropped += spans(resource).count() as u64;
                    resource.scope_spans.clear();
                }
            }
            Fault::SpanLoss { share } => {
                for scope in batch.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
                    let before = scope.spans.len();
                    scope.spans.retain(|_| !self.random.chance(*share));
                    damage.dropped += (before - scope.spans.len()) as u64;
                }
            }
            Fault::AttributeDrop { service, key } => {
                for span in of_service(batch, service).flat_map(spans_mut) {
                    let before = span.attributes.len();
                    span.attributes.retain(|attribute| attribute.key != *key);
                    damage.attributes_removed += (before - span.attributes.len()) as u64;
                }
            }
            Fault::Mask { service, key } => {
                for span in of_service(batch, service).flat_map(spans_mut) {
                    for attribute in span.attributes.iter_mut().filter(|attribute| attribute.key == *key) {
                        let value = Some(any_value::Value::StringValue("***".to_owned()));
                        attribute.value = Some(AnyValue { value });
                        damage.masked += 1;
                    }
                }
            }
            Fault::Reparent { service } => {
                batch.resource_spans.iter().flat_map(spans).for_each(|span| self.parents.see(span));
                for span in of_service(batch, service).flat_map(spans_mut) {
                    if let Some(grandparent) = self.parents.grandparent(span) {
                        span.parent_span_id = grandparent.to_vec();
                        damage.reparented += 1;
                    }
                }
            }
        }
        if damage.dropped > 0 {
            for resource in &mut batch.resource_spans {
                resource.scope_spans.retain(|scope| !scope.spans.is_empty());
            }
            batch.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
        }
        damage
    }
}

fn of_service<'b>(
    batch: &'b mut ExportTraceServiceRequest,
    service: &str,
) -> impl Iterator<Item = &'b mut ResourceSpans> {
    batch.resource_spans.iter_mut().filter(move |resource| service_name(resource) == Some(service))
}

/// `service.name` of a resource.
pub fn service_name(resource: &ResourceSpans) -> Option<&str> {
    let attributes = &resource.resource.as_ref()?.attributes;
    let name = attributes.iter().find(|attribute| attribute.key == "service.name")?;
    match name.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(name) => Some(name),
        _ => None,
    }
}

/// The spans of a resource.
pub fn spans(resource: &ResourceSpans) -> impl Iterator<Item = &Span> {
    resource.scope_spans.iter().flat_map(|scope| &scope.spans)
}

/// The same, to change them.
pub(super) fn spans_mut(resource: &mut ResourceSpans) -> impl Iterator<Item = &mut Span> {
    resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans)
}

/// Spans whose parents are remembered: a trace's spans arrive within a second or two, and 2^16 spans are 4 s at
/// 1,000 traces/s of 14 spans. Two ids of 8 bytes and one more in the queue, with the map's overhead about 3 MB.
const MAX_PARENTS: usize = 1 << 16;

type Id = [u8; 8];

/// Who the parents of the last spans were.
#[derive(Debug, Default)]
struct RecentParents {
    parent_of: BTreeMap<Id, Id>,
    oldest: VecDeque<Id>,
}

impl RecentParents {
    fn see(&mut self, span: &Span) {
        let (Ok(id), Ok(parent)) = (Id::try_from(&*span.span_id), Id::try_from(&*span.parent_span_id)) else { return };
        if self.parent_of.insert(id, parent).is_none() {
            self.oldest.push_back(id);
        }
        if self.oldest.len() > MAX_PARENTS
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.parent_of.remove(&oldest);
        }
    }

    /// The parent of the span's parent, if that was seen and is no root.
    fn grandparent(&self, span: &Span) -> Option<Id> {
        let parent = Id::try_from(&*span.parent_span_id).ok()?;
        self.parent_of.get(&parent).copied()
    }
}
