//! `principals` in `verdigris.yaml`: who is who, by what they come, and what they may do.

use control::Persons;
use rollout::approval::PublicKey;
use rollout::{KnownPrincipal, MAX_KEYS_CHARACTERS, MAX_NAME_CHARACTERS, MAX_OF_EACH, MAX_PRINCIPALS};
use serde::Deserialize;
use std::collections::BTreeMap;
use store::MAX_SUBJECT_BYTES;

/// One of `principals`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrincipal {
    name: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    uids: Vec<u32>,
    #[serde(default)]
    keys: Vec<String>,
    /// Who it is: a name, an address. Goes into no record.
    #[serde(default)]
    person: Option<String>,
}

/// Who the principals are, by their names.
pub(super) fn persons(raw: &[RawPrincipal]) -> Result<Persons, String> {
    let mut persons = Persons::new();
    for (index, principal) in raw.iter().enumerate() {
        let Some(person) = &principal.person else { continue };
        if person.is_empty() || person.len() > MAX_SUBJECT_BYTES || person.contains(|c: char| c.is_control()) {
            let expected = format!("expected 1 to {MAX_SUBJECT_BYTES} bytes on one line");
            return Err(format!("principals[{index}].person: found {} bytes, {expected}", person.len()));
        }
        persons.insert(principal.name.clone(), person.clone());
    }
    Ok(persons)
}

/// In the order of their names. One person is one entry: a user id or a key that stood in two would be two people.
pub(super) fn principals(raw: Vec<RawPrincipal>) -> Result<Vec<KnownPrincipal>, String> {
    if raw.len() > MAX_PRINCIPALS {
        return Err(format!("principals: found {}, expected {MAX_PRINCIPALS} at most", raw.len()));
    }
    let mut read = Vec::new();
    for (index, principal) in raw.into_iter().enumerate() {
        read.push(principal.read().map_err(|error| format!("principals[{index}].{error}"))?);
    }
    unique("name", read.iter().map(|it| (&it.name, it.name.clone())))?;
    unique("uids", read.iter().flat_map(|it| it.uids.iter().map(move |uid| (&it.name, uid.to_string()))))?;
    unique("keys", read.iter().flat_map(|it| it.keys.iter().map(move |key| (&it.name, key.to_string()))))?;
    let all = read.iter().flat_map(|it: &KnownPrincipal| &it.keys).map(|key| key.to_string().len()).sum::<usize>();
    if all > MAX_KEYS_CHARACTERS {
        return Err(format!("principals: keys: found {all} characters in all, expected {MAX_KEYS_CHARACTERS} at most"));
    }
    read.sort();
    Ok(read)
}

fn unique<'a>(what: &str, all: impl Iterator<Item = (&'a String, String)>) -> Result<(), String> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for (name, value) in all {
        if let Some(other) = seen.insert(value.clone(), name) {
            return Err(format!(
                "principals: {what}: {value} stands twice, of {other} and of {name}; expected it once"
            ));
        }
    }
    Ok(())
}

impl RawPrincipal {
    fn read(self) -> Result<KnownPrincipal, String> {
        let word = |what: &str, text: &str| match text.chars().count() {
            1..=MAX_NAME_CHARACTERS if !text.contains(|c: char| c.is_control()) && text.trim() == text => Ok(()),
            _ => Err(format!("{what}: found {text:?}, expected 1 to {MAX_NAME_CHARACTERS} characters on one line")),
        };
        word("name", &self.name)?;
        // What a user id that nobody names is called.
        if self.name.starts_with("uid:") || self.name == "verdigris" {
            return Err(format!("name: found {:?}, which the server itself gives; expected another", self.name));
        }
        self.roles.iter().try_for_each(|role| word("roles", role))?;
        let each = [("roles", self.roles.len()), ("uids", self.uids.len()), ("keys", self.keys.len())];
        if let Some((what, found)) = each.into_iter().find(|(_, found)| *found > MAX_OF_EACH) {
            return Err(format!("{what}: found {found}, expected {MAX_OF_EACH} at most"));
        }
        let key = |(at, line): (usize, &String)| {
            PublicKey::from_line(line)
                .map_err(|error| format!("keys[{at}]: {error}; expected ssh-ed25519 AAAA… or webauthn …"))
        };
        let keys = self.keys.iter().enumerate().map(key).collect::<Result<_, _>>()?;
        Ok(KnownPrincipal { name: self.name, roles: self.roles, uids: self.uids, keys, person: None })
    }
}
