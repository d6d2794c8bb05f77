//! RFC 9162 sections 2.1.3.2 and 2.1.4.2: verifying proofs of RFC 6962's tree. Needs nothing but its arguments.

use crate::Hash;

/// Hashes of the longest proof: an inclusion proof has one for each of at most 64 levels, a consistency proof one more.
pub const MAX_PROOF_HASHES: usize = 65;

/// A proof that does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// The entry cannot be in a tree of that size.
    #[error("entry {index} cannot be in a tree of {size} entries")]
    Index {
        /// The entry's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The sizes are in the wrong order.
    #[error("a tree of {new} entries cannot continue one of {old}")]
    Order {
        /// The old tree's size.
        old: u64,
        /// The new tree's size.
        new: u64,
    },
    /// The proof has too few or too many hashes for its sizes.
    #[error("a proof of {found} hashes does not fit the sizes")]
    Length {
        /// How many hashes the proof has.
        found: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof leads to the root {computed}, but the tree's is {root}: the entry or the proof was altered")]
    Root {
        /// What the proof leads to.
        computed: Hash,
        /// What it should lead to.
        root: Hash,
    },
    /// The hashes do not lead to the old root.
    #[error("the proof leads to the old root {computed}, but it was {root}: the log rewrote its past")]
    OldRoot {
        /// What the proof leads to.
        computed: Hash,
        /// What it should lead to.
        root: Hash,
    },
}

/// Checks that the tree of `size` leaves with this root has `leaf` at `index`.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut computed = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length { found: proof.len() });
        }
        if node & 1 == 1 || node == last {
            computed = Hash::of_node(*sibling, computed);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            computed = Hash::of_node(computed, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length { found: proof.len() });
    }
    if computed == root { Ok(()) } else { Err(ProofError::Root { computed, root }) }
}

/// Checks that the tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`.
pub fn verify_consistency(
    old: u64,
    old_root: Hash,
    new: u64,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Order { old, new });
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(ProofError::Length { found: proof.len() });
        }
        let expected = if old == 0 { Hash::of_empty_tree() } else { new_root };
        return if old_root == expected {
            Ok(())
        } else {
            Err(ProofError::OldRoot { computed: expected, root: old_root })
        };
    }
    let length = || ProofError::Length { found: proof.len() };
    // An old tree that is a perfect subtree of the new one is where the path starts, so the proof leaves it out.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().map(|(f, r)| (*f, r)).ok_or_else(length)?
    };
    let (mut node, mut last) = (old - 1, new - 1);
    let shift = node.trailing_ones();
    node >>= shift;
    last >>= shift;
    let (mut old_computed, mut new_computed) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(length());
        }
        if node & 1 == 1 || node == last {
            old_computed = Hash::of_node(*sibling, old_computed);
            new_computed = Hash::of_node(*sibling, new_computed);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            new_computed = Hash::of_node(new_computed, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length());
    }
    if old_computed != old_root {
        return Err(ProofError::OldRoot { computed: old_computed, root: old_root });
    }
    if new_computed == new_root { Ok(()) } else { Err(ProofError::Root { computed: new_computed, root: new_root }) }
}

/// On the right edge of a tree that is not perfect, a node moves up unhashed past levels where it has no sibling.
fn skip_levels_without_sibling(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}
