//! Paths and queries, below the store's URL. All are asked with GET.

use crate::Api;
use model::TraceId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Nanoseconds of the units that stores count in.
const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A search for the traces of a service that began in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// `service.name`.
    pub service: String,
    /// When the first of the wanted spans begins, in nanoseconds since 1970.
    pub from_ns: u64,
    /// When the last of them begins; not before `from_ns`.
    pub to_ns: u64,
    /// Traces at most. An answer with as many may lack others.
    pub limit: u32,
}

/// Where a trace is.
pub fn trace_path(api: Api, trace: TraceId) -> String {
    match api {
        // Neither Jaeger's repairs of clock skew nor its merging of equal spans: what is stored.
        Api::Jaeger => format!("/api/v3/traces/{trace}?raw_traces=true"),
        Api::JaegerV2 => format!("/api/traces/{trace}?raw=true"),
        Api::Tempo => format!("/api/traces/{trace}"),
        Api::Zipkin => format!("/api/v2/trace/{trace}"),
    }
}

/// What says whether the store is there and speaks what is expected: a list of services, or Tempo's echo.
pub fn greeting_path(api: Api) -> &'static str {
    match api {
        Api::Jaeger => "/api/v3/services",
        Api::JaegerV2 => "/api/services",
        Api::Tempo => "/api/echo",
        Api::Zipkin => "/api/v2/services",
    }
}

/// A search, its time widened to whole units of the store.
pub fn search_path(api: Api, search: &Search) -> String {
    let Search { service, from_ns, to_ns, limit } = search;
    let up = |unit: u64| to_ns / unit + 1;
    match api {
        Api::Jaeger => format!(
            "/api/v3/traces?query.service_name={}&query.start_time_min={}&query.start_time_max={}&query.num_traces={limit}\
             &query.raw_traces=true",
            escaped(service),
            escaped(&rfc3339(from_ns / NANOS_PER_MICRO)),
            escaped(&rfc3339(up(NANOS_PER_MICRO))),
        ),
        Api::JaegerV2 => format!(
            "/api/traces?service={}&start={}&end={}&limit={limit}&raw=true",
            escaped(service),
            from_ns / NANOS_PER_MICRO,
            up(NANOS_PER_MICRO)
        ),
        Api::Tempo => format!(
            "/api/search?q={}&start={}&end={}&limit={limit}&spss=1",
            escaped(&format!("{{ resource.service.name = {} }}", quoted(service))),
            from_ns / NANOS_PER_SECOND,
            up(NANOS_PER_SECOND)
        ),
        Api::Zipkin => {
            let end_ms = up(NANOS_PER_MILLI);
            // Zipkin keeps service names in lower case.
            let service = service.to_lowercase();
            let lookback_ms = end_ms - from_ns / NANOS_PER_MILLI;
            format!(
                "/api/v2/traces?serviceName={}&endTs={end_ms}&lookback={lookback_ms}&limit={limit}",
                escaped(&service)
            )
        }
    }
}

/// A string of TraceQL: a backslash before quotes and backslashes; a character that no service's name has becomes a blank.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// What stands for itself: letters, digits and `-._~` (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

/// Microseconds since 1970 as RFC 3339 writes them in UTC, up to the year 586,524. The date by days since 0000-03-01 in
/// eras of 400 years (Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `civil_from_days`).
fn rfc3339(us: u64) -> String {
    let (seconds, us) = (us / 1_000_000, us % 1_000_000);
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
}

#[cfg(test)]
mod tests;
