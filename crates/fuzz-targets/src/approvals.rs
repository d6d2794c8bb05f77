//! Signed statements and proofs of shifts from anybody: what is read is written again as the same bytes, a signature that
//! holds is of what was read, and nothing that is no proof raises a weight.

use audit::shift_proof::ShiftProof;
use rollout::approval::{Assertion, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES, PublicKey, SignedStatement, Statement};

/// The target: a statement and a signature with a NUL between them; each of them also by itself.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (statement, signature) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(read) = Statement::from_text(statement) {
        assert!(statement.len() <= MAX_STATEMENT_BYTES, "within its bound");
        assert_eq!(read.to_text(), statement, "what was read is written as it was");
    }
    let signed = SignedStatement { statement: statement.to_owned(), signature: signature.to_owned() };
    if let Ok((opened, key)) = signed.open() {
        assert!(signature.len() <= MAX_SIGNATURE_BYTES, "within its bound");
        assert_eq!(opened.to_text(), statement, "what was signed");
        assert_eq!(PublicKey::from_line(&key.to_string()).ok(), Some(key), "a key that can be written down");
    }
    if let Ok(key) = PublicKey::from_line(text) {
        assert!(text.trim().starts_with(&key.to_string()), "the line without its comment");
    }
    if let Ok(assertion) = Assertion::from_text(signature) {
        assert_eq!(assertion.to_text(), signature, "what was read is written as it was");
        let _ = assertion.sign_count();
    }
    if let Ok(proof) = ShiftProof::from_text(text) {
        assert_eq!(ShiftProof::from_text(&proof.to_text()).ok(), Some(proof), "what was read can be written");
    }
}
