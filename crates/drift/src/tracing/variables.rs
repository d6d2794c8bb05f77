//! The `OTEL_` variables of one service (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).

use super::services::{Service, Variable};
use super::{Report, Rule, told, transport};
use std::collections::BTreeMap;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// What an SDK does without the variable.
const DEFAULTS: [(&str, &str); 3] =
    [(SAMPLER, "parentbased_always_on"), (SAMPLER_ARGUMENT, "1"), (PROPAGATORS, "tracecontext,baggage")];

pub(super) fn compare(blue: &Service<'_>, green: &Service<'_>, report: &mut Report) {
    for ((_, name), (blue_variable, green_variable)) in pairs(blue, green) {
        if !name.starts_with("OTEL_") {
            continue;
        }
        // One that is missing has the place that it has in blue.
        let Some(at) = green_variable.or(blue_variable) else { continue };
        let (file, path) = (at.file, at.path.clone());
        let (blue_value, green_value) = (blue_variable.map(|one| one.value), green_variable.map(|one| one.value));
        if blue_value == green_value {
            continue;
        }
        let told = (told(blue_value), told(green_value));
        let service = blue.name;
        if let Some((_, default)) = DEFAULTS.iter().find(|(known, _)| *known == name) {
            let (blue_value, green_value) = (or_default(blue_variable, default), or_default(green_variable, default));
            if spelled(name, &blue_value) != spelled(name, &green_value) {
                let rule = if name == PROPAGATORS { Rule::PropagatorsDiffer } else { Rule::SamplingDiffers };
                let what = format!("service {service}: {name} is {blue_value} in blue, {green_value} in green");
                report.push(rule, file, path, &what);
            }
            continue;
        }
        let Some(blue_variable) = blue_variable else {
            insecure_alone(name, green_variable, service, report);
            continue;
        };
        let Some(green_variable) = green_variable else {
            let what = format!("service {service} lacks {name} in green: blue sets {}", told.0);
            report.push(Rule::VariableMissing, file, path, &what);
            continue;
        };
        transport::variable(name, blue_variable, green_variable, service, report);
        let what = match told.0 == told.1 {
            true => format!("service {service}: {name} has another value in green, which is not shown"),
            false => format!("service {service}: {name} is {} in blue, {} in green", told.0, told.1),
        };
        report.push(Rule::VariableChanged, file, path, &what);
    }
}

type Pair<'a, 'b> = (Option<&'b Variable<'a>>, Option<&'b Variable<'a>>);

/// The variables of both, by container and name.
fn pairs<'a, 'b>(blue: &'b Service<'a>, green: &'b Service<'a>) -> BTreeMap<(&'a str, &'a str), Pair<'a, 'b>> {
    let mut pairs: BTreeMap<_, Pair<'a, 'b>> = BTreeMap::new();
    for (key, variable) in &blue.variables {
        pairs.entry(*key).or_default().0 = Some(variable);
    }
    for (key, variable) in &green.variables {
        pairs.entry(*key).or_default().1 = Some(variable);
    }
    pairs
}

/// `OTEL_EXPORTER_OTLP_INSECURE=true` is a finding where blue says nothing.
fn insecure_alone(name: &str, green: Option<&Variable<'_>>, service: &str, report: &mut Report) {
    if let Some(green) = green.filter(|green| name.ends_with("_INSECURE") && super::is_true(Some(green.value))) {
        let what = format!("service {service} exports without TLS in green: {name} is true");
        report.push(Rule::TlsWeakened, green.file, green.path.clone(), &what);
    }
}

fn or_default(variable: Option<&Variable<'_>>, default: &str) -> String {
    variable.map_or_else(|| format!("{default} (the default)"), |variable| told(Some(variable.value)))
}

/// `tracecontext, baggage` and `tracecontext,baggage` are one list; `0.10` and `0.1` one ratio.
fn spelled(name: &str, value: &str) -> String {
    let value = value.strip_suffix(" (the default)").unwrap_or(value);
    if name == SAMPLER_ARGUMENT
        && let Ok(ratio) = value.trim().parse::<f64>()
    {
        return ratio.to_string();
    }
    let parts: Vec<String> = value.split(',').map(|part| part.trim().to_ascii_lowercase()).collect();
    parts.join(",")
}
