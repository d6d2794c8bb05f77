//! Formats of lines: environment files as Docker Compose reads them, and Java's properties. Every value is a text; of
//! a key that stands twice the last one counts, as in the programs that read them.

use super::Budget;
use crate::error::{FileError, Format, Position};
use crate::value::{Raw, Value};
use std::collections::BTreeMap;

/// `NAME=value`, with `export` before it, quotes, comments; a quoted value may take several lines.
pub(super) fn env(text: &str, budget: &mut Budget) -> Result<Raw, FileError> {
    let mut entries = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let at = Position { line: index + 1, column: 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        budget.value(at)?;
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, rest) = match line.split_once('=') {
            Some((name, rest)) => (name.trim_end(), Some(rest.trim_start())),
            None => (line, None),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            let expected = "NAME=value, or a comment";
            return Err(FileError::Malformed { format: Format::Env, at, expected });
        }
        let value = match rest {
            // A name by itself is taken from the surroundings.
            None => Raw::NULL,
            Some(rest) => match rest.chars().next() {
                Some(quote @ ('"' | '\'')) => Raw::text(quoted(&rest[1..], quote, &mut lines, at)?),
                Some(_) | None => Raw::text(unquoted(rest)),
            },
        };
        entries.insert(name.to_owned(), value);
    }
    Ok(Value::Map(entries))
}

fn unquoted(rest: &str) -> &str {
    let comment = rest.find(" #").or_else(|| rest.find("\t#"));
    if rest.starts_with('#') { "" } else { rest[..comment.unwrap_or(rest.len())].trim_end() }
}

fn quoted<'a>(
    first: &'a str,
    quote: char,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    at: Position,
) -> Result<String, FileError> {
    let mut value = String::new();
    let mut line = first;
    loop {
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                _ if character == quote => return Ok(value),
                '\\' if quote == '"' => match characters.next() {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('r') => value.push('\r'),
                    Some(escaped @ ('"' | '\\' | '$')) => value.push(escaped),
                    Some(other) => value.extend(['\\', other]),
                    None => value.push('\\'),
                },
                _ => value.push(character),
            }
        }
        let Some((_, next)) = lines.next() else {
            return Err(FileError::Malformed { format: Format::Env, at, expected: "the end of the quoted value" });
        };
        value.push('\n');
        line = next;
    }
}

/// `key=value`, `key: value` or `key value`, continued after a backslash (java.util.Properties.load).
pub(super) fn properties(text: &str, budget: &mut Budget) -> Result<Raw, FileError> {
    let mut entries = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let at = Position { line: index + 1, column: 1 };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        budget.value(at)?;
        let mut whole = line.to_owned();
        while continued(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start());
        }
        let (key, value) = divided(&whole);
        entries.insert(unescaped(key, at)?, Raw::text(unescaped(value, at)?));
    }
    Ok(Value::Map(entries))
}

/// An odd number of backslashes at the end.
fn continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn divided(line: &str) -> (&str, &str) {
    let blank = [' ', '\t', '\u{c}'];
    let mut escaped = false;
    let end = line.char_indices().find(|(_, character)| {
        let ends = !escaped && (blank.contains(character) || matches!(character, '=' | ':'));
        escaped = !escaped && *character == '\\';
        ends
    });
    let Some((at, _)) = end else { return (line, "") };
    let rest = line[at..].trim_start_matches(blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..at], rest.trim_start_matches(blank))
}

fn unescaped(text: &str, at: Position) -> Result<String, FileError> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let malformed =
        FileError::Malformed { format: Format::Properties, at, expected: "four hexadecimal digits after \\u" };
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return Err(malformed);
                    }
                    // A half of a pair: the other one follows, and both meet in the text.
                    units.push(u16::from_str_radix(&digits, 16).map_err(|_| malformed.clone())?);
                    continue;
                }
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}
