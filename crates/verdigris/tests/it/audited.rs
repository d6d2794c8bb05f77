//! What an auditor takes away of a rollout holds without the server, and says so when it was changed.

use crate::process::run;
use crate::stage::Stage;
use ledger::{CosignerKey, KeyName, VerifierKey};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A rollout that a person rolled back, on a server that goes on; the ledger's key as it was handed over.
struct Audited {
    stage: Stage,
    key: String,
}

impl Audited {
    fn new() -> Audited {
        let stage = Stage::set();
        stage.start(&stage.plan(&["setWeight: 10%", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"])).expect(0);
        stage.server.rollout(&["rollback", "--reason", "<b>because</b>"]).expect(0);
        stage.server.rollout(&["watch"]).expect(3);
        let key = stage.server.folder().join("data/ledger.key.pub").display().to_string();
        Audited { stage, key }
    }

    fn file(&self, name: &str) -> String {
        self.stage.server.folder().join(name).display().to_string()
    }

    fn export(&self, name: &str, more: &[&str]) -> String {
        let out = self.file(name);
        self.stage.server.ledger_command(&[&["export", "e2e.1", "--out", &out], more].concat()).expect(0);
        out
    }
}

#[test]
fn a_bundle_is_exported_checked_replayed_and_reported() {
    let audited = Audited::new();
    let bundle = audited.export("demo.tar", &[]);
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&bundle).unwrap(), fs::read(audited.export("again.tar", &[])).unwrap(), "the same bytes");
    let audit = |what: &str, bundle: &str| run(&["audit", what, bundle, "--key", &audited.key, "--format", "json"]);
    let verified = audit("verify", &bundle).expect(0).json();
    assert_eq!((verified["hidden"].as_u64(), verified["decisions"].is_null()), (Some(0), true), "{verified}");
    let replayed = audit("replay", &bundle).expect(0).json();
    assert!(replayed["decisions"].as_u64().is_some_and(|decisions| decisions >= 5), "{replayed}");
    let page = audited.file("report.html");
    run(&["audit", "report", &bundle, "--key", &audited.key, "--out", &page]).expect(0);
    let page = fs::read_to_string(PathBuf::from(page)).unwrap();
    assert!(page.contains("rolled back") && page.contains("&lt;b&gt;because&lt;/b&gt;"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
}

/// Some records alone: still proved, and no decision can be made again.
#[test]
fn what_is_not_for_everybody_is_hidden_and_proved() {
    let audited = Audited::new();
    let audit = |what: &str, bundle: &str| run(&["audit", what, bundle, "--key", &audited.key, "--format", "json"]);
    let hidden = |name: &str, more: &[&str]| {
        let bundle = audited.export(name, more);
        audit("verify", &bundle).expect(0).json()["hidden"].as_u64().unwrap()
    };
    let shown = audit("verify", &audited.export("all.tar", &[])).expect(0).json();
    let all = shown["entries"].as_u64().unwrap();
    hidden("decisions.tar", &["--decisions", "--without-evidence"]);
    let commands = hidden("commands.tar", &["--hide", "command"]);
    assert!(commands >= 1, "the rollback that was asked for");
    assert_eq!(hidden("entry.tar", &["--hide", "1", "--hide", "1"]), 1);
    assert_eq!(
        hidden("both.tar", &["--hide", "command", "--only", "command"]),
        all,
        "nothing is left, and all is proved"
    );
    assert!(hidden("only.tar", &["--only", "start", "--only", "end"]) < all);
    let without = fs::read(audited.file("commands.tar")).unwrap();
    assert!(!String::from_utf8_lossy(&without).contains("commanded"), "what is hidden is not there");
    audit("replay", &audited.file("commands.tar")).expect(5);
    let out = audited.file("refused.tar");
    let refused = audited.stage.server.ledger_command(&["export", "e2e.1", "--out", &out, "--hide", "everything"]);
    refused.expect(2).says(&["expected the number of an entry, or one of start, step, gate,"]);
}

/// Statements are signed where the log's private key is; a copy of the ledger gives a bundle without them, that holds.
#[test]
fn statements_are_signed_by_the_logs_key_where_it_is() {
    let audited = Audited::new();
    let count = |bundle: &str| {
        let verified = run(&["audit", "verify", bundle, "--key", &audited.key, "--format", "json"]).expect(0).json();
        verified["statements"].as_u64().unwrap()
    };
    assert!(count(&audited.export("signed.tar", &[])) >= 2, "a rollback and an end");
    let private = audited.stage.server.ledger().parent().unwrap().join("ledger.key");
    let elsewhere = audited.file("elsewhere.key");
    fs::rename(&private, &elsewhere).unwrap();
    assert_eq!(count(&audited.export("unsigned.tar", &[])), 0);
    let named = audited.export("named.tar", &["--key-file", &elsewhere]);
    assert_eq!(fs::read(named).unwrap(), fs::read(audited.file("signed.tar")).unwrap());
    let refused = |key_file: &str, words: &str| {
        let arguments = ["export", "e2e.1", "--out", &audited.file("refused.tar"), "--key-file", key_file];
        audited.stage.server.ledger_command(&arguments).expect(2).says(&[words]);
    };
    refused(&audited.file("none.key"), "--key-file: there is no ");
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&elsewhere, "may be read or written by others (mode 0644)");
    let name = audited.stage.server.verifier_key().split('+').next().unwrap().to_owned();
    let other = ledger::SignerKey::new(KeyName::new(&name).unwrap(), &[5; 32]);
    fs::remove_file(&elsewhere).unwrap();
    fs::write(&elsewhere, format!("{}\n", other.to_private_text())).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&elsewhere, "is not the key that signed this ledger");
}

/// What witnesses kept beside the ledger cosigned goes with the bundle; whose keys these are is for whoever checks it.
#[test]
fn a_bundle_has_the_cosignatures_of_its_checkpoint() {
    let audited = Audited::new();
    let dir = audited.stage.server.ledger();
    let log: VerifierKey = audited.stage.server.verifier_key().parse().unwrap();
    let (_, newest) = store::Reader::open(&dir).unwrap().signed_checkpoint(&log).unwrap();
    let kept = store::Cosignatures::open(&dir).unwrap();
    let witness = |seed| CosignerKey::new(KeyName::new(&format!("example.com/witness-{seed}")).unwrap(), &[seed; 32]);
    let (one, other, absent) = (witness(1), witness(2), witness(3));
    for cosigner in [&one, &other] {
        let cosigned = newest.with_signatures([cosigner.cosign(newest.text(), 1_796_017_997)]).unwrap();
        kept.keep(cosigner.verifier(), &cosigned).unwrap();
    }
    let bundle = audited.export("demo.tar", &[]);
    let [one, absent] = [&one, &absent].map(|witness| witness.verifier().to_string());
    let verify = |more: &[&str]| run(&[&["audit", "verify", &bundle, "--key", &audited.key], more].concat());
    let told = verify(&["--witness", &one, "--witness", &absent, "--quorum", "1"]).expect(0).stdout;
    for part in [
        "witness    example.com/witness-1 cosigned the checkpoint at 2026-11-30T",
        "witness    example.com/witness-3 cosigned nothing of it",
        "by a key that says that it is example.com/witness-2; to know whose it is, name it with --witness",
        "quorum     1 witness(es) cosigned the checkpoint",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let two = ["--witness", &one, "--witness", &absent, "--quorum", "2"];
    verify(&two).expect(5).says(&["1 of the witnesses cosigned the bundle's checkpoint, expected 2"]);
    verify(&["--witness", &one, "--quorum", "2"]).expect(2);
    // Without keys of witnesses every byte is checked all the same.
    let mut bytes = fs::read(&bundle).unwrap();
    let name = b"example.com/witness-2 ";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + 40;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    fs::write(&bundle, &bytes).unwrap();
    verify(&[]).expect(5);
}

#[test]
fn a_bundle_that_was_changed_or_is_anothers_does_not_hold() {
    let audited = Audited::new();
    let bundle = audited.export("demo.tar", &[]);
    let mut bytes = fs::read(&bundle).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    let refused = run(&["audit", "verify", &bundle, "--key", &audited.key]).expect(5);
    assert!(refused.stderr.contains("demo.tar: "), "{}", refused.stderr);
    bytes[at] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    let other = "verdigris.local/ledger+4f3b2c1d+AZu6yEdJ0dHDnGnHxY3mSVs9lqnTn4bqLYSVwT9U0aeq";
    let refused = run(&["audit", "verify", &bundle, "--key", other]);
    assert!([2, 5].contains(&refused.code), "{}", refused.stderr);
    // What is there is not written over, and what is not there is told.
    let again = audited.stage.server.ledger_command(&["export", "e2e.1", "--out", &bundle]).expect(2);
    assert!(again.stderr.contains("demo.tar"), "{}", again.stderr);
    assert_eq!(fs::read(&bundle).unwrap(), bytes);
    let none = audited.file("none.tar");
    let unknown = audited.stage.server.ledger_command(&["export", "other.7", "--out", &none]).expect(2);
    assert!(unknown.stderr.contains("it has e2e.1"), "{}", unknown.stderr);
    assert!(!PathBuf::from(none).exists());
}
