use super::*;
use proptest::prelude::*;

fn key(name: &str) -> SignerKey {
    SignerKey::new(KeyName::new(name).unwrap(), &[7; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(key("example.com/log").verifier().name(), 20_852_163, Hash([0xab; 32]))
}

const GOLDEN: &str = "example.com/log\n\
    20852163\n\
    q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n\
    — example.com/log cC88cA2ISzSi3x5guMscb4Q/7rpXub9Qym1Jcf35CmYzERi7J4Ojn66Yh1DNqY1d8RtzoXnBabC8Tbazaz6jy8NNegE=\n";

#[test]
fn a_checkpoint_is_signed_to_fixed_bytes() {
    let key = key("example.com/log");
    let note = checkpoint().sign(&key).to_string();
    assert_eq!(note, GOLDEN);
    assert_eq!(Checkpoint::open(&note, key.verifier()), Ok(checkpoint()));
}

/// The example of the specification, with a signature of unknown key.
#[test]
fn the_specification_s_example_is_read() {
    let note: Note = "example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        .parse()
        .unwrap();
    let checkpoint: Checkpoint = note.text().parse().unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.root().to_string(), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    assert_eq!(note.signatures()[0].id.to_string(), "033de0ae");
}

#[test]
fn another_log_s_checkpoint_is_refused_even_under_the_same_key() {
    let (key, other) = (key("example.com/log"), key("example.com/other"));
    let note = checkpoint().sign(&other).to_string();
    assert!(matches!(Checkpoint::open(&note, key.verifier()), Err(OpenCheckpointError::Signature(_))));
    let error = Checkpoint::open(&note, other.verifier()).unwrap_err();
    assert_eq!(error.to_string(), "the checkpoint is of the log \"example.com/log\", expected example.com/other");
}

#[test]
fn extension_lines_are_kept() {
    let text = format!("{}one\ntwo\n", checkpoint());
    let parsed: Checkpoint = text.parse().unwrap();
    assert_eq!(parsed.extensions(), ["one", "two"]);
    assert_eq!(parsed.to_string(), text);
}

#[test]
fn what_is_not_a_checkpoint_is_refused() {
    let root = Hash([1; 32]).to_string();
    for text in
        ["", "\n", "a\n1\n", &format!("a\n1\n{root}"), &format!("\n1\n{root}\n"), &format!("a\n1\n{root}\n\nb\n")]
    {
        assert_eq!(text.parse::<Checkpoint>(), Err(ParseCheckpointError::Lines), "{text:?}");
    }
    for size in ["01", "+1", "-1", "1 ", "0x1", "00", "18446744073709551616"] {
        let text = format!("a\n{size}\n{root}\n");
        assert_eq!(text.parse::<Checkpoint>(), Err(ParseCheckpointError::Size { found: size.to_owned() }));
    }
    for root in
        ["AAAA", &root[1..], &root[..43], &format!("{root}="), &root.replace('=', "A"), &root.replace("E=", "F=")]
    {
        let text = format!("a\n1\n{root}\n");
        assert!(matches!(text.parse::<Checkpoint>(), Err(ParseCheckpointError::Root(_))), "{root}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_checkpoint_or_refused(text in "[ab\n]{0,4}\n[0-9]{0,21}\n[AB/+=]{42,45}\n[a\n]{0,3}") {
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            prop_assert_eq!(checkpoint.to_string(), text);
        }
    }
}
