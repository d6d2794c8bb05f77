//! What testers say of the candidate, and what they had of it when they said so.

use crate::principal::Principal;
use model::{TraceId, UnixMillis};
use serde::{Deserialize, Serialize};

/// Bytes of a note: what a sealed text may have (`store::MAX_SUBJECT_BYTES`), some 200 words.
pub const MAX_NOTE_BYTES: usize = 1_024;

/// Somebody signs off, as the controller took it: who said what, and what of theirs had come to green by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignOff {
    /// Who.
    pub by: Principal,
    /// What.
    pub says: Says,
    /// A salted commitment to the words of their note, `sha256:…`: it may hold personal data, so its text is sealed outside
    /// the ledger and can be erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What green had served of theirs.
    pub tested: Tested,
    /// `sha256:…` of the blob that lists it by trace id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// What a tester says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Says {
    /// The candidate may serve others.
    Accept,
    /// It may not.
    Refuse,
}

impl Says {
    /// The command's name on the command line.
    pub fn command(self) -> &'static str {
        match self {
            Says::Accept => "accept",
            Says::Refuse => "refuse",
        }
    }
}

/// What green served of one tester's traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tested {
    /// Traces.
    pub traces: u64,
    /// Their spans that green acknowledged.
    pub spans: u64,
    /// Those among the spans whose status is an error.
    pub errors: u64,
    /// The last of the traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<TraceId>,
}

/// What a tester said, as the state has it: the last word of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedOff {
    /// Who.
    pub by: String,
    /// What.
    pub says: Says,
    /// When.
    pub at: UnixMillis,
    /// From then on it does not count; an acceptance that the gate was passed with is not needed any more.
    pub expires_at: UnixMillis,
    /// The commitment to their note; where a report is shown, the note's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What green had served of theirs.
    pub tested: Tested,
    /// Why it does not count, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<String>,
}

impl SignedOff {
    /// Whether it is an acceptance that counts now.
    pub fn counts(&self, now: UnixMillis) -> bool {
        self.says == Says::Accept && self.uncounted.is_none() && self.expires_at > now
    }
}

/// A sealed note in the words of causes and refusals. Where a report is shown, the note's text stands in its place.
pub fn note_words(commitment: &str) -> String {
    format!("note {commitment}")
}

/// Whether these are the words of a note: 1 to [`MAX_NOTE_BYTES`] bytes with nothing unprintable but line ends; or what was
/// expected.
pub fn check_note(text: &str) -> Result<(), String> {
    let hidden = |character: char| {
        // Directional marks and the like would make a note read otherwise than it is.
        let invisible = matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        character != '\n' && (character.is_control() || invisible)
    };
    if text.len() > MAX_NOTE_BYTES {
        return Err(format!("the note has {} bytes, at most {MAX_NOTE_BYTES} are expected", text.len()));
    }
    if text.trim().is_empty() {
        return Err("the note is empty: say in a sentence what you saw".to_owned());
    }
    match text.chars().any(hidden) {
        true => Err("the note has control characters or invisible ones: expected plain text".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NOTE_BYTES, check_note};

    fn check(note: &str, expect: Result<(), &str>) {
        match (check_note(note), expect) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expect)) if found.contains(expect) => {}
            (found, expect) => panic!("{note:?}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn a_note_is_a_short_printable_text() {
        check("the totals of the cart are wrong\nsee invoice 7", Ok(()));
        check("\u{fc}ber alles gut", Ok(()));
        check("", Err("empty"));
        check(" \n ", Err("empty"));
        check("red \u{1b}[31m", Err("control characters"));
        check("left \u{202e}thgir", Err("invisible"));
        check(&"x".repeat(MAX_NOTE_BYTES), Ok(()));
        check(&"x".repeat(MAX_NOTE_BYTES + 1), Err("1025 bytes"));
    }
}
