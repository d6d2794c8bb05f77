//! What a YAML scalar means: the core schema of YAML 1.2.2, section 10.3.

use crate::value::{Number, Raw, RawScalar, Value};
use granit_parser::{ScalarStyle, Tag};
use std::borrow::Cow;

/// A plain `<<` without a tag merges.
pub(super) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    let plain = style == ScalarStyle::Plain && tag.is_none();
    text == "<<" && (plain || tag.and_then(Tag::core_suffix) == Some("merge"))
}

pub(super) fn read(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Raw {
    let plain = style == ScalarStyle::Plain;
    match tag {
        None if plain => resolve(text),
        None => Raw::text(text),
        Some(tag) => match tag.core_suffix() {
            Some("str" | "binary" | "timestamp") => Raw::text(text),
            Some("int" | "float" | "bool" | "null") => resolve(text),
            Some(_) | None => match custom(tag) {
                Some(name) => Value::Map([(name, if plain { resolve(text) } else { Raw::text(text) })].into()),
                None => Raw::text(text),
            },
        },
    }
}

/// The name of a tag that is not YAML's own: it is part of the value (`!reference`, `!vault`).
pub(super) fn custom(tag: &Tag) -> Option<String> {
    if tag.core_suffix().is_some() || (tag.handle() == "!" && tag.suffix().is_empty()) || tag.suffix() == "!" {
        return None;
    }
    let (handle, suffix) = tag.parts();
    Some(format!("!{}{suffix}", handle.trim_start_matches('!')))
}

fn resolve(text: Cow<'_, str>) -> Raw {
    let scalar = match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => RawScalar::Null,
        "true" | "True" | "TRUE" => RawScalar::Bool(true),
        "false" | "False" | "FALSE" => RawScalar::Bool(false),
        other => match number(other) {
            Some(number) => RawScalar::Number(number),
            None => RawScalar::Text(text.into_owned()),
        },
    };
    Value::Leaf(scalar)
}

fn number(text: &str) -> Option<Number> {
    let first = text.as_bytes().first()?;
    if !first.is_ascii_digit() && !matches!(first, b'-' | b'+' | b'.') {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Number::float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Number::Float(f64::NAN.to_bits()));
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        // An integer beyond 128 bits is compared as the float that programs read.
        return text.parse().map(Number::Integer).ok().or_else(|| text.parse().map(Number::float).ok());
    }
    is_float(unsigned).then(|| text.parse().map(Number::float).ok()).flatten()
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if valid { i128::from_str_radix(digits, radix).ok().map(Number::Integer) } else { None }
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let exponent = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    exponent && mantissa
}
