use super::*;
use crate::{Edge, KeyName, Note, SignerKey, Tile, TileContent, TileTree};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

fn key(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("example.com/log").unwrap(), &[seed; 32])
}

/// A log of fewer than 256 entries: those of `history` from entry `fork` on are its own.
#[derive(Clone, Copy)]
struct Log {
    fork: u64,
    history: u8,
}

const HONEST: Log = Log { fork: 0, history: 0 };

impl Log {
    fn edge(self, size: u64) -> Edge {
        let mut edge = Edge::empty();
        for index in 0..size {
            let history = if index < self.fork { 0 } else { self.history };
            edge.append(Hash::of_leaf(format!("{history} {index}").as_bytes()), &mut Vec::new());
        }
        edge
    }

    fn head(self, size: u64) -> Head {
        Head { size, root: self.edge(size).root() }
    }

    fn note(self, size: u64) -> Note {
        Checkpoint::new(key(7).verifier().name(), size, self.head(size).root).sign(&key(7))
    }

    fn proof(self, old: u64, size: u64) -> Vec<Hash> {
        let tiles: BTreeMap<Tile, Vec<u8>> = self
            .edge(size)
            .partial_tiles_since(0)
            .into_iter()
            .map(|TileContent { tile, bytes }| (tile, bytes))
            .collect();
        let mut tree = TileTree::new(size, |tile: Tile| Ok::<_, Infallible>(tiles[&tile].clone()));
        tree.consistency_proof(old.min(size), size).unwrap()
    }

    fn request(self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint::new(old, self.proof(old, size), self.note(size)).unwrap()
    }
}

fn decide(request: &AddCheckpoint, known: Head) -> Result<(), Refusal> {
    consider(request, &[key(7).verifier().clone()], known)
}

/// The status and what it shows of the log; 200 if it is cosigned.
fn outcome(request: &AddCheckpoint, known: Head) -> (u16, Option<Misbehaviour>) {
    decide(request, known).map_or_else(|refusal| (refusal.status(), refusal.misbehaviour()), |()| (200, None))
}

#[test]
fn the_table_of_the_specification_holds() {
    let fork = Log { fork: 3, history: 1 };
    let (known, empty) = (HONEST.head(5), Head::empty());
    let check = |what: &str, request: AddCheckpoint, known: Head, expected: (u16, Option<Misbehaviour>)| {
        assert_eq!(outcome(&request, known), expected, "{what}: {:?}", decide(&request, known));
    };
    check("the first checkpoint", HONEST.request(0, 5), empty, (200, None));
    check("an empty log", HONEST.request(0, 0), empty, (200, None));
    check("more entries", HONEST.request(5, 9), known, (200, None));
    check("the same again", HONEST.request(5, 5), known, (200, None));
    check("the old size is greater", AddCheckpoint::new(6, Vec::new(), HONEST.note(5)).unwrap(), known, (400, None));
    check("from nothing, and it is known", HONEST.request(0, 9), known, (409, None));
    check("from an older size", HONEST.request(3, 9), known, (409, None));
    check("from a newer size", HONEST.request(7, 9), known, (409, None));
    check("from something, and nothing is known", HONEST.request(5, 9), empty, (409, None));
    check("the same, asked from nothing", HONEST.request(0, 5), known, (409, None));
    check("set back", HONEST.request(3, 4), known, (409, Some(Misbehaviour::SetBack)));
    check("set back to nothing", HONEST.request(0, 0), known, (409, Some(Misbehaviour::SetBack)));
    check("another root of the same size", fork.request(5, 5), known, (409, Some(Misbehaviour::Forked)));
    check("the same, asked from nothing", fork.request(0, 5), known, (409, Some(Misbehaviour::Forked)));
    check("another history with more", fork.request(5, 9), known, (422, Some(Misbehaviour::Forked)));
    let proof = HONEST.proof(5, 8);
    let wrong = AddCheckpoint::new(5, proof, HONEST.note(9)).unwrap();
    check("a proof of another size", wrong, known, (422, Some(Misbehaviour::Forked)));
    let proof = vec![Hash([1; 32])];
    let needless = AddCheckpoint::new(0, proof.clone(), HONEST.note(5)).unwrap();
    check("a proof from nothing", needless, empty, (422, Some(Misbehaviour::Forked)));
    let needless = AddCheckpoint::new(5, proof, HONEST.note(5)).unwrap();
    check("a proof of the same", needless, known, (422, Some(Misbehaviour::Forked)));
    let not_empty = Checkpoint::new(key(7).verifier().name(), 0, Hash([1; 32])).sign(&key(7));
    let not_empty = AddCheckpoint::new(0, Vec::new(), not_empty).unwrap();
    check("no entries with a root of some", not_empty, empty, (409, Some(Misbehaviour::Forked)));
}

#[test]
fn who_signed_comes_first() {
    let request = HONEST.request(5, 9);
    let known = HONEST.head(5);
    assert_eq!(
        consider(&request, &[], known).unwrap_err(),
        Refusal::UnknownOrigin { origin: "example.com/log".to_owned() }
    );
    assert_eq!(consider(&request, &[], known).unwrap_err().status(), 404);
    // A stranger who can write a checkpoint learns nothing of what is known, and accuses nobody.
    for (old, size) in [(5, 9), (0, 9), (9, 5), (5, 5)] {
        let request = AddCheckpoint::new(old, Vec::new(), Log { fork: 0, history: 1 }.note(size)).unwrap();
        let refusal = consider(&request, &[key(8).verifier().clone()], known).unwrap_err();
        assert_eq!((refusal.status(), refusal.misbehaviour()), (403, None), "{refusal}");
    }
    // One of two keys is enough, whichever it is: a log may change its key.
    let keys = [key(8).verifier().clone(), key(7).verifier().clone()];
    assert_eq!(consider(&request, &keys, known), Ok(()));
}

#[test]
fn an_altered_signature_or_text_is_not_the_log_s() {
    let text = HONEST.request(5, 9).to_string();
    let from = text.find("\n\n").unwrap() + 2;
    for bit in from * 8..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(request) = AddCheckpoint::parse(&bytes) {
            assert!(decide(&request, HONEST.head(5)).is_err(), "{request}");
        }
    }
}

fn other_side(old: Head, new: Head, proof: &[Hash]) -> bool {
    let proof: Vec<_> = proof.iter().map(|hash| hash.0.into()).collect();
    sigstore_merkle::verify_consistency_proof(old.size, new.size, &proof, &old.root.0.into(), &new.root.0.into())
        .is_ok()
}

proptest! {
    /// Whatever is sent, in whatever order: the witness' head only grows, and each one continues the one before. That the
    /// proofs hold is said by another implementation.
    #[test]
    fn what_is_cosigned_is_one_history(
        sent in prop::collection::vec((0u64..40, 0u64..40, 0u64..40, 0u8..2, any::<bool>()), 1..40)
    ) {
        let mut known = Head::empty();
        for (old, size, fork, history, knows) in sent {
            let log = Log { fork: fork.max(20), history };
            let old = if knows { known.size } else { old };
            let request = log.request(old, size);
            if decide(&request, known).is_ok() {
                let shown = log.head(size);
                prop_assert!(shown.size >= known.size);
                prop_assert!(shown.size > known.size || shown.root == known.root);
                if 0 < known.size && known.size < size {
                    prop_assert!(other_side(known, shown, request.proof()));
                }
                known = shown;
            }
        }
    }
}
