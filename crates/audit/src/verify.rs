//! Whether a bundle holds: from the public key down, by nothing that anybody says.

use crate::approvals::{self, ApprovalError, ApprovalFound, KnownKeys};
use crate::bundle::{Bundle, Entry, EntryContent};
use crate::consistency::{ConsistencyError, check as check_consistency};
use crate::derived::started;
use crate::files::ReadBundleError;
use crate::key_changes::{KeyChangeError, follow};
use crate::statement::{PAYLOAD_TYPE, statements};
use ledger::{
    Checkpoint, Envelope, NoteSignature, OpenCheckpointError, ProofError, VerifierKey, WitnessKey, verify_inclusion,
};
use rollout::{Body, Event, Record, RolloutId};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A bundle that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyBundleError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadBundleError),
    /// What an approver saw of the ledger is not what it begins with.
    #[error(transparent)]
    Consistency(#[from] ConsistencyError),
    /// No changes lead from the key that is known to the one that signed it.
    #[error("the changes of the ledger's key do not hold")]
    KeyChange(#[from] KeyChangeError),
    /// The checkpoint is not the log's.
    #[error("the checkpoint does not hold")]
    Checkpoint(#[from] OpenCheckpointError),
    /// The checkpoint has other signatures than one of the ledger's key and one of each key in `witnesses`, in that order:
    /// nothing would say if these were changed.
    #[error("the checkpoint has the signatures of {found}, expected {expected}")]
    OtherSignatures {
        /// As the note says.
        found: String,
        /// By the keys.
        expected: String,
    },
    /// A witness' key is there, and its cosignature does not fit.
    #[error("the cosignature of {witness} does not fit the checkpoint: it, or the key in `witnesses`, was altered")]
    Cosignature {
        /// Whose.
        witness: String,
    },
    /// An entry's proof does not lead to the checkpoint.
    #[error("entry {index} is not in the ledger: its proof does not hold")]
    Proof {
        /// Which.
        index: u64,
        /// Why.
        source: ProofError,
    },
    /// There is no entry.
    #[error("there is no entry in it")]
    Empty,
    /// Entries between the first and the last are missing.
    #[error("entry {index} is missing: a bundle has all entries from the first of its rollout to the last")]
    Gap {
        /// The first that is.
        index: u64,
    },
    /// An entry is not one of our records.
    #[error("entry {index} is no record: {source}")]
    Record {
        /// Which.
        index: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// An entry is of another rollout.
    #[error("entry {index} is of {found}, and the bundle of {expected}")]
    OtherRollout {
        /// Which.
        index: u64,
        /// Whose it is.
        found: RolloutId,
        /// Whose bundle.
        expected: RolloutId,
    },
    /// A sequence number is not the next.
    #[error("entry {index} has the sequence number {found}, expected {expected}: a record is missing")]
    OutOfSequence {
        /// Which.
        index: u64,
        /// What it has.
        found: u64,
        /// What follows from those before.
        expected: u64,
    },
    /// The plan is not the one that approvals name.
    #[error("entry {index} has a plan with the digest {found}, and states {stated}")]
    PlanDigest {
        /// The record that started the rollout.
        index: u64,
        /// The digest of the plan in it.
        found: String,
        /// What it states.
        stated: String,
    },
    /// An approval should not have counted.
    #[error("an approval does not hold")]
    Approval(#[source] ApprovalError),
    /// A blob is not what its name says.
    #[error("evidence {digest}: what is in it has another digest")]
    Blob {
        /// As it is called.
        digest: String,
    },
    /// No record that is shown names a blob.
    #[error("evidence {digest}: no record that is shown names it")]
    UnnamedBlob {
        /// Which.
        digest: String,
    },
    /// A record leads to a statement, and it is not there; or one is there that no record leads to.
    #[error("statements/{index:010}.dsse.json {words}: expected those that the shown records lead to, or none at all")]
    OtherStatements {
        /// The entry.
        index: u64,
        /// Which of the two.
        words: &'static str,
    },
    /// A statement is not what its record says.
    #[error("statements/{index:010}.dsse.json: it does not say what entry {index} says")]
    Statement {
        /// The entry.
        index: u64,
    },
    /// A statement is not signed by the ledger's key alone.
    #[error("statements/{index:010}.dsse.json: expected one signature, that of the ledger's key")]
    StatementSignature {
        /// The entry.
        index: u64,
    },
    /// All of it holds, and yet these are other bytes than such a bundle has.
    #[error("byte {at}, of {path}, is not what follows from the records: it was changed, and no proof covers it")]
    OtherBytes {
        /// The first that differs.
        at: usize,
        /// In which file.
        path: String,
    },
}

/// Which of the rollout's records there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Records of the rollout that are shown.
    pub shown: u64,
    /// Those that are hidden.
    pub hidden: u64,
    /// The server's own between them.
    pub of_server: u64,
}

/// A witness who cosigned the checkpoint, as the bundle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedBy {
    /// The key that is in the bundle, and that the cosignature fits. It is trusted by whoever knows it by another way.
    pub witness: WitnessKey,
    /// When, by the witness' clock: seconds since the Unix epoch.
    pub at_s: u64,
}

/// What was proved.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// The signed head of the ledger that all of it is in.
    pub checkpoint: Checkpoint,
    /// The keys of the ledger in their order; the last signed it.
    pub keys: Vec<VerifierKey>,
    /// Who cosigned it, in the order of their signatures.
    pub cosigned: Vec<CosignedBy>,
    /// The rollout.
    pub rollout: RolloutId,
    /// How complete it is.
    pub sequence: Sequence,
    /// The records that are shown, by their index: the rollout's, and the server's own between them.
    pub records: Vec<(u64, Record)>,
    /// Blobs that are named by a record and not in the bundle: deleted by retention, or left out.
    pub missing_evidence: Vec<String>,
    /// The approvals that counted, each of which holds.
    pub approvals: Vec<ApprovalFound>,
}

impl Bundle {
    /// Checks a file against the ledger's key: the checkpoint's signature, each entry's proof, that none is missing, each
    /// record, each blob's digest, and that the file has no byte that does not follow from these.
    pub fn verify(bytes: &[u8], key: &VerifierKey) -> Result<(Bundle, Verified), VerifyBundleError> {
        Bundle::verify_known(bytes, key, &KnownKeys::new())
    }

    /// The same, and that each approval was signed with a key that is known to be the approver's, if any is known.
    pub fn verify_known(
        bytes: &[u8],
        key: &VerifierKey,
        known: &KnownKeys,
    ) -> Result<(Bundle, Verified), VerifyBundleError> {
        let bundle = Bundle::from_bytes(bytes)?;
        let keys = follow(&bundle, key)?;
        let key = keys.last().expect("the known key is one of them");
        let checkpoint = Checkpoint::open_note(&bundle.checkpoint, key)?;
        let cosigned = bundle.cosigned(key)?;
        for (index, entry) in &bundle.entries {
            verify_inclusion(entry.leaf(), *index, checkpoint.size(), &entry.proof, checkpoint.root())
                .map_err(|source| VerifyBundleError::Proof { index: *index, source })?;
        }
        let (sequence, records) = bundle.records()?;
        let missing_evidence = bundle.evidence_of(&records)?;
        check_plan(&records)?;
        bundle.check_statements(key, &records)?;
        let same = bundle.to_bytes();
        if same != bytes {
            let differs = same.iter().zip(bytes).position(|(same, found)| same != found);
            let at = differs.unwrap_or(same.len().min(bytes.len()));
            return Err(VerifyBundleError::OtherBytes { at, path: bundle.path_at(at) });
        }
        let approvals = match approvals::check(&records, key, known) {
            Ok(approvals) => approvals,
            // What was handed in is hidden: then nothing can be said of it.
            Err(ApprovalError::Nothing { .. } | ApprovalError::Missing { .. }) if sequence.hidden > 0 => Vec::new(),
            Err(error) => return Err(VerifyBundleError::Approval(error)),
        };
        check_consistency(&bundle, &checkpoint, &approvals)?;
        let rollout = bundle.rollout.clone();
        Ok((
            bundle,
            Verified {
                keys: keys.clone(),
                approvals,
                checkpoint,
                cosigned,
                rollout,
                sequence,
                records,
                missing_evidence,
            },
        ))
    }

    /// Whether the statements are those that follow from the records, each signed by the ledger's key; or none, which says
    /// nothing.
    fn check_statements(&self, key: &VerifierKey, records: &[(u64, Record)]) -> Result<(), VerifyBundleError> {
        if self.statements.is_empty() {
            return Ok(());
        }
        let mut expected = statements(self, self.origin(), records);
        for (index, envelope) in &self.statements {
            let index = *index;
            let Some(statement) = expected.remove(&index) else {
                return Err(VerifyBundleError::OtherStatements { index, words: "is there" });
            };
            let Envelope { payload_type, payload, signatures } = envelope;
            if payload_type != PAYLOAD_TYPE || *payload != statement {
                return Err(VerifyBundleError::Statement { index });
            }
            // The key's id is signed by nobody: it is the one that belongs there, or a byte of it could be changed unseen.
            let by_key = signatures.len() == 1 && signatures[0].key_id == key.id().to_string();
            if !by_key || envelope.verify(key).is_err() {
                return Err(VerifyBundleError::StatementSignature { index });
            }
        }
        match expected.first_key_value() {
            Some((index, _)) => Err(VerifyBundleError::OtherStatements { index: *index, words: "is missing" }),
            None => Ok(()),
        }
    }

    /// Who cosigned the checkpoint. No signature of it is left unchecked: one of the log's key, and one of each witness.
    fn cosigned(&self, key: &VerifierKey) -> Result<Vec<CosignedBy>, VerifyBundleError> {
        let signatures = self.checkpoint.signatures();
        let is_log = |it: &NoteSignature| it.name == *key.name() && it.id == key.id();
        let by_each =
            |(place, witness): (usize, &WitnessKey)| signatures.get(place + 1).is_some_and(|it| witness.made(it));
        let as_expected = signatures.first().is_some_and(is_log)
            && signatures.len() == self.witnesses.len() + 1
            && self.witnesses.iter().enumerate().all(by_each);
        if !as_expected {
            let found: Vec<String> = signatures.iter().map(|signature| signature.name.to_string()).collect();
            let witnesses = self.witnesses.iter().map(|witness| witness.name().to_string());
            let expected: Vec<String> = std::iter::once(key.name().to_string()).chain(witnesses).collect();
            let (found, expected) = (found.join(", "), expected.join(", "));
            return Err(VerifyBundleError::OtherSignatures { found, expected });
        }
        let cosigned = self.witnesses.iter().zip(&signatures[1..]).map(|(witness, signature)| {
            let at_s = witness.cosigned_at(self.checkpoint.text(), &signature.signature);
            let unfit = || VerifyBundleError::Cosignature { witness: witness.name().to_string() };
            Ok(CosignedBy { witness: witness.clone(), at_s: at_s.ok_or_else(unfit)? })
        });
        cosigned.collect()
    }

    /// The records, each in its place.
    fn records(&self) -> Result<(Sequence, Vec<(u64, Record)>), VerifyBundleError> {
        let (first, last) = match (self.entries.first_key_value(), self.entries.last_key_value()) {
            (Some((first, _)), Some((last, _))) => (*first, *last),
            _ => return Err(VerifyBundleError::Empty),
        };
        let mut sequence = Sequence { shown: 0, hidden: 0, of_server: 0 };
        let (mut next, mut next_of_server) = (0, None);
        let mut records = Vec::new();
        for index in first..=last {
            let Some(Entry { content, .. }) = self.entries.get(&index) else {
                return Err(VerifyBundleError::Gap { index });
            };
            let EntryContent::Shown(bytes) = content else {
                // The server's own records are always shown, so it is one of the rollout's.
                sequence.hidden += 1;
                next += 1;
                continue;
            };
            let record: Record =
                serde_json::from_slice(bytes).map_err(|source| VerifyBundleError::Record { index, source })?;
            let expected = match &record.rollout {
                None => {
                    sequence.of_server += 1;
                    let expected = next_of_server.unwrap_or(record.sequence);
                    next_of_server = Some(expected + 1);
                    expected
                }
                Some(found) if *found == self.rollout => {
                    sequence.shown += 1;
                    next += 1;
                    next - 1
                }
                Some(found) => {
                    let (found, expected) = (found.clone(), self.rollout.clone());
                    return Err(VerifyBundleError::OtherRollout { index, found, expected });
                }
            };
            if record.sequence != expected {
                return Err(VerifyBundleError::OutOfSequence { index, found: record.sequence, expected });
            }
            records.push((index, record));
        }
        Ok((sequence, records))
    }

    /// Checks the blobs, and says which are missing.
    fn evidence_of(&self, records: &[(u64, Record)]) -> Result<Vec<String>, VerifyBundleError> {
        let mut named: BTreeSet<&str> = records.iter().filter_map(|(_, record)| named_by(record)).collect();
        for (digest, blob) in &self.evidence {
            let found = Sha256::digest(blob).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            if found != *digest {
                return Err(VerifyBundleError::Blob { digest: digest.clone() });
            }
            if !named.remove(digest.as_str()) {
                return Err(VerifyBundleError::UnnamedBlob { digest: digest.clone() });
            }
        }
        Ok(named.into_iter().map(str::to_owned).collect())
    }
}

/// Whether the plan is the one whose digest its record states, and approvals name.
fn check_plan(records: &[(u64, Record)]) -> Result<(), VerifyBundleError> {
    let Some((index, start)) = started(records) else { return Ok(()) };
    let found = start.plan.digest();
    match found == start.plan_digest {
        true => Ok(()),
        false => Err(VerifyBundleError::PlanDigest { index, found, stated: start.plan_digest.clone() }),
    }
}

/// The digest of the blob that a record names, without `sha256:`.
pub fn named_by(record: &Record) -> Option<&str> {
    record.body.evidence()?.strip_prefix("sha256:")
}

/// Whether a record may be hidden from who needs only the decisions: what was measured is most of a ledger.
pub fn is_measurement(record: &Record) -> bool {
    match &record.body {
        Body::Happened(event) => matches!(**event, Event::Observed(_) | Event::Measured { .. }),
        _ => false,
    }
}
