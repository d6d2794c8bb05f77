use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// A share in hundredths of a percent: 0 to 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BasisPoints(u16);

/// Milliseconds since the Unix epoch. Always an argument, never read from a clock in the pure crates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

/// A quantity with its unit that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected {expected}, found {found:?}")]
pub struct ParseUnitError {
    expected: &'static str,
    found: String,
}

impl BasisPoints {
    /// Nothing: 0 %.
    pub const ZERO: BasisPoints = BasisPoints(0);
    /// Everything: 100 %.
    pub const ALL: BasisPoints = BasisPoints(10_000);

    /// `None` above 10,000.
    pub fn new(basis_points: u16) -> Option<BasisPoints> {
        (basis_points <= 10_000).then_some(BasisPoints(basis_points))
    }

    /// 0 to 10,000.
    pub fn get(self) -> u16 {
        self.0
    }

    /// 0.0 to 1.0.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl<'de> Deserialize<'de> for BasisPoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let basis_points = u16::deserialize(deserializer)?;
        BasisPoints::new(basis_points).ok_or_else(|| D::Error::custom("expected 0 to 10000 basis points"))
    }
}

/// A percentage without needless zeros: `1%`, `0.25%`, `100%`.
impl fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match (hundredths, hundredths % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", hundredths / 10),
            _ => write!(f, "{whole}.{hundredths:02}%"),
        }
    }
}

/// Reads `1%`, `0.25%`, `100 %`: at most two decimals, 0 to 100, with the sign.
impl FromStr for BasisPoints {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let refused = || ParseUnitError {
            expected: "a percentage from 0% to 100% with at most two decimals, such as 1% or 0.25%",
            found: text.chars().take(64).collect(),
        };
        let number = text.strip_suffix('%').ok_or_else(refused)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || whole.len() > 3 || fraction.len() > 2 || (number.contains('.') && !digits(fraction)) {
            return Err(refused());
        }
        let hundredths: u16 = format!("{whole}{fraction:0<2}").parse().map_err(|_| refused())?;
        BasisPoints::new(hundredths).ok_or_else(refused)
    }
}

impl UnixMillis {
    /// This moment and `ms` milliseconds more, saturating.
    pub fn plus_ms(self, ms: u64) -> UnixMillis {
        UnixMillis(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 if `earlier` is later.
    pub fn since_ms(self, earlier: UnixMillis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Reads a duration with its unit, `250ms`, `30s`, `2m`, `4h` or `1d`, into milliseconds; at most 366 days.
pub fn parse_duration_ms(text: &str) -> Result<u64, ParseUnitError> {
    let refused = || ParseUnitError {
        expected: "a whole number with a unit (ms, s, m, h or d), at most 366d, such as 30s or 10m",
        found: text.chars().take(64).collect(),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| refused())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refused()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms <= 366 * 86_400_000).ok_or_else(refused)
}

/// Milliseconds as people write them: `250ms`, `30s`, `2m 30s`, `4h`.
pub struct ShortDuration(pub u64);

impl fmt::Display for ShortDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        let (days, hours, minutes) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60);
        let seconds = ms / 1_000 % 60;
        let pair = |f: &mut fmt::Formatter<'_>, big: u64, unit: &str, small: u64, small_unit: &str| match small {
            0 => write!(f, "{big}{unit}"),
            _ => write!(f, "{big}{unit} {small}{small_unit}"),
        };
        match () {
            () if days > 0 => pair(f, days, "d", hours, "h"),
            () if hours > 0 => pair(f, hours, "h", minutes, "m"),
            () if minutes > 0 => pair(f, minutes, "m", seconds, "s"),
            () if ms >= 1_000 && ms % 1_000 >= 100 && seconds < 10 => write!(f, "{seconds}.{}s", ms % 1_000 / 100),
            () if ms >= 1_000 => write!(f, "{seconds}s"),
            () => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for ShortDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
