//! The ledger goes on in another folder each year, and what is older than it must be kept is removed.

use crate::accepting::note_of;
use crate::controller::{Controller, SELF};
use crate::journal::{Journal, JournalError, decode, encode};
use crate::release::Held;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ledger::Origin;
use model::{UnixMillis, with_causes};
use rollout::{Body, KnownPrincipal, ProofRecords, Record, ShardStart, may_end};
use std::collections::BTreeSet;
use store::{Ended, ReadError, Reader, Reserve};

/// A part that ended and cannot be read, or whose entries cannot be removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Disk(#[from] store::DiskError),
    #[error(transparent)]
    Open(#[from] store::OpenReaderError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Journal {
    /// Goes on in the part of this year, in UTC, if the present one is of an earlier year and no rollout needs it. `true` if a
    /// part began. After an error the ledger is closed, and opened again as after any other.
    pub(crate) fn begin_shard_of(&mut self, now: UnixMillis) -> Result<bool, JournalError> {
        let ended = self.origin().year().or_else(|| self.since().and_then(year_of));
        let (Some(ended), Some(year)) = (ended, year_of(now)) else { return Ok(false) };
        if year <= ended || !may_end(self.replay()) {
            return Ok(false);
        }
        let Some(origin) = Origin::shard(self.origin().name(), year) else { return Ok(false) };
        let Some(checkpoint) = self.store().map(|store| store.checkpoint().to_owned()) else { return Ok(false) };
        let proving = self.replay().table().and_then(|table| self.landmarks().of(table.generation));
        let proof = proving.map(|it| ProofRecords { ended: it.ended.or(Some(ended)), ..it });
        let start = ShardStart::of(self.replay(), checkpoint, ended, proof);
        let record = Record {
            version: Record::VERSION,
            rollout: None,
            sequence: self.replay().next_server_sequence,
            at: now,
            by: SELF.to_owned(),
            body: Body::ShardBegan(Box::new(start)),
        };
        let entry = encode(&record)?;
        self.shards.may_end(ended)?;
        let Some(store) = self.store.take() else { return Ok(false) };
        let store = self.shards.begin(store, ended, &origin, &entry)?;
        self.go_on(store)?;
        tracing::info!("the ledger goes on as {origin}; what ended is in its folder with -{ended} behind the name");
        Ok(true)
    }

    /// Commitments to persons in a part that ended, if its entries are there.
    fn persons_of(ended: &Ended) -> Result<BTreeSet<String>, EndedError> {
        let mut persons = BTreeSet::new();
        each_record_of(ended, |record| {
            persons.extend(note_of(&record).map(|(_, note)| note.to_owned()));
            if let Body::PrincipalsRead { principals } = record.body {
                persons.extend(commitments(&principals));
            }
        })?;
        Ok(persons)
    }
}

/// Shows the records of a part that ended, one after the other; none if they were removed.
pub(crate) fn each_record_of(ended: &Ended, mut each: impl FnMut(Record)) -> Result<(), EndedError> {
    let reader = Reader::open(&ended.dir)?;
    if reader.is_pruned()? {
        return Ok(());
    }
    for (index, entry) in (0..).zip(reader.own_entries()?) {
        each(decode(index, &entry?)?);
    }
    Ok(())
}

fn commitments(principals: &[KnownPrincipal]) -> impl Iterator<Item = String> + use<'_> {
    principals.iter().filter_map(|principal| principal.person.clone())
}

impl Controller {
    /// At the first time in a year when no rollout runs.
    pub(crate) fn begin_shard(&mut self, now: UnixMillis) {
        match self.journal.begin_shard_of(now) {
            Ok(false) => {}
            // Each part names whom the configuration names.
            Ok(true) => {
                self.note_principals_again();
                self.note_notifications_again();
            }
            Err(error) => tracing::error!("the ledger goes on in the part of the year before: {}", with_causes(&error)),
        }
    }

    /// Removes the entries of parts that ended longer ago than they must be kept. The record comes first.
    pub(crate) fn prune(&mut self, now: UnixMillis) {
        let Some(keep_ms) = self.settings.keep_entries_ms.filter(|_| self.held == Held::Open) else { return };
        if let Err(error) = self.prune_older(now, keep_ms) {
            tracing::error!("old entries of the ledger are still there: {}", with_causes(&error));
        }
    }

    fn prune_older(&mut self, now: UnixMillis, keep_ms: u64) -> Result<(), EndedError> {
        let all = self.journal.shards.ended()?;
        let is_over = |ended: &Ended| end_of(ended.year).is_some_and(|end| end.plus_ms(keep_ms) < now);
        for ended in all.iter().filter(|ended| is_over(ended)) {
            if Reader::open(&ended.dir)?.is_pruned()? {
                continue;
            }
            let mut persons = Journal::persons_of(ended)?;
            let mut named: BTreeSet<String> = commitments(&self.journal.replay().principals).collect();
            for other in all.iter().filter(|other| *other != ended) {
                named.extend(Journal::persons_of(other)?);
            }
            persons.retain(|commitment| !named.contains(commitment));
            let persons: Vec<String> = persons.into_iter().collect();
            let body = Body::EntriesPruned { ended: ended.year, keep_ms, persons: persons.clone() };
            let record = self.journal.number(None, now, [(SELF.to_owned(), body)]);
            self.journal.append(&record, Reserve::Keep)?;
            tracing::info!(year = ended.year, "the entries of this part of the ledger are removed; their hashes stay");
            self.journal.shards.prune(ended)?;
            for commitment in &persons {
                self.subjects.erase(commitment)?;
            }
        }
        Ok(())
    }
}

/// The year of a moment, in UTC.
fn year_of(at: UnixMillis) -> Option<u16> {
    let moment = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    u16::try_from(moment.to_zoned(TimeZone::UTC).year()).ok()
}

/// The moment at which a year is over, in UTC.
fn end_of(year: u16) -> Option<UnixMillis> {
    let next = Date::new(i16::try_from(year).ok()?.checked_add(1)?, 1, 1).ok()?;
    let moment = next.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(moment.as_millisecond()).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_those_of_utc() {
        let last = UnixMillis(1_798_761_599_999);
        assert_eq!((year_of(last), year_of(last.plus_ms(1))), (Some(2026), Some(2027)));
        assert_eq!(end_of(2026), Some(last.plus_ms(1)));
        assert_eq!((year_of(UnixMillis(u64::MAX)), end_of(9_999)), (None, None));
    }
}
