use super::*;
use std::os::unix::fs::PermissionsExt as _;

const NOW: u64 = 1_700_000_000_000;

fn folder(root: &tempfile::TempDir, keep_ms: u64, max_bytes: u64) -> Evidence {
    let mut evidence = Evidence::open(&root.path().join("evidence"), Retention { keep_ms, max_bytes }).unwrap();
    evidence.look().unwrap();
    evidence
}

fn names(root: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(root.path().join("evidence")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Blobs of ten bytes, kept one after the other, a second apart; the digests.
fn kept(evidence: &mut Evidence, blobs: u64) -> Vec<String> {
    let keep = |number| evidence.keep(format!("{number:>10}").as_bytes(), NOW + number * 1_000).unwrap();
    (0..blobs).map(keep).collect()
}

fn check(evidence: &Evidence, now_ms: u64, room: u64, named: &[&String], too_old: &[String], no_room: &[String]) {
    let named = named.iter().map(|digest| (*digest).clone()).collect();
    let expect = Surplus { too_old: too_old.to_vec(), no_room: no_room.to_vec() };
    assert_eq!(evidence.surplus(now_ms, room, &named), expect);
}

#[test]
fn a_blob_is_kept_once_under_its_digest_and_only_its_owner_reads_it() {
    let root = tempfile::tempdir().unwrap();
    let mut evidence = folder(&root, 1_000, 100);
    let digest = evidence.keep(b"abc", NOW).unwrap();
    assert_eq!(digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(evidence.keep(b"abc", NOW + 5_000).unwrap(), digest);
    let names = names(&root);
    assert_eq!(names.len(), 1);
    let path = root.path().join("evidence").join(&names[0]);
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    check(&evidence, NOW + 5_000, 0, &[], &[], &[]);
    check(&evidence, NOW + 6_001, 0, &[], &[digest], &[]);
}

#[test]
fn what_a_crash_left_does_not_hinder_and_too_much_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut evidence = folder(&root, 1_000, 100);
    let leftover = root.path().join("evidence").join(format!("{hex}.tmp"));
    fs::write(&leftover, b"a").unwrap();
    evidence.keep(b"abc", NOW).unwrap();
    fs::write(&leftover, b"a").unwrap();
    fs::write(root.path().join("evidence/notes.txt"), b"of somebody").unwrap();
    evidence.look().unwrap();
    assert_eq!(names(&root), [hex, "notes.txt"]);
    let large = evidence.keep(&vec![0; MAX_EVIDENCE_BYTES + 1], NOW);
    assert!(matches!(large, Err(EvidenceError::TooLarge { .. })));
}

#[test]
fn the_oldest_go_first_and_what_is_named_stays() {
    let root = tempfile::tempdir().unwrap();
    let mut evidence = folder(&root, 10_000, 50);
    let digests = kept(&mut evidence, 5);
    check(&evidence, NOW + 4_000, 0, &[], &[], &[]);
    check(&evidence, NOW + 4_000, 10, &[], &[], &digests[..1]);
    check(&evidence, NOW + 4_000, 11, &[], &[], &digests[..2]);
    check(&evidence, NOW + 4_000, 11, &[&digests[0], &digests[2]], &[], &[digests[1].clone(), digests[3].clone()]);
    // What is too old makes room for what comes.
    check(&evidence, NOW + 12_500, 11, &[], &digests[..3], &[]);
    check(&evidence, NOW + 11_001, 11, &[&digests[0]], &digests[1..2], &digests[2..3]);
    check(&evidence, NOW + 99_000, 0, &[&digests[4]], &digests[..4], &[]);
}

#[test]
fn a_deleted_blob_is_gone_and_its_room_is_free() {
    let root = tempfile::tempdir().unwrap();
    let mut evidence = folder(&root, 10_000, 50);
    let digests = kept(&mut evidence, 5);
    let refused = evidence.keep(b"more", NOW);
    let no_room = matches!(refused, Err(EvidenceError::NoRoom { bytes: 4, kept: 50, blobs: 5, max_bytes: 50 }));
    assert!(no_room, "{refused:?}");
    evidence.delete(&digests[..2]).unwrap();
    evidence.delete(&digests[..2]).unwrap();
    evidence.keep(b"more", NOW).unwrap();
    assert_eq!(names(&root).len(), 4);
    check(&evidence, NOW, 20, &[], &[], &[evidence_digest(b"more")]);
}

#[test]
fn age_and_size_are_known_again_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let digests = kept(&mut folder(&root, 10_000, 50), 3);
    let evidence = folder(&root, 1_500, 30);
    check(&evidence, NOW + 2_000, 0, &[], &digests[..1], &[]);
    check(&evidence, NOW + 2_000, 10, &[&digests[0]], &[], &digests[1..2]);
}

#[test]
fn a_clock_that_was_set_back_deletes_nothing_for_its_age() {
    let root = tempfile::tempdir().unwrap();
    let mut evidence = folder(&root, 10_000, 50);
    kept(&mut evidence, 3);
    check(&evidence, NOW - 1_000_000_000, 0, &[], &[], &[]);
    check(&evidence, 5, 0, &[], &[], &[]);
}
