//! What an approver signs, and what a signature proves.
//!
//! The statement is canonical JSON (RFC 8785) that names everything which the approval depends on: another plan, another
//! configuration or another rollout makes other bytes. It is signed as OpenSSH signs files (PROTOCOL.sshsig,
//! `ssh-keygen -Y sign`), with a key of the approver's own, so that it can be made on a machine that reaches no server, by
//! a key in an agent or on a token; or by a passkey in a browser (WebAuthn), whose challenge is the statement's digest.

mod key;
mod passkey;

pub use key::{ApproverKey, ApproverKeyError, PublicKey, PublicKeyError};
pub use passkey::{
    Assertion, AssertionError, AssertionType, CHALLENGE_PREFIX, MAX_CREDENTIAL_BYTES, PASSKEY_TYPE, Passkey,
    PasskeyError, challenge, challenge_text,
};

use crate::configuration::digests;
use crate::event::RolloutId;
use crate::principal::Principal;
use crate::state::State;
use model::{PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};
use ssh_key::{LineEnding, SshSig};

/// The namespace of the signatures: one that was made for anything else does not hold (PROTOCOL.sshsig, "Signed Data").
pub const NAMESPACE: &str = "approval@verdigris.dev";
/// A statement is two kilobytes, its longest reason included.
pub const MAX_STATEMENT_BYTES: usize = 8 * 1024;
/// A signature by an Ed25519 key is 300 bytes, armored; an assertion by a passkey about 900, and at most 2,500.
pub const MAX_SIGNATURE_BYTES: usize = 4 * 1024;
/// Characters of the reason for a broken glass.
pub const MAX_REASON_CHARACTERS: usize = 500;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// The version of this format.
    #[serde(rename = "type")]
    pub kind: StatementType,
    /// What is said.
    pub act: Act,
    /// The origin of the ledger (C2SP tlog-checkpoint) that the rollout stands in.
    pub log: String,
    /// Which rollout.
    pub rollout: RolloutId,
    /// [`Plan::digest`](crate::plan::Plan::digest), which covers the digests of the artifacts.
    pub plan: String,
    /// `sha256:…` of each environment's configuration; none where the plan names none.
    pub configurations: PerEnvironment<Option<String>>,
    /// [`EvidenceRoot`](crate::EvidenceRoot) of what gates and verdicts rested on so far.
    pub evidence: String,
    /// The ledger as the approver could see it.
    pub checkpoint: LogHead,
    /// From then on it approves nothing.
    pub expires_at: UnixMillis,
    /// The reason of the plan's point of no return, if it is that which is approved; none for the approval gate. An
    /// approval of one is none of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_no_return: Option<String>,
}

/// Which statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatementType {
    /// The first version.
    #[serde(rename = "https://verdigris.dev/approval/v1")]
    V1,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Act {
    /// The plan may go on.
    Approve,
    /// It may go on by this approval alone, and somebody else reviews it afterwards.
    BreakGlass {
        /// Why nobody else could approve.
        reason: String,
    },
    /// What was done when the glass was broken is seen.
    Review,
}

impl Act {
    /// In a phrase.
    pub fn words(&self) -> &'static str {
        match self {
            Act::Approve => "an approval",
            Act::BreakGlass { .. } => "an approval that breaks the glass",
            Act::Review => "a review of a broken glass",
        }
    }
}

/// A head of the ledger: what a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogHead {
    /// Entries.
    pub size: u64,
    /// The root hash, in Base64 as a checkpoint has it.
    pub root: String,
}

/// A statement with its signature, as both are carried about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedStatement {
    /// The bytes that were signed.
    pub statement: String,
    /// `-----BEGIN SSH SIGNATURE-----` and so on (PROTOCOL.sshsig, "Armored format"), or an [`Assertion`] as canonical JSON.
    pub signature: String,
}

/// A signed statement as the controller took it, with what it alone can know: who has the key, and whether the ledger
/// ever was what the statement says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submission {
    /// What was handed in.
    pub signed: SignedStatement,
    /// Whose key it is, by the configuration of then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Principal>,
    /// Whether the ledger was what the statement says.
    pub checkpoint: CheckpointCheck,
}

/// Whether the ledger was what a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckpointCheck {
    /// It was.
    Holds,
    /// It had another root at this size.
    OtherRoot,
    /// It has not so many entries yet.
    NotYet,
    /// So long it was before the rollout began.
    BeforeTheRollout,
}

/// Bytes that are no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Too long to be one.
    #[error("the statement has {found} bytes, at most {MAX_STATEMENT_BYTES} are expected")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// Not of its shape.
    #[error("it is no statement of an approval: {0}")]
    Shape(#[source] serde_json::Error),
    /// Of its shape, and other bytes: two readers might read two things.
    #[error("the statement is not canonical JSON (RFC 8785): sign the file as `verdigris approve` wrote it, unchanged")]
    NotCanonical,
    /// No reason, or too long a one.
    #[error("the reason for breaking the glass has {found} characters, expected 1 to {MAX_REASON_CHARACTERS}")]
    Reason {
        /// How many it has.
        found: usize,
    },
}

/// A signature that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// What was signed is no statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Too long to be one.
    #[error("the signature has {found} bytes, at most {MAX_SIGNATURE_BYTES} are expected")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// Not a signature at all.
    #[error("it is no signature as `ssh-keygen -Y sign` makes them: {0}")]
    Shape(#[source] ssh_key::Error),
    /// By a passkey, and it does not hold.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    /// Written otherwise than OpenSSH does.
    #[error("the signature is not in the form in which `ssh-keygen -Y sign` writes it: hand it in unchanged")]
    Form,
    /// By a kind of key that is not taken.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// For another purpose.
    #[error(
        "the signature is for the namespace {found:?}, expected {NAMESPACE:?} (`ssh-keygen -Y sign -n {NAMESPACE}`)"
    )]
    Namespace {
        /// What it is for.
        found: String,
    },
    /// It is another one's, or the statement was changed.
    #[error("the signature does not hold: the statement was changed after it was signed, or the key is another one")]
    DoesNotHold,
}

impl Statement {
    /// What an approver of a rollout would sign now: of the point of no return while it waits there, else of the approval
    /// gate. `Err` with words where nothing can be approved.
    pub fn of(state: &State, act: Act, checkpoint: LogHead, now: UnixMillis) -> Result<Statement, String> {
        let point = state.plan.point_of_no_return.as_ref().filter(|_| state.waits_at_point() && act == Act::Approve);
        let expires_ms = match (point, &state.plan.gates.approval) {
            (Some(point), _) => point.expires_ms,
            (None, Some(gate)) => gate.expires_ms,
            (None, None) if state.plan.point_of_no_return.is_some() => {
                return Err("nothing is to be approved now: the plan has no gates.approval, and the rollout does not \
                            wait at its point of no return"
                    .to_owned());
            }
            (None, None) => return Err("the plan asks for no approval: it has no gates.approval".to_owned()),
        };
        let point_of_no_return = point.map(|point| point.reason.clone());
        let Some(configurations) = &state.configurations else {
            return Err("the configurations are being read: try again in a moment".to_owned());
        };
        Ok(Statement {
            kind: StatementType::V1,
            act,
            log: state.log.clone(),
            rollout: state.rollout.clone(),
            plan: state.plan_digest.clone(),
            configurations: digests(configurations)?,
            evidence: state.evidence.to_string(),
            checkpoint,
            expires_at: now.plus_ms(expires_ms),
            point_of_no_return,
        })
    }

    /// Canonical JSON (RFC 8785), without a line end: what is signed.
    pub fn to_text(&self) -> String {
        serde_json_canonicalizer::to_string(self).expect("a statement has text keys only, and no floats")
    }

    /// The statement that these bytes are.
    pub fn from_text(text: &str) -> Result<Statement, StatementError> {
        if text.len() > MAX_STATEMENT_BYTES {
            return Err(StatementError::TooLong { found: text.len() });
        }
        let statement: Statement = serde_json::from_str(text).map_err(StatementError::Shape)?;
        if statement.to_text() != text {
            return Err(StatementError::NotCanonical);
        }
        if let Act::BreakGlass { reason } = &statement.act {
            let found = reason.chars().count();
            if !(1..=MAX_REASON_CHARACTERS).contains(&found) || reason.trim().is_empty() {
                return Err(StatementError::Reason { found });
            }
        }
        Ok(statement)
    }
}

impl SignedStatement {
    /// The statement, and the key that signed it. Says nothing of whose key it is.
    pub fn open(&self) -> Result<(Statement, PublicKey), SignatureError> {
        let statement = Statement::from_text(&self.statement)?;
        if self.signature.len() > MAX_SIGNATURE_BYTES {
            return Err(SignatureError::TooLong { found: self.signature.len() });
        }
        if self.signature.starts_with('{') {
            let passkey = Assertion::from_text(&self.signature)?.verify(&self.statement)?;
            return Ok((statement, passkey.into()));
        }
        let signature = SshSig::from_pem(&self.signature).map_err(SignatureError::Shape)?;
        let key = PublicKey::of(signature.public_key().clone())?;
        // Version, lengths and line ends are not signed: with any other form, two texts of one signature would both hold.
        let form = signature.to_pem(LineEnding::LF).map_err(SignatureError::Shape)?;
        let first = signature.version() == SshSig::VERSION && signature.reserved().is_empty();
        if !first || !self.signature.lines().eq(form.lines()) {
            return Err(SignatureError::Form);
        }
        if signature.namespace() != NAMESPACE {
            return Err(SignatureError::Namespace { found: signature.namespace().to_owned() });
        }
        if !key.verifies(&signature, self.statement.as_bytes()) {
            return Err(SignatureError::DoesNotHold);
        }
        Ok((statement, key))
    }
}

#[cfg(test)]
mod tests;
