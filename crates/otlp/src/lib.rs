//! OTLP bytes: find, split and rewrite spans on the wire; decode where a span must be read.
//!
//! The gateway passes the clients' own bytes on. So this crate reads the protobuf wire format itself: it finds the
//! trace ids ([`Splitter`]), and what verification needs of a span ([`for_each_span`]), without building messages.
//! It never assumes an order of fields (the OpenTelemetry Collector writes them backwards), never fails a request for
//! a field that it does not know, and never validates what it does not need.
//!
//! What redaction changes is changed on the wire too ([`edit_texts`]); ids and times of a request that is sent again are
//! overwritten where they stand ([`for_each_fixed`]).
//!
//! What still speaks Zipkin or Jaeger is converted first ([`legacy`]).
//!
//! Pure: no clock, no randomness, no I/O, no async, no logging. Hostile bytes give an error or odd values, never a
//! panic, and never an allocation that the size of the input does not bound.
//!
//! Source: the OTLP specification 1.x, and *Protocol Buffers: Encoding*.

pub mod compression;
mod edit;
pub mod grpc;
pub mod json;
pub mod legacy;
mod places;
pub mod reply;
mod resource;
mod routes;
mod signal;
mod span;
mod split;
mod tagged;
mod wire;

#[cfg(test)]
mod sample;

pub use edit::{Place, edit_texts};
pub use places::{Fixed, for_each_fixed};
pub use signal::{Signal, count_items};
pub use span::{Scope, SpanView, Status, for_each_span, int_value, string_value};
pub use split::{Part, Splitter, Unit};
pub use tagged::for_each_tagged_trace;
pub use wire::Malformed;
