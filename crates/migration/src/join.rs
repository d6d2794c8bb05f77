//! Two lists of keys and hashes, of one range, joined: which rows are lost, added, changed.

use crate::key::Key;
use std::collections::BTreeMap;

/// A row as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) key: Key,
    /// 32 hexadecimal digits.
    pub(crate) hash: String,
}

/// What is not alike. A key may be there more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    /// Each with its place among blue's rows, from 0.
    pub(crate) lost: Vec<(Key, u64)>,
    /// Green's alone, each with its place among green's rows.
    pub(crate) added: Vec<(Key, u64)>,
    /// On both sides, with other contents; with its place among blue's rows.
    pub(crate) changed: Vec<(Key, u64)>,
    /// Those of the changed whose key is on one row of each side: only of these can be said which column changed.
    pub(crate) single: Vec<Key>,
}

/// Rows that are the same cancel each other; what is left of a key on both sides is changed, as far as it goes.
pub(crate) fn join(blue: &[Fetched], green: &[Fetched]) -> Joined {
    type Left<'a> = (Vec<(&'a str, u64)>, Vec<(&'a str, u64)>);
    let mut by_key: BTreeMap<&Key, Left<'_>> = BTreeMap::new();
    for (at, row) in blue.iter().enumerate() {
        by_key.entry(&row.key).or_default().0.push((&row.hash, at as u64));
    }
    for (at, row) in green.iter().enumerate() {
        by_key.entry(&row.key).or_default().1.push((&row.hash, at as u64));
    }
    let mut joined = Joined::default();
    for (key, (mut blue, mut green)) in by_key {
        let is_single = blue.len() == 1 && green.len() == 1;
        blue.retain(|(hash, _)| match green.iter().position(|(other, _)| other == hash) {
            Some(at) => {
                green.swap_remove(at);
                false
            }
            None => true,
        });
        let both = blue.len().min(green.len());
        joined.changed.extend(blue[..both].iter().map(|(_, at)| (key.clone(), *at)));
        joined.lost.extend(blue[both..].iter().map(|(_, at)| (key.clone(), *at)));
        joined.added.extend(green[both..].iter().map(|(_, at)| (key.clone(), *at)));
        if is_single && both == 1 {
            joined.single.push(key.clone());
        }
    }
    for list in [&mut joined.lost, &mut joined.added, &mut joined.changed] {
        list.sort_by_key(|(_, at)| *at);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Fetched> {
        let row = |row: &str| {
            let (key, hash) = row.split_once('=').unwrap();
            Fetched { key: Key([key.to_owned()].into()), hash: hash.to_owned() }
        };
        text.split_whitespace().map(row).collect()
    }

    /// `expected`: lost, added, changed, single.
    fn check(blue: &str, green: &str, expected: [&str; 4]) {
        let joined = join(&rows(blue), &rows(green));
        let keys = |keys: Vec<Key>| keys.iter().map(|key| key.0[0].clone()).collect::<Vec<_>>().join(" ");
        let placed = |keys: Vec<(Key, u64)>| {
            keys.iter().map(|(key, at)| format!("{}@{at}", key.0[0])).collect::<Vec<_>>().join(" ")
        };
        let found = [placed(joined.lost), placed(joined.added), placed(joined.changed), keys(joined.single)];
        assert_eq!(found, expected, "{blue} | {green}");
    }

    #[test]
    fn rows_are_lost_added_or_changed() {
        check("1=a 2=b 3=c", "1=a 2=b 3=c", ["", "", "", ""]);
        check("1=a 2=b 3=c", "1=a 3=c", ["2@1", "", "", ""]);
        check("1=a", "1=a 2=b", ["", "2@1", "", ""]);
        check("1=a 2=b", "1=a 2=x", ["", "", "2@1", "2"]);
        check("", "", ["", "", "", ""]);
    }

    #[test]
    fn a_key_on_several_rows_is_counted() {
        check("1=a 1=a", "1=a", ["1@1", "", "", ""]);
        check("1=a 1=b", "1=b 1=a", ["", "", "", ""]);
        check("1=a 1=b", "1=c 1=a", ["", "", "1@1", ""]);
        check("1=a", "1=a 1=a 1=a", ["", "1@1 1@2", "", ""]);
    }
}
