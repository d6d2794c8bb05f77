//! Whatever is changed is found.

use super::*;
use crate::ReadBundleError;
use proptest::prelude::*;

fn refused(bundle: &Bundle, key: &SignerKey) -> String {
    match Bundle::verify(&bundle.to_bytes(), key.verifier()) {
        Ok(_) => panic!("it holds"),
        Err(error) => error.to_string(),
    }
}

fn indexes(ledger: &Ledger) -> Vec<u64> {
    ledger.bundle().entries.into_keys().collect()
}

/// Whether a bundle holds that has another byte at each of these places, one at a time. The first that does.
///
/// Most bytes of a header, and all that is derived, are not read into the bundle at all: what is read from the changed file is
/// the same, is written again as the whole, and differs from the changed file there. All the rest of a verification would be
/// that of the whole; so it is made for each 31st of these alone.
fn unnoticed(whole: &Bundle, key: &SignerKey, places: &[usize]) -> Option<usize> {
    let bytes = whole.to_bytes();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let look = |places: &[usize]| {
        let mut changed = bytes.clone();
        places.iter().copied().find(|at| {
            changed[*at] ^= 1 << (at % 8);
            let unread = at % 31 != 0 && Bundle::from_bytes(&changed).is_ok_and(|read| read == *whole);
            let holds = !unread && Bundle::verify(&changed, key.verifier()).is_ok();
            changed[*at] = bytes[*at];
            holds
        })
    };
    std::thread::scope(|scope| {
        let parts = places.chunks(places.len().div_ceil(threads));
        let looks: Vec<_> = parts.map(|part| scope.spawn(|| look(part))).collect();
        looks.into_iter().find_map(|look| look.join().unwrap())
    })
}

/// Each byte of each file, headers and padding among them, and each length.
#[test]
fn no_byte_can_be_changed() {
    let ledger = Ledger::of_each_kind_of_file();
    let mut whole = ledger.bundle();
    let hidden = *whole.entries.keys().nth(1).unwrap();
    let entry = whole.entries.remove(&hidden).unwrap();
    whole.entries.insert(hidden, entry.hidden());
    whole.sign_statements(&ledger.key);
    let (bytes, verifier) = (whole.to_bytes(), ledger.key.verifier());
    assert!(Bundle::verify(&bytes, verifier).is_ok());
    let mut kinds: Vec<String> = tar::Archive::new(&bytes[..])
        .entries()
        .unwrap()
        .map(|file| file.unwrap().path().unwrap().display().to_string())
        .map(|path| path.replace(|it: char| it.is_ascii_digit(), "").split('/').next().unwrap().to_owned())
        .collect();
    kinds.dedup();
    let expected = [
        "bundle.json",
        "checkpoint",
        "evidence",
        "keys",
        "oscal-assessment-results.json",
        "plan.json",
        "proofs",
        "records",
        "statements",
        "witnesses",
    ];
    assert_eq!(kinds, expected, "each kind of file");
    let places: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(unnoticed(&whole, &ledger.key, &places), None, "of {} bytes", bytes.len());
    for length in 0..bytes.len() {
        // Between the blocks of 512 bytes only a few: they are cut in the same way.
        if length % 512 < 2 || length + 2 > bytes.len() {
            assert!(Bundle::verify(&bytes[..length], verifier).is_err(), "cut to {length} bytes");
        }
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Bundle::verify(&longer, verifier), Err(VerifyBundleError::OtherBytes { .. })));
}

/// Of a whole rollout, with the judge's state, only some bytes: it has more of the same.
#[test]
fn no_byte_of_a_rollout_can_be_changed() {
    let ledger = Ledger::of_a_rollback();
    let whole = ledger.bundle();
    let places: Vec<usize> = (0..whole.to_bytes().len()).step_by(499).collect();
    assert_eq!(unnoticed(&whole, &ledger.key, &places), None);
}

#[test]
fn entries_cannot_be_left_out_exchanged_or_added() {
    let ledger = Ledger::of_a_rollback();
    let all = indexes(&ledger);
    let (first, last) = (all[0], all[all.len() - 1]);
    // In the midst.
    let mut bundle = ledger.bundle();
    bundle.entries.remove(&all[2]);
    assert_eq!(
        refused(&bundle, &ledger.key),
        format!("entry {} is missing: a bundle has all entries from the first of its rollout to the last", all[2])
    );
    // The first: its sequence number is not 0.
    let mut bundle = ledger.bundle();
    bundle.entries.remove(&first);
    let expected = format!("entry {} has the sequence number 1, expected 0: a record is missing", first + 1);
    assert_eq!(refused(&bundle, &ledger.key), expected);
    // Two exchanged.
    let mut bundle = ledger.bundle();
    let (one, other) = (bundle.entries[&first].clone(), bundle.entries[&last].clone());
    bundle.entries.insert(first, other);
    bundle.entries.insert(last, one);
    assert_eq!(refused(&bundle, &ledger.key), format!("entry {first} is not in the ledger: its proof does not hold"));
    // One more, with the proof of another.
    let mut bundle = ledger.bundle();
    let last_entry = bundle.entries[&last].clone();
    bundle.entries.insert(last + 1, last_entry);
    assert_eq!(
        refused(&bundle, &ledger.key),
        format!("entry {} is not in the ledger: its proof does not hold", last + 1)
    );
    bundle.entries.clear();
    assert_eq!(refused(&bundle, &ledger.key), "there is no entry in it");
}

#[test]
fn a_ledger_that_was_written_with_a_gap_is_found() {
    let mut ledger = Ledger::of_a_rollback();
    let at = ledger.records.iter().position(|record| record.sequence == 3 && record.rollout.is_some()).unwrap();
    ledger.records.remove(at);
    let error = refused(&ledger.bundle(), &ledger.key);
    assert_eq!(error, format!("entry {at} has the sequence number 4, expected 3: a record is missing"));
    let mut ledger = Ledger::of_a_rollback();
    ledger.records[at].rollout = Some(RolloutId("other.1".into()));
    assert_eq!(refused(&ledger.bundle(), &ledger.key), format!("entry {at} is of other.1, and the bundle of demo.1"));
}

#[test]
fn evidence_cannot_be_changed_or_added() {
    let ledger = Ledger::of_a_rollback();
    let mut bundle = ledger.bundle();
    let digest = bundle.evidence.keys().next().unwrap().clone();
    bundle.evidence.get_mut(&digest).unwrap().push(b' ');
    assert_eq!(refused(&bundle, &ledger.key), format!("evidence {digest}: what is in it has another digest"));
    let mut bundle = ledger.bundle();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    bundle.evidence.insert(empty.to_owned(), Vec::new());
    assert_eq!(refused(&bundle, &ledger.key), format!("evidence {empty}: no record that is shown names it"));
}

#[test]
fn every_signature_of_the_checkpoint_is_of_a_key_that_is_named() {
    let ledger = Ledger::of_a_rollback();
    let whole = ledger.bundle();
    let all = ["verdigris.example/ledger", "example.com/witness-11", "example.com/witness-12"];
    let log = all[0];
    let names = |count: usize| all[..=count].join(", ");
    let check = |change: &dyn Fn(&mut Bundle), expected: String| {
        let mut bundle = whole.clone();
        change(&mut bundle);
        assert_eq!(refused(&bundle, &ledger.key), expected);
    };
    // One more than there are keys, and keys without a signature.
    let other = SignerKey::new(KeyName::new("other.example").unwrap(), &[9; 32]);
    let stranger = other.sign(whole.checkpoint.text());
    let more = whole.checkpoint.with_signatures([stranger]).unwrap();
    let found = format!("the checkpoint has the signatures of {}, other.example, expected {}", names(2), names(2));
    check(&|bundle| bundle.checkpoint = more.clone(), found);
    let expected = format!("the checkpoint has the signatures of {}, expected {}", names(2), names(1));
    check(&|bundle| drop(bundle.witnesses.pop()), expected.clone());
    let none = whole.checkpoint.signed_only_by(ledger.key.verifier());
    let without = format!("the checkpoint has the signatures of {log}, expected {}", names(2));
    check(&|bundle| bundle.checkpoint = none.clone(), without);
    // In another order.
    let exchanged = format!(
        "the checkpoint has the signatures of {}, expected {log}, example.com/witness-12, example.com/witness-11",
        names(2)
    );
    check(&|bundle| bundle.witnesses.reverse(), exchanged);
    // A cosignature of another checkpoint.
    let borrowed = ledger.witnesses.iter().map(|witness| witness.cosign("another\n1\n", 50));
    let borrowed = none.with_signatures(borrowed).unwrap();
    let unfit = "the cosignature of example.com/witness-11 does not fit the checkpoint: it, or the key in `witnesses`, was \
                 altered";
    check(&|bundle| bundle.checkpoint = borrowed.clone(), unfit.to_owned());
}

#[test]
fn the_plan_is_the_one_that_approvals_name() {
    let mut ledger = Ledger::of_a_rollback();
    let found = parse(PLAN).unwrap().digest();
    for record in &mut ledger.records {
        if let Body::Started(start) = &mut record.body {
            start.plan_digest = "sha256:0".to_owned();
        }
    }
    let expected = format!("entry 1 has a plan with the digest {found}, and states sha256:0");
    assert_eq!(refused(&ledger.bundle(), &ledger.key), expected);
}

/// What is derived is not believed: it is what follows, or the bundle does not hold, and the file is named.
#[test]
fn what_follows_from_the_records_is_written_again_and_compared() {
    let ledger = Ledger::of_a_rollback();
    let bytes = ledger.bundle().to_bytes();
    for (path, text) in [("bundle.json", "\"entries\""), ("plan.json", "\"a test\"")] {
        let is_here = |from: &usize| bytes[..*from].windows(path.len()).any(|window| window == path.as_bytes());
        let mut places = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text.as_bytes());
        let at = places.find(|(at, _)| is_here(at)).unwrap().0 + 2;
        let mut changed = bytes.clone();
        changed[at] = b'A';
        let error = Bundle::verify(&changed, ledger.key.verifier()).unwrap_err().to_string();
        let expected = match path {
            "bundle.json" => "bundle.json: found unknown field `eAtries`".to_owned(),
            path => format!("byte {at}, of {path}, is not what follows from the records"),
        };
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn what_is_no_bundle_is_told_by_what_is_wrong() {
    let empty_tar = vec![0; 1_024];
    let error = Bundle::from_bytes(&empty_tar).unwrap_err();
    assert_eq!(error.to_string(), "bundle.json is missing");
    let error = Bundle::from_bytes(&[1; 700]).unwrap_err();
    assert!(matches!(error, ReadBundleError::Tar(_)), "{error}");
    let bytes = Ledger::of_a_rollback().bundle().to_bytes();
    let text = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        Bundle::from_bytes(&changed).unwrap_err().to_string()
    };
    let expected = "bundle.json: found the format \"verdigris.dev/bundle/v2\", expected \"verdigris.dev/bundle/v1\"; it \
                    was written by another version";
    assert_eq!(text("bundle/v1", "bundle/v2"), expected);
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000), at in any::<prop::sample::Index>()) {
        prop_assert!(Bundle::from_bytes(&bytes).is_err());
        // And in the midst of a good one.
        let good = Ledger::of_a_rollback().bundle().to_bytes();
        let from = at.index(good.len());
        let mut changed = good.clone();
        let until = (from + bytes.len()).min(good.len());
        changed[from..until].copy_from_slice(&bytes[..until - from]);
        let verified = Bundle::verify(&changed, key(1).verifier());
        prop_assert!(verified.is_err() || changed == good);
    }
}
