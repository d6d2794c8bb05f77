//! A ledger has a part for each year, each in a folder of its own: how they hang together.

use crate::cli::LedgerAt;
use crate::describe::Failed;
use anyhow::anyhow;
use ledger::{Checkpoint, VerifierKey};
use model::with_causes;
use rollout::{Body, Replay};
use std::path::Path;
use store::{LogKeys, Reader, Shards};

/// The part of the ledger before this one.
pub(super) struct PartBefore {
    /// The year with which it ended.
    pub(super) ended: u16,
    /// Whether it is there, and ended as it is said to.
    pub(super) checked: bool,
}

/// A part begins with the checkpoint under which the one before it ended: that one of this ledger's keys signed it, and that
/// the folder beside this one ends so, if it is there.
pub(super) fn before(at: &LedgerAt, replay: &Replay, keys: &LogKeys) -> Result<Option<PartBefore>, Failed> {
    let Some(start) = replay.shard_start() else { return Ok(None) };
    let ended = start.ended;
    let wrong = |words: String| Failed::not_verified(anyhow!("the part that ended with {ended}: {words}"));
    let opened = keys.keys.iter().find_map(|key| Checkpoint::open(&start.checkpoint, key).ok().map(|it| (it, key)));
    let unsigned = || wrong("no key of this ledger signed the checkpoint that it ended under".to_owned());
    let (last, key) = opened.ok_or_else(unsigned)?;
    let folder = Shards::holding(&at.dir).0.of_year(ended).dir;
    if !folder.is_dir() {
        return Ok(Some(PartBefore { ended, checked: false }));
    }
    let reader = Reader::open(&folder).map_err(|error| wrong(with_causes(&error)))?;
    let found = reader.checkpoint(key).map_err(|error| wrong(with_causes(&error)))?;
    if found != last {
        let (found, last) = (found.size(), last.size());
        return Err(wrong(format!("its folder has {found} entries, but it ended with {last}, or with others")));
    }
    Ok(Some(PartBefore { ended, checked: true }))
}

/// Whether the entries are gone because they were pruned: then a record of a later part, which is proved, says so.
pub(super) fn is_pruned(at: &LedgerAt, reader: &Reader, keys: &LogKeys) -> Result<bool, Failed> {
    let refused = |words: String| Failed::not_verified(anyhow!(words));
    if !reader.is_pruned().map_err(|error| refused(with_causes(&error)))? {
        return Ok(false);
    }
    let missing = format!("the entries of {} are missing", at.dir.display());
    let (shards, Some(year)) = Shards::holding(&at.dir) else {
        return Err(refused(format!("{missing}, and it is no part of a ledger that ended with a year")));
    };
    let ended = shards.ended().map_err(|error| refused(with_causes(&error)))?;
    let later =
        ended.into_iter().filter(|other| other.year > year).map(|other| other.dir).chain([shards.current().to_owned()]);
    for dir in later {
        if says_pruned(&dir, year, &keys.keys).unwrap_or(false) {
            return Ok(true);
        }
    }
    Err(refused(format!("{missing}, and no record of a later part beside it says that they were pruned")))
}

/// Whether a part has the record, under a checkpoint that one of these keys signed.
fn says_pruned(dir: &Path, year: u16, keys: &[VerifierKey]) -> anyhow::Result<bool> {
    let reader = Reader::open(dir)?;
    // The key may have been changed since.
    let known = keys.last().map(|key| reader.keys(key, control::key_change)).transpose()?;
    let Some(key) = known.as_ref().map(LogKeys::current) else { return Ok(false) };
    let checkpoint = reader.checkpoint(key)?;
    for (index, entry) in (0..).zip(reader.entries(&checkpoint, 0..checkpoint.size())?) {
        let record = control::decode(index, &entry?)?;
        if matches!(record.body, Body::EntriesPruned { ended, .. } if ended == year) {
            reader.inclusion_proof(&checkpoint, index)?;
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{KeyName, Origin, SignerKey};
    use model::UnixMillis;
    use rollout::{Record, ShardStart};
    use store::Store;

    fn key() -> SignerKey {
        SignerKey::new(KeyName::new("example.com/log").unwrap(), &[7; 32])
    }

    fn keys() -> LogKeys {
        LogKeys { keys: vec![key().verifier().clone()], changed_at: Vec::new() }
    }

    fn entry(sequence: u64, body: Body) -> Vec<u8> {
        let (at, by) = (UnixMillis(1_700_000_000_000), "test".to_owned());
        let record = Record { version: Record::VERSION, rollout: None, sequence, at, by, body };
        serde_json_canonicalizer::to_vec(&record).unwrap()
    }

    /// A ledger that went from 2026 into 2027.
    fn parted(folder: &Path) -> (Shards, Store) {
        let shards = Shards::of(&folder.join("ledger"));
        let mut store = Store::create(shards.current(), key()).unwrap();
        store.append(&[entry(0, Body::ServerStopped)]).unwrap();
        let start = ShardStart::of(&Replay::default(), store.checkpoint().to_owned(), 2026, None);
        let origin = Origin::shard(key().verifier().name(), 2027).unwrap();
        let store = shards.begin(store, 2026, &origin, &entry(1, Body::ShardBegan(Box::new(start)))).unwrap();
        (shards, store)
    }

    fn at(dir: &Path) -> LedgerAt {
        LedgerAt { dir: dir.to_owned(), key: None }
    }

    fn replayed(dir: &Path) -> Replay {
        let reader = Reader::open(dir).unwrap();
        let entries = reader.own_entries().unwrap().map(Result::unwrap);
        let records: Vec<Record> = (0..).zip(entries).map(|(at, entry)| control::decode(at, &entry).unwrap()).collect();
        rollout::replay(&records).unwrap()
    }

    #[test]
    fn a_part_is_held_against_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let (shards, store) = parted(folder.path());
        let look = || before(&at(shards.current()), &replayed(shards.current()), &keys());
        let found = look().unwrap_or_else(|failed| panic!("{failed}")).unwrap();
        assert_eq!((found.ended, found.checked), (2026, true));
        drop(store);
        // Another log in the place of the one that ended.
        let old = shards.of_year(2026).dir;
        std::fs::remove_dir_all(&old).unwrap();
        assert!(!look().unwrap_or_else(|failed| panic!("{failed}")).unwrap().checked);
        let mut other = Store::create(&old, key()).unwrap();
        other.append(&[entry(0, Body::Heartbeat)]).unwrap();
        let words = look().err().map(|failed| failed.to_string()).unwrap_or_default();
        assert!(words.contains("but it ended with 1, or with others"), "{words}");
    }

    #[test]
    fn entries_may_be_gone_where_a_later_record_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (shards, mut store) = parted(folder.path());
        let ended = shards.of_year(2026);
        let pruned = || is_pruned(&at(&ended.dir), &Reader::open(&ended.dir).unwrap(), &keys());
        assert!(matches!(pruned(), Ok(false)));
        shards.prune(&ended).unwrap();
        let words = pruned().err().map(|failed| failed.to_string()).unwrap_or_default();
        assert!(words.ends_with("no record of a later part beside it says that they were pruned"), "{words}");
        let body = |ended| Body::EntriesPruned { ended, keep_ms: 1, persons: Vec::new() };
        store.append(&[entry(2, body(2025))]).unwrap();
        assert!(pruned().is_err());
        store.append(&[entry(3, body(2026))]).unwrap();
        assert!(matches!(pruned(), Ok(true)));
        // What is being written is never pruned.
        std::fs::remove_dir_all(shards.current().join("tile/entries")).unwrap();
        let current = is_pruned(&at(shards.current()), &Reader::open(shards.current()).unwrap(), &keys());
        assert!(current.is_err());
    }
}
