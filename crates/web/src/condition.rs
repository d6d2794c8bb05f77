//! What is measured of a server and whether it serves, as values: whoever puts the server together knows, and this crate shows.

use std::sync::Arc;

/// The shell's side of `/metrics` and `/readyz`.
#[derive(Clone)]
pub struct Condition {
    /// The families of a scrape that are not about a rollout, from snapshots of this moment; nothing is counted for it.
    pub metrics: Arc<dyn Fn() -> Vec<Family> + Send + Sync>,
    /// Why the server does not serve yet, or not any more, one sentence each. Nothing that only some may know.
    pub unready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl Default for Condition {
    /// Nothing is measured, and it serves.
    fn default() -> Condition {
        Condition { metrics: Arc::new(Vec::new), unready: Arc::new(Vec::new) }
    }
}

/// How a family counts (OpenMetrics 1.0, "Metric Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up; its samples are named with `_total`.
    Counter,
    /// Is 1, and its labels say something.
    Info,
}

/// A metric family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, without `_total` or `_info`, and with its unit at the end where it has one.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// Its unit, which the name ends with: `seconds`, `bytes`, `ratio`.
    pub unit: Option<&'static str>,
    /// How it counts.
    pub kind: Kind,
    /// What there is of it.
    pub samples: Vec<Sample>,
}

/// One value of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values; names are ours, values are anything.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
    /// A trace that shows it; of a counter alone.
    pub exemplar: Option<Exemplar>,
}

/// A trace that shows what was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Its id, 32 hexadecimal digits.
    pub trace_id: String,
}

impl Sample {
    /// A value.
    pub fn of<const N: usize>(labels: [(&'static str, &str); N], value: f64) -> Sample {
        Sample {
            labels: labels.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
            value,
            exemplar: None,
        }
    }
}

impl Family {
    /// A gauge without a unit.
    pub fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
        Family { name, help, unit: None, kind: Kind::Gauge, samples }
    }

    /// A counter without a unit.
    pub fn counter(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Family {
        Family { kind: Kind::Counter, ..Family::gauge(name, help, samples) }
    }

    /// In a unit.
    #[must_use]
    pub fn in_unit(self, unit: &'static str) -> Family {
        debug_assert!(self.name.ends_with(unit), "OpenMetrics has the unit at the end of the name: {}", self.name);
        Family { unit: Some(unit), ..self }
    }

    /// What there is of it, as OpenMetrics 1.0 text. A family without a sample is left out.
    pub(crate) fn write(&self, out: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let Family { name, help, unit, kind, samples } = self;
        let (word, suffix) = match kind {
            Kind::Gauge => ("gauge", ""),
            Kind::Counter => ("counter", "_total"),
            Kind::Info => ("info", "_info"),
        };
        out.push_str(&format!("# TYPE {name} {word}\n"));
        if let Some(unit) = unit {
            out.push_str(&format!("# UNIT {name} {unit}\n"));
        }
        out.push_str(&format!("# HELP {name} {}\n", escaped(help)));
        for Sample { labels, value, exemplar } in samples {
            let pairs: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            out.push_str(&format!("{name}{suffix}{labels} {}", number(*value)));
            if let Some(Exemplar { trace_id }) = exemplar.as_ref().filter(|_| *kind == Kind::Counter) {
                out.push_str(&format!(" # {{trace_id=\"{}\"}} 1", escaped(trace_id)));
            }
            out.push('\n');
        }
    }
}

/// OpenMetrics 1.0, ABNF of `escaped-string`.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Exemplar, Family, Kind, Sample};

    fn check(family: &Family, expected: &str) {
        let mut out = String::new();
        family.write(&mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_family_is_written_as_openmetrics_has_it() {
        let exemplar = Some(Exemplar { trace_id: "ab".repeat(16) });
        let lost = Sample { exemplar, ..Sample::of([("environment", "green")], 3.0) };
        let text = "# TYPE v_lost counter\n# HELP v_lost Lost.\nv_lost_total{environment=\"green\"} 3 \
                    # {trace_id=\"abababababababababababababababab\"} 1\n";
        check(&Family::counter("v_lost", "Lost.", vec![lost]), text);
        let age = Family::gauge("v_age_seconds", "Age.", vec![Sample::of([], 0.5)]).in_unit("seconds");
        check(
            &age,
            "# TYPE v_age_seconds gauge\n# UNIT v_age_seconds seconds\n# HELP v_age_seconds Age.\nv_age_seconds 0.5\n",
        );
        check(&Family::gauge("v_none", "Nothing.", Vec::new()), "");
    }

    #[test]
    fn what_is_in_a_label_cannot_end_it() {
        let hostile = Sample::of([("name", "a\"} 1\n# EOF\\")], f64::NEG_INFINITY);
        let info = Family { kind: Kind::Info, ..Family::gauge("v", "It \\ is.", vec![hostile]) };
        check(&info, "# TYPE v info\n# HELP v It \\\\ is.\nv_info{name=\"a\\\"} 1\\n# EOF\\\\\"} -Inf\n");
    }
}
