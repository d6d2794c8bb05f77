use std::error::Error;

/// An error with all its causes in one line, for people.
pub fn with_causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Characters of foreign text that a message repeats.
const MAX_QUOTED_CHARACTERS: usize = 160;

/// Foreign text as a message may hold it: printable, not too long, and never empty.
pub fn quoted(text: &str) -> String {
    if text.trim().is_empty() {
        return "(nothing)".to_owned();
    }
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut quoted: String = text.chars().take(MAX_QUOTED_CHARACTERS).map(printable).collect();
    if text.chars().count() > MAX_QUOTED_CHARACTERS {
        quoted.push('…');
    }
    quoted
}
