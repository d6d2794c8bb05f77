//! Names, key sets and resources, each kept once: a span in flight holds 32-bit ids. What no span in flight uses any
//! more is swept out when a table fills. What does not fit is judged by its hash alone, and its name is "(other)".

use crate::keyed::{Keyed, Map};
use foldhash::quality::FixedState;
use std::hash::BuildHasher;

/// Names kept: at most 65,536 of at most 128 bytes are 8 MiB.
const MAX_NAMES: usize = 65_536;
/// Key sets kept: at most 8,192 of at most 4 KiB are 32 MiB; a fleet has a few for each operation.
const MAX_KEY_SETS: usize = 8_192;
/// Resources kept: at most 16,384 of at most 4 KiB are 64 MiB; a fleet has one for each process.
const MAX_RESOURCES: usize = 16_384;
/// Bytes of one key set or resource that is kept.
const MAX_ENTRY_BYTES: usize = 4_096;
/// Bytes of a name. Names that differ only behind this are one name.
pub(crate) const MAX_NAME_BYTES: usize = 128;
/// Names that are found without the keyed hash: 4 bytes each.
const RECENT_NAMES: usize = 1_024;
/// What stands for a name that was not kept.
pub(crate) const OTHER: &str = "(other)";
/// Set in the id of what was not kept; the other 31 bits are its signature or hash.
const NOT_KEPT: u32 = 1 << 31;

/// A service's or operation's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(u32);

impl NameId {
    /// In 16 bits, and whether the name was kept.
    pub(crate) fn packed(self) -> Option<(u16, bool)> {
        match self.0 {
            NOT_KEPT => Some((0, false)),
            id => u16::try_from(id).ok().map(|id| (id, true)),
        }
    }

    pub(crate) fn unpacked(id: u16, is_kept: bool) -> NameId {
        NameId(if is_kept { id.into() } else { NOT_KEPT })
    }
}

/// A set of attribute keys. If it was not kept, the id is a signature: one of 31 bits for each key. A bit that is
/// missing in another set's signature proves that a key is missing; keys that share a bit can hide each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeysId(u32);

/// A resource's identity attributes. If they were not kept, the id is a hash of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceId(u32);

/// Each type as bytes that can be hashed.
const TYPES: [[u8; 1]; 32] = {
    let mut types = [[0; 1]; 32];
    let mut kind = 0;
    while kind < types.len() {
        types[kind] = [kind as u8];
        kind += 1;
    }
    types
};

type Attribute = (Box<str>, Box<[u8]>);

/// A span's attribute keys, sorted, each with the type of its value as [`type_of`] tells it.
pub(crate) type Attributes = [(Box<str>, u8)];

/// How many entries each table keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) names: usize,
    pub(crate) key_sets: usize,
    pub(crate) resources: usize,
}

impl Bounds {
    pub(crate) const FULL: Bounds = Bounds { names: MAX_NAMES, key_sets: MAX_KEY_SETS, resources: MAX_RESOURCES };
}

/// The three tables.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    keyed: Keyed,
    names: Table<str>,
    /// Names that were asked for lately, by a quick hash: what is found there is compared, so that nothing rests on it.
    recent: Box<[u32; RECENT_NAMES]>,
    key_sets: Table<Attributes>,
    resources: Table<[Attribute]>,
}

/// Which ids are in use, collected before a sweep.
#[derive(Debug)]
pub(crate) struct InUse {
    names: Vec<bool>,
    key_sets: Vec<bool>,
    resources: Vec<bool>,
}

impl Vocabulary {
    pub(crate) fn new(keyed: Keyed, bounds: Bounds) -> Vocabulary {
        Vocabulary {
            keyed,
            names: Table::new(keyed, bounds.names),
            recent: Box::new([0; RECENT_NAMES]),
            key_sets: Table::new(keyed, bounds.key_sets),
            resources: Table::new(keyed, bounds.resources),
        }
    }

    pub(crate) fn name(&mut self, name: &str) -> NameId {
        let (keyed, name) = (self.keyed, truncated(name, MAX_NAME_BYTES));
        let recent = &mut self.recent[FixedState::default().hash_one(name) as usize % RECENT_NAMES];
        if self.names.get(*recent).is_some_and(|known| *known == *name) {
            return NameId(*recent);
        }
        let hash = || keyed.of(std::iter::once(name.as_bytes()));
        let id = self.names.intern(None, hash, name.len(), |known| *known == *name, || name.into()).unwrap_or(NOT_KEPT);
        *recent = id;
        NameId(id)
    }

    /// The id of a span's keys and their types. `likely` is what it probably is: comparing is four times as fast as
    /// hashing.
    pub(crate) fn keys(&mut self, attributes: &[(&str, &[u8])], likely: Option<KeysId>) -> KeysId {
        let keyed = self.keyed;
        let hash = || {
            keyed.of(attributes.iter().flat_map(|(key, value)| [key.as_bytes(), &TYPES[usize::from(type_of(value))]]))
        };
        let bytes = attributes.iter().map(|(key, _)| key.len() + 1).sum();
        let same = |known: &Attributes| {
            known.len() == attributes.len()
                && known
                    .iter()
                    .zip(attributes)
                    .all(|(known, (key, value))| *known.0 == **key && known.1 == type_of(value))
        };
        let make = || attributes.iter().map(|(key, value)| ((*key).into(), type_of(value))).collect();
        let id = self.key_sets.intern(likely.map(|id| id.0), hash, bytes, same, make);
        KeysId(id.unwrap_or_else(|_| signature(keyed, attributes.iter().map(|(key, _)| *key))))
    }

    /// The keys and types of an id, if they are kept.
    pub(crate) fn attributes_of(&self, keys: KeysId) -> Option<&Attributes> {
        self.key_sets.get(keys.0)
    }

    /// The id of a resource. `likely` is what it probably is.
    pub(crate) fn resource(&mut self, resource: &[(&str, &[u8])], likely: Option<ResourceId>) -> ResourceId {
        let keyed = self.keyed;
        let hash = || keyed.of(resource.iter().flat_map(|(key, value)| [key.as_bytes(), value]));
        let bytes = resource.iter().map(|(key, value)| key.len() + value.len()).sum();
        let same = |known: &[Attribute]| {
            known.len() == resource.len()
                && known.iter().zip(resource).all(|(known, (key, value))| *known.0 == **key && *known.1 == **value)
        };
        let make = || resource.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let id = self.resources.intern(likely.map(|id| id.0), hash, bytes, same, make);
        ResourceId(id.unwrap_or_else(|hash| hash as u32 | NOT_KEPT))
    }

    pub(crate) fn name_of(&self, name: NameId) -> &str {
        self.names.get(name.0).map_or(OTHER, |name| name)
    }

    /// Whether the name itself is kept, and not what stands for any that is not.
    pub(crate) fn is_kept(&self, name: NameId) -> bool {
        self.names.get(name.0).is_some()
    }

    /// Calls `each` with every key of `sent` that `out` lacks; once with "(other)" where they cannot be named.
    pub(crate) fn missing_keys<'a>(&'a self, sent: KeysId, out: KeysId, mut each: impl FnMut(&'a str)) {
        if sent == out {
            return;
        }
        match (self.key_sets.get(sent.0), self.key_sets.get(out.0)) {
            (Some(sent), Some(out)) => {
                let lacks = |(key, _): &&(Box<str>, u8)| out.binary_search_by(|known| known.0.cmp(key)).is_err();
                sent.iter().filter(lacks).for_each(|(key, _)| each(key));
            }
            (Some(_) | None, Some(_) | None) => {
                if self.signature_of(sent) & !self.signature_of(out) != 0 {
                    each(OTHER);
                }
            }
        }
    }

    /// Calls `each` with every key that both have with values of different types, as far as both are kept.
    pub(crate) fn changed_types<'a>(&'a self, sent: KeysId, out: KeysId, mut each: impl FnMut(&'a str)) {
        if sent == out {
            return;
        }
        let (Some(sent), Some(out)) = (self.attributes_of(sent), self.attributes_of(out)) else { return };
        for (key, kind) in sent {
            if out.binary_search_by(|known| known.0.cmp(key)).is_ok_and(|at| out[at].1 != *kind) {
                each(key);
            }
        }
    }

    /// Calls `each` with every key whose value differs, or that only one has; once with "(other)" where they cannot be
    /// named.
    pub(crate) fn changed_attributes<'a>(&'a self, sent: ResourceId, out: ResourceId, mut each: impl FnMut(&'a str)) {
        if sent == out {
            return;
        }
        match (self.resources.get(sent.0), self.resources.get(out.0)) {
            (Some(sent), Some(out)) => {
                let lacks = |attributes: &[Attribute], wanted: &Attribute| {
                    attributes.binary_search_by(|known| known.0.cmp(&wanted.0)).is_err()
                };
                let differs = |wanted: &&Attribute| {
                    out.binary_search_by(|known| known.0.cmp(&wanted.0)).map_or(true, |at| out[at].1 != wanted.1)
                };
                sent.iter().filter(differs).for_each(|attribute| each(&attribute.0));
                out.iter().filter(|attribute| lacks(sent, attribute)).for_each(|attribute| each(&attribute.0));
            }
            (Some(_) | None, Some(_) | None) => {
                if self.hash_of(sent) != self.hash_of(out) {
                    each(OTHER);
                }
            }
        }
    }

    /// Whether a sweep would be worth its pass over all spans in flight: a table is three quarters full, and a quarter
    /// of it was added since the last sweep.
    pub(crate) fn wants_sweep(&self) -> bool {
        self.names.wants_sweep() || self.key_sets.wants_sweep() || self.resources.wants_sweep()
    }

    pub(crate) fn nothing_in_use(&self) -> InUse {
        InUse {
            names: vec![false; self.names.entries.len()],
            key_sets: vec![false; self.key_sets.entries.len()],
            resources: vec![false; self.resources.entries.len()],
        }
    }

    pub(crate) fn sweep(&mut self, used: &InUse) {
        self.names.sweep(&used.names);
        self.key_sets.sweep(&used.key_sets);
        self.resources.sweep(&used.resources);
    }

    /// Facts that were judged by hash, because they did not fit.
    pub(crate) fn not_kept(&self) -> u64 {
        self.names.not_kept + self.key_sets.not_kept + self.resources.not_kept
    }

    /// Bytes of the texts that are kept, and 64 for each entry's places in map and table.
    pub(crate) fn bytes(&self) -> usize {
        self.names.bytes() + self.key_sets.bytes() + self.resources.bytes()
    }

    fn signature_of(&self, keys: KeysId) -> u32 {
        match self.key_sets.get(keys.0) {
            Some(known) => signature(self.keyed, known.iter().map(|(key, _)| &**key)),
            None => keys.0,
        }
    }

    fn hash_of(&self, resource: ResourceId) -> u32 {
        self.resources.hash(resource.0).map_or(resource.0, |hash| hash as u32 | NOT_KEPT)
    }
}

impl InUse {
    pub(crate) fn name(&mut self, name: NameId) {
        mark(&mut self.names, name.0);
    }

    pub(crate) fn keys(&mut self, keys: KeysId) {
        mark(&mut self.key_sets, keys.0);
    }

    pub(crate) fn resource(&mut self, resource: ResourceId) {
        mark(&mut self.resources, resource.0);
    }
}

fn mark(used: &mut [bool], id: u32) {
    if let Some(used) = used.get_mut(id as usize) {
        *used = true;
    }
}

/// The type of an `AnyValue` by its wire bytes: the field number of its first field (1 string, 2 bool, 3 int, 4 double, 5
/// array, 6 map, 7 bytes), 0 if it has none, below 32.
pub(crate) fn type_of(value: &[u8]) -> u8 {
    value.first().map_or(0, |key| key >> 3)
}

fn signature<'a>(keyed: Keyed, keys: impl Iterator<Item = &'a str>) -> u32 {
    keys.fold(NOT_KEPT, |bits, key| bits | 1 << (keyed.of(std::iter::once(key.as_bytes())) % 31))
}

/// The longest beginning of `text` that ends between characters and has at most `bytes` bytes.
pub(crate) fn truncated(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Values by id and ids by the values' hash.
#[derive(Debug)]
struct Table<T: ?Sized> {
    ids: Map<u64, u32>,
    entries: Vec<Option<Entry<T>>>,
    free: Vec<u32>,
    bound: usize,
    added: usize,
    not_kept: u64,
    text_bytes: usize,
    /// The id that was given last.
    last: u32,
}

#[derive(Debug)]
struct Entry<T: ?Sized> {
    value: Box<T>,
    hash: u64,
    bytes: usize,
}

impl<T: ?Sized> Table<T> {
    fn new(keyed: Keyed, bound: usize) -> Table<T> {
        let ids = Map::with_hasher(keyed);
        Table { ids, entries: Vec::new(), free: Vec::new(), bound, added: 0, not_kept: 0, text_bytes: 0, last: 0 }
    }

    /// The value's id; its hash if it is too long, the table is full, or another value has its hash. The likely id and
    /// the last that was given are tried before anything is hashed: spans come in runs that are alike.
    fn intern(
        &mut self,
        likely: Option<u32>,
        hash: impl FnOnce() -> u64,
        bytes: usize,
        same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Box<T>,
    ) -> Result<u32, u64> {
        let tried = likely.into_iter().chain([self.last]);
        if let Some(id) = tried.into_iter().find(|id| self.get(*id).is_some_and(&same)) {
            self.last = id;
            return Ok(id);
        }
        let hash = hash();
        if let Some(id) = self.ids.get(&hash) {
            self.last = *id;
            if self.get(self.last).is_some_and(same) {
                return Ok(self.last);
            }
        } else if self.ids.len() < self.bound && bytes <= MAX_ENTRY_BYTES {
            let id = self.free.pop().unwrap_or(self.entries.len() as u32);
            let entry = Some(Entry { value: make(), hash, bytes });
            match self.entries.get_mut(id as usize) {
                Some(place) => *place = entry,
                None => self.entries.push(entry),
            }
            self.ids.insert(hash, id);
            self.added += 1;
            self.text_bytes += bytes;
            self.last = id;
            return Ok(id);
        }
        self.not_kept = self.not_kept.saturating_add(1);
        Err(hash)
    }

    fn get(&self, id: u32) -> Option<&T> {
        Some(&self.entries.get(id as usize)?.as_ref()?.value)
    }

    fn hash(&self, id: u32) -> Option<u64> {
        Some(self.entries.get(id as usize)?.as_ref()?.hash)
    }

    fn wants_sweep(&self) -> bool {
        self.ids.len() * 4 >= self.bound * 3 && self.added * 4 >= self.bound
    }

    fn sweep(&mut self, used: &[bool]) {
        self.added = 0;
        for (id, place) in self.entries.iter_mut().enumerate() {
            let keep = used.get(id).copied().unwrap_or(true);
            if let Some(entry) = place.take_if(|_| !keep) {
                self.ids.remove(&entry.hash);
                self.free.push(id as u32);
                self.text_bytes -= entry.bytes;
            }
        }
    }

    fn bytes(&self) -> usize {
        self.text_bytes + self.ids.len() * 64
    }
}

#[cfg(test)]
mod tests;
