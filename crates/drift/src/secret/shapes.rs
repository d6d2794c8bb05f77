//! Which texts are secret by themselves: known forms of keys and tokens, and what is too random to be anything else.
//!
//! A false alarm hides a value that could have been shown; a miss shows a secret. So the rules lean to the first.

use super::names;

/// What known keys and tokens begin with, and how many characters of theirs follow at least.
/// Sources: GitHub "Behind GitHub's new authentication token formats"; Slack "Token types"; AWS IAM "Unique
/// identifiers"; Google API keys; GitLab "Token overview"; Stripe "API keys"; Grafana, npm, PyPI, SendGrid, OpenAI,
/// Anthropic, HashiCorp Vault, DigitalOcean, Dynatrace, New Relic, Twilio: their documentation of tokens.
const PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("xoxe.", 10),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AROA", 16),
    ("ABIA", 16),
    ("AIza", 30),
    ("ya29.", 20),
    ("GOCSPX-", 20),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("whsec_", 10),
    ("glc_", 16),
    ("glsa_", 16),
    ("npm_", 20),
    ("pypi-", 20),
    ("SG.", 20),
    ("sk-ant-", 10),
    ("sk-proj-", 10),
    ("sk-", 32),
    ("hvs.", 20),
    ("hvb.", 20),
    ("dop_v1_", 20),
    ("dt0c01.", 20),
    ("NRAK-", 20),
    ("NRII-", 20),
    ("hcaik_", 20),
    ("hcxik_", 20),
    ("lin_api_", 20),
    ("AGE-SECRET-KEY-", 10),
    ("shpat_", 20),
    ("dckr_pat_", 16),
    ("EAACEdEose0cBA", 10),
];

/// Whether any part of a text is a secret.
pub(crate) fn is_secret(text: &str) -> bool {
    let words = text.contains([' ', '"', '\t', '\n']);
    (words && has_block(text)) || has_assignment(text) || pieces(text).any(is_secret_piece)
}

/// Keys of known services alone, without what only looks random: for names, which may be digests.
pub(crate) fn is_known(text: &str) -> bool {
    text.contains("PRIVATE KEY") || pieces(text).any(|piece| has_prefix(piece) || is_jwt(piece))
}

/// PEM (RFC 7468) private keys, PGP's, PuTTY's; service account files; `Bearer` and `Basic` with what follows.
fn has_block(text: &str) -> bool {
    if text.contains("PuTTY-User-Key-File") || text.contains("\"private_key\"") || text.contains("PRIVATE KEY") {
        return true;
    }
    let mut words = text.split([' ', '"', '\'', ',', '\n', '\t', '=', ':']).filter(|word| !word.is_empty()).peekable();
    while let (Some(scheme), Some(credential)) = (words.next(), words.peek()) {
        // In sentences a word follows, of letters alone.
        let word = credential.bytes().all(|byte| byte.is_ascii_lowercase());
        let long = credential.len() >= 6 && !word;
        if long && SCHEMES.iter().any(|one| one.eq_ignore_ascii_case(scheme)) && !super::is_reference(credential) {
            return true;
        }
    }
    false
}

/// Of the header `Authorization` (RFC 9110), and what some services call theirs.
const SCHEMES: &[&str] = &["bearer", "basic", "splunk", "apikey", "api-token", "token", "digest"];

/// `--password=x`, `token: x`, `Server=db;Password=x;`: a secret name with a value in the middle of a text.
fn has_assignment(text: &str) -> bool {
    if !text.contains(['=', ':']) {
        return false;
    }
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let divides = byte.is_ascii_whitespace() || matches!(byte, b';' | b'&' | b',' | b'"' | b'\'' | b'{' | b'?');
        if divides {
            start = at + 1;
        } else if matches!(byte, b'=' | b':') {
            // The name is what stands before, back to where it was divided; `User Password=` has two words.
            let name = &text[start..at];
            if name.len() <= MAX_NAME && names::is_secret(name) && is_value(&text[at + 1..]) {
                return true;
            }
            start = at + 1;
        }
    }
    false
}

/// Whether what follows a name is a value of its own.
fn is_value(rest: &str) -> bool {
    /// Further than any reference or word reaches.
    const FAR: usize = 256;
    let rest = &rest[..rest.floor_char_boundary(FAR)];
    let rest = rest.trim_start_matches([' ', '"', '\'']);
    let value = rest.split([' ', ';', '&', ',', '"', '\'', '\n', '}']).next().unwrap_or_default();
    let word = matches!(value, "true" | "false" | "null" | "none" | "required" | "optional" | "$" | "|" | ">");
    !value.is_empty() && !word && !value.starts_with("//") && !super::is_reference(value)
}

/// A longer name is none, and would be taken apart again and again.
const MAX_NAME: usize = 64;

/// What random characters are written in, uninterrupted.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| {
        !character.is_ascii_alphanumeric() && !matches!(character, '_' | '-' | '.' | '+' | '/' | '=')
    })
    .filter(|piece| piece.len() >= 14)
}

fn is_secret_piece(piece: &str) -> bool {
    if has_prefix(piece) || is_jwt(piece) {
        return true;
    }
    // A host or path has short parts; base64 has `/` and `+` once in 32 characters each.
    let parts = piece.split(['.', '/']).filter(|part| part.len() >= MIN_RANDOM);
    parts.clone().any(is_random) || (piece.len() >= 40 && !piece.contains('.') && is_base64(piece))
}

fn has_prefix(piece: &str) -> bool {
    let matches = |piece: &str| {
        PREFIXES.iter().any(|(prefix, follow)| {
            piece.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *follow && rest.is_ascii())
        })
    };
    matches(piece) || piece.split(['/', '=']).any(matches)
}

/// Three parts of base64url, of which the first begins as `{"` does (RFC 7519); five for encrypted ones.
fn is_jwt(piece: &str) -> bool {
    piece.split(['=', '/']).any(|part| part.starts_with("eyJ") && part.matches('.').count() >= 2)
}

/// The shortest text that is taken for random: 20 characters of base 62 have 119 bits.
const MIN_RANDOM: usize = 20;
/// The shortest hexadecimal text that is: 128 bits.
const MIN_HEXADECIMAL: usize = 32;

fn is_random(part: &str) -> bool {
    let part = part.trim_end_matches('=');
    let hexadecimal = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if hexadecimal {
        let digits = part.bytes().filter(|byte| byte.is_ascii_digit()).count();
        let length = part.bytes().filter(|byte| *byte != b'-').count();
        return length >= MIN_HEXADECIMAL && digits >= 4 && entropy(part) >= 2.5;
    }
    part.split(['-', '_', '=']).any(is_random_run) || is_mixed(part)
}

/// Digits that stand among the letters, again and again: names have them at their ends.
fn is_random_run(run: &str) -> bool {
    run.len() >= MIN_RANDOM && transitions(run) >= 4 && entropy(run) >= 3.0
}

/// base64url has `-` and `_` in it, and all three kinds of characters.
fn is_mixed(part: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
    let all = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    part.len() >= MIN_RANDOM && all && transitions(part) >= 3 && entropy(part) >= 3.5
}

/// Long base64 with slashes in it, which divide it into parts that are too short.
fn is_base64(piece: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| piece.as_bytes().iter().any(kind);
    let all = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    all && entropy(piece) >= 4.5 && transitions(piece) >= 6
}

/// How often a letter follows a digit, or a digit a letter.
fn transitions(text: &str) -> usize {
    let differ = |pair: &[u8]| pair[0].is_ascii_digit() != pair[1].is_ascii_digit();
    let letters = |pair: &[u8]| pair.iter().all(u8::is_ascii_alphanumeric);
    text.as_bytes().windows(2).filter(|pair| letters(pair) && differ(pair)).count()
}

/// Shannon's entropy of the characters, in bits for each.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = text.len() as f64;
    let bits = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}
