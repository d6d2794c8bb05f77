//! The values of single keys: percentages with their sign, durations and rates with their unit, endpoints, names.
//! Each reader gives the value, or says what it expected.

use super::error::{one_of, unprintable};
use super::problems::Expected;
use model::{Compression, ShortDuration, UnixMillis, parse_duration_ms};
use std::net::{IpAddr, Ipv6Addr};

/// Digits of a decimal number. With 15 a number, its f64 and the shortest text of that f64 are the same thing, so
/// that a plan is the same before and after it was stored as JSON.
const MAX_DIGITS: usize = 15;

/// Characters of a path, as Linux has it.
pub(super) const MAX_PATH_CHARACTERS: usize = 4_096;

/// Characters of the path that a server is below.
const MAX_URL_PATH_CHARACTERS: usize = 200;

/// From a second up to a month: what a rollout may wait for.
pub(super) const STEP_MS: (u64, u64) = (1_000, 30 * DAY_MS);
/// Characters of `2027-01-31`.
pub(super) const DAY_CHARACTERS: usize = 10;
/// One day in milliseconds.
pub(super) const DAY_MS: u64 = 24 * 3_600_000;

/// A share above 0 % and up to `most` percent, as a fraction.
pub(super) fn share(text: &str, most: u32, example: &str) -> Result<f64, Expected> {
    let expected = || format!("a percentage above 0% and up to {most}% with its sign, such as {example}");
    let number = text.strip_suffix('%').ok_or_else(expected)?.trim_end();
    // The point moves by two places in the text, so that 0.1% is the f64 nearest to 0.001, without a division.
    let fraction = decimal(number, 2).ok_or_else(expected)?;
    (fraction > 0.0 && fraction <= f64::from(most) / 100.0).then_some(fraction).ok_or_else(expected)
}

/// A probability above 0 and up to 0.5.
pub(super) fn chance(text: &str) -> Result<f64, Expected> {
    let chance = decimal(text, 0).filter(|chance| *chance > 0.0 && *chance <= 0.5);
    chance.ok_or_else(|| "a number above 0 and up to 0.5, such as 0.001".to_owned())
}

/// A quantile between 0 and 1, both excluded.
pub(super) fn quantile(text: &str) -> Result<f64, Expected> {
    let quantile = decimal(text, 0).filter(|quantile| *quantile > 0.0 && *quantile < 1.0);
    quantile.ok_or_else(|| "a number between 0 and 1, both excluded, such as 0.99".to_owned())
}

/// So many a second.
pub(super) fn rate_per_s(text: &str) -> Result<f64, Expected> {
    let rate = text.strip_suffix("/s").and_then(|number| decimal(number.trim_end(), 0));
    let rate = rate.filter(|rate| *rate > 0.0 && *rate <= 1e9);
    rate.ok_or_else(|| "a rate above 0 and up to 1000000000/s, such as 500/s".to_owned())
}

/// A whole number between two bounds, both included.
pub(super) fn whole(text: &str, (least, most): (u32, u32)) -> Result<u32, Expected> {
    let number = text.parse().ok().filter(|number| text.bytes().all(|byte| byte.is_ascii_digit()) && *number <= most);
    number.filter(|number| *number >= least).ok_or_else(|| format!("a whole number from {least} to {most}"))
}

/// A duration between two bounds in milliseconds, both included.
pub(super) fn duration_ms(text: &str, (least, most): (u64, u64)) -> Result<u64, Expected> {
    let (from, to) = (ShortDuration(least), ShortDuration(most));
    let ms =
        parse_duration_ms(text).map_err(|_| format!("a duration with its unit from {from} to {to}, such as 30s"))?;
    (least..=most).contains(&ms).then_some(ms).ok_or_else(|| format!("a duration from {from} to {to}"))
}

/// A day, until its end in UTC, or a moment (RFC 3339).
pub(super) fn moment(text: &str) -> Result<UnixMillis, Expected> {
    let expected = || "a day, such as 2027-01-31, or a moment such as 2027-01-31T18:00:00Z".to_owned();
    let moment = match text.len() {
        DAY_CHARACTERS => format!("{text}T23:59:59.999Z").parse::<jiff::Timestamp>(),
        _ => text.parse::<jiff::Timestamp>(),
    };
    let ms = moment.map_err(|_| expected())?.as_millisecond();
    u64::try_from(ms).map(UnixMillis).map_err(|_| expected())
}

/// `0.001` moved by `places` to the right of the point.
fn decimal(number: &str, places: u32) -> Option<f64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let known = digits(whole) && digits(fraction) && whole.len() + fraction.len() <= MAX_DIGITS;
    known.then(|| format!("{whole}.{fraction}e-{places}").parse().ok()).flatten()
}

/// `http://host:port` or `https://host:port`, nothing before, between or after.
pub(super) fn endpoint(text: &str) -> Result<String, Expected> {
    let expected = || "http://host:port or https://host:port without a path, such as http://127.0.0.1:4317".to_owned();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let (host, port) = rest.and_then(|rest| rest.rsplit_once(':')).ok_or_else(expected)?;
    let known_port = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    let known_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(host),
    };
    let known = known_host && known_port && port.parse::<u16>().is_ok();
    known.then(|| text.to_owned()).ok_or_else(expected)
}

/// The same, and a path that the server is below: `https://host:port/prometheus`. Neither a user's name nor a query, for
/// they can hold secrets, and a plan stands in the ledger.
pub(super) fn url_with_path(text: &str) -> Result<String, Expected> {
    let expected = || {
        "http://host:port or https://host:port, with a path if the server is below one, such as \
         http://127.0.0.1:9090"
            .to_owned()
    };
    let after_scheme = text.find("://").map(|at| at + 3).ok_or_else(expected)?;
    let path_at = text[after_scheme..].find('/').map_or(text.len(), |at| after_scheme + at);
    let (base, path) = text.split_at(path_at);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~');
    if path.len() > MAX_URL_PATH_CHARACTERS || !path.bytes().all(letter) {
        return Err(expected());
    }
    let base = endpoint(base).map_err(|_| expected())?;
    Ok(format!("{base}{}", path.trim_end_matches('/')))
}

/// RFC 1035: at most 253 characters; the underscore is in names of Docker and Kubernetes.
fn is_host_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=253).contains(&text.len()) && text.bytes().all(letter) && !text.starts_with(['-', '.'])
}

/// A name that a certificate can be for.
pub(super) fn server_name(text: &str) -> Result<String, Expected> {
    let known = is_host_name(text) || text.parse::<IpAddr>().is_ok();
    known.then(|| text.to_owned()).ok_or_else(|| "a DNS name or an IP address, such as collector.example".to_owned())
}

/// `none`, `gzip` or `zstd`.
pub(super) fn compression(text: &str) -> Result<Compression, Expected> {
    let known = Compression::ALL.into_iter().find(|known| known.name() == text);
    known.ok_or_else(|| one_of(&Compression::ALL.map(Compression::name)))
}

/// Whether two endpoints are one, as far as their names tell.
pub(super) fn same_endpoint(one: &str, other: &str) -> bool {
    let plain = |endpoint: &str| {
        let endpoint = endpoint.to_ascii_lowercase().replacen("//localhost:", "//127.0.0.1:", 1);
        // One port speaks TLS or clear text, not both.
        endpoint.replacen("https://", "http://", 1)
    };
    plain(one) == plain(other)
}

/// `[a-z0-9]([-a-z0-9.]*)`, at most 63 characters.
pub(super) fn name(text: &str) -> Result<String, Expected> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let known = text.bytes().all(|byte| letter(byte) || matches!(byte, b'-' | b'.'));
    let known = known && text.bytes().next().is_some_and(letter) && text.len() <= 63;
    let expected = "1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, such as collector-0-131";
    known.then(|| text.to_owned()).ok_or_else(|| expected.to_owned())
}

/// A text for people: not empty, at most `most` characters, with nothing unprintable but line ends.
pub(super) fn prose(text: &str, most: usize) -> Result<String, Expected> {
    let printable = !text.chars().any(|character| character != '\n' && unprintable(character));
    let known = printable && !text.trim().is_empty() && text.chars().count() <= most;
    known.then(|| text.trim_end().to_owned()).ok_or_else(|| format!("a printable text of 1 to {most} characters"))
}

/// A text of one line.
pub(super) fn line(text: &str, most: usize) -> Result<String, Expected> {
    let expected = || format!("one printable line of 1 to {most} characters");
    prose(text, most).ok().filter(|text| !text.contains('\n')).ok_or_else(expected)
}

/// `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn digest(text: &str) -> Result<String, Expected> {
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let known = text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(hexadecimal));
    known.then(|| text.to_owned()).ok_or_else(|| "sha256: and 64 digits of 0-9 and a-f".to_owned())
}
