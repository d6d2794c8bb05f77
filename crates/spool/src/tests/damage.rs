//! Files that were cut or altered: what can be read comes out, what cannot is counted, and nothing panics.

use super::{Rig, SMALL, payload};
use crate::sim_disk::{Sim, SimDisk};
use crate::{EntryId, Limits, Recovered, Taken};
use proptest::prelude::*;
use std::ops::Range;

const OLDER: &str = "0000000000000000-00000.segment";
const NEWEST: &str = "0000000000000001-00004.segment";

/// Two segments: the older with four entries, the newest with groups of one, one and three; the second of all is done.
struct Base {
    sim: Sim,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: EntryId,
    number: u64,
    file: &'static str,
    frame: Range<usize>,
    is_done: bool,
}

const LENGTHS: [usize; 9] = [60, 120, 3000, 4800, 33, 0, 150, 7, 90];

fn base() -> Base {
    let mut rig = Rig::new(SMALL);
    let mut ids = Vec::new();
    for group in [0..1, 1..2, 2..4, 4..5, 5..6, 6..9] {
        let group: Vec<_> =
            group.map(|number| (number as u64, &b"tag"[..], payload(number as u64, LENGTHS[number]))).collect();
        ids.extend(rig.append_group(&group).into_iter().map(Result::unwrap));
    }
    let mut taken = rig.take_all();
    taken.remove(1).done();
    drop(taken);
    rig.writer.finish();
    assert_eq!(rig.disk.sim().names(), [OLDER, NEWEST]);
    let mut entries = Vec::new();
    let mut offset = 8192;
    for (number, id) in ids.into_iter().enumerate() {
        let file = if number < 4 { OLDER } else { NEWEST };
        offset = if number == 4 { 8192 } else { offset };
        let frame = offset..offset + (43 + LENGTHS[number]).next_multiple_of(8);
        offset = frame.end;
        entries.push(Entry { id, number: number as u64, file, frame, is_done: number == 1 });
    }
    Base { sim: rig.disk.sim().clone(), entries }
}

/// Drains a disk, and returns what came out, what opening found, and how many were lost in all.
fn drain(sim: &Sim) -> (Vec<EntryId>, Recovered, u64) {
    let rig = Rig::open(SimDisk::new(sim.clone(), 1), SMALL).unwrap();
    let taken = rig.take_all();
    for entry in &taken {
        let number = entry.at_ms();
        assert_eq!((entry.tag(), entry.payload()), (&b"tag"[..], &payload(number, LENGTHS[number as usize])));
    }
    let stats = rig.spool.stats();
    assert_eq!((stats.entries, stats.untidy), (taken.len() as u64, 0));
    assert!(stats.lost_entries > 0 || stats.lost_bytes == 0);
    (taken.iter().map(Taken::id).collect(), rig.recovered, stats.lost_entries)
}

impl Base {
    fn with(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Sim {
        let mut sim = self.sim.clone();
        change(sim.content(file));
        sim
    }

    fn ids<'a>(&'a self, without: impl Fn(&Entry) -> bool + 'a) -> Vec<EntryId> {
        self.entries.iter().filter(|entry| !without(entry)).map(|entry| entry.id).collect()
    }
}

#[test]
fn undamaged_all_is_there() {
    let base = base();
    let expected = base.ids(|entry| entry.is_done);
    assert_eq!(drain(&base.sim), (expected, Recovered { entries: 8, ..Default::default() }, 0));
    let lengths: Vec<_> = [OLDER, NEWEST].iter().map(|file| base.sim.clone().content(file).len()).collect();
    assert_eq!(lengths, [base.entries[3].frame.end, base.entries[8].frame.end]);
}

#[test]
fn an_altered_byte_costs_the_entry_that_it_is_in_and_no_other() {
    let base = base();
    for file in [OLDER, NEWEST] {
        for at in 0..base.sim.clone().content(file).len() {
            let sim = base.with(file, |content| content[at] ^= 1 << (at % 8));
            let (ids, recovered, lost) = drain(&sim);
            let hit = base.entries.iter().find(|entry| entry.file == file && entry.frame.contains(&at));
            let is_padding = hit.is_some_and(|hit| at >= hit.frame.start + 43 + LENGTHS[hit.number as usize]);
            match hit {
                // The slots: what they said is done may come again.
                None => {
                    let all = base.ids(|_| false);
                    assert!(ids == all || ids == base.ids(|entry| entry.is_done), "{file} {at}");
                    assert_eq!((lost, recovered.torn_bytes), (0, 0), "{file} {at}");
                }
                Some(hit) => {
                    let expected = base.ids(|entry| entry.is_done || (entry.id == hit.id && !is_padding));
                    assert_eq!(ids, expected, "{file} {at}");
                    let is_last_group = hit.number >= 6;
                    let is_lost = !is_padding && !hit.is_done && !is_last_group;
                    assert_eq!(lost, u64::from(is_lost), "{file} {at}");
                    assert_eq!(recovered.lost_bytes > 0, recovered.lost_entries > 0, "{file} {at}");
                    assert_eq!(recovered.torn_bytes > 0, !is_padding && is_last_group, "{file} {at}");
                }
            }
        }
    }
}

#[test]
fn a_cut_file_costs_what_was_behind_the_cut() {
    let base = base();
    for file in [OLDER, NEWEST] {
        for length in 0..base.sim.clone().content(file).len() {
            let sim = base.with(file, |content| content.truncate(length));
            let (ids, recovered, lost) = drain(&sim);
            let is_cut = |entry: &Entry| entry.file == file && entry.frame.end > length;
            // Without its second slot the older segment has forgotten what was done.
            let forgotten = file == OLDER && length < 8192;
            let expected = base.ids(|entry| (entry.is_done && !forgotten) || is_cut(entry));
            assert_eq!(ids, expected, "{file} {length}");
            let missing = base.entries.iter().filter(|entry| is_cut(entry) && (forgotten || !entry.is_done)).count();
            // The newest segment does not say how many entries it had: a cut looks like a write that a crash ended.
            let told = if file == OLDER { missing as u64 } else { 0 };
            assert_eq!((lost, recovered.lost_entries), (told, told), "{file} {length}");
            let is_torn =
                file == NEWEST && base.entries.iter().any(|entry| is_cut(entry) && entry.frame.start < length);
            assert_eq!(recovered.torn_bytes > 0, is_torn, "{file} {length}");
        }
    }
}

#[test]
fn a_segment_that_is_gone_costs_its_entries_alone() {
    let base = base();
    let rig = Rig::open(SimDisk::new(base.sim.clone(), 1), SMALL).unwrap();
    crate::disk::Disk::remove(&rig.disk, OLDER).unwrap();
    // It is gone while the spool is open: three entries that are told one by one.
    let error = rig.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "entry 0/0 of 104 bytes is lost: what is on the disk is not what was written");
    assert_eq!(rig.take_all().len(), 5);
    assert_eq!((rig.spool.stats().lost_entries, rig.spool.stats().lost_bytes), (3, 104 + 3048 + 4848));
    let rig = Rig::open(rig.disk.kill(), SMALL).unwrap();
    assert_eq!(rig.take_all().len(), 5);
}

#[test]
fn what_was_lost_once_is_not_told_again() {
    let base = base();
    let sim = base.with(OLDER, |content| content[base.entries[0].frame.start] ^= 1);
    let rig = Rig::open(SimDisk::new(sim, 1), SMALL).unwrap();
    assert_eq!((rig.recovered.lost_entries, rig.recovered.lost_bytes, rig.spool.stats().lost_entries), (1, 104, 1));
    let mut taken = rig.take_all();
    taken.remove(0).done();
    drop(taken);
    // Progress holds what was told with what was delivered.
    let rig = rig.close(SMALL);
    assert_eq!((rig.recovered.lost_entries, rig.recovered.entries), (0, 6));
}

#[test]
fn a_torn_group_is_cut_off_and_the_segment_before_is_whole() {
    let base = base();
    let sim = base.with(NEWEST, |content| {
        let torn = base.entries[7].frame.start..base.entries[8].frame.start + 10;
        content[torn.clone()].fill(0xaa);
        content.truncate(torn.end);
        content.resize(16_384, 0);
    });
    let rig = Rig::open(SimDisk::new(sim, 1), SMALL).unwrap();
    let torn_bytes = (base.entries[8].frame.start + 10 - base.entries[7].frame.start) as u64;
    assert_eq!(rig.recovered, Recovered { entries: 6, torn_bytes, ..Default::default() });
    assert_eq!(rig.disk.sim().content(NEWEST).len(), base.entries[6].frame.end);
    assert_eq!(drain(&rig.disk.sim().clone()).1, Recovered { entries: 6, ..Default::default() });
}

#[test]
fn frames_in_a_payload_are_not_entries() {
    let base = base();
    // A payload with a whole segment in it, as if somebody exported the spool's files; then its header is damaged.
    let inner = base.sim.clone().content(OLDER)[8192..].to_vec();
    let limits = Limits { segment_bytes: 65_536, max_bytes: 1 << 20, ..SMALL };
    let mut rig = Rig::new(limits);
    let outer = rig.append(0, b"", &inner).unwrap();
    rig.append(1, b"", b"after").unwrap();
    drop(rig.take());
    rig.disk.sim().content(OLDER)[8192] ^= 1;
    let rig = Rig::open(rig.disk.kill(), limits).unwrap();
    let ids: Vec<_> = rig.take_all().iter().map(Taken::id).collect();
    assert_eq!((ids.len(), rig.recovered.lost_entries), (1, 1));
    assert!(ids[0] > outer);
}

#[test]
fn foreign_names_are_told_and_left_alone() {
    let base = base();
    let foreign = ["0000000000000000-00007.segment", "DIRECTORY", "notes.txt"];
    let mut sim = base.sim.clone();
    foreign.iter().for_each(|name| sim.content(name).extend(b"something"));
    sim.content("lock");
    let rig = Rig::open(SimDisk::new(sim, 1), SMALL).unwrap();
    assert_eq!(rig.recovered.foreign, foreign);
    rig.take_all().into_iter().for_each(|entry| entry.done());
    let rig = rig.close(SMALL);
    let mut left = rig.disk.sim().names();
    left.retain(|name| name != "lock");
    assert_eq!(left, foreign);
}

#[derive(Clone, Debug)]
enum Harm {
    Flip {
        at: usize,
        by: u8,
    },
    Fill {
        at: usize,
        length: usize,
        with: u8,
    },
    Cut {
        length: usize,
    },
    /// Bytes of the file itself, moved.
    Copy {
        from: usize,
        to: usize,
        length: usize,
    },
    Append(Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<usize>(), 1u8..).prop_map(|(at, by)| Harm::Flip { at, by }),
        (any::<usize>(), 0usize..5000, any::<u8>()).prop_map(|(at, length, with)| Harm::Fill { at, length, with }),
        any::<usize>().prop_map(|length| Harm::Cut { length }),
        (any::<usize>(), any::<usize>(), 0usize..5000).prop_map(|(from, to, length)| Harm::Copy { from, to, length }),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Harm::Append),
    ]
}

fn inflict(content: &mut Vec<u8>, harm: &Harm) {
    let len = content.len().max(1);
    let end = |at: usize, length: usize| (at % len + length).min(content.len());
    match harm {
        Harm::Flip { at, by } => content.iter_mut().skip(at % len).take(1).for_each(|byte| *byte ^= by),
        Harm::Fill { at, length, with } => {
            let range = (at % len).min(content.len())..end(*at, *length);
            content[range].fill(*with);
        }
        Harm::Cut { length } => content.truncate(length % len),
        Harm::Copy { from, to, length } => {
            let copied = content[(from % len).min(content.len())..end(*from, *length)].to_vec();
            content.iter_mut().skip(to % len).zip(copied).for_each(|(byte, copied)| *byte = copied);
        }
        Harm::Append(bytes) => content.extend(bytes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_the_files_hold_nothing_panics_and_nothing_is_made_up(
        harms in prop::collection::vec((any::<bool>(), harm()), 1..6),
        garbage in prop::collection::vec(any::<u8>(), 0..300),
        before in 0u32..40_000,
    ) {
        let base = base();
        let mut sim = base.sim.clone();
        for (older, harm) in &harms {
            inflict(sim.content(if *older { OLDER } else { NEWEST }), harm);
        }
        sim.content(&crate::index::name(2, before)).extend(&garbage);
        let rig = Rig::open(SimDisk::new(sim, 1), SMALL).unwrap();
        let taken = rig.take_all();
        for entry in &taken {
            let number = entry.at_ms();
            prop_assert!(base.entries.iter().any(|known| known.id == entry.id() && known.number == number));
            prop_assert_eq!(entry.payload(), &payload(number, LENGTHS[number as usize]));
        }
        taken.into_iter().for_each(|entry| entry.done());
        // It goes on working, and is empty in the end.
        let mut rig = rig.close(SMALL);
        prop_assert_eq!(rig.spool.stats().entries, 0);
        rig.append(0, b"", b"x").unwrap();
        prop_assert_eq!(rig.take_all().len(), 1);
    }
}
