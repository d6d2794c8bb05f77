//! What `cargo xtask soak` measures with: `bench soak-load`, a client that keeps books on every span, and `bench
//! soak-sink`, a back end that records what came to it before it answers.
//!
//! They are told what to do by JSON lines on standard input, answer on standard output, and end when their standard input
//! does. What is lost, doubled or torn is decided here, from the books of both sides: the gateway's own counters are not
//! asked.

mod audit;
mod bitmap;
mod book;
mod client;
mod exporter;
mod journal;
mod line;
mod load;
mod numbering;
mod sink;

pub use load::{Options as LoadOptions, run as run_load};
pub use sink::{Options as SinkOptions, run as run_sink};

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds: the books of several processes are compared by it.
fn unix_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "three processes of one machine keep their books by its clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
