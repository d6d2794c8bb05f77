//! Access tokens of an OpenID provider: whether one holds, and whom it names. Pure but for the signature's arithmetic: keys
//! and time are arguments.
//!
//! Issuer, audience and algorithms are pinned by the configuration; nothing of the token says which key or which algorithm
//! is used but `kid` and `alg`, and both only choose among what is pinned. `jku`, `jwk` and `x5u` are never followed.
//! RFC 7519, RFC 8725 (best practices), RFC 9068 (access tokens).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use model::UnixMillis;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Keycloak's tokens have 1 to 4 KiB; the header they come in has a bound of its own.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Two clocks that are set by NTP differ by less.
const LEEWAY_SECS: u64 = 60;
/// A token that holds for longer is no access token, and would have to be remembered for longer.
const MAX_LIFE_SECS: u64 = 24 * 3_600;
/// A subject has at most 255 letters (OpenID Connect Core, section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// What is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// `iss`, letter by letter.
    pub issuer: String,
    /// One of `aud`.
    pub audience: String,
    /// `alg`; never a symmetric one.
    pub algorithms: Vec<Alg>,
    /// `typ`, in lower case, without `application/`: `at+jwt` unless the configuration says otherwise.
    pub types: Vec<String>,
    /// The claim that names who it is.
    pub claim: String,
}

/// The algorithms that can be pinned. Those with a shared secret, and `none`, are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Alg {
    /// All of them: what is pinned if the configuration does not say.
    pub const ALL: [Alg; 4] = [Alg::RS256, Alg::PS256, Alg::ES256, Alg::EdDSA];

    fn jose(self) -> Algorithm {
        match self {
            Alg::RS256 => Algorithm::RS256,
            Alg::PS256 => Algorithm::PS256,
            Alg::ES256 => Algorithm::ES256,
            Alg::EdDSA => Algorithm::EdDSA,
        }
    }

    /// Whether a key is of the kind that this algorithm takes: a public RSA key is never a shared secret.
    fn takes(self, key: &Jwk) -> bool {
        let fits = match &key.algorithm {
            AlgorithmParameters::RSA(_) => matches!(self, Alg::RS256 | Alg::PS256),
            AlgorithmParameters::EllipticCurve(it) => self == Alg::ES256 && it.curve == EllipticCurve::P256,
            AlgorithmParameters::OctetKeyPair(it) => self == Alg::EdDSA && it.curve == EllipticCurve::Ed25519,
            _ => false,
        };
        let name = |it| format!("{it:?}");
        let is_for_it = key.common.key_algorithm.is_none_or(|alg| name(alg) == name_of(self));
        let is_for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
        fits && is_for_it && is_for_signatures
    }
}

fn name_of(alg: Alg) -> String {
    format!("{alg:?}")
}

/// Why a token does not hold. The answer does not say it, the record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is no token.
    Malformed,
    /// Another algorithm than those pinned, or another `typ`, or extensions that must be understood.
    Algorithm,
    /// No key of the issuer's has that id, or more than one could be meant.
    UnknownKey,
    /// The signature is not that key's.
    Signature,
    /// Of another issuer.
    Issuer,
    /// For somebody else.
    Audience,
    /// Over.
    Expired,
    /// Not yet.
    Early,
    /// It holds for too long, or does not say for how long, or from when.
    Unbounded,
    /// The claim that names somebody is not there, or is no name.
    Nameless,
    /// It was used to sign in before.
    Replayed,
    /// The issuer's keys cannot be had.
    NoKeys,
}

impl Fault {
    pub(super) fn words(self) -> &'static str {
        match self {
            Fault::Malformed => "malformed OIDC token",
            Fault::Algorithm => "OIDC token of another algorithm or type",
            Fault::UnknownKey => "OIDC token by an unknown key",
            Fault::Signature => "OIDC token with a wrong signature",
            Fault::Issuer => "OIDC token of another issuer",
            Fault::Audience => "OIDC token for another audience",
            Fault::Expired => "expired OIDC token",
            Fault::Early => "OIDC token that does not hold yet",
            Fault::Unbounded => "OIDC token without bounds in time",
            Fault::Nameless => "OIDC token that names nobody",
            Fault::Replayed => "OIDC token that was used before",
            Fault::NoKeys => "OIDC token, while the issuer's keys could not be had",
        }
    }
}

/// What a token that holds says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holds {
    /// Whom it names, among the issuer's.
    pub(crate) subject: String,
    /// What tells it from every other: `jti`, or nothing.
    pub(crate) id: Option<String>,
    /// When it does not hold any more, for any clock within the leeway.
    pub(crate) until: UnixMillis,
}

/// Whether a token could be one at all: three parts of base64url. An operator token has one.
pub(super) fn looks_like_one(token: &str) -> bool {
    token.split('.').count() == 3
}

/// Checks a token.
pub(crate) fn check(pinned: &Pinned, keys: &JwkSet, token: &str, now: UnixMillis) -> Result<Holds, Fault> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Fault::Malformed);
    }
    // `none`, and what nobody knows, are no algorithms to this reader.
    let header = decode_header(token).map_err(|_| Fault::Malformed)?;
    let alg = pinned.algorithms.iter().copied().find(|alg| alg.jose() == header.alg).ok_or(Fault::Algorithm)?;
    if !is_of_type(pinned, &header) || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Fault::Algorithm);
    }
    let key = DecodingKey::from_jwk(find(keys, alg, header.kid.as_deref())?).map_err(|_| Fault::UnknownKey)?;
    let mut validation = Validation::new(alg.jose());
    // Times are compared below, with the clock that is given. Issuer and audience too, to say which of them is wrong.
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    validation.required_spec_claims.clear();
    let claims = decode::<Map<String, Value>>(token, &key, &validation).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => Fault::Signature,
        _ => Fault::Malformed,
    })?;
    claimed(pinned, &claims.claims, now.0 / 1_000)
}

fn is_of_type(pinned: &Pinned, header: &Header) -> bool {
    let Some(typ) = &header.typ else { return false };
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    pinned.types.iter().any(|known| known == typ)
}

/// Whether a key can check a token of some algorithm that is pinned.
pub(super) fn is_usable(pinned: &Pinned, key: &Jwk) -> bool {
    pinned.algorithms.iter().any(|alg| alg.takes(key)) && DecodingKey::from_jwk(key).is_ok()
}

/// The one key that is meant. Without `kid` there must be no choice.
fn find<'k>(keys: &'k JwkSet, alg: Alg, kid: Option<&str>) -> Result<&'k Jwk, Fault> {
    let is_meant = |key: &&Jwk| alg.takes(key) && kid.is_none_or(|kid| key.common.key_id.as_deref() == Some(kid));
    let mut meant = keys.keys.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(key), None) => Ok(key),
        (_, _) => Err(Fault::UnknownKey),
    }
}

fn claimed(pinned: &Pinned, claims: &Map<String, Value>, now_secs: u64) -> Result<Holds, Fault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // Fractions of a second are allowed (RFC 7519, "NumericDate").
    let secs = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(secs) if (0.0..1e12).contains(&secs) => Ok(Some(secs as u64)),
            Some(_) | None => Err(Fault::Unbounded),
        },
    };
    if text("iss") != Some(&pinned.issuer) {
        return Err(Fault::Issuer);
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => *one == pinned.audience,
        Some(Value::Array(some)) => some.iter().any(|one| one.as_str() == Some(&pinned.audience)),
        Some(_) | None => false,
    };
    if !is_for_us {
        return Err(Fault::Audience);
    }
    let (expires, issued) = secs("exp")?.zip(secs("iat")?).ok_or(Fault::Unbounded)?;
    if now_secs >= expires + LEEWAY_SECS {
        return Err(Fault::Expired);
    }
    if issued.max(secs("nbf")?.unwrap_or(0)) > now_secs + LEEWAY_SECS {
        return Err(Fault::Early);
    }
    if expires.saturating_sub(issued) > MAX_LIFE_SECS {
        return Err(Fault::Unbounded);
    }
    let is_name =
        |name: &&str| !name.is_empty() && name.len() <= MAX_SUBJECT_BYTES && !name.contains(|c: char| c.is_control());
    let subject = text(&pinned.claim).filter(is_name).ok_or(Fault::Nameless)?.to_owned();
    let until = UnixMillis((expires + LEEWAY_SECS) * 1_000);
    Ok(Holds { subject, id: text("jti").map(str::to_owned), until })
}

#[cfg(test)]
#[path = "oidc_tests.rs"]
mod tests;
