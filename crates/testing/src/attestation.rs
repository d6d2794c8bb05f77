//! The in-toto test-result attestation: a statement (in-toto/attestation, `spec/v1/statement.md`) with the predicate
//! `test-result` v0.1 (`spec/predicates/test-result.md`), as it is or in a DSSE 1.0 envelope.
//!
//! The envelope is read here and not by `ledger`, whose envelopes are bounded to 128 KiB: the names of some thousand tests
//! are longer. Its predicate says no time; who demands a greatest age needs JUnit XML.

use crate::bounded::List;
use crate::digest::ArtifactDigest;
use crate::suite::{Case, Format, MAX_ARTIFACTS, MAX_TESTS, Outcome, ReadError, Reading, Signature, Suite, name};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use model::quoted;
use serde::Deserialize;

/// What the statement says of the artifact.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Signatures of one envelope: each takes some 50 us to try.
const MAX_SIGNATURES: usize = 16;

/// What tells the two apart.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, rename = "payloadType")]
    payload_type: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: List<EnvelopeSignature, MAX_SIGNATURES>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: List<Subject, MAX_ARTIFACTS>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: DigestSet,
}

/// Of the algorithms only the one that plans name artifacts by.
#[derive(Default, Deserialize)]
struct DigestSet {
    sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    result: String,
    #[serde(default)]
    passed_tests: List<String, MAX_TESTS>,
    #[serde(default)]
    warned_tests: List<String, MAX_TESTS>,
    #[serde(default)]
    failed_tests: List<String, MAX_TESTS>,
}

pub(crate) fn read(text: &str, digest: String, reading: &Reading<'_>) -> Result<Suite, ReadError> {
    let outer: Outer<'_> = parse(text)?;
    let (statement, signature) = match (outer.payload_type, reading.key) {
        (None, None) => (text.to_owned(), Signature::NotAsked),
        (None, Some(_)) => return Err(ReadError::NotSigned { what: "the attestation stands in no envelope" }),
        (Some(_), key) => {
            let envelope: Envelope = parse(text)?;
            if envelope.payload_type != PAYLOAD_TYPE {
                return Err(refused("payloadType", &envelope.payload_type, PAYLOAD_TYPE));
            }
            let payload = decode(&envelope.payload)?;
            let signature = match key {
                None => Signature::NotAsked,
                Some(key) => {
                    let signed = [pae(&envelope.payload_type, payload.len()).as_bytes(), &payload].concat();
                    let decoded = envelope.signatures.0.iter().filter_map(|one| decode(&one.sig).ok());
                    if !decoded.into_iter().any(|signature| key.verifies(&signed, &signature)) {
                        return Err(ReadError::NotSigned {
                            what: "no signature of the envelope is of that key and fits",
                        });
                    }
                    Signature::Verified
                }
            };
            let payload = String::from_utf8(payload);
            (payload.map_err(|error| ReadError::NotUtf8 { offset: error.utf8_error().valid_up_to() })?, signature)
        }
    };
    let statement: Statement = parse(&statement)?;
    suite(statement, digest, signature, reading)
}

/// What is signed (DSSE *protocol.md*, "Signature Definition"), without the payload at its end.
fn pae(payload_type: &str, payload_bytes: usize) -> String {
    format!("DSSEv1 {} {payload_type} {payload_bytes} ", payload_type.len())
}

fn suite(
    statement: Statement,
    digest: String,
    signature: Signature,
    reading: &Reading<'_>,
) -> Result<Suite, ReadError> {
    let Statement { kind, subject, predicate_type, predicate } = statement;
    if kind != STATEMENT_TYPE {
        return Err(refused("_type", &kind, STATEMENT_TYPE));
    }
    if predicate_type != PREDICATE_TYPE {
        return Err(refused("predicateType", &predicate_type, PREDICATE_TYPE));
    }
    let Predicate { result, passed_tests, warned_tests, failed_tests } = predicate;
    let has_failed = match result.as_str() {
        "PASSED" | "WARNED" => false,
        "FAILED" => true,
        other => return Err(refused("predicate.result", other, "PASSED, WARNED or FAILED")),
    };
    let lists = [
        (passed_tests.0, Outcome::Passed, false),
        (warned_tests.0, Outcome::Passed, true),
        (failed_tests.0, Outcome::Failed, false),
    ];
    if lists.iter().map(|(names, ..)| names.len()).sum::<usize>() > MAX_TESTS {
        return Err(ReadError::TooMany { of: "tests", most: MAX_TESTS });
    }
    let unlisted_failures = u64::from(has_failed && lists[2].0.is_empty());
    let cases = lists.into_iter().flat_map(|(names, outcome, flaky)| {
        names.into_iter().map(move |test| Case { name: name(&test), outcome, flaky })
    });
    let named = subject.0.iter().filter_map(|subject| subject.digest.sha256.as_ref());
    let read: Vec<_> = named.map(|digits| format!("sha256:{digits}").parse::<ArtifactDigest>()).collect();
    Ok(Suite {
        source: name(reading.source),
        format: Format::Attestation,
        digest,
        artifact_is_unreadable: read.iter().any(Result::is_err),
        artifacts: read.into_iter().flatten().collect(),
        ran: None,
        cases: cases.collect(),
        unlisted_failures,
        signature,
    })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|error| ReadError::Json { reason: quoted(&error.to_string()) })
}

/// Either alphabet: who signs may take either, and who verifies must take both.
fn decode(text: &str) -> Result<Vec<u8>, ReadError> {
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    decoded.map_err(|_| ReadError::Json { reason: "the envelope is not base64 where it should be".to_owned() })
}

fn refused(field: &'static str, found: &str, expected: &'static str) -> ReadError {
    ReadError::Statement { field, found: quoted(found), expected }
}

#[cfg(test)]
mod tests;
