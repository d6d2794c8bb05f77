use super::*;
use crate::{KeyName, SignerKey};
use proptest::prelude::*;

fn note(size: u64) -> Note {
    let key = SignerKey::new(KeyName::new("example.com/log").unwrap(), &[7; 32]);
    Checkpoint::new(key.verifier().name(), size, Hash([0xab; 32])).sign(&key)
}

fn request(hashes: usize) -> AddCheckpoint {
    AddCheckpoint::new(20_852_014, vec![Hash([1; 32]); hashes], note(20_852_163)).unwrap()
}

const GOLDEN: &str = "old 20852014\n\
    AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\
    AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\
    \n\
    example.com/log\n\
    20852163\n\
    q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n\
    — example.com/log cC88cA2ISzSi3x5guMscb4Q/7rpXub9Qym1Jcf35CmYzERi7J4Ojn66Yh1DNqY1d8RtzoXnBabC8Tbazaz6jy8NNegE=\n";

#[test]
fn a_request_is_written_to_fixed_bytes() {
    assert_eq!(request(2).to_string(), GOLDEN);
    assert_eq!(AddCheckpoint::parse(GOLDEN.as_bytes()), Ok(request(2)));
}

/// The example of the specification, two signatures of one name included.
#[test]
fn the_specification_s_example_is_read() {
    let text = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
    let read: AddCheckpoint = text.parse().unwrap();
    assert_eq!((read.old_size(), read.proof().len()), (20_852_014, 4));
    assert_eq!((read.checkpoint().size(), read.note().signatures().len()), (20_852_163, 2));
    assert_eq!(read.to_string(), text);
}

fn check_refused(text: &str, expected: &str) {
    assert_eq!(text.parse::<AddCheckpoint>().unwrap_err().to_string(), expected, "{text:?}");
}

#[test]
fn what_is_not_a_request_is_refused() {
    let note = note(3);
    let old = |found: &str| {
        format!("expected \"old \" and a decimal tree size without leading zeros on line 1, found {found:?}")
    };
    for line in ["", "old", "old ", "old 01", "old -1", "old +1", "old 1 ", "Old 1", "old 18446744073709551616", "1"] {
        check_refused(&format!("{line}\n\n{note}"), &old(line));
    }
    check_refused("", &old(""));
    let separator = "there is no empty line between the consistency proof and the checkpoint";
    check_refused("old 0", separator);
    check_refused("old 0\n", separator);
    check_refused(&format!("old 0\n{}", Hash([1; 32])), separator);
    check_refused(
        &format!("old 0\n{}\nAAAA\n\n{note}", Hash([1; 32])),
        "line 2 of the consistency proof is not a hash",
    );
    check_refused(&format!("old 0\n{note}"), "line 1 of the consistency proof is not a hash");
    check_refused("old 0\n\n", "the checkpoint is not a signed note");
    check_refused("old 0\n\nexample.com/log\n1\n\n— a AAAAAAA=\n", "the note's text is not a checkpoint");
    check_refused(&format!("old 0\n\n{note}\n"), "the checkpoint is not a signed note");
    let many = format!("{}\n", Hash([1; 32])).repeat(64);
    check_refused(&format!("old 1\n{many}\n{note}"), "the consistency proof has more than 63 lines");
    let long = "a".repeat(MAX_ADD_CHECKPOINT_BYTES + 1);
    check_refused(&long, &format!("the request has {} bytes, more than {MAX_ADD_CHECKPOINT_BYTES}", long.len()));
    assert_eq!(AddCheckpoint::parse(b"old 0\n\xff"), Err(ParseAddCheckpointError::NotText { at: 6 }));
}

#[test]
fn the_longest_request_fits() {
    let text = request(MAX_WITNESS_PROOF_HASHES).to_string();
    assert_eq!(text.parse(), Ok(request(MAX_WITNESS_PROOF_HASHES)));
    let least = MAX_NOTE_BYTES + MAX_WITNESS_PROOF_HASHES * 45 + format!("old {}\n\n", u64::MAX).len();
    assert_eq!(MAX_ADD_CHECKPOINT_BYTES, least);
    let more = AddCheckpoint::new(1, vec![Hash([1; 32]); MAX_WITNESS_PROOF_HASHES + 1], note(2));
    assert_eq!(more, Err(ParseAddCheckpointError::TooManyHashes));
}

proptest! {
    #[test]
    fn a_request_reads_back(old: u64, size: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..=63)) {
        let request = AddCheckpoint::new(old, hashes.into_iter().map(Hash).collect(), note(size)).unwrap();
        prop_assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()), Ok(request));
    }

    #[test]
    fn any_bytes_are_a_request_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = AddCheckpoint::parse(&bytes);
        let _ = AddCheckpoint::parse(&[b"old 1\n\n", &bytes[..]].concat());
    }

    /// One byte of a good request is another: then it is another request, or none, and what is read is what was written.
    #[test]
    fn an_altered_request_is_read_as_it_stands(at in 0..GOLDEN.len(), byte: u8) {
        let mut bytes = GOLDEN.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(read) = AddCheckpoint::parse(&bytes) {
            prop_assert_eq!(read.to_string().into_bytes(), bytes);
        }
    }
}
