//! Proofs of shifts: made from the ledger's files on the controller's side, and asked for on the gateway's side, which believes
//! public keys alone.

use arc_swap::ArcSwap;
use audit::shift_proof::{ShiftProof, Trusted, check};
use control::{Order, Prover};
use gateway::Warrant;
use ledger::{Checkpoint, LogProof, Note, VerifierKey, WitnessKey};
use model::with_causes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use store::{Reader, Shards};

/// Whom the gateway believes. A configuration that is read again changes it.
pub type Trust = Arc<ArcSwap<Trusted>>;

/// The gateway's side.
pub fn warrant(trust: Trust) -> Warrant {
    Arc::new(move |before, table| check(before, table, &trust.load()).map_err(|error| with_causes(&error)))
}

/// The controller's side.
///
/// The key is that of the ledger as it is open: which one that is, opening it says.
pub fn prover(dir: &Path, key: Arc<OnceLock<VerifierKey>>, witnesses: Vec<WitnessKey>) -> Prover {
    let dir = dir.to_owned();
    Arc::new(move |order| {
        let key = key.get().ok_or("the ledger is not open yet")?.clone();
        let ledger = Ledger { dir: dir.clone(), key, witnesses: witnesses.clone() };
        ledger.prove(order).map(|proof| proof.to_text().into())
    })
}

struct Ledger {
    dir: PathBuf,
    key: VerifierKey,
    witnesses: Vec<WitnessKey>,
}

impl Ledger {
    fn prove(&self, order: &Order) -> Result<ShiftProof, String> {
        let reader = self.reader(order)?;
        let indices = &order.shows.records;
        let notes = self.notes(&reader, order)?;
        let mut records = Vec::new();
        let checkpoint = reader.checkpoint(&self.key).map_err(|error| with_causes(&error))?;
        for index in indices {
            let entries = reader.entries(&checkpoint, *index..*index + 1).map_err(|error| with_causes(&error))?;
            for entry in entries {
                let entry = entry.map_err(|error| with_causes(&error))?;
                records.push(String::from_utf8(entry).map_err(|error| error.to_string())?);
            }
        }
        let proofs = notes.iter().map(|note| self.under(&reader, note, indices)).collect::<Result<_, _>>()?;
        Ok(ShiftProof { records, proofs })
    }

    /// Of the part of the ledger that has the records.
    fn reader(&self, order: &Order) -> Result<Reader, String> {
        let shards = Shards::of(&self.dir);
        let dir = match order.shows.ended {
            None => shards.current().to_owned(),
            Some(year) => shards.of_year(year).dir,
        };
        Reader::open(&dir).map_err(|error| with_causes(&error))
    }

    /// Proofs of all records under one checkpoint.
    fn under(&self, reader: &Reader, note: &Note, records: &[u64]) -> Result<Vec<String>, String> {
        let checkpoint = Checkpoint::open_note(note, &self.key).map_err(|error| with_causes(&error))?;
        let one = |index: &u64| {
            let hashes = reader.inclusion_proof(&checkpoint, *index).map_err(|error| with_causes(&error))?;
            Ok(LogProof { extra: None, index: *index, hashes, checkpoint: note.clone() }.to_string())
        };
        records.iter().map(one).collect()
    }

    /// The log's own checkpoint where no witness is asked for; else what as many witnesses as needed have cosigned, each its
    /// own, that has all the records.
    fn notes(&self, reader: &Reader, order: &Order) -> Result<Vec<Note>, String> {
        let last = order.shows.records.iter().copied().max().unwrap_or_default();
        if order.cosignatures == 0 {
            let (_, note) = reader.signed_checkpoint(&self.key).map_err(|error| with_causes(&error))?;
            return Ok(vec![note]);
        }
        let mut notes = Vec::new();
        for witness in &self.witnesses {
            let cosigned = reader.cosigned_note(&self.key, witness).map_err(|error| with_causes(&error))?;
            notes.extend(cosigned.filter(|(checkpoint, _)| checkpoint.size() > last).map(|(_, note)| note));
        }
        let needed = usize::try_from(order.cosignatures).unwrap_or(usize::MAX);
        let found = notes.len();
        notes.truncate(needed);
        match found >= needed {
            true => Ok(notes),
            false => Err(format!("{found} of {needed} witness(es) have cosigned it so far")),
        }
    }
}
