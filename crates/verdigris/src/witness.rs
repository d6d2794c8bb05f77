//! Witnesses (C2SP tlog-witness): the server that cosigns the checkpoints of other ledgers, and this ledger's side, which asks
//! the configured witnesses. Neither decides anything: a witness that is down or refuses never holds up an append.

mod asking;
mod client;
mod server;

pub use asking::{OpenError, Witnessing};
pub use client::{Answer as WitnessAnswer, AnswerError, UrlError, WitnessClient};
pub use server::run;

use ledger::WitnessKey;
use model::ClientTls;

/// Witnesses of one ledger: a note holds the signatures of a log and 15 witnesses, as C2SP signed-note wants.
pub const MAX_WITNESSES: usize = 15;

/// A witness that the ledger asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where it takes checkpoints, without `/add-checkpoint`.
    pub url: String,
    /// Who it is.
    pub key: WitnessKey,
    /// How an `https://` witness is verified. What it answers is signed in either case.
    pub tls: ClientTls,
}

/// The witnesses that a ledger asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// At most [`MAX_WITNESSES`], no two with one key.
    pub asked: Vec<Witness>,
    /// How many of them make a quorum.
    pub quorum: Option<usize>,
}

/// How many entries a quorum has cosigned: the size that so many witnesses reached, each with its own newest checkpoint.
/// `None` if there are not so many.
pub fn quorum_size(mut sizes: Vec<u64>, quorum: usize) -> Option<u64> {
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    quorum.checked_sub(1).and_then(|last| sizes.get(last).copied())
}

#[cfg(test)]
mod tests;
