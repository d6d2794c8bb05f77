use super::*;
use crate::KeyName;
use proptest::prelude::*;

const TYPE: &str = "http://example.com/HelloWorld";

fn key(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("example.com/log").unwrap(), &[seed; 32])
}

fn signed() -> Envelope {
    Envelope::sign(TYPE, "hello world".to_owned(), &key(1))
}

/// The test vector of *protocol.md*, "Test Vectors".
#[test]
fn what_is_signed_is_encoded_as_the_protocol_has_it() {
    assert_eq!(pae(TYPE, "hello world"), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    // Lengths are in bytes.
    assert_eq!(pae("", "\u{e9}"), "DSSEv1 0  2 \u{e9}");
}

/// The envelope of the same test vector, whose signature is of another kind of key.
#[test]
fn an_envelope_of_another_kind_of_key_is_read_and_not_believed() {
    let text = "{\"payload\": \"aGVsbG8gd29ybGQ=\",\n \"payloadType\": \"http://example.com/HelloWorld\",\n \"signatures\": [{\"sig\": \
                \"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==\"}]}";
    let envelope: Envelope = text.parse().unwrap();
    assert_eq!((envelope.payload_type.as_str(), envelope.payload.as_str()), (TYPE, "hello world"));
    assert_eq!((envelope.signatures[0].key_id.as_str(), envelope.signatures[0].signature.len()), ("", 64));
    assert_eq!(envelope.verify(key(1).verifier()), Err(VerifyEnvelopeError));
    assert_eq!(envelope.to_string(), text.replace([' ', '\n'], ""));
}

#[test]
fn an_envelope_has_golden_bytes() {
    // The signature is also what Python's cryptography makes of the encoding with this key.
    let expected = "{\"payload\":\"aGVsbG8gd29ybGQ=\",\"payloadType\":\"http://example.com/HelloWorld\",\"signatures\":[{\"keyid\":\
                    \"9be5d3c6\",\"sig\":\"Nrk8af+XDppIl0eJ8+q/+iZzBrfcnO4JSOHj7OUiv6PchqFqZz2QZsHYymPKVGJB5hl52X/qzoeOScPJ\
                    BhdVDg==\"}]}";
    assert_eq!(signed().to_string(), expected);
    assert_eq!(expected.parse::<Envelope>().unwrap(), signed());
}

#[test]
fn one_key_signs_it_and_no_other_payload_or_type_has_its_signature() {
    assert_eq!(signed().verify(key(1).verifier()), Ok(()));
    assert_eq!(signed().verify(key(2).verifier()), Err(VerifyEnvelopeError));
    let changed: [fn(&mut Envelope); 4] = [
        |it| it.payload.push(' '),
        |it| it.payload_type.push('s'),
        |it| it.signatures[0].signature[5] ^= 1,
        |it| it.signatures.clear(),
    ];
    for change in changed {
        let mut envelope = signed();
        change(&mut envelope);
        assert_eq!(envelope.verify(key(1).verifier()), Err(VerifyEnvelopeError), "{envelope:?}");
    }
    // The hint is none of what is signed, and a second signature of somebody else does not matter.
    let mut envelope = signed();
    envelope.signatures[0].key_id = "other".to_owned();
    envelope.signatures.insert(0, Envelope::sign(TYPE, "hello world".to_owned(), &key(2)).signatures.remove(0));
    assert_eq!(envelope.verify(key(1).verifier()), Ok(()));
}

#[test]
fn the_other_alphabet_is_read_too() {
    let envelope = Envelope::sign(TYPE, "\u{fb}\u{ff}?>".to_owned(), &key(1));
    let text = envelope.to_string();
    assert!(text.contains(['+', '/']), "{text}");
    let mut other: serde_json::Value = serde_json::from_str(&text).unwrap();
    let url_safe = |value: &mut serde_json::Value| {
        *value = value.as_str().unwrap().replace('+', "-").replace('/', "_").into();
    };
    url_safe(&mut other["payload"]);
    url_safe(&mut other["signatures"][0]["sig"]);
    assert_eq!(other.to_string().parse::<Envelope>().unwrap(), envelope);
}

#[test]
fn what_is_no_envelope_is_refused() {
    let check = |text: &str, expected: &str| {
        assert_eq!(text.parse::<Envelope>().unwrap_err().to_string(), expected, "{text:.80}");
    };
    check("", "it is not a DSSE envelope");
    check("{\"payload\":\"\",\"payloadType\":\"\"}", "it is not a DSSE envelope");
    check("{\"payload\":\"?\",\"payloadType\":\"\",\"signatures\":[]}", "the payload is not base64");
    check("{\"payload\":\"/w==\",\"payloadType\":\"\",\"signatures\":[]}", "the payload is not UTF-8");
    check("{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[{\"sig\":\"?\"}]}", "a signature is not base64");
    let many = vec!["{\"sig\":\"\"}"; 33].join(",");
    let text = format!("{{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[{many}]}}");
    check(&text, "the envelope has more than 32 signatures");
    check(&" ".repeat(131_073), "the envelope has 131073 bytes, more than 131072");
}

proptest! {
    #[test]
    fn hostile_text_is_refused(text in any::<String>()) {
        prop_assert!(text.parse::<Envelope>().is_err());
    }

    #[test]
    fn what_is_written_is_read(payload_type in any::<String>(), payload in any::<String>()) {
        let envelope = Envelope::sign(&payload_type, payload, &key(1));
        prop_assert_eq!(envelope.to_string().parse::<Envelope>().unwrap(), envelope);
    }
}
