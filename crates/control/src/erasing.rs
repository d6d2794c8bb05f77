//! What a person could ask to have erased: sealed outside the ledger, and destroyed when they do. The record comes first, so
//! that a crash in between is made good at the next start.

use crate::Random;
use crate::accepting::note_of;
use crate::controller::{Controller, SELF};
use crate::errors::EraseError;
use crate::journal::{Journal, JournalError, decode};
use crate::release::Held;
use crate::sharding::each_record_of;
use model::{TraceId, UnixMillis};
use rollout::{Body, KnownPrincipal, Principal, Record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use store::{Reserve, SubjectError, Subjects};
use zeroize::Zeroizing;

/// What an erasure of a trace begins with.
const TRACE: &str = "trace:";

/// Who the principals are, in the words of the configuration, by their names: sealed before anything of it is recorded.
pub type Persons = BTreeMap<String, String>;

/// What was destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Erasure {
    /// What was asked for.
    pub subject: String,
    /// Texts about a person.
    pub persons: usize,
    /// Blobs of evidence.
    pub evidence: usize,
}

/// Why principals are not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The ledger.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is sealed.
    #[error("who a principal is could not be sealed")]
    Subject(#[from] SubjectError),
}

impl Journal {
    /// Records whom the configuration names, if it names others than the ledger says, or says otherwise who they are.
    pub(crate) fn note_principals(
        &mut self,
        (principals, persons): (&[KnownPrincipal], &Persons),
        subjects: &Subjects,
        random: &Random,
        now: UnixMillis,
    ) -> Result<(), NoteError> {
        let mut named = Vec::new();
        for principal in principals {
            let mut principal = principal.clone();
            if let Some(text) = persons.get(&principal.name) {
                principal.person = Some(self.sealed(&principal.name, text, subjects, random)?);
            }
            named.push(principal);
        }
        if self.replay().principals == named {
            return Ok(());
        }
        let body = Body::PrincipalsRead { principals: named };
        // As the record of the start: a server that starts on a full disk can roll back.
        Ok(self.append(&self.number(None, now, [(SELF.to_owned(), body)]), Reserve::Use)?)
    }

    /// The commitment that the ledger has for this text, or a new one.
    fn sealed(&self, name: &str, text: &str, subjects: &Subjects, random: &Random) -> Result<String, SubjectError> {
        let known = self.replay().principals.iter().find(|known| known.name == name);
        if let Some(commitment) = known.and_then(|known| known.person.clone())
            && subjects.reveal(&commitment)?.as_deref() == Some(text)
        {
            return Ok(commitment);
        }
        let mut secret = Zeroizing::new([0; 64]);
        for part in secret.chunks_exact_mut(16) {
            part.copy_from_slice(&random());
        }
        subjects.seal(text, &secret)
    }

    /// What the records say of a principal's person, and which examples there are of a trace. Reads the whole ledger: it is
    /// asked for when somebody asks to be forgotten.
    fn of_subject(&self, subject: &str) -> Result<(BTreeSet<String>, BTreeSet<String>), EraseError> {
        let trace: Option<TraceId> = match subject.strip_prefix(TRACE) {
            Some(hex) => Some(hex.parse().map_err(|_| EraseError::NotATrace { found: hex.to_owned() })?),
            None => None,
        };
        let store = self.store().ok_or_else(|| EraseError::Ledger("it is closed at the moment".to_owned()))?;
        let (mut persons, mut evidence) = (BTreeSet::new(), BTreeSet::new());
        let ledger = |error: &dyn std::fmt::Display| EraseError::Ledger(error.to_string());
        let mut take = |record: Record| {
            if let Some((_, note)) = note_of(&record).filter(|(by, _)| *by == subject) {
                persons.insert(note.to_owned());
            }
            match record.body {
                Body::PrincipalsRead { principals } => {
                    let theirs = principals.into_iter().filter(|principal| principal.name == subject);
                    persons.extend(theirs.filter_map(|principal| principal.person));
                }
                Body::EvidenceKept { digest, trace: of, .. } if Some(of) == trace => {
                    evidence.insert(digest);
                }
                Body::Erased { subject: before, persons: gone, evidence: deleted } if before == subject => {
                    persons.retain(|commitment| !gone.contains(commitment));
                    evidence.retain(|digest| !deleted.contains(digest));
                }
                _ => {}
            }
        };
        for ended in self.shards.ended().map_err(|error| ledger(&error))? {
            each_record_of(&ended, &mut take).map_err(|error| ledger(&error))?;
        }
        let entries = store.read(0..store.size()).map_err(|error| ledger(&error))?;
        for (index, entry) in (0..).zip(entries) {
            take(decode(index, &entry.map_err(|error| ledger(&error))?).map_err(|error| ledger(&error))?);
        }
        Ok((persons, evidence))
    }
}

impl Controller {
    pub(crate) fn erase(&mut self, subject: &str, by: &Principal) -> Result<Erasure, EraseError> {
        if self.held != Held::Open {
            return Err(EraseError::Ledger("another process has it".to_owned()));
        }
        if self.settings.persons.contains_key(subject) {
            return Err(EraseError::StillNamed { name: subject.to_owned() });
        }
        let (persons, evidence) = self.journal.of_subject(subject)?;
        if persons.is_empty() && evidence.is_empty() {
            return Err(EraseError::Nothing { subject: subject.to_owned() });
        }
        let (persons, evidence): (Vec<_>, Vec<_>) = (persons.into_iter().collect(), evidence.into_iter().collect());
        let body = Body::Erased { subject: subject.to_owned(), persons: persons.clone(), evidence: evidence.clone() };
        let record = self.journal.number(None, (self.clock)(), [(by.name.clone(), body)]);
        self.journal.append(&record, Reserve::Keep).map_err(|error| EraseError::Ledger(error.to_string()))?;
        self.destroy(&persons, &evidence).map_err(|error| EraseError::Disk(model::with_causes(&error)))?;
        Ok(Erasure { subject: subject.to_owned(), persons: persons.len(), evidence: evidence.len() })
    }

    /// Also what a crash left of an erasure: what is gone is no error.
    pub(crate) fn destroy(&mut self, persons: &[String], evidence: &[String]) -> Result<(), store::DiskError> {
        persons.iter().try_for_each(|commitment| self.subjects.erase(commitment))?;
        self.journal.evidence.delete(evidence)
    }
}
