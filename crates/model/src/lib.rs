//! The words of Verdigris as types: ids, units, environments, the route table, observations, measurements.
//!
//! Pure: no clock, no randomness, no I/O, no async, no logging. Every other crate of ours may depend on this one;
//! this one depends on none of them.

mod canary;
mod causes;
mod environment;
mod exposure;
mod gate;
mod id;
mod measurement;
mod observation;
mod operation;
mod route;
mod service;
mod testers;
mod transport;
mod unit;

pub use canary::{Canary, CanaryFate, CanaryPlace, CanarySite, Leak, MAX_CANARY_KEY_CHARACTERS, Secret, SecretKind};
pub use causes::{quoted, with_causes};
pub use environment::{Environment, PerEnvironment};
pub use exposure::{Exposure, LeakSearch, MAX_EXPOSURES};
pub use gate::{GateResult, GateVerdict};
pub use id::{ParseIdError, SpanId, TraceId};
pub use measurement::{Counters, MAX_COUNTER, MAX_SOURCE_REASON_CHARACTERS, Measurement, Reading};
pub use observation::{
    ArmCounts, BlindSpotCount, Check, ExponentialHistogram, Finding, MAX_FINDINGS_PER_OBSERVATION,
    MAX_SUBJECTS_PER_OBSERVATION, Observation, SlowTrace, Subject,
};
pub use operation::{
    MAX_OPERATIONS_PER_OBSERVATION, OPERATION_BUCKETS, OPERATION_BUCKETS_PER_DOUBLING, OperationCounts,
    OperationLatency, RootOperation,
};
pub use route::{BUCKETS, Bucket, MAX_ENDPOINTS, Pins, Protocol, RouteKey, RouteTable, Routed, Upstream};
pub use service::{
    MAX_CALLS, MAX_TIMED_CALLS, MAX_TIMED_NAME_BYTES, MAX_TIMED_OPERATIONS, ServiceTimes, ShortHistogram,
    TIMED_OVER_OBSERVATIONS, US_FOR_A_CALL,
};
pub use testers::{MAX_TESTER_ROUTE_CHARACTERS, MAX_TESTER_TRACES_PER_MINUTE, MAX_TESTERS, TesterRoute, Testers};
pub use transport::{ClientTls, Compression, TlsIdentity, Transport};
pub use unit::{BasisPoints, ParseUnitError, ShortDuration, UnixMillis, parse_duration_ms};
