//! Failures with their exit codes, and how small things are written.

use model::UnixMillis;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

/// DESIGN.md's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done as asked; for a rollout: promoted.
    Done = 0,
    /// Anything else.
    Other = 1,
    /// Wrong usage, or a wrong plan.
    Usage = 2,
    /// Rolled back.
    RolledBack = 3,
    /// Held or inconclusive.
    Held = 4,
    /// A ledger or bundle that does not hold.
    NotVerified = 5,
    /// Interrupted (Ctrl-C), as shells have it; what there was is told.
    Interrupted = 130,
}

/// Why the program stops, and with which exit code.
#[derive(Debug)]
pub struct Failed {
    /// The exit code.
    pub exit: Exit,
    /// What, where, and what to do.
    pub error: anyhow::Error,
}

impl Failed {
    /// A wrong command line, configuration or plan.
    pub fn usage(what: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Failed {
        Failed { exit: Exit::Usage, error: anyhow::Error::msg(what) }
    }

    /// A ledger that does not hold.
    pub fn not_verified(error: anyhow::Error) -> Failed {
        Failed { exit: Exit::NotVerified, error }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed { exit: Exit::Other, error: error.into() }
    }
}

/// A file of text that somebody named, of a bounded size.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String, Failed> {
    let refused = |why: String| Failed::usage(format!("{}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| refused(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > max_bytes {
        return Err(refused(format!("longer than {max_bytes} bytes; expected a file that a person wrote")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(format!("byte {at} is not UTF-8; expected a text file in UTF-8"))
    })
}

/// RFC 3339 in UTC, to the millisecond.
pub fn timestamp(at: UnixMillis) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => at.to_string(),
    }
}

/// The time of the day in UTC, to the second.
pub fn time_of_day(at: UnixMillis) -> String {
    timestamp(at).get(11..19).unwrap_or_default().to_owned()
}

/// What comes from outside, made safe for a terminal: control characters are shown, never obeyed.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// 1234567 as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Prints a line on standard output.
pub fn say(line: impl fmt::Display) {
    say_as_is(format_args!("{line}\n"));
}

/// Prints on standard output. Whoever reads may have read enough (`| head`): then the program ends, as others do.
pub fn say_as_is(text: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    if write!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(Exit::Done as i32);
    }
}
