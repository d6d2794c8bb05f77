//! The gates `probe` and `dependencies`: which calls both environments must be able to make, and whom green must have
//! called.

use super::endpoint::client_tls;
use super::metrics::is_on_this_machine;
use super::problems::{Expected, Place, Problems, list};
use super::quantity::{MAX_PATH_CHARACTERS, duration_ms, line, moment, prose, share, url_with_path, whole};
use super::raw::{RawAgent, RawCall, RawDependenciesGate, RawDependencyException, RawProbeGate, Section, Text};
use super::typed::{word, yes_or_no};
use integrations::{Address, Call, Calls, Coverage, Dependency, Method, Records, Slower, Target};
use model::{BasisPoints, ClientTls, Environment, PerEnvironment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Calls of a gate; `integrations` meets the bound again.
const MAX_CALLS: usize = 32;
/// Dependencies that are declared.
const MAX_DEPENDENCIES: usize = 200;
/// Characters of a host, a name or a service, and of a reason.
const MAX_CHARACTERS: usize = 500;
/// From the shortest a clock can tell to the longest that a call may take.
const TIMEOUT_MS: (u64, u64) = (10, 10_000);
/// As many as bounds of a median need for 32 calls (`integrations::needed_repetitions`), and some more.
const DEFAULT_REPETITIONS: u32 = 20;
const DEFAULT_TIMEOUT_MS: u64 = 2_000;
/// How much slower green may be without a word of the plan.
const DEFAULT_SLOWER_PERCENT: u32 = 50;
const DEFAULT_SLOWER_MS: u64 = 5;

/// Calls that both environments must be able to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeGate {
    /// The calls, which are within their bounds.
    pub calls: Vec<Call>,
    /// Who makes them inside of each environment.
    #[serde(default)]
    pub agents: PerEnvironment<Option<AgentPlan>>,
    /// Where there is no agent the server's own calls are meant.
    #[serde(default)]
    pub from_controller: bool,
    /// How much slower green's may be.
    pub slower: Slower,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentPlan {
    /// Where it listens.
    pub url: String,
    /// The file of its token, relative to the plan.
    pub token_file: String,
    /// What TLS needs beyond the defaults.
    #[serde(skip_serializing_if = "ClientTls::is_default", default)]
    pub tls: ClientTls,
}

/// Whom green must have called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DependenciesGate {
    /// What is demanded.
    pub coverage: Coverage,
    /// How it is known whose a span is.
    pub by: SpansOf,
}

/// How it is known whose a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpansOf {
    /// By the environment that served its trace.
    #[default]
    Serving,
    /// By the resource's `service.version`, which is the environment's `version`.
    Version,
}

/// `gates.probe`.
pub(super) fn probe(problems: &mut Problems, at: &Place, raw: &RawProbeGate) -> Option<ProbeGate> {
    let calls = list(problems, at, ("calls", MAX_CALLS), &raw.calls, call);
    let agents = match &raw.agents {
        None => Some(PerEnvironment::default()),
        Some(section) => {
            let at = at.key("agents", section);
            let blue = agent(problems, &at, Environment::Blue, &section.value.blue);
            let green = agent(problems, &at, Environment::Green, &section.value.green);
            blue.zip(green).map(|(blue, green)| PerEnvironment { blue, green })
        }
    };
    let from_controller = problems.or(at, "fromController", &raw.from_controller, false, yes_or_no);
    let slower = slower(problems, at, &raw.slower_by, &raw.slower_by_at_least);
    let calls = match Calls::new(calls?) {
        Ok(calls) => calls.iter().cloned().collect(),
        Err(error) => {
            let expected = "1 to 32 calls, each with a name of its own";
            problems.refuse_because(at, "calls that cannot be made", expected, error.to_string());
            return None;
        }
    };
    Some(ProbeGate { calls, agents: agents?, from_controller: from_controller?, slower: slower? })
}

fn slower(problems: &mut Problems, at: &Place, by: &Text, at_least: &Text) -> Option<Slower> {
    let percent = problems.or(at, "slowerBy", by, DEFAULT_SLOWER_PERCENT, |text| {
        Ok((share(text, 10_000, "50%")? * 100.0).round() as u32)
    });
    let ms = problems.or(at, "slowerByAtLeast", at_least, DEFAULT_SLOWER_MS, |text| duration_ms(text, (1, 60_000)));
    Some(Slower { by_percent: percent?, by_us: ms?.saturating_mul(1_000) })
}

fn agent(
    problems: &mut Problems,
    at: &Place,
    environment: Environment,
    raw: &Section<RawAgent>,
) -> Option<Option<AgentPlan>> {
    let Some(section) = raw else { return Some(None) };
    let (at, raw) = (at.key(environment.name(), section), &section.value);
    let wanted = "where the agent listens, such as https://10.0.1.5:7070";
    let url = problems.needed(&at, "url", &raw.url, wanted, url_with_path);
    let read = |text: &str| line(text, MAX_PATH_CHARACTERS);
    let token_file = problems.needed(&at, "tokenFile", &raw.token_file, "the file of the agent's token", read);
    let clear_text = url.as_ref().is_some_and(|url| url.starts_with("http://"));
    let tls = client_tls(problems, &at, &raw.tls, clear_text);
    if clear_text && url.as_ref().is_some_and(|url| !is_on_this_machine(url)) {
        let (expected, help) =
            ("an https:// URL, or one on this machine", "the agent's token could be read on the way");
        problems.refuse_because(&at, "an http:// URL", expected, help);
        return None;
    }
    Some(Some(AgentPlan { url: url?, token_file: token_file?, tls: tls? }))
}

fn call(problems: &mut Problems, at: &Place, raw: &RawCall) -> Option<Call> {
    let text = |text: &str| line(text, MAX_CHARACTERS);
    let name = problems.needed(at, "name", &raw.name, "what reasons call it, such as scheduling API", text);
    let read = |text: &str| whole(text, (1, 100));
    let repetitions = problems.or(at, "repetitions", &raw.repetitions, DEFAULT_REPETITIONS, read);
    let timeout = problems.or(at, "timeout", &raw.timeout, DEFAULT_TIMEOUT_MS, |text| duration_ms(text, TIMEOUT_MS));
    let to = target(problems, at, raw);
    let (repetitions, timeout_ms) = (u16::try_from(repetitions?).ok()?, u32::try_from(timeout?).ok()?);
    Some(Call { name: name?, to: to?, repetitions, timeout_ms })
}

fn target(problems: &mut Problems, at: &Place, raw: &RawCall) -> Option<Target> {
    let named = [
        ("http", &raw.http),
        ("tcp", &raw.tcp),
        ("tls", &raw.tls),
        ("dns", &raw.dns),
        ("grpcHealth", &raw.grpc_health),
    ];
    let named: Vec<&str> = named.into_iter().filter(|(_, text)| text.is_some()).map(|(name, _)| name).collect();
    let wanted =
        "one of `http`, `tcp`, `tls`, `dns` and `grpcHealth`, such as { name: bank, tcp: \"bank.example:443\" }";
    let [kind] = named[..] else {
        problems.refuse(at, format!("{} of them", named.len()), wanted);
        return None;
    };
    let others = [
        ("status", &raw.status, "http"),
        ("method", &raw.method, "http"),
        ("serverName", &raw.server_name, "tls"),
        ("minValidity", &raw.min_validity, "tls"),
        ("records", &raw.records, "dns"),
        ("service", &raw.service, "grpcHealth"),
    ];
    if let Some((key, _, of)) = others.into_iter().find(|(_, text, of)| text.is_some() && *of != kind) {
        problems.refuse(at, format!("`{key}` beside `{kind}`"), format!("`{key}` beside `{of}` alone"));
        return None;
    }
    let address = |text: &str| -> Result<Address, Expected> { text.parse().map_err(|_| "host:port".to_owned()) };
    match kind {
        "http" => {
            let url = problems.needed(at, "http", &raw.http, wanted, url_with_path);
            let status = problems.or(at, "status", &raw.status, 200, |text| whole(text, (100, 599)));
            let words = [("GET", Method::Get), ("HEAD", Method::Head), ("OPTIONS", Method::Options)];
            let method = problems.or(at, "method", &raw.method, Method::Get, |text| word(text, &words));
            let status = u16::try_from(status?).ok()?;
            Some(Target::Http { method: method?, url: url?, status, headers: Vec::new() })
        }
        "tcp" => {
            let to = problems.needed(at, "tcp", &raw.tcp, wanted, address)?;
            Some(Target::Tcp { host: to.host, port: to.port })
        }
        "tls" => {
            let to = problems.needed(at, "tls", &raw.tls, wanted, address);
            let name = problems.optional(at, "serverName", &raw.server_name, |text| line(text, MAX_CHARACTERS));
            let least = problems.or(at, "minValidity", &raw.min_validity, 0, |text| {
                duration_ms(text, (0, 3_660 * super::quantity::DAY_MS))
            });
            let to = to?;
            Some(Target::Tls { host: to.host, port: to.port, server_name: name?, min_validity_ms: least? })
        }
        "dns" => {
            let name = problems.needed(at, "dns", &raw.dns, wanted, |text| line(text, MAX_CHARACTERS));
            let words = [("A", Records::A), ("AAAA", Records::Aaaa), ("any", Records::Any)];
            let records = problems.or(at, "records", &raw.records, Records::Any, |text| word(text, &words));
            Some(Target::Dns { name: name?, records: records? })
        }
        _ => {
            let url = problems.needed(at, "grpcHealth", &raw.grpc_health, wanted, url_with_path);
            let service = problems.or(at, "service", &raw.service, String::new(), |text| line(text, MAX_CHARACTERS));
            Some(Target::GrpcHealth { url: url?, service: service? })
        }
    }
}

/// `gates.dependencies`.
pub(super) fn dependencies(problems: &mut Problems, at: &Place, raw: &RawDependenciesGate) -> Option<DependenciesGate> {
    let at_least = problems.or(at, "atLeast", &raw.at_least, 1, |text| whole(text, (1, 1_000_000_000)));
    let more_errors = problems.or(at, "moreErrors", &raw.more_errors, 0.01, |text| share(text, 100, "1%"));
    let slower = slower(problems, at, &raw.slower_by, &raw.slower_by_at_least);
    let words = [("serving", SpansOf::Serving), ("version", SpansOf::Version)];
    let by = problems.or(at, "by", &raw.by, SpansOf::default(), |text| word(text, &words));
    let exceptions = list(problems, at, ("exceptions", MAX_DEPENDENCIES), &raw.exceptions, exception);
    let mut same = BTreeMap::new();
    if let Some(section) = &raw.same {
        let at = at.key("same", section);
        for (blue, green) in &*section.value {
            match (dependency(blue), dependency(&green.value)) {
                (Ok(blue), Ok(green)) => {
                    same.insert(blue, green);
                }
                (found, _) => {
                    let wrong = if found.is_err() { blue } else { &green.value };
                    let wanted = "a dependency as reasons write it, such as http scheduling.hospital.example";
                    problems.refuse(&at.key(blue, green), super::error::quoted(wrong), wanted);
                    return None;
                }
            }
        }
    }
    let more_errors = BasisPoints::new((more_errors? * 10_000.0).round() as u16)?;
    let coverage =
        Coverage { at_least: u64::from(at_least?), more_errors, slower: slower?, same, exceptions: exceptions? };
    Some(DependenciesGate { coverage, by: by? })
}

fn dependency(text: &str) -> Result<Dependency, Expected> {
    let wanted = "a dependency as reasons write it, such as http scheduling.hospital.example";
    text.parse().map_err(|_| wanted.to_owned())
}

fn exception(problems: &mut Problems, at: &Place, raw: &RawDependencyException) -> Option<integrations::Exception> {
    let wanted = "a dependency as reasons write it, such as http scheduling.hospital.example";
    let dependency = problems.needed(at, "dependency", &raw.dependency, wanted, dependency);
    let read = |text: &str| prose(text, MAX_CHARACTERS);
    let reason = problems.needed(at, "reason", &raw.reason, "why green need not call it", read);
    let expires = problems.needed(at, "expires", &raw.expires, "until when, such as 2027-01-31", moment);
    Some(integrations::Exception { dependency: dependency?, reason: reason?, expires: expires? })
}
