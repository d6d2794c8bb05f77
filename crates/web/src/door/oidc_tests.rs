use super::*;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{EncodingKey, encode};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;

const NOW_SECS: u64 = 1_800_000_000;

/// An issuer with a key of each kind that can be made here.
struct Issuer {
    ec: KeyPair,
    ed: KeyPair,
}

impl Issuer {
    fn new() -> Issuer {
        Issuer { ec: KeyPair::generate().unwrap(), ed: KeyPair::generate_for(&PKCS_ED25519).unwrap() }
    }

    fn keys(&self) -> JwkSet {
        let (x, y) = self.ec.public_key_raw()[1..].split_at(32);
        let (x, y, ed) = (BASE64URL.encode(x), BASE64URL.encode(y), BASE64URL.encode(self.ed.public_key_raw()));
        let keys = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256", "x": x, "y": y },
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": ed },
            { "kty": "EC", "crv": "P-256", "kid": "sealing", "use": "enc", "x": x, "y": y },
            { "kty": "oct", "kid": "shared", "k": "c2VjcmV0" },
        ]});
        serde_json::from_value(keys).unwrap()
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        let key = match header.alg {
            Algorithm::EdDSA => EncodingKey::from_ed_der(&self.ed.serialize_der()),
            Algorithm::ES256 => EncodingKey::from_ec_der(&self.ec.serialize_der()),
            // The well-known mistake: a public key as a shared secret.
            _ => EncodingKey::from_secret(self.ec.public_key_raw()),
        };
        encode(header, claims, &key).unwrap()
    }
}

fn pinned() -> Pinned {
    Pinned {
        issuer: "https://sso.example".to_owned(),
        audience: "verdigris".to_owned(),
        algorithms: Alg::ALL.to_vec(),
        types: vec!["at+jwt".to_owned()],
        claim: "sub".to_owned(),
    }
}

fn header(alg: Algorithm, kid: Option<&str>) -> Header {
    let mut header = Header::new(alg);
    (header.typ, header.kid) = (Some("at+jwt".to_owned()), kid.map(str::to_owned));
    header
}

/// A good token's claims, with these instead.
fn claims(instead: Value) -> Value {
    let mut claims = json!({
        "iss": "https://sso.example", "aud": ["other", "verdigris"], "sub": "ada",
        "iat": NOW_SECS - 60, "exp": NOW_SECS + 300, "jti": "t-1",
    });
    for (name, value) in instead.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn look(issuer: &Issuer, token: &str) -> Result<String, Fault> {
    check(&pinned(), &issuer.keys(), token, UnixMillis(NOW_SECS * 1_000)).map(|holds| holds.subject)
}

#[track_caller]
fn check_claims(issuer: &Issuer, instead: Value, expected: Result<&str, Fault>) {
    let token = issuer.sign(&header(Algorithm::ES256, Some("ec")), &claims(instead.clone()));
    assert_eq!(look(issuer, &token), expected.map(str::to_owned), "{instead}");
}

#[test]
fn claims_hold_within_what_is_pinned_and_within_their_time() {
    let issuer = Issuer::new();
    check_claims(&issuer, json!({}), Ok("ada"));
    check_claims(&issuer, json!({ "aud": "verdigris" }), Ok("ada"));
    for other in ["https://sso.example/", "https://evil.example", ""] {
        check_claims(&issuer, json!({ "iss": other }), Err(Fault::Issuer));
    }
    check_claims(&issuer, json!({ "iss": null }), Err(Fault::Issuer));
    check_claims(&issuer, json!({ "iss": ["https://sso.example"] }), Err(Fault::Issuer));
    for other in [json!("other"), json!(["other"]), json!([]), json!({}), json!(null), json!("verdigris2")] {
        check_claims(&issuer, json!({ "aud": other }), Err(Fault::Audience));
    }
    check_claims(&issuer, json!({ "exp": NOW_SECS - 59 }), Ok("ada"));
    check_claims(&issuer, json!({ "exp": NOW_SECS - 60 }), Err(Fault::Expired));
    check_claims(&issuer, json!({ "exp": 0 }), Err(Fault::Expired));
    check_claims(&issuer, json!({ "nbf": NOW_SECS + 60 }), Ok("ada"));
    check_claims(&issuer, json!({ "nbf": NOW_SECS + 61 }), Err(Fault::Early));
    check_claims(&issuer, json!({ "iat": NOW_SECS + 61 }), Err(Fault::Early));
    for endless in [json!(null), json!("soon"), json!(-1), json!(1e300), json!(NOW_SECS + 25 * 3_600)] {
        check_claims(&issuer, json!({ "exp": endless }), Err(Fault::Unbounded));
    }
    check_claims(&issuer, json!({ "iat": null }), Err(Fault::Unbounded));
    check_claims(&issuer, json!({ "nbf": "never" }), Err(Fault::Unbounded));
    for nobody in [json!(null), json!(""), json!(7), json!("a\nb"), json!("x".repeat(256))] {
        check_claims(&issuer, json!({ "sub": nobody }), Err(Fault::Nameless));
    }
}

#[track_caller]
fn check_header(issuer: &Issuer, header: &Header, expected: Result<&str, Fault>) {
    let found = look(issuer, &issuer.sign(header, &claims(json!({}))));
    assert_eq!(found, expected.map(str::to_owned), "{header:?}");
}

#[test]
fn a_token_says_neither_its_algorithm_nor_its_key() {
    let issuer = Issuer::new();
    check_header(&issuer, &header(Algorithm::ES256, Some("ec")), Ok("ada"));
    check_header(&issuer, &header(Algorithm::EdDSA, Some("ed")), Ok("ada"));
    // There is one key of each kind that signs, so that there is no choice.
    check_header(&issuer, &header(Algorithm::ES256, None), Ok("ada"));
    for kid in ["unknown", "ed", "sealing", ""] {
        check_header(&issuer, &header(Algorithm::ES256, Some(kid)), Err(Fault::UnknownKey));
    }
    for kid in [Some("ec"), Some("shared"), None] {
        check_header(&issuer, &header(Algorithm::HS256, kid), Err(Fault::Algorithm));
    }
    let with = |change: fn(&mut Header)| {
        let mut header = header(Algorithm::ES256, Some("ec"));
        change(&mut header);
        header
    };
    check_header(&issuer, &with(|it| it.typ = Some("application/AT+JWT".to_owned())), Ok("ada"));
    check_header(&issuer, &with(|it| it.typ = Some("JWT".to_owned())), Err(Fault::Algorithm));
    check_header(&issuer, &with(|it| it.typ = None), Err(Fault::Algorithm));
    check_header(&issuer, &with(|it| it.crit = Some(vec!["exp".to_owned()])), Err(Fault::Algorithm));
    // Its own key is not followed: the signature is by the issuer's, and that is what counts.
    check_header(&issuer, &with(|it| it.jku = Some("https://evil.example/keys".to_owned())), Ok("ada"));
    let mut es_only = pinned();
    es_only.algorithms = vec![Alg::RS256];
    let token = issuer.sign(&header(Algorithm::ES256, Some("ec")), &claims(json!({})));
    let found = check(&es_only, &issuer.keys(), &token, UnixMillis(NOW_SECS * 1_000));
    assert_eq!(found, Err(Fault::Algorithm));
}

#[test]
fn what_is_forged_does_not_hold() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let good = issuer.sign(&header(Algorithm::ES256, Some("ec")), &claims(json!({})));
    let forged = other.sign(&header(Algorithm::ES256, Some("ec")), &claims(json!({})));
    assert_eq!(look(&issuer, &forged), Err(Fault::Signature));
    let parts: Vec<&str> = good.split('.').collect();
    let encoded = |value: Value| BASE64URL.encode(value.to_string());
    let swapped = format!("{}.{}.{}", parts[0], encoded(claims(json!({ "sub": "root" }))), parts[2]);
    assert_eq!(look(&issuer, &swapped), Err(Fault::Signature));
    for none in ["none", "None", "NONE", "nOnE"] {
        let header = encoded(json!({ "alg": none, "typ": "at+jwt", "kid": "ec" }));
        for signature in ["", parts[2]] {
            assert_eq!(look(&issuer, &format!("{header}.{}.{signature}", parts[1])), Err(Fault::Malformed), "{none}");
        }
    }
    let cut = &good[..good.len() - 4];
    let huge = "a".repeat(MAX_TOKEN_BYTES + 1);
    for bad in ["", ".", "..", "a.b.c", &huge, &good[1..], &format!("{good}.x"), &format!("{}.{}", parts[0], parts[1])]
    {
        assert_eq!(look(&issuer, bad), Err(Fault::Malformed), "{bad:.40}");
    }
    assert!(matches!(look(&issuer, cut), Err(Fault::Signature | Fault::Malformed)));
}

#[tokio::test]
async fn a_token_that_began_a_session_begins_no_other() {
    let issuer = Issuer::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, serde_json::to_vec(&issuer.keys()).unwrap()).unwrap();
    let now = UnixMillis(NOW_SECS * 1_000);
    let oidc = crate::door::Oidc::new(pinned(), &crate::door::KeysAt::File(path.clone()), now).unwrap();
    let sign = |claims: Value| issuer.sign(&header(Algorithm::ES256, Some("ec")), &claims);
    let (first, nameless) = (sign(claims(json!({}))), sign(claims(json!({ "jti": null }))));
    for token in [&first, &nameless] {
        assert!(oidc.check_once(token, now).await.is_ok());
        assert_eq!(oidc.check_once(token, now).await, Err(Fault::Replayed));
        // With each request it may be shown as often as it holds.
        assert!(oidc.check(token, now).await.is_ok());
    }
    // ECDSA signs the same claims in many ways, and the id stays the same.
    assert_eq!(oidc.check_once(&sign(claims(json!({}))), now).await, Err(Fault::Replayed));
    assert!(oidc.check_once(&sign(claims(json!({ "jti": "t-2" }))), now).await.is_ok());
    assert_eq!(oidc.check_once(&first, now.plus_ms(361_000)).await, Err(Fault::Expired));

    // A new key is found when a token names it, but the file is not read for every stranger's token.
    let next = Issuer::new();
    std::fs::write(&path, serde_json::to_vec(&next.keys()).unwrap()).unwrap();
    let by_next = next.sign(&header(Algorithm::ES256, Some("ec")), &claims(json!({})));
    assert_eq!(oidc.check(&by_next, now).await, Err(Fault::Signature));
    let unknown = next.sign(&header(Algorithm::ES256, Some("new")), &claims(json!({})));
    assert_eq!(oidc.check(&unknown, now).await, Err(Fault::UnknownKey));
    assert!(oidc.check(&by_next, now).await.is_ok());
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(oidc.check(&unknown, now.plus_ms(31_000)).await, Err(Fault::UnknownKey));
    assert!(oidc.check(&by_next, now.plus_ms(31_000)).await.is_ok(), "what was there stays");
}
