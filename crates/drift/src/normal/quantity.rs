//! Durations, sizes and Kubernetes quantities in one spelling each.

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Go's durations (time.ParseDuration): `1m30s` is `90s`, `0.5s` is `500ms`. `None` for every other text.
pub(super) fn duration(text: &str) -> Option<String> {
    let (sign, mut rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    if rest.is_empty() || text.len() > MAX_LENGTH {
        return None;
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = decimal(rest)?;
        let end = after.find(|character: char| character.is_ascii_digit() || character == '.').unwrap_or(after.len());
        let unit = UNITS.iter().find(|(unit, _)| *unit == &after[..end])?.1;
        nanos = nanos.checked_add(number.times(unit)?)?;
        rest = &after[end..];
    }
    let (unit, nanos_each) = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)]
        .into_iter()
        .find(|(_, each)| nanos.is_multiple_of(*each))?;
    Some(format!("{sign}{}{unit}", nanos / nanos_each))
}

/// Sizes with a unit of bytes: `1GiB` is `1024MiB`.
pub(super) fn size(text: &str) -> Option<String> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let (number, unit) = decimal(text)?;
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1_u128 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    Some(format!("{}B", number.times(unit)?))
}

/// Kubernetes' quantities (k8s.io/apimachinery/pkg/api/resource): `0.5` is `500m`, `1Gi` is `1024Mi`.
pub(super) fn quantity(text: &str) -> Option<String> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let (number, unit) = decimal(text)?;
    let milli = match unit {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000_u128 << 40,
        "Pi" => 1_000_u128 << 50,
        _ => return None,
    };
    let milli = number.times(milli)?;
    let whole = [("Gi", 1_000_u128 << 30), ("Mi", 1_000 << 20), ("Ki", 1_000 << 10), ("", 1_000), ("m", 1)];
    let (unit, each) = whole.into_iter().find(|(_, each)| milli.is_multiple_of(*each))?;
    Some(if milli == 0 { "0".to_owned() } else { format!("{}{unit}", milli / each) })
}

/// Longer texts are no quantities, and numbers of more digits would not fit.
const MAX_LENGTH: usize = 40;

/// A decimal without sign: `digits / 10^scale`.
struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// `None` where it is no whole number, or too large.
    fn times(&self, unit: u128) -> Option<u128> {
        let product = self.digits.checked_mul(unit)?;
        let divisor = 10_u128.checked_pow(self.scale)?;
        product.is_multiple_of(divisor).then(|| product / divisor)
    }
}

fn decimal(text: &str) -> Option<(Decimal, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((Decimal { digits, scale: u32::try_from(fraction.len()).ok()? }, rest))
}
