//! Credentials that are known by their form: JSON Web Tokens, keys of clouds and services, `Bearer` and `Basic`.

use crate::class::Class;
use crate::context::Context;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Bytes of a token's header, in base64. Headers with a chain of certificates have some thousands; longer ones are not read.
const MAX_HEADER_LEN: usize = 16 * 1024;

/// Bytes of Basic credentials that are decoded. Longer ones are taken for credentials.
const MAX_BASIC_LEN: usize = 4 * 1024;

/// The fewest bytes of a bearer token outside an `Authorization` header; there, all that follows the scheme is one.
const MIN_BEARER_LEN: usize = 8;

/// What a key is made of, behind its prefix.
#[derive(Clone, Copy)]
enum Body {
    /// Letters, digits and `_`.
    Word,
    /// These and `-`.
    Url,
    /// These and `.`.
    Dotted,
}

/// Prefix, what follows it, and the fewest and most bytes of that.
const KEYS: [(&[u8], Body, usize, usize); 39] = [
    // AWS: access keys, long-lived and temporary.
    (b"AKIA", Body::Word, 16, 16),
    (b"ASIA", Body::Word, 16, 16),
    (b"ABIA", Body::Word, 16, 16),
    (b"ACCA", Body::Word, 16, 16),
    // Google: API keys, OAuth secrets and tokens.
    (b"AIza", Body::Url, 35, 35),
    (b"GOCSPX-", Body::Url, 28, 28),
    (b"ya29.", Body::Dotted, 20, 2_048),
    // GitHub, GitLab.
    (b"ghp_", Body::Word, 36, 255),
    (b"gho_", Body::Word, 36, 255),
    (b"ghu_", Body::Word, 36, 255),
    (b"ghs_", Body::Word, 36, 255),
    (b"ghr_", Body::Word, 36, 255),
    (b"github_pat_", Body::Word, 22, 255),
    (b"glpat-", Body::Url, 20, 64),
    // Slack.
    (b"xoxb-", Body::Url, 10, 255),
    (b"xoxp-", Body::Url, 10, 255),
    (b"xoxa-", Body::Url, 10, 255),
    (b"xoxr-", Body::Url, 10, 255),
    (b"xoxs-", Body::Url, 10, 255),
    (b"xapp-", Body::Url, 10, 255),
    // Stripe.
    (b"sk_live_", Body::Word, 16, 255),
    (b"rk_live_", Body::Word, 16, 255),
    (b"sk_test_", Body::Word, 16, 255),
    (b"rk_test_", Body::Word, 16, 255),
    (b"whsec_", Body::Word, 24, 255),
    // Registries, models, mail, vaults, shops.
    (b"npm_", Body::Word, 36, 36),
    (b"pypi-AgEI", Body::Url, 50, 1_024),
    (b"dckr_pat_", Body::Url, 27, 64),
    (b"hf_", Body::Word, 34, 64),
    (b"sk-ant-", Body::Url, 32, 255),
    (b"sk-proj-", Body::Url, 32, 255),
    (b"sk-", Body::Word, 40, 64),
    (b"SG.", Body::Dotted, 66, 66),
    (b"hvs.", Body::Url, 24, 255),
    (b"dop_v1_", Body::Word, 64, 64),
    (b"shpat_", Body::Word, 32, 32),
    (b"shpss_", Body::Word, 32, 32),
    (b"lin_api_", Body::Word, 40, 40),
    (b"AGE-SECRET-KEY-1", Body::Word, 58, 58),
];

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, ANY_PADDING.with_decode_allow_trailing_bits(true));

/// Class and length of the token or key that begins here, at the beginning of a word, behind the byte `before`. Inside its own
/// run of bytes none begins anew: each run is walked over once.
pub(crate) fn known(text: &[u8], before: Option<u8>) -> Option<(Class, usize)> {
    let (three, _) = text.split_first_chunk::<3>()?;
    match three {
        b"eyJ" if !matches!(before, Some(b'-' | b'.')) => jwt(text).map(|length| (Class::Jwt, length)),
        b"AKI" | b"ASI" | b"ABI" | b"ACC" | b"AIz" | b"GOC" | b"ya2" | b"ghp" | b"gho" | b"ghu" | b"ghs" | b"ghr"
        | b"git" | b"glp" | b"xox" | b"xap" | b"sk_" | b"rk_" | b"whs" | b"npm" | b"pyp" | b"dck" | b"hf_" | b"sk-"
        | b"SG." | b"hvs" | b"dop" | b"shp" | b"lin" | b"AGE" => {
            key(text, before).map(|length| (Class::CloudKey, length))
        }
        _ => None,
    }
}

fn key(text: &[u8], before: Option<u8>) -> Option<usize> {
    let (prefix, body, shortest, longest) = KEYS.iter().find(|(prefix, ..)| text.starts_with(prefix))?;
    if !matches!(body, Body::Word) && matches!(before, Some(b'-' | b'.')) {
        return None;
    }
    let rest = &text[prefix.len()..];
    let inside = |byte: &u8| match body {
        Body::Word => is_url_safe(*byte) && *byte != b'-',
        Body::Url => is_url_safe(*byte),
        Body::Dotted => is_url_safe(*byte) || *byte == b'.',
    };
    let length = rest.iter().take(longest + 1).take_while(|byte| inside(byte)).count();
    // A sentence may end behind a key.
    let ends = rest[..length].iter().rev().take_while(|byte| **byte == b'.').count();
    let random = rest[..length].iter().any(u8::is_ascii_digit);
    ((*shortest..=*longest).contains(&(length - ends)) && random).then(|| prefix.len() + length - ends)
}

/// What a token's header must have (RFC 7515, 7516).
#[derive(Deserialize)]
struct Header {
    #[expect(dead_code, reason = "that it is there is all that is asked")]
    alg: IgnoredAny,
}

/// The length of a signed or encrypted token: a header in JSON that names its algorithm, and parts behind dots.
fn jwt(text: &[u8]) -> Option<usize> {
    let header = text.iter().take(MAX_HEADER_LEN + 1).take_while(|byte| is_url_safe(**byte)).count();
    if header > MAX_HEADER_LEN || text.get(header) != Some(&b'.') {
        return None;
    }
    let json = BASE64_URL.decode(&text[..header]).ok()?;
    serde_json::from_slice::<Header>(&json).ok()?;
    let length = text.iter().take_while(|byte| is_url_safe(**byte) || **byte == b'.').count();
    let dots = text[..length].iter().filter(|byte| **byte == b'.').count();
    (dots >= 2).then_some(length)
}

/// Class, start and end of what follows the scheme whose name, of this length, stands here.
pub(crate) fn credentials(text: &[u8], scheme_len: usize, key: Context) -> Option<(Class, usize, usize)> {
    let scheme = &text[..scheme_len];
    let basic = scheme.eq_ignore_ascii_case(b"basic");
    if !basic && !scheme.eq_ignore_ascii_case(b"bearer") && !scheme.eq_ignore_ascii_case(b"token") {
        return None;
    }
    let rest = &text[scheme_len..];
    let rest = rest.strip_prefix(b" ")?;
    let length = rest.iter().take_while(|byte| is_token68(**byte)).count();
    // A sentence may end behind a token.
    let length = length - rest[..length].iter().rev().take_while(|byte| **byte == b'.').count();
    let token = &rest[..length];
    let from = scheme_len + 1;
    if let Some((class, length)) = known(token, None) {
        return Some((class, from, from + length));
    }
    let is_credential = match basic {
        true => is_basic(token),
        false => {
            token.len() >= MIN_BEARER_LEN
                && token.iter().any(u8::is_ascii_digit)
                && !scheme.eq_ignore_ascii_case(b"token")
        }
    };
    let is_header = key.has(Context::AUTHORIZATION) && !token.is_empty();
    (is_credential || is_header).then_some((Class::Authorization, from, from + length))
}

/// A name and a password with a colon between them (RFC 7617).
fn is_basic(token: &[u8]) -> bool {
    if token.len() > MAX_BASIC_LEN {
        return true;
    }
    BASE64.decode(token).is_ok_and(|text| text.len() > 2 && text.contains(&b':') && text.is_ascii())
}

fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// RFC 7235, and `_`.
pub(crate) fn is_token68(byte: u8) -> bool {
    is_url_safe(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
}
