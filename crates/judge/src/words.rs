//! Numbers as people read them.

use model::{Subject, US_FOR_A_CALL};

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number nobody needs exactly, to two digits: `3,100`.
pub(crate) fn about(number: f64) -> String {
    let mut unit = 1u64;
    let number = number.clamp(0.0, 1e18);
    while number / unit as f64 >= 100.0 {
        unit *= 10;
    }
    grouped((number / unit as f64).ceil() as u64 * unit)
}

/// A share as a percentage with about two digits: `1.9 %`, `0.012 %`, `34 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = match percent.abs() {
        0.0 => 0,
        large if large >= 9.95 => 0,
        medium if medium >= 0.995 => 1,
        small if small >= 0.0995 => 2,
        smaller if smaller >= 0.00995 => 3,
        _ => 4,
    };
    let text = format!("{percent:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// Evidence against the candidate, from its logarithm.
pub(crate) fn likelier(log_evidence: f64) -> String {
    match log_evidence {
        small if small < std::f64::consts::LN_2 => "no sign that it is worse".to_owned(),
        large => format!("{} likelier to be worse", times(large)),
    }
}

/// Evidence from its logarithm: `3,200 x`, `over 1,000,000 x`.
pub(crate) fn times(log_evidence: f64) -> String {
    match libm::exp(log_evidence.min(14.0)) {
        large if large >= 1_000_000.0 => "over 1,000,000 x".to_owned(),
        // A threshold of 1,000 is the logarithm of a little less.
        evidence => format!("{} x", grouped((evidence * (1.0 + 1e-9)) as u64)),
    }
}

/// An odds ratio to two digits: `0.43 x`, `1.2 x`, `25 x`, `1,000 x`.
pub(crate) fn ratio(ratio: f64) -> String {
    match ratio {
        small if small < 0.995 => format!("{small:.2} x"),
        medium if medium < 9.95 => format!("{medium:.1} x"),
        large => format!("{} x", grouped(large.round() as u64)),
    }
}

/// Microseconds: `830 us`, `4.2 ms`, `1.3 s`.
pub(crate) fn microseconds(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.0} us"),
        us if us < 1_000_000.0 => format!("{:.1} ms", us / 1_000.0),
        us => format!("{:.1} s", us / 1_000_000.0),
    }
}

/// What a metric from outside counts: `1 unit`, `2 units`.
pub(crate) fn units(number: u64) -> String {
    format!("{} {}", grouped(number), if number == 1 { "unit" } else { "units" })
}

/// A part of a whole with its words: `1 trace`, `2 traces`.
pub(crate) fn traces(number: u64) -> String {
    format!("{} {}", grouped(number), if number == 1 { "trace" } else { "traces" })
}

/// An operation, or the calls between two services.
pub(crate) fn subject_words(subject: &Subject) -> String {
    match subject {
        Subject::Operation { service, operation, .. } => format!("operation {operation} of {service}"),
        Subject::Edge { from, to } => format!("calls from {from} to {to}"),
    }
}

/// How many calls, from a bucket's upper end in the microseconds that stand for them: `1 call`, `2 calls`.
pub(crate) fn calls(us: f64) -> String {
    let calls = (us / US_FOR_A_CALL as f64) as u64;
    format!("{} {}", grouped(calls), if calls == 1 { "call" } else { "calls" })
}
