//! Can green call what blue calls: the calls that an environment must be able to make, compared, and the external
//! dependencies that traces show, really called.
//!
//! Pure: no connection is made and no clock asked; `gates::integration` makes the calls, and spans are handed in. Nothing of
//! an answer is kept but its status, its time and whether it was as expected; of a span only whom it calls: host, port,
//! system, service or destination, never a path, a query, a statement or an attribute's other value.
//!
//! [`Calls`] are made in both environments, and [`compare`] decides of their [`Outcomes`]. A [`Window`] takes spans and
//! gives [`Dependencies`]; [`cover`] decides whether green has called each of blue's.

mod address;
mod call;
mod compare;
mod coverage;
mod dependency;
mod latency;
mod order;
mod reasons;
mod table;
mod window;

pub use address::{Address, AddressError};
pub use call::{
    Attempt, Call, CallError, Calls, Failure, MAX_CALL_NAME_CHARACTERS, MAX_CALLS, MAX_CALLS_BYTES, MAX_OUTCOME_BYTES,
    MAX_REPETITIONS, MAX_TIMEOUT_MS, Method, Origin, OutcomeError, Outcomes, Records, Target, Why,
};
pub use compare::{Question, compare};
pub use coverage::{Coverage, Exception, cover};
pub use dependency::{Dependency, Kind, MAX_NAME_BYTES, of_span};
pub use latency::Latencies;
pub use order::{Slower, needed_repetitions};
pub use reasons::Assessment;
pub use table::{Called, Dependencies, MAX_DEPENDENCIES};
pub use window::{MAX_OPEN, MAX_SERVED, Window};
