//! The security gate: from which severity on a vulnerability counts, what is tolerated until when, and own rules.

use super::problems::{Place, Problems, list};
use super::quantity::{MAX_PATH_CHARACTERS, line, moment, name, prose, whole};
use super::raw::{RawDebugPort, RawException, RawPolicy, RawSecurityGate, Section};
use super::typed::word;
use model::{Environment, PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// Entries of each list: with all texts full the plan's own bound is met first.
const MAX_EXCEPTIONS: usize = 200;
const MAX_POLICIES: usize = 16;
const MAX_REPORTS: usize = 16;
const MAX_PORTS: usize = 25;
const MAX_CONTEXT: usize = 32;
/// Characters of an id, a component, a port's name or a value of the context.
const MAX_CHARACTERS: usize = 200;
/// Characters of a reason.
const MAX_REASON_CHARACTERS: usize = 500;
/// Characters of a policy.
const MAX_POLICY_CHARACTERS: usize = 32 * 1024;

/// What the security gate demands beyond that no setting of green's is weaker than blue's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityGate {
    /// From which severity on a vulnerability that green alone has fails the gate.
    pub at_least: Severity,
    /// What is tolerated.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exceptions: Vec<SecurityException>,
    /// Rules in Rego.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<SecurityPolicy>,
    /// Scanners' reports, relative to the plan.
    #[serde(skip_serializing_if = "no_reports", default)]
    pub reports: PerEnvironment<Vec<String>>,
    /// Ports that should not be open, beside the usual ones.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ports: Vec<DebugPort>,
    /// What the policies are told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub context: BTreeMap<String, ContextValue>,
}

fn no_reports(reports: &PerEnvironment<Vec<String>>) -> bool {
    reports.blue.is_empty() && reports.green.is_empty()
}

/// How bad a vulnerability is (CVSS 4.0, section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// 0.1 to 3.9.
    Low,
    /// 4.0 to 6.9.
    Medium,
    /// 7.0 to 8.9.
    #[default]
    High,
    /// 9.0 and more.
    Critical,
}

impl Severity {
    const ALL: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// A vulnerability or a weaker setting that is tolerated for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityException {
    /// The vulnerability's id or alias, or the setting's name (`auth.required`).
    pub id: String,
    /// Of this component or surface alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when; after that it counts again.
    pub expires: UnixMillis,
}

/// A policy by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityPolicy {
    /// What it is called in reasons.
    pub name: String,
    /// Its text; `None` for the one that is shipped under this name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rego: Option<String>,
}

/// A port that should not be open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DebugPort {
    /// Its number.
    pub port: u16,
    /// What listens there.
    pub name: String,
}

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContextValue {
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
}

/// `gates.security`.
pub(super) fn gate(problems: &mut Problems, at: &Place, raw: &RawSecurityGate) -> Option<SecurityGate> {
    let words = Severity::ALL.map(|severity| (severity.name(), severity));
    let at_least = problems.or(at, "atLeast", &raw.at_least, Severity::default(), |text| word(text, &words));
    let exceptions = list(problems, at, ("exceptions", MAX_EXCEPTIONS), &raw.exceptions, exception);
    let policies = list(problems, at, ("policies", MAX_POLICIES), &raw.policies, policy);
    let ports = list(problems, at, ("ports", MAX_PORTS), &raw.ports, port);
    let reports = match &raw.reports {
        None => Some(PerEnvironment::default()),
        Some(section) => {
            let at = at.key("reports", section);
            let of = |problems: &mut Problems, environment: Environment, raw| {
                list(problems, &at, (environment.name(), MAX_REPORTS), raw, |problems, at, raw: &String| {
                    report(problems, at, raw)
                })
            };
            let blue = of(problems, Environment::Blue, &section.value.blue);
            let green = of(problems, Environment::Green, &section.value.green);
            Some(PerEnvironment { blue: blue?, green: green? })
        }
    };
    let context = context(problems, at, &raw.context);
    let (Some(at_least), Some(exceptions), Some(policies)) = (at_least, exceptions, policies) else { return None };
    Some(SecurityGate { at_least, exceptions, policies, reports: reports?, ports: ports?, context: context? })
}

fn exception(problems: &mut Problems, at: &Place, raw: &RawException) -> Option<SecurityException> {
    let text = |text: &str| line(text, MAX_CHARACTERS);
    let wanted = "a vulnerability's id, such as CVE-2021-44228, or a setting's name, such as auth.required";
    let id = problems.needed(at, "id", &raw.id, wanted, text);
    let component = problems.optional(at, "component", &raw.component, text);
    let read = |text: &str| prose(text, MAX_REASON_CHARACTERS);
    let reason = problems.needed(at, "reason", &raw.reason, "why it is tolerated", read);
    let expires = problems.needed(at, "expires", &raw.expires, "until when, such as 2027-01-31", moment);
    Some(SecurityException { id: id?, component: component?, reason: reason?, expires: expires? })
}

fn policy(problems: &mut Problems, at: &Place, raw: &RawPolicy) -> Option<SecurityPolicy> {
    let wanted = "either { shipped: weaker-tls }, or `name` and `rego`";
    if raw.shipped.is_some() {
        if raw.name.is_some() || raw.rego.is_some() {
            problems.refuse(at, "`shipped` beside `name` or `rego`", wanted);
            return None;
        }
        let name = problems.needed(at, "shipped", &raw.shipped, wanted, name)?;
        return Some(SecurityPolicy { name, rego: None });
    }
    let name = problems.needed(at, "name", &raw.name, wanted, name);
    let is_short = |text: &str| match text.chars().count() {
        0..=MAX_POLICY_CHARACTERS => Ok(text.to_owned()),
        _ => Err(format!("a policy of at most {MAX_POLICY_CHARACTERS} characters")),
    };
    let rego = problems.needed(at, "rego", &raw.rego, "the policy's text (Rego)", is_short);
    Some(SecurityPolicy { name: name?, rego: Some(rego?) })
}

fn port(problems: &mut Problems, at: &Place, raw: &RawDebugPort) -> Option<DebugPort> {
    let number = |text: &str| {
        let number = whole(text, (1, u32::from(u16::MAX)))?;
        u16::try_from(number).map_err(|_| "a port".to_owned())
    };
    let port = problems.needed(at, "port", &raw.port, "a port, such as 8888", number);
    let name = problems.needed(at, "name", &raw.name, "what listens there", |text| line(text, MAX_CHARACTERS));
    Some(DebugPort { port: port?, name: name? })
}

fn report(problems: &mut Problems, at: &Place, raw: &str) -> Option<String> {
    let refused = |expected| problems.refuse(at, super::error::quoted(raw), expected);
    line(raw, MAX_PATH_CHARACTERS).map_err(refused).ok()
}

fn context(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<BTreeMap<String, Spanned<String>>>,
) -> Option<BTreeMap<String, ContextValue>> {
    let Some(section) = raw else { return Some(BTreeMap::new()) };
    let at = parent.key("context", section);
    if section.value.len() > MAX_CONTEXT {
        problems.refuse(&at, format!("{} entries", section.value.len()), format!("at most {MAX_CONTEXT}"));
        return None;
    }
    let read = section.value.iter().map(|(name, value)| {
        match (line(name, MAX_CHARACTERS), line(&value.value, MAX_CHARACTERS)) {
            (Ok(name), Ok(text)) => Some((name, text.parse().map_or(ContextValue::Text(text), ContextValue::Number))),
            (Err(expected), _) | (_, Err(expected)) => {
                problems.refuse(&at.key(name, value), super::error::quoted(&value.value), expected);
                None
            }
        }
    });
    read.collect::<Vec<_>>().into_iter().collect()
}
