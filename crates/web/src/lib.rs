//! The HTTP API and the pages, behind two doors: a Unix socket that only its owner may open, and a port.
//!
//! At the socket, who asks is the user at the other end, as the kernel says (SO_PEERCRED): a name that cannot be forged,
//! and no secret to keep. At the port it is whoever shows a token, a session's cookie or a certificate. Behind both stand
//! the same routes, and each asks its caller for one action of `access`. Clock and randomness are given.

mod api;
mod assets;
mod caller;
mod condition;
mod door;
mod files;
#[cfg(test)]
mod fixture;
mod form;
mod pages;
mod port;
mod session;
mod site;
mod socket;

pub use api::idempotency::Answers;
pub use api::learning::{LEARN_FOR_MS, Learn, LearnError, LearnRequest};
pub use api::plans::CheckRequest;
pub use api::problem::{PlanProblem, Problem};
pub use api::recording::{
    Prepare, Prepared, RECORD_BYTES, RECORD_FOR_MS, Record, RecordError, RecordRequest, RecordedLine, RecordedLines,
};
pub use api::{EraseRequest, SignOffRequest, StartRequest};
pub use caller::{Caller, Refusal};
pub use condition::{Condition, Exemplar, Family, Kind, Sample};
pub use door::{
    Alg, Doorway, Identities, Identity, KeysAt, KeysError, KeysSeen, Oidc, Pinned, SaidAt, Secrets, token_digest,
    token_text,
};
pub use files::{Export, LedgerFiles};
pub use port::{Port, PortError};
pub use socket::{Hidden, ListenError, Listening};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use control::Handle;
use control::rollout::approval::PublicKey;
use control::rollout::{KnownPrincipal, Principal, RolloutId};
use model::UnixMillis;
use std::sync::Arc;
use tokio::net::UnixListener;
use verify::CallCounts;

/// What a server says of itself, as JSON: addresses, ledger, counters.
pub type Status = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// From a user id of the operating system to whoever that is, and what they may at the socket.
pub type Principals = Arc<dyn Fn(u32) -> Caller + Send + Sync>;

/// From a key that approves to the one canonical principal whose it is.
pub type Signers = Arc<dyn Fn(&PublicKey) -> Option<Principal> + Send + Sync>;

/// Everybody whom the configuration names, in the order of their names.
pub type Known = Arc<dyn Fn() -> Vec<KnownPrincipal> + Send + Sync>;

/// What verification has joined of the calls between services so far, of this rollout; nothing if it does not know.
pub type Calls = Arc<dyn Fn(&RolloutId) -> Option<Arc<SeenCalls>> + Send + Sync>;

/// The calls between services, as verification counts them in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCalls {
    /// When it began to.
    pub since: UnixMillis,
    /// When these were the counts.
    pub until: UnixMillis,
    /// The counts.
    pub counts: CallCounts,
}

/// Everything that a request may need.
#[derive(Clone)]
pub struct Api {
    /// The controller.
    pub handle: Handle,
    /// What the server says of itself.
    pub status: Status,
    /// Who is who.
    pub principals: Principals,
    /// Whose key is whose.
    pub signers: Signers,
    /// Who may approve, and with which passkeys.
    pub known: Known,
    /// What watches the traffic to learn from it.
    pub learn: Learn,
    /// What records what the gateway receives.
    pub record: Record,
    /// What is measured of the server, and whether it serves.
    pub condition: Condition,
    /// What was answered to requests with an `Idempotency-Key`, by whichever door they came.
    pub answers: Answers,
    /// The ledger's files, read only.
    pub ledger: LedgerFiles,
    /// What came out of the calls between services.
    pub calls: Calls,
}

/// The user at the other end, if the kernel says who it is.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        Peer(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}
