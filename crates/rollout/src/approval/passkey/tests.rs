use super::*;
use crate::approval::tests::statement;
use crate::approval::{ApproverKey, PublicKey, SignatureError, SignedStatement};
use p256::ecdsa::signature::Signer as _;
use proptest::prelude::*;

const RP_ID: &str = "verdigris.example";
const ORIGIN: &str = "https://verdigris.example";

/// An authenticator and a browser, as the specification has them.
struct Authenticator {
    signing: Signing,
    credential: Vec<u8>,
}

enum Signing {
    Es256(p256::ecdsa::SigningKey),
    EdDsa(ed25519_dalek::SigningKey),
}

/// What they say, each to be changed by a test.
struct Said {
    kind: &'static str,
    challenge: String,
    origin: String,
    more: &'static str,
    rp_id: &'static str,
    flags: u8,
    count: u32,
    tail: Vec<u8>,
}

impl Authenticator {
    fn es256(seed: u8) -> Authenticator {
        let signing = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
        Authenticator { signing: Signing::Es256(signing), credential: vec![seed; 16] }
    }

    fn eddsa(seed: u8) -> Authenticator {
        let signing = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        Authenticator { signing: Signing::EdDsa(signing), credential: vec![seed; 64] }
    }

    fn key(&self) -> Vec<u8> {
        match &self.signing {
            Signing::Es256(key) => {
                [&P256_HEAD[..], &key.verifying_key().to_encoded_point(false).as_bytes()[1..]].concat()
            }
            Signing::EdDsa(key) => [&ED25519_HEAD[..], &key.verifying_key().to_bytes()].concat(),
        }
    }

    fn passkey(&self) -> Passkey {
        Passkey::new(&self.credential, &self.key(), RP_ID, ORIGIN).unwrap()
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.signing {
            Signing::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Signing::EdDsa(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    fn signs(&self, text: &str, change: impl FnOnce(&mut Said)) -> SignedStatement {
        let mut said = Said {
            kind: "webauthn.get",
            challenge: challenge_text(text),
            origin: ORIGIN.to_owned(),
            more: r#","crossOrigin":false"#,
            rp_id: RP_ID,
            flags: USER_PRESENT | USER_VERIFIED,
            count: 5,
            tail: Vec::new(),
        };
        change(&mut said);
        let Said { kind, challenge, origin, more, rp_id, flags, count, tail } = said;
        let client = format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"{more}}}"#);
        let data = [&Sha256::digest(rp_id)[..], &[flags], &count.to_be_bytes(), &tail].concat();
        let signature = self.signature(&[&data[..], &Sha256::digest(&client)].concat());
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let assertion = Assertion::of(&self.passkey(), &encode(&data), &encode(client.as_bytes()), &encode(&signature));
        SignedStatement { statement: text.to_owned(), signature: assertion.to_text() }
    }
}

fn text() -> String {
    statement().to_text()
}

/// What is said of an assertion that was changed so.
fn check(expected: &str, change: impl FnOnce(&mut Said)) {
    let error = Authenticator::es256(7).signs(&text(), change).open().expect_err(expected).to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn what_a_passkey_signs_is_these_bytes() {
    let signed = [Authenticator::es256(7), Authenticator::eddsa(7)].map(|it| it.signs(&text(), |_| {}));
    let lines = signed.each_ref().map(|signed| {
        let (_, key) = signed.open().unwrap();
        format!("{key}\n{}\n{}", key.fingerprint(), signed.signature)
    });
    insta::assert_snapshot!(format!("challenge {}\n{}", challenge_text(&text()), lines.join("\n")));
}

#[test]
fn a_passkey_signs_the_statement_and_says_which_it_is() {
    for authenticator in [Authenticator::es256(7), Authenticator::eddsa(9)] {
        let (opened, by) = authenticator.signs(&text(), |_| {}).open().unwrap();
        assert_eq!(opened, statement());
        assert_eq!(by.passkey(), Some(&authenticator.passkey()));
        assert_eq!(PublicKey::from_line(&format!("{by} ada's phone")).unwrap(), by);
    }
}

/// Made by Chromium's virtual authenticator (`e2e/passkey.py` says how), over the statement of these tests.
#[test]
fn what_a_real_browser_made_holds() {
    let signature = include_str!("chromium.json").trim_end().to_owned();
    let (opened, by) = SignedStatement { statement: text(), signature: signature.clone() }.open().unwrap();
    assert_eq!(opened, statement());
    assert_eq!(by.passkey().unwrap().origin(), "http://localhost:43163");
    assert_eq!(Assertion::from_text(&signature).unwrap().sign_count(), Some(3));
}

#[test]
fn browsers_may_say_more_and_devices_that_share_a_key_count_nothing() {
    let ours = Authenticator::es256(7);
    let synced = USER_PRESENT | USER_VERIFIED | BACKUP_ELIGIBLE | BACKED_UP;
    let signed = ours.signs(&text(), |said| {
        said.more = r#","crossOrigin":false,"other_keys_can_be_added_here":"do not compare clientDataJSON""#;
        (said.flags, said.count) = (synced, 0);
    });
    signed.open().unwrap();
    assert_eq!(Assertion::from_text(&signed.signature).unwrap().sign_count(), None);
    let counted = ours.signs(&text(), |said| said.more = "");
    counted.open().unwrap();
    assert_eq!(Assertion::from_text(&counted.signature).unwrap().sign_count(), Some(5));
}

#[test]
fn each_thing_that_is_not_as_it_must_be_is_refused_with_its_reason() {
    check("webauthn.get", |said| said.kind = "webauthn.create");
    check("the challenge is not", |said| said.challenge = challenge_text("another statement"));
    let bare = URL_SAFE_NO_PAD.encode(Sha256::digest(text()));
    check("the challenge is not", |said| said.challenge = bare);
    check("was used at", |said| said.origin = "https://evil.example".into());
    check("was used at", |said| said.origin = "http://verdigris.example".into());
    check("was used at", |said| said.origin = "https://verdigris.example:8443".into());
    check("in a frame", |said| said.more = r#","crossOrigin":true"#);
    check("in a frame", |said| said.more = r#","topOrigin":"https://evil.example""#);
    check("clientDataJSON is not", |said| said.more = r#","origin":"https://evil.example""#);
    check("another relying party", |said| said.rp_id = "evil.example");
    check("somebody was there", |said| said.flags = USER_VERIFIED);
    check("it knew who was there", |said| said.flags = USER_PRESENT);
    check("what cannot be", |said| said.flags |= BACKED_UP);
    check("what cannot be", |said| said.flags |= EXTENSIONS);
    check("what cannot be", |said| said.flags |= ATTESTED);
    check("has 38 bytes", |said| said.tail = vec![0xa0]);
    let long = Box::leak(format!(r#","more":"{}""#, "x".repeat(1_000)).into_boxed_str());
    check("at most 1024", |said| said.more = long);
}

#[test]
fn the_signature_of_another_statement_or_key_does_not_hold() {
    let ours = Authenticator::es256(7);
    let other = crate::approval::Statement { rollout: crate::RolloutId("collector.2".into()), ..statement() }.to_text();
    let replayed = SignedStatement { statement: text(), ..ours.signs(&other, |_| {}) };
    assert!(matches!(replayed.open(), Err(SignatureError::Assertion(AssertionError::Challenge))));
    // Another key's line over what ours signed.
    let mut assertion = Assertion::from_text(&ours.signs(&text(), |_| {}).signature).unwrap();
    for other in [Authenticator::es256(8), Authenticator::eddsa(7)] {
        assertion.key = other.passkey().to_string();
        let stolen = SignedStatement { statement: text(), signature: assertion.to_text() };
        assert!(matches!(stolen.open(), Err(SignatureError::Assertion(AssertionError::DoesNotHold))));
    }
}

/// An assertion whose signature is of these bytes.
fn with_signature(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<(), SignatureError> {
    let mut assertion = Assertion::from_text(&Authenticator::es256(7).signs(&text(), |_| {}).signature).unwrap();
    let signature = change(URL_SAFE_NO_PAD.decode(&assertion.signature).unwrap());
    assertion.signature = URL_SAFE_NO_PAD.encode(signature);
    SignedStatement { statement: text(), signature: assertion.to_text() }.open().map(|_| ())
}

#[test]
fn signatures_have_one_form_in_der_and_either_half_of_the_curve() {
    let parsed = |der: &[u8]| p256::ecdsa::Signature::from_der(der).unwrap();
    let other_half = |der: Vec<u8>| {
        let (r, s) = parsed(&der).split_scalars();
        p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap().to_der().as_bytes().to_vec()
    };
    with_signature(|der| der).unwrap();
    with_signature(other_half).unwrap();
    let raw = |der: Vec<u8>| parsed(&der).to_bytes().to_vec();
    let longer = |mut der: Vec<u8>| {
        der.push(0);
        der
    };
    let long_length = |der: Vec<u8>| [&[der[0], 0x81], &der[1..]].concat();
    let garbage: [&dyn Fn(Vec<u8>) -> Vec<u8>; 5] =
        [&raw, &longer, &long_length, &|_| Vec::new(), &|der| der[..der.len() - 1].to_vec()];
    for (at, change) in garbage.into_iter().enumerate() {
        let found = with_signature(change);
        assert!(matches!(found, Err(SignatureError::Assertion(AssertionError::DoesNotHold))), "{at}: {found:?}");
    }
}

#[test]
fn any_change_of_a_byte_is_found() {
    let signed = Authenticator::eddsa(7).signs(&text(), |_| {});
    for at in 0..signed.signature.len() {
        let mut bytes = signed.signature.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = SignedStatement { signature: String::from_utf8(bytes).unwrap(), ..signed.clone() };
        // What the line says of the credential's name is not signed: another name is another key, which nobody has.
        match altered.open() {
            Err(_) => {}
            Ok((_, key)) => assert_ne!(key.to_string(), Authenticator::eddsa(7).passkey().to_string(), "byte {at}"),
        }
    }
    let spaced = SignedStatement { signature: signed.signature.replace(",", ", "), ..signed.clone() };
    assert!(matches!(spaced.open(), Err(SignatureError::Assertion(AssertionError::NotCanonical))));
    let commented = SignedStatement {
        signature: signed.signature.replace("https://verdigris.example\"", "https://verdigris.example x\""),
        ..signed
    };
    assert!(matches!(commented.open(), Err(SignatureError::Assertion(AssertionError::NotCanonical))));
}

#[test]
fn a_line_is_read_from_what_it_writes_and_nothing_else() {
    let line = Authenticator::es256(7).passkey().to_string();
    assert_eq!(PublicKey::from_line(&format!("{line}\n")).unwrap().to_string(), line);
    let json = serde_json::to_string(&PublicKey::from_line(&line).unwrap()).unwrap();
    assert_eq!(json, format!("\"{line}\""));
    for (bad, words) in [
        ("webauthn".to_owned(), "with single spaces"),
        (line.replace("webauthn ", "webauthn  "), "with single spaces"),
        (line.replace("webauthn ", "webauthn AA== "), "base64url"),
        (line.replace(RP_ID, "192.0.2.1"), "no IP address can be one"),
        (line.replace(RP_ID, "Verdigris.example"), "small letters"),
        (line.replace(ORIGIN, "https://verdigris.example/"), "the origin"),
        (line.replace(ORIGIN, "https://verdigris.example:443"), "the origin"),
        (line.replace(ORIGIN, "http://verdigris.example"), "the origin"),
        (line.replace(ORIGIN, "https://notverdigris.example"), "the origin"),
        (line.replace(ORIGIN, "https://evil.example"), "the origin"),
    ] {
        let error = PublicKey::from_line(&bad).expect_err(&bad).to_string();
        assert!(error.contains(words), "{bad}: {error}");
    }
    let key = Authenticator::es256(7).key();
    for (rp_id, origin) in [
        ("localhost", "http://localhost:4321"),
        ("localhost", "https://localhost"),
        (RP_ID, "https://a.verdigris.example:8443"),
    ] {
        Passkey::new(&[1; 256], &key, rp_id, origin).unwrap();
    }
    assert!(matches!(Passkey::new(&[1; 257], &key, RP_ID, ORIGIN), Err(PasskeyError::Credential { found: 257 })));
    assert!(matches!(Passkey::new(&[], &key, RP_ID, ORIGIN), Err(PasskeyError::Credential { found: 0 })));
    let off_curve = [&P256_HEAD[..], &[1; 64]].concat();
    let weak = [&ED25519_HEAD[..], &[0; 32]].concat();
    for bad in [&key[..90], &off_curve, &weak, &[]] {
        assert!(matches!(Passkey::new(&[1; 16], bad, RP_ID, ORIGIN), Err(PasskeyError::Key)));
    }
}

/// The longest of everything is within the bounds of those who carry it.
#[test]
fn the_longest_assertion_is_within_the_bound_of_a_signature() {
    let rp_id = format!("{0}.{0}", "a".repeat(63));
    let key = Authenticator::es256(7).key();
    let origin = format!("https://{}.{rp_id}:65535", "b".repeat(18));
    let key = Passkey::new(&[255; MAX_CREDENTIAL_BYTES], &key, &rp_id, &origin).unwrap();
    assert!(PublicKey::from_line(&key.to_string()).is_ok());
    let (data, client, signature) = (vec![0; 37], vec![0; MAX_CLIENT_DATA_BYTES], vec![0; 72]);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let text = Assertion::of(&key, &encode(&data), &encode(&client), &encode(&signature)).to_text();
    assert!(text.len() <= MAX_SIGNATURE_BYTES, "{}", text.len());
}

#[test]
fn ssh_keys_and_passkeys_are_never_taken_for_each_other() {
    let ssh = ApproverKey::from_seed(&[7; 32]).public();
    assert_eq!(ssh.passkey(), None);
    assert_ne!(ssh, PublicKey::from(Authenticator::eddsa(7).passkey()));
}

proptest! {
    #[test]
    fn nothing_from_outside_panics_or_holds(
        line in "webauthn [A-Za-z0-9_-]{0,30} [A-Za-z0-9_-]{0,130} [a-z.0-9-]{0,20} https?://[a-z.0-9:-]{0,20}",
        text in r#"\{"authenticatorData":"[A-Za-z0-9_-]{0,60}","clientDataJSON":"[A-Za-z0-9_-]{0,60}","key":"[ -~]{0,60}","signature":"[A-Za-z0-9_-]{0,96}","type":"webauthn"\}"#,
        client in prop::collection::vec(any::<u8>(), 0..300),
        data in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(key) = PublicKey::from_line(&line) {
            prop_assert!(line.starts_with(&key.to_string()));
        }
        let signed = SignedStatement { statement: self::text(), signature: text };
        prop_assert!(signed.open().is_err());
        let key = Authenticator::es256(7).passkey();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let assertion = Assertion::of(&key, &encode(&data), &encode(&client), &encode(&data));
        prop_assert_eq!(&Assertion::from_text(&assertion.to_text()).unwrap(), &assertion);
        let signed = SignedStatement { statement: self::text(), signature: assertion.to_text() };
        prop_assert!(signed.open().is_err());
    }
}
