//! What an approver saw of the ledger is what it begins with.

use super::*;
use crate::ConsistencyError;
use crate::shift_proof::tests::{PLAN as APPROVED, Scene, log_key};
use rollout::approval::LogHead;

fn leaves(records: &[Record]) -> Vec<Hash> {
    records.iter().map(|record| Hash::of_leaf(&encoded(record))).collect()
}

fn head(records: &[Record]) -> LogHead {
    LogHead { size: records.len() as u64, root: root(&leaves(records)).to_string() }
}

/// RFC 6962, section 2.1.2, by its recursion.
fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut inner, other) = match old <= left.len() {
        true => (subproof(old, left, whole), root(right)),
        false => (subproof(old - left.len(), right, false), root(left)),
    };
    inner.push(other);
    inner
}

/// A rollout that two people approved, each of whom saw the ledger as it was.
fn approved(bobs: impl FnOnce(&mut LogHead)) -> Bundle {
    let mut scene = Scene::at_the_gate(APPROVED, "demo.1");
    let mut seen = head(&scene.records);
    bobs(&mut seen);
    scene.approve("bob", |statement| statement.checkpoint = seen);
    let seen = head(&scene.records);
    scene.approve("carol", |statement| statement.checkpoint = seen);
    let scene = scene.shifted();
    let leaves = leaves(&scene.records);
    let entry = |(index, record): (usize, &Record)| {
        let content = EntryContent::Shown(encoded(record));
        (index as u64, Entry { content, proof: proof(&leaves, index) })
    };
    let key = log_key(1);
    let mut bundle = Bundle {
        rollout: RolloutId("demo.1".into()),
        checkpoint: Checkpoint::new(key.verifier().name(), leaves.len() as u64, root(&leaves)).sign(&key),
        witnesses: Vec::new(),
        key_changes: BTreeMap::new(),
        consistency: BTreeMap::new(),
        entries: scene.records.iter().enumerate().map(entry).collect(),
        evidence: BTreeMap::new(),
        statements: BTreeMap::new(),
    };
    for size in bundle.approved_heads(key.verifier()) {
        let old = usize::try_from(size).unwrap().min(leaves.len());
        bundle.consistency.insert(size, subproof(old, &leaves, true));
    }
    bundle
}

fn verify(bundle: &Bundle) -> Result<Verified, VerifyBundleError> {
    Bundle::verify(&bundle.to_bytes(), log_key(1).verifier()).map(|(_, verified)| verified)
}

#[test]
fn both_heads_are_beginnings_of_the_ledger() {
    let bundle = approved(|_| {});
    assert_eq!(bundle.consistency.len(), 2);
    assert_eq!(verify(&bundle).unwrap().approvals.len(), 2);
}

#[test]
fn a_ledger_that_was_rewritten_since_somebody_approved_is_found() {
    let rewritten = approved(|head| head.root = root(&[Hash::of_leaf(b"another past")]).to_string());
    assert!(matches!(
        verify(&rewritten),
        Err(VerifyBundleError::Consistency(ConsistencyError::Forked { by, .. })) if by == "bob"
    ));
    let none = approved(|head| head.root = "root".into());
    assert!(matches!(verify(&none), Err(VerifyBundleError::Consistency(ConsistencyError::Root { .. }))));
    let ahead = approved(|head| head.size = 10_000);
    assert!(matches!(verify(&ahead), Err(VerifyBundleError::Consistency(ConsistencyError::Forked { .. }))));
}

#[test]
fn no_proof_can_be_left_out_or_changed() {
    let whole = approved(|_| {});
    let sizes: Vec<u64> = whole.consistency.keys().copied().collect();
    let mut without = whole.clone();
    without.consistency.remove(&sizes[0]);
    assert!(matches!(
        verify(&without),
        Err(VerifyBundleError::Consistency(ConsistencyError::Files { words: "is missing", .. }))
    ));
    let mut more = whole.clone();
    more.consistency.insert(1, Vec::new());
    assert!(matches!(
        verify(&more),
        Err(VerifyBundleError::Consistency(ConsistencyError::Files { words: "is there", size: 1 }))
    ));
    for size in sizes {
        for at in 0..whole.consistency[&size].len() {
            let mut changed = whole.clone();
            changed.consistency.get_mut(&size).unwrap()[at].0[7] ^= 1;
            assert!(verify(&changed).is_err(), "{size} {at}");
        }
    }
}
