//! The one OTLP endpoint of the apps, and of old senders (Zipkin's and Jaeger's): receivers, routing of whole traces,
//! forwarding, mirror and taps.
//!
//! Bytes pass through undecoded. A request is acknowledged when every environment that serves a part of it has
//! acknowledged that part, and never before (invariant 7). A rollback gives up what waits for the environment that it
//! leaves: those clients are told at once to send again. Verification sees copies of what passes, and never blocks or
//! alters it (invariant 5). Only newer generations of the route table apply (invariant 2). Nothing from outside is waited
//! for without a timeout, or held without a bound (invariant 8). The clock is an argument.
//!
//! ```text
//! listen → receive → route (pins, split) → hand_over → client → answer
//!             └→ record └→ mirror → hand_over   └→ view
//! listen → receive → tap → client (back end) → answer, view
//! ```

mod answer;
mod body;
pub mod client;
mod closing;
mod config;
mod counting;
mod hand_over;
mod listen;
mod mirror;
mod pins;
mod plant;
mod pool;
mod ports;
mod pressure;
mod receive;
mod record;
mod redacting;
mod route;
mod run;
mod senders;
mod share;
mod spooling;
mod stats;
mod table;
mod tap;
mod testers;
mod view;

pub use answer::Outcome;
pub use client::{ClientLimits, OtlpClient, UpstreamError, check_upstream};
pub use config::{Config, Limits, Listen};
pub use counting::LoadOut;
pub use listen::{Addresses, BindError, PortRole, Socket};
pub use otlp::reply::{PartialSuccess, Status};
pub use pins::{MAX_PIN_S, PinsError};
pub use plant::Ground;
pub use pool::EndpointState;
pub use ports::NotMoved;
pub use record::{MAX_WAITING, Received, Receiving};
pub use run::{Bound, Channels, Clock, Event, Gateway, Stopped, Warrant};
pub use senders::{Admission, Senders};
pub use share::ViewShare;
pub use spooling::Spools;
pub use stats::{EnvironmentStats, RefusedClient, Stats};
pub use table::TableError;
pub use tls::ServerFiles;
pub use view::{MAX_VIEW_BYTES, Role, View};
