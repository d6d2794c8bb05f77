//! What a log is called: its key's name, and, from the second year on, the year (`example.com/log/2027`). One key signs all
//! shards of a log, each of which is a log of its own with entries from 0 on (C2SP tlog-checkpoint, "Note text": the origin
//! identifies the log).

use crate::KeyName;
use std::fmt;

/// A log, or the shard of a year.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    name: KeyName,
    year: Option<u16>,
}

impl Origin {
    /// The log that a key of this name signs first.
    pub fn first(name: &KeyName) -> Origin {
        Origin { name: name.clone(), year: None }
    }

    /// Its shard of a year. The year has four digits.
    pub fn shard(name: &KeyName, year: u16) -> Option<Origin> {
        (1_000..=9_999).contains(&year).then(|| Origin { name: name.clone(), year: Some(year) })
    }

    /// What a checkpoint says, if a key of this name is to sign it.
    pub fn of(name: &KeyName, text: &str) -> Option<Origin> {
        let rest = text.strip_prefix(name.as_str())?;
        if rest.is_empty() {
            return Some(Origin::first(name));
        }
        let digits =
            rest.strip_prefix('/').filter(|it| it.len() == 4 && it.bytes().all(|byte| byte.is_ascii_digit()))?;
        Origin::shard(name, digits.parse().ok()?)
    }

    /// The log's name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The year; none of the first shard.
    pub fn year(&self) -> Option<u16> {
        self.year
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year {
            None => write!(f, "{}", self.name),
            Some(year) => write!(f, "{}/{year}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checkpoint, Hash, OpenCheckpointError, SignerKey};

    #[test]
    fn a_shard_is_the_name_and_a_year() {
        let name = KeyName::new("example.com/log").unwrap();
        let of = |text: &str| Origin::of(&name, text).map(|origin| origin.year());
        assert_eq!(of("example.com/log"), Some(None));
        assert_eq!(of("example.com/log/2027"), Some(Some(2027)));
        let others = ["", "example.com/lo", "example.com/log/", "example.com/log/27", "example.com/log/02027"];
        let more = ["example.com/log/0027", "example.com/log2027", "example.com/log/2027/x", "example.com/log/+202"];
        others.into_iter().chain(more).for_each(|text| assert_eq!(of(text), None, "{text}"));
        for origin in [Origin::first(&name), Origin::shard(&name, 2027).unwrap()] {
            assert_eq!(Origin::of(&name, &origin.to_string()), Some(origin));
        }
        assert_eq!(Origin::shard(&name, 999), None);
    }

    #[test]
    fn one_key_signs_all_shards_and_no_other_log() {
        let name = KeyName::new("example.com/log").unwrap();
        let key = SignerKey::new(name.clone(), &[7; 32]);
        let signed = |origin: &Origin| Checkpoint::of_shard(origin, 0, Hash::of_empty_tree()).sign(&key);
        let shard = Origin::shard(&name, 2027).unwrap();
        assert_eq!(Checkpoint::open_note(&signed(&shard), key.verifier()).unwrap().origin(), "example.com/log/2027");
        let other = Origin::first(&KeyName::new("example.com/other").unwrap());
        let refused = Checkpoint::open_note(&signed(&other), key.verifier());
        assert!(matches!(refused, Err(OpenCheckpointError::Origin { .. })));
    }
}
