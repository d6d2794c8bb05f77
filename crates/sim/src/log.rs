//! The durable log: what survives a crash.

use ledger::{Edge, Hash, MAX_ENTRY_BYTES};
use rollout::{Record, Replay, replay};

pub(crate) struct Log {
    entries: Vec<Vec<u8>>,
    edge: Edge,
}

impl Log {
    pub(crate) fn new() -> Log {
        Log { entries: Vec::new(), edge: Edge::empty() }
    }

    /// Makes a batch durable, and gives it back as it is read.
    pub(crate) fn append(&mut self, records: &[Record]) -> Vec<Record> {
        records.iter().map(|record| self.append_one(record)).collect()
    }

    fn append_one(&mut self, record: &Record) -> Record {
        let entry = serde_json_canonicalizer::to_vec(record).expect("a record has text keys and finite numbers");
        assert!(entry.len() <= MAX_ENTRY_BYTES, "a record of {} bytes is no entry: {record:?}", entry.len());
        let read: Record = serde_json::from_slice(&entry).expect("what was written can be read");
        assert_eq!(read, *record, "a record is read as it was written");
        self.edge.append(Hash::of_leaf(&entry), &mut Vec::new());
        self.entries.push(entry);
        read
    }

    /// What a controller that starts anew makes of it.
    pub(crate) fn replay(&self) -> Replay {
        let records: Vec<Record> = self
            .entries
            .iter()
            .map(|entry| serde_json::from_slice(entry).expect("what was written can be read"))
            .collect();
        let replayed = replay(&records).unwrap_or_else(|error| panic!("the records contradict each other: {error}"));
        assert_eq!(replayed.unrecorded(), 0, "an input stands without its decisions");
        replayed
    }

    /// Writes again what was read, and gets the same bytes (invariant 9).
    pub(crate) fn check_bytes(&self) {
        for entry in &self.entries {
            let record: Record = serde_json::from_slice(entry).expect("what was written can be read");
            let again = serde_json_canonicalizer::to_vec(&record).expect("a record can be written");
            assert!(again == *entry, "a record is not written as it was read: {record:?}");
        }
    }

    pub(crate) fn records(&self) -> u64 {
        self.edge.size()
    }

    /// The root of the Merkle tree over all records: the same root, the same bytes.
    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }
}
