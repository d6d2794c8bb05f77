use model::{Protocol, UnixMillis};
use otlp::Signal;

/// The largest body that is recorded, in bytes: the largest message that a gateway takes.
pub const MAX_BODY_BYTES: usize = 64 << 20;

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it came, in microseconds since the recording began.
    pub offset_us: u64,
    /// What it carries.
    pub signal: Signal,
    /// How it came. OTLP/JSON and old formats are recorded as the protobuf that they were made into, and as HTTP.
    pub protocol: Protocol,
    /// Whether its sender had sent it before.
    pub attempt: Attempt,
    /// The bytes of an `Export…ServiceRequest`, not compressed, [`MAX_BODY_BYTES`] at most.
    pub body: Vec<u8>,
}

/// Senders send a request again when it was refused: whoever replays a recording may want each request once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attempt {
    /// Whoever recorded cannot tell.
    #[default]
    Unknown,
    /// It had not come before.
    First,
    /// It had come before, and was not taken.
    Again,
}

/// What is known when a recording begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// When it began.
    pub started: UnixMillis,
    /// SHA-256 of the policy by which bodies were redacted; `None` if they were not.
    pub redaction: Option<[u8; 32]>,
    /// What it may become.
    pub bounds: Bounds,
}

/// How large and how long a recording may become. What comes beyond is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the plain format at most, with its header and its end, which are 138 and always written. age adds 16 bytes for each 64 KiB, and some 200.
    pub max_bytes: u64,
    /// Milliseconds at most.
    pub max_ms: u64,
}

/// What is known at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that were recorded.
    pub frames: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// The largest offset, in microseconds.
    pub duration_us: u64,
    /// Frames that were dropped because of the bounds, or before the writer got them.
    pub dropped_frames: u64,
    /// Bytes of their bodies.
    pub dropped_bytes: u64,
}
