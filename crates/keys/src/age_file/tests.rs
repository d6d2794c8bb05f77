use super::*;
use age::x25519;

/// What a file costs here: tests are many, and not optimised.
const CHEAP: u8 = 2;
const KEY: &str = "PRIVATE+KEY+example.com/log+702f3c70+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n";

fn decoded(passphrase: &str, bytes: &[u8]) -> Result<String, String> {
    let text = AgeFile::costing(passphrase, CHEAP).decrypt(bytes);
    text.map(|text| text.to_string()).map_err(|error| error.to_string())
}

fn file() -> Vec<u8> {
    AgeFile::costing("correct horse", CHEAP).encrypt(KEY).unwrap()
}

/// The same file as bytes.
fn binary() -> Vec<u8> {
    let mut recipient = Recipient::new("correct horse".to_owned().into());
    recipient.set_work_factor(CHEAP);
    age::encrypt(&recipient, KEY.as_bytes()).unwrap()
}

#[test]
fn what_was_encrypted_comes_back_as_text_and_as_bytes() {
    let file = file();
    assert!(
        file.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
            && file.ends_with(b"-----END AGE ENCRYPTED FILE-----\n")
    );
    assert!(file.len() < MAX_KEY_FILE_BYTES);
    for bytes in [file, binary()] {
        assert!(is_encrypted(&bytes));
        assert_eq!(decoded("correct horse", &bytes).as_deref(), Ok(KEY));
    }
    // Each time another salt.
    assert_ne!(self::file(), self::file());
}

/// The longest key has room in a key file.
#[test]
fn the_longest_key_fits_into_a_file() {
    let longest = "x".repeat(1024 + 66 + 12 + 1);
    assert!(AgeFile::costing("x", CHEAP).encrypt(&longest).unwrap().len() < MAX_KEY_FILE_BYTES);
}

#[test]
fn each_reason_to_refuse_is_told() {
    let refused = |bytes: &[u8]| decoded("correct horse", bytes).unwrap_err();
    assert_eq!(decoded("wrong horse", &file()).unwrap_err(), "the passphrase is wrong");
    assert!(refused(KEY.as_bytes()).starts_with("it is not encrypted, though a passphrase is named"));
    let to_key = age::encrypt(&x25519::Identity::generate().to_public(), KEY.as_bytes()).unwrap();
    assert!(refused(&to_key).contains("encrypted to a key"));
    let long = AgeFile::costing("correct horse", CHEAP).encrypt(&"x".repeat(MAX_KEY_FILE_BYTES + 1)).unwrap();
    assert!(refused(&long).contains("so it is no key"));
    let plain = |bytes: &[u8]| PlainFile.decode(bytes).map(|text| text.to_string()).map_err(|error| error.to_string());
    assert!(plain(&file()).unwrap_err().starts_with("it is encrypted, and no passphrase is named"));
    assert!(plain(&binary()).is_err());
    assert_eq!(plain(KEY.as_bytes()).as_deref(), Ok(KEY));
}

/// A file that was made to hurt: it says that opening it costs 2^n, whatever it did cost.
#[test]
fn a_file_that_costs_too_much_is_refused_before_it_costs() {
    let text = String::from_utf8_lossy(&binary()).into_owned();
    let stanza = text.lines().nth(1).unwrap().to_owned();
    let salt = stanza.strip_prefix("-> scrypt ").unwrap().split_once(' ').unwrap().0.to_owned();
    let bytes = binary();
    let second_line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let end = second_line + bytes[second_line..].iter().position(|byte| *byte == b'\n').unwrap();
    for (work, words) in [("21", "2^21, more than 2^20"), ("63", "2^63, more than 2^20"), ("200", ""), ("0", "")] {
        let mut hostile = bytes[..second_line].to_vec();
        hostile.extend_from_slice(format!("-> scrypt {salt} {work}").as_bytes());
        hostile.extend_from_slice(&bytes[end..]);
        let error = decoded("correct horse", &hostile).unwrap_err();
        assert!(error.contains(words), "{work}: {error}");
    }
}

#[test]
fn no_altered_or_cut_file_is_a_key() {
    for whole in [file(), binary()] {
        // In every seventh place, for each costs a scrypt.
        for at in (0..whole.len()).step_by(7) {
            let mut altered = whole.clone();
            altered[at] ^= 0x04;
            // White space around armored text is nobody's.
            assert!(decoded("correct horse", &altered).is_err() || altered[at].is_ascii_whitespace(), "byte {at}");
            assert!(decoded("correct horse", &whole[..at]).is_err() || at + 1 == whole.len(), "cut at {at}");
        }
    }
}
