use crate::{Edge, Hash, ProofError, Tile, TileTree, TreeError, verify_consistency, verify_inclusion};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

type Tree = TileTree<Box<dyn FnMut(Tile) -> Result<Vec<u8>, Infallible>>>;

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// A log of these entries, and its files as a directory would hold them.
fn grow(entries: impl Iterator<Item = Vec<u8>>) -> (Edge, BTreeMap<String, Vec<u8>>) {
    let (mut edge, mut tiles) = (Edge::empty(), Vec::new());
    entries.for_each(|entry| edge.append(Hash::of_leaf(&entry), &mut tiles));
    tiles.extend(edge.partial_tiles_since(0));
    (edge, tiles.into_iter().map(|content| (content.tile.to_string(), content.bytes)).collect())
}

fn tree(size: u64, files: &BTreeMap<String, Vec<u8>>) -> Tree {
    let files = files.clone();
    TileTree::new(size, Box::new(move |tile| Ok(files[&tile.to_string()].clone())))
}

/// RFC 6962 section 2.1, word for word.
fn reference_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_empty_tree(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            Hash::of_node(reference_root(&leaves[..split]), reference_root(&leaves[split..]))
        }
    }
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|index| Hash::of_leaf(&entry(index))).collect()
}

fn hex(hash: Hash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The vectors of the Certificate Transparency reference implementation (merkle_tree_test.cc).
#[test]
fn roots_are_those_of_the_reference_implementation() {
    let entries: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (size, root) in roots.iter().enumerate() {
        let (edge, files) = grow(entries[..size].iter().map(|entry| entry.to_vec()));
        assert_eq!(hex(edge.root()), *root);
        assert_eq!(hex(tree(size as u64, &files).root(size as u64).unwrap()), *root);
    }
}

#[test]
fn a_tree_of_three_levels_of_tiles_has_the_root_of_its_leaves() {
    let (edge, files) = grow((0..66_000).map(entry));
    let leaves = leaves(66_000);
    assert_eq!(edge.root(), reference_root(&leaves));
    let mut tree = tree(66_000, &files);
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, 66_000] {
        assert_eq!(tree.root(size).unwrap(), reference_root(&leaves[..size as usize]), "{size}");
    }
    for index in [0, 255, 256, 65_535, 65_536, 65_999] {
        let proof = tree.inclusion_proof(index, 66_000).unwrap();
        verify_inclusion(leaves[index as usize], index, 66_000, &proof, edge.root()).unwrap();
    }
    for old in [1, 256, 65_535, 65_536, 65_537, 65_999] {
        let proof = tree.consistency_proof(old, 66_000).unwrap();
        verify_consistency(old, reference_root(&leaves[..old as usize]), 66_000, edge.root(), &proof).unwrap();
    }
}

#[test]
fn the_edge_is_read_back_from_tiles() {
    for size in [0, 1, 255, 256, 257, 600] {
        let (edge, files) = grow((0..size).map(entry));
        let read = |tile: Tile| Ok::<_, Infallible>(files[&tile.to_string()].clone());
        assert_eq!(Edge::from_tiles(size, read).unwrap(), edge);
    }
    let short = Edge::from_tiles(3, |_| Ok::<_, Infallible>(vec![0; 95])).unwrap_err();
    assert_eq!(short.to_string(), "tile tile/0/000.p/3 has 95 bytes, expected 96");
}

#[test]
fn what_the_tree_does_not_have_is_refused() {
    let (_, files) = grow((0..5).map(entry));
    let mut tree = tree(5, &files);
    assert_eq!(tree.root(6), Err(TreeError::Size { asked: 6, size: 5 }));
    assert_eq!(tree.inclusion_proof(0, 6), Err(TreeError::Size { asked: 6, size: 5 }));
    assert_eq!(tree.inclusion_proof(4, 4), Err(TreeError::Index { index: 4, size: 4 }));
    assert_eq!(tree.consistency_proof(5, 4), Err(TreeError::Order { old: 5, new: 4 }));
    assert_eq!(tree.consistency_proof(0, 5), Ok(vec![]));
    assert_eq!(tree.consistency_proof(5, 5), Ok(vec![]));
}

#[test]
fn sizes_near_the_end_of_64_bits_neither_panic_nor_hold() {
    let hash = Hash([1; 32]);
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (u64::MAX, u64::MAX), (0, 0), (1 << 63, u64::MAX)] {
        for length in [0, 1, 62, 63, 64, 65] {
            assert!(verify_inclusion(hash, index, size, &vec![hash; length], hash).is_err());
            assert!(index == size || verify_consistency(index, hash, size, hash, &vec![hash; length]).is_err());
        }
    }
}

/// Ours and an implementation that shares no code with ours, with the same verdict.
fn check_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    let theirs: Vec<_> = proof.iter().map(|hash| hash.0.into()).collect();
    let ours = verify_inclusion(leaf, index, size, proof, root).is_ok();
    let theirs = sigstore_merkle::verify_inclusion_proof(&leaf.0.into(), index, size, &theirs, &root.0.into()).is_ok();
    assert_eq!(ours, theirs, "entry {index} of {size}");
    ours
}

fn check_consistency(old: u64, old_root: Hash, new: u64, new_root: Hash, proof: &[Hash]) -> bool {
    let theirs: Vec<_> = proof.iter().map(|hash| hash.0.into()).collect();
    let ours = verify_consistency(old, old_root, new, new_root, proof).is_ok();
    let theirs =
        sigstore_merkle::verify_consistency_proof(old, new, &theirs, &old_root.0.into(), &new_root.0.into()).is_ok();
    assert_eq!(ours, theirs, "from {old} to {new}");
    ours
}

/// Every way to alter a proof by one byte, one hash more or one hash less.
fn altered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() * 32 {
        let mut other = proof.to_vec();
        other[at / 32].0[at % 32] ^= 1 << (at % 8);
        all.push(other);
    }
    all.push([proof, &[Hash([0; 32])]].concat());
    if let Some((_, rest)) = proof.split_last() {
        all.push(rest.to_vec());
        all.push(proof[1..].to_vec());
    }
    all
}

#[test]
fn every_entry_of_every_small_tree_is_proved() {
    let (_, files) = grow((0..40).map(entry));
    let (mut tree, leaves) = (tree(40, &files), leaves(40));
    for size in 1..=40 {
        let root = reference_root(&leaves[..size as usize]);
        for index in 0..size {
            let proof = tree.inclusion_proof(index, size).unwrap();
            assert!(check_inclusion(leaves[index as usize], index, size, &proof, root));
        }
        for old in 0..=size {
            let proof = tree.consistency_proof(old, size).unwrap();
            assert!(check_consistency(old, reference_root(&leaves[..old as usize]), size, root, &proof));
        }
    }
}

/// The number of an entry or of a smaller tree, and a size, both up to two levels of tiles.
fn index_and_size() -> impl Strategy<Value = (u64, u64)> {
    (1u64..900).prop_flat_map(|size| (0..size, Just(size)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_inclusion_proof_holds_until_a_byte_is_altered((index, size) in index_and_size(), more in 0u64..300) {
        let (_, files) = grow((0..size + more).map(entry));
        let mut tree = tree(size + more, &files);
        let (root, leaf) = (tree.root(size).unwrap(), Hash::of_leaf(&entry(index)));
        let proof = tree.inclusion_proof(index, size).unwrap();
        prop_assert!(check_inclusion(leaf, index, size, &proof, root));
        for other in altered(&proof) {
            prop_assert!(!check_inclusion(leaf, index, size, &other, root));
        }
        prop_assert!(!check_inclusion(Hash::of_leaf(b"another"), index, size, &proof, root));
        prop_assert!(!check_inclusion(leaf, index, size, &proof, Hash([0; 32])));
    }

    #[test]
    fn a_consistency_proof_holds_until_a_byte_is_altered((old, new) in index_and_size()) {
        let (edge, files) = grow((0..new).map(entry));
        let mut tree = tree(new, &files);
        let (old_root, new_root) = (tree.root(old).unwrap(), edge.root());
        let proof = tree.consistency_proof(old, new).unwrap();
        prop_assert!(check_consistency(old, old_root, new, new_root, &proof));
        for other in altered(&proof) {
            prop_assert!(!check_consistency(old, old_root, new, new_root, &other));
        }
        if old > 0 {
            prop_assert!(!check_consistency(old, Hash([0; 32]), new, new_root, &proof));
            prop_assert!(!check_consistency(old, old_root, new, Hash([0; 32]), &proof));
        }
    }
}

#[test]
fn a_proof_that_fails_says_how() {
    let (edge, files) = grow((0..3).map(entry));
    let proof = tree(3, &files).inclusion_proof(1, 3).unwrap();
    let failed = verify_inclusion(Hash::of_leaf(b"other"), 1, 3, &proof, edge.root());
    assert!(matches!(failed, Err(ProofError::Root { root, .. }) if root == edge.root()));
    let rewritten = verify_consistency(2, Hash([0; 32]), 3, edge.root(), &[Hash::of_leaf(&entry(2))]);
    assert!(matches!(rewritten, Err(ProofError::Root { .. } | ProofError::OldRoot { .. })));
}
