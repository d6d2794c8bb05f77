//! The record of a change of the key, before and after which a controller works.

use super::*;
use crate::{decode, key_change, rotate_key};
use ledger::{KeyName, SignerKey};
use rollout::{Body, Record};
use store::{Reader, Store};

fn key(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("test/ledger").unwrap(), &[seed; 32])
}

#[test]
fn the_key_changes_between_the_server_s_own_records() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("ledger");
    let started = |sequence| {
        let body = Body::ServerStarted { version: "1".into() };
        let by = "verdigris".to_owned();
        let record = Record { version: Record::VERSION, rollout: None, sequence, at: UnixMillis(5), by, body };
        crate::journal::encode(&record).unwrap()
    };
    let mut store = Store::create(&dir, key(1)).unwrap();
    store.append(&[started(0)]).unwrap();
    let entry = rotate_key(&mut store, key(2).into(), UnixMillis(7), "alice".to_owned()).unwrap();
    store.append(&[started(2)]).unwrap();
    drop(store);
    let reader = Reader::open(&dir).unwrap();
    let keys = reader.keys(key(1).verifier(), key_change).unwrap();
    assert_eq!((keys.current(), &*keys.changed_at), (key(2).verifier(), &[entry][..]));
    let checkpoint = reader.checkpoint(keys.current()).unwrap();
    let mut records = reader.entries(&checkpoint, 0..3).unwrap().map(|entry| decode(0, &entry.unwrap()).unwrap());
    let record = records.nth(1).unwrap();
    assert_eq!((record.sequence, record.at, &*record.by), (1, UnixMillis(7), "alice"));
    // Golden: auditors' programs read it.
    let json = String::from_utf8(crate::journal::encode(&record).unwrap()).unwrap();
    assert_eq!(
        json,
        format!(
            r#"{{"at":7,"body":{{"keyRotated":{{"new":"{}","old":"{}"}}}},"by":"alice","sequence":1,"version":1}}"#,
            key(2).verifier(),
            key(1).verifier()
        )
    );
}

#[test]
fn only_a_record_of_it_is_a_change_of_the_key() {
    let of = |body: &str| {
        key_change(format!(r#"{{"at":7,"body":{body},"by":"alice","sequence":1,"version":1}}"#).as_bytes())
    };
    let (old, new) = (key(1).verifier().to_string(), key(2).verifier().to_string());
    assert!(of(&format!(r#"{{"keyRotated":{{"new":"{new}","old":"{old}"}}}}"#)).is_some());
    assert!(of(&format!(r#"{{"keyRotated":{{"new":"{new}","old":"nobody"}}}}"#)).is_none());
    assert!(of(r#""serverStopped""#).is_none());
    assert!(key_change(b"no record").is_none());
}
