use super::*;
use crate::{Edge, KeyName, SignerKey, Tile, TileTree};
use proptest::prelude::*;
use std::convert::Infallible;

fn key() -> SignerKey {
    SignerKey::new(KeyName::new("example.com/log").unwrap(), &[7; 32])
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// The proof of an entry in a log of fewer than 256, which has one tile.
fn proof(index: u64, size: u64, extra: Option<&[u8]>) -> LogProof {
    let mut edge = Edge::empty();
    (0..size).for_each(|index| edge.append(Hash::of_leaf(&entry(index)), &mut Vec::new()));
    let tile = edge.partial_tiles_since(0).remove(0);
    let mut tree = TileTree::new(size, |_: Tile| Ok::<_, Infallible>(tile.bytes.clone()));
    let hashes = tree.inclusion_proof(index, size).unwrap();
    let checkpoint = Checkpoint::new(key().verifier().name(), size, edge.root()).sign(&key());
    LogProof { extra: extra.map(<[u8]>::to_vec), index, hashes, checkpoint }
}

const GOLDEN: &str = "c2sp.org/tlog-proof@v1\n\
    extra ZXh0cmEgZGF0YQ==\n\
    index 2\n\
    YcoROfaBWEHVuvLQ0tm9nf7pfImN1ve6DAqpQe5sAes=\n\
    WkdmL9ijF9lgSaP59HxV3GfKZgUbqjaD27GbL+CaB7A=\n\
    SFM123z+yWXxX/dF/GJcQdXqJkaTaTAWWCj3PdS2iFQ=\n\n\
    example.com/log\n\
    5\n\
    fKo0Xb2JKmZFTWxlEuo8PqPw0+whvj/C4jdXBf049nI=\n\n\
    — example.com/log cC88cDgDJ6Q0uoG/vPRTT655F8Thxj2ubGgls+RmmMBrpMcuba1uT98XUON9ZJh5HAHhMo3ilwFNx+8gDZHVFpTfKAQ=\n";

#[test]
fn a_proof_is_written_to_fixed_bytes() {
    let proof = proof(2, 5, Some(b"extra data"));
    assert_eq!(proof.to_string(), GOLDEN);
    assert_eq!(GOLDEN.parse(), Ok(proof));
}

#[test]
fn a_proof_holds_for_its_entry_alone() {
    for size in 1..20 {
        for index in 0..size {
            let proof: LogProof = proof(index, size, None).to_string().parse().unwrap();
            assert_eq!(proof.verify(&entry(index), key().verifier()).unwrap().size(), size);
            assert!(proof.verify(&entry(index + 1), key().verifier()).is_err());
        }
    }
    let stranger = SignerKey::new(KeyName::new("example.com/log").unwrap(), &[8; 32]);
    let refused = proof(1, 3, None).verify(&entry(1), stranger.verifier());
    assert!(matches!(refused, Err(VerifyLogProofError::Checkpoint(_))));
}

/// The extra data is the one part that nobody signs.
#[test]
fn every_altered_bit_is_noticed() {
    let text = proof(2, 5, None).to_string();
    for at in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        let holds = altered.parse::<LogProof>().is_ok_and(|proof| proof.verify(&entry(2), key().verifier()).is_ok());
        assert!(!holds, "{altered}");
    }
}

fn check_refused(text: &str, expected: &str) {
    assert_eq!(text.parse::<LogProof>().unwrap_err().to_string(), expected, "{text:?}");
}

#[test]
fn what_is_not_a_proof_is_refused() {
    let text = proof(2, 5, None).to_string();
    check_refused("", "expected c2sp.org/tlog-proof@v1, found \"\"");
    check_refused(&text.replace("v1", "v2"), "expected c2sp.org/tlog-proof@v1, found \"c2sp.org/tlog-proof@v2\"");
    for index in ["02", "+2", "x", ""] {
        check_refused(
            &text.replace("index 2", &format!("index {index}")),
            &format!("expected index and a decimal number without leading zeros, found \"index {index}\""),
        );
    }
    check_refused(&text.replace("index 2\n", "index 2\nAAAA\n"), "a line of the inclusion proof is not a hash");
    check_refused(&text.replace("index", "extra !\nindex"), "expected extra and base64, found \"extra !\"");
    let hash = format!("{}\n", Hash([0; 32]));
    let many = text.replace("index 2\n", &format!("index 2\n{}", hash.repeat(65)));
    check_refused(&many, "the proof has more than 65 hashes");
    check_refused(&text[..text.len() - 1], "the proof's checkpoint is not a signed note");
    let long = format!("{text}{}", "a".repeat(MAX_LOG_PROOF_BYTES));
    check_refused(&long, &format!("the proof has {} bytes, more than {MAX_LOG_PROOF_BYTES}", long.len()));
    let extra = STANDARD.encode(vec![0; MAX_EXTRA_BYTES + 1]);
    check_refused(
        &text.replace("index", &format!("extra {extra}\nindex")),
        "the proof's extra data is longer than 65536 bytes",
    );
}

proptest! {
    #[test]
    fn a_proof_reads_back(index in 0u64..200, extra: Option<Vec<u8>>) {
        let proof = proof(index, 200, extra.as_deref());
        prop_assert_eq!(proof.to_string().parse(), Ok(proof));
    }

    #[test]
    fn any_text_is_a_proof_or_refused(text in "(c2sp.org/tlog-proof@v1\n)?(extra [A=]{0,4}\n)?index [0-9]{0,3}\n[A=\n]{0,60}(a\n\n— a AAAAAAA=\n)?") {
        if let Ok(proof) = text.parse::<LogProof>() {
            prop_assert_eq!(proof.to_string(), text);
        }
    }
}
