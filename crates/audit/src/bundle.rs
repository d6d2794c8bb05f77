//! What a bundle holds.

use crate::approvals::{self, KnownKeys};
use crate::consistency;
use crate::statement::{PAYLOAD_TYPE, statements};
use ledger::{Envelope, Hash, LogProof, Note, SignerKey, VerifierKey, WitnessKey};
use rollout::{Record, RolloutId};
use std::collections::{BTreeMap, BTreeSet};

/// A rollout's part of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Of which rollout.
    pub rollout: RolloutId,
    /// The signed note (C2SP tlog-checkpoint) that all proofs lead to: the log's signature, and behind it one of each witness.
    pub checkpoint: Note,
    /// The keys of those who cosigned it, in the order of their signatures. With them every byte of the checkpoint is checked;
    /// whose keys they are is for whoever knows them by another way.
    pub witnesses: Vec<WitnessKey>,
    /// The changes of the log's key, each as the proof of its record (which is the extra data) under the checkpoint that both keys
    /// signed: so whoever knows an older key comes to the one that signed this bundle's.
    pub key_changes: BTreeMap<u64, LogProof>,
    /// For each head of the log that an approval names, by its size: the proof (RFC 6962, section 2.1.2) that the checkpoint's log
    /// begins with it.
    pub consistency: BTreeMap<u64, Vec<Hash>>,
    /// Its entries, and the server's own among them, by their index.
    pub entries: BTreeMap<u64, Entry>,
    /// Blobs that the records name, by the 64 hexadecimal digits of their SHA-256.
    pub evidence: BTreeMap<String, Vec<u8>>,
    /// What the log's key states of some of the records, by their index: DSSE envelopes of in-toto statements. All that the
    /// records lead to, or none, where the private key was not at hand.
    pub statements: BTreeMap<u64, Envelope>,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What of it is shown.
    pub content: EntryContent,
    /// The inclusion proof (RFC 6962, section 2.1.1), from the leaf upward.
    pub proof: Vec<Hash>,
}

/// What is shown of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryContent {
    /// All of it: the record as canonical JSON.
    Shown(Vec<u8>),
    /// That it is there: the hash of its leaf.
    Hidden(Hash),
}

impl Entry {
    /// The hash of its leaf.
    pub fn leaf(&self) -> Hash {
        match &self.content {
            EntryContent::Shown(record) => Hash::of_leaf(record),
            EntryContent::Hidden(leaf) => *leaf,
        }
    }

    /// The same with its content hidden.
    pub fn hidden(self) -> Entry {
        Entry { content: EntryContent::Hidden(self.leaf()), ..self }
    }
}

impl Bundle {
    /// The records that are shown, as far as they are records.
    pub(crate) fn shown(&self) -> Vec<(u64, Record)> {
        let shown = self.entries.iter().filter_map(|(index, entry)| match &entry.content {
            EntryContent::Shown(bytes) => Some((*index, serde_json::from_slice(bytes).ok()?)),
            EntryContent::Hidden(_) => None,
        });
        shown.collect()
    }

    /// The sizes of the heads of the log that its approvals name, for which it needs proofs of consistency.
    pub fn approved_heads(&self, key: &VerifierKey) -> BTreeSet<u64> {
        let approvals = approvals::check(&self.shown(), key, &KnownKeys::new());
        approvals.map(|approvals| consistency::sizes(&approvals)).unwrap_or_default()
    }

    /// Which log it is from, as the checkpoint says.
    pub fn origin(&self) -> &str {
        self.checkpoint.text().lines().next().unwrap_or_default()
    }

    /// States what the records lead to, in the log's name: which log that is, the checkpoint says.
    pub fn sign_statements(&mut self, key: &SignerKey) {
        let stated = statements(self, self.origin(), &self.shown());
        let sign = |(index, statement)| (index, Envelope::sign(PAYLOAD_TYPE, statement, key));
        self.statements = stated.into_iter().map(sign).collect();
    }

    /// The proof that an entry is in the ledger, as anybody can check it (C2SP tlog-proof).
    pub(crate) fn proof_of(&self, index: u64, entry: &Entry) -> LogProof {
        LogProof { index, extra: None, hashes: entry.proof.clone(), checkpoint: self.checkpoint.clone() }
    }
}
