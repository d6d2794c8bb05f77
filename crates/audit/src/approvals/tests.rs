use super::*;
use crate::shift_proof::tests::{PLAN, Scene, approver, log_key, submission};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use rollout::RolloutId;
use rollout::approval::{Assertion, Passkey, SignedStatement, challenge_text};
use sha2::{Digest as _, Sha256};

fn numbered(scene: &Scene) -> Vec<(u64, Record)> {
    (0..).zip(scene.records.iter().cloned()).collect()
}

fn found(scene: &Scene, known: &KnownKeys) -> Result<Vec<ApprovalFound>, ApprovalError> {
    check(&numbered(scene), log_key(1).verifier(), known)
}

fn known(people: &[(&str, &str)]) -> KnownKeys {
    people.iter().map(|(name, key)| ((*name).to_owned(), BTreeSet::from([approver(key).public()]))).collect()
}

#[test]
fn approvals_that_counted_are_found_with_their_keys() {
    let scene = Scene::good();
    let all = found(&scene, &known(&[("bob", "bob"), ("carol", "carol")])).unwrap();
    let names: Vec<&str> = all.iter().map(|it| it.by.as_str()).collect();
    assert_eq!(names, ["bob", "carol"]);
    assert_eq!(all[0].key, approver("bob").public());
    // Measurements may be hidden.
    let without: Vec<_> = numbered(&scene).into_iter().filter(|(_, it)| !crate::is_measurement(it)).collect();
    assert_eq!(check(&without, log_key(1).verifier(), &KnownKeys::new()).unwrap(), all);
}

#[test]
fn a_broken_glass_passes_alone() {
    let mut scene = Scene::at_the_gate(PLAN, "demo.1");
    scene.approve("bob", |statement| statement.act = Act::BreakGlass { reason: "nobody answers".into() });
    assert_eq!(found(&scene.shifted(), &KnownKeys::new()).unwrap().len(), 1);
}

/// The records as a controller that does not care could have written them.
fn changed(change: impl FnMut(&mut Record)) -> String {
    let mut scene = Scene::good();
    scene.records.iter_mut().for_each(change);
    found(&scene, &KnownKeys::new()).unwrap_err().to_string()
}

fn resigned(change: fn(&mut Statement)) -> String {
    let mut before = Scene::at_the_gate(PLAN, "demo.1");
    let signed = before.signed("bob", change);
    before.approve("bob", |_| {});
    changed(|record| {
        let bobs = submission(record).filter(|it| it.signer.as_ref().is_some_and(|signer| signer.name == "bob"));
        bobs.into_iter().for_each(|it| it.signed = signed.clone());
    })
}

#[test]
fn what_should_not_have_counted_is_found() {
    let decided = |record: &mut Record, change: &dyn Fn(&mut Decision)| {
        if let Body::Decided(decision) = &mut record.body {
            change(decision);
        }
    };
    let cases = [
        ("other ledger, rollout or plan", resigned(|it| it.rollout = RolloutId("demo.2".into()))),
        ("other ledger, rollout or plan", resigned(|it| it.plan = "sha256:0".into())),
        ("other ledger, rollout or plan", resigned(|it| it.log = "other".into())),
        ("not valid when it was handed in", resigned(|it| it.expires_at = UnixMillis(1))),
        ("what was signed is a review", resigned(|it| it.act = Act::Review)),
        (
            "does not hold",
            changed(|record| {
                let theirs = submission(record);
                theirs.into_iter().for_each(|it| it.signed.statement = it.signed.statement.replace("demo.1", "demo.2"));
            }),
        ),
        (
            "not from the role approver",
            changed(|record| {
                submission(record).into_iter().for_each(|it| it.signer.as_mut().unwrap().roles.clear());
            }),
        ),
        (
            "somebody else than the server says",
            changed(|record| {
                submission(record).into_iter().for_each(|it| it.signer.as_mut().unwrap().name = "dave".into());
            }),
        ),
        (
            "cannot approve it",
            changed(|record| {
                if let Body::Started(start) = &mut record.body {
                    start.by.name = "bob".into();
                }
            }),
        ),
        (
            "cannot approve it",
            changed(|record| {
                submission(record).into_iter().for_each(|it| it.signer.as_mut().unwrap().name = "anna".into());
                decided(record, &|decision| {
                    if let Decision::Approved { by, .. } = decision {
                        *by = "anna".into();
                    }
                });
            }),
        ),
        (
            "second of the same principal",
            changed(|record| {
                submission(record).into_iter().for_each(|it| it.signer.as_mut().unwrap().name = "bob".into());
                decided(record, &|decision| {
                    if let Decision::Approved { by, .. } = decision {
                        *by = "bob".into();
                    }
                });
            }),
        ),
        (
            "1 of 2 approvals counted",
            changed(|record| {
                decided(record, &|decision| {
                    if matches!(decision, Decision::Approved { by, .. } if by == "bob") {
                        *decision = Decision::Resumed;
                    }
                });
            }),
        ),
        (
            "rests on is none",
            changed(|record| {
                if submission(record).is_some() {
                    record.body = Body::Happened(Box::new(Event::Tick));
                }
            }),
        ),
    ];
    for (at, (expected, found)) in cases.iter().enumerate() {
        assert!(found.contains(expected), "case {at}: {expected:?} is not in {found:?}");
    }
}

#[test]
fn a_key_that_the_auditor_does_not_know_is_found() {
    let scene = Scene::good();
    let other = found(&scene, &known(&[("bob", "mallory"), ("carol", "carol")])).unwrap_err().to_string();
    assert!(other.contains("which is none of the 1 key(s) that are known"), "{other}");
    let nobody = found(&scene, &known(&[("bob", "bob")])).unwrap_err().to_string();
    assert!(nobody.contains("by carol: no key of this principal is known"), "{nobody}");
}

const RP_ID: &str = "verdigris.example";
const ORIGIN: &str = "https://verdigris.example";

fn authenticator(who: &str) -> (ed25519_dalek::SigningKey, Passkey) {
    let mut seed = [7; 32];
    seed[..who.len()].copy_from_slice(who.as_bytes());
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    // RFC 8410, section 4.
    let info = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &key.verifying_key().to_bytes()].concat();
    let passkey = Passkey::new(who.as_bytes(), &info, RP_ID, ORIGIN).unwrap();
    (key, passkey)
}

/// What somebody's authenticator makes of the statement that is to be signed now.
fn by_passkey(scene: &Scene, who: &str, count: u32) -> SignedStatement {
    let statement = scene.signed(who, |_| {}).statement;
    let (key, passkey) = authenticator(who);
    let challenge = challenge_text(&statement);
    let client = format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{ORIGIN}"}}"#);
    let data = [&Sha256::digest(RP_ID)[..], &[0x05], &count.to_be_bytes()].concat();
    let signature = key.sign(&[&data[..], &Sha256::digest(&client)].concat()).to_bytes();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let assertion = Assertion::of(&passkey, &encode(&data), &encode(client.as_bytes()), &encode(&signature));
    SignedStatement { statement, signature: assertion.to_text() }
}

fn with_passkeys(counts: [u32; 2]) -> Scene {
    let mut scene = Scene::at_the_gate(PLAN, "demo.1");
    for count in counts {
        let signed = by_passkey(&scene, "bob", count);
        scene.hand_in("bob", signed);
    }
    scene.approve("carol", |_| {});
    scene.shifted()
}

#[test]
fn a_passkey_approves_as_any_key_does() {
    let scene = with_passkeys([1, 2]);
    let all = found(&scene, &KnownKeys::new()).unwrap();
    let passkey = authenticator("bob").1;
    assert_eq!(all.iter().map(|it| it.by.as_str()).collect::<Vec<_>>(), ["bob", "carol"]);
    assert_eq!(all[0].key.passkey(), Some(&passkey));
    let mut keys = known(&[("bob", "bob"), ("carol", "carol")]);
    let error = found(&scene, &keys).unwrap_err().to_string();
    assert!(error.contains("none of the 1 key(s) that are known"), "{error}");
    keys.get_mut("bob").unwrap().insert(passkey.into());
    found(&scene, &keys).unwrap();
}

#[test]
fn a_passkeys_signature_over_another_statement_is_found() {
    let mut scene = with_passkeys([1, 2]);
    for record in &mut scene.records {
        let theirs = submission(record).filter(|it| it.signed.signature.starts_with('{'));
        theirs.into_iter().for_each(|it| it.signed.statement = it.signed.statement.replace("demo.1", "demo.2"));
    }
    let error = found(&scene, &KnownKeys::new()).unwrap_err();
    assert!(matches!(error, ApprovalError::Signature { source: SignatureError::Assertion(_), .. }), "{error}");
}

/// The second of bob's is refused, and says how far his authenticator has counted.
#[test]
fn a_count_that_does_not_rise_is_told_and_refuses_nothing() {
    // The same bytes twice are one signature that was handed in twice.
    for (counts, expected) in [([5, 6], 0), ([5, 5], 0), ([6, 5], 1), ([0, 0], 0), ([6, 0], 0)] {
        let scene = with_passkeys(counts);
        let told = crate::exceptions::counts(&numbered(&scene));
        assert_eq!(told.len(), expected, "{counts:?}: {told:?}");
        assert_eq!(found(&scene, &KnownKeys::new()).unwrap().len(), 2);
    }
}
