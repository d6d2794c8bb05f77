//! The plan: what one rollout shall do, in which order, and what stops it. [`parse`] turns the YAML that a person wrote
//! into a [`Plan`], or says for every place what was found and what was expected; [`preview`] says what would happen.
//!
//! A `Plan` that exists is a plan that may run: every rule is checked while it is made. It is stored in ledger records
//! as JSON, and approvals bind to its [`Plan::digest`]. Nothing here reads a file, a clock or the network.

mod acceptance;
mod approval;
mod canary;
mod endpoint;
mod environments;
mod error;
mod gate_name;
mod gates;
mod integration;
mod leak;
mod load;
mod locate;
mod metrics;
mod migration;
mod point;
mod preview;
mod problems;
mod quantity;
mod query;
mod raw;
mod redaction;
mod security;
mod sources;
mod step;
mod strategy;
mod tests_gate;
mod text_or;
mod transformations;
mod typed;

pub use acceptance::AcceptanceGate;
pub use approval::{ApprovalGate, BreakGlass, Proofs};
pub use canary::{CanaryPlan, OnLeak};
pub use error::{PlanError, PlanErrors};
pub use gate_name::GateName;
pub use integration::{AgentPlan, DependenciesGate, ProbeGate, SpansOf};
pub use leak::{LeakGuard, Tolerated};
pub use load::{LoadGate, LoadSource};
pub use migration::{
    DatabasePlan, DsnPlan, MigrationGate, OlderTracesPlan, QueryPlan, Reasoned, RelationPlan, SchemaPlan, TablePlan,
};
pub use point::PointOfNoReturn;
pub use security::{ContextValue, DebugPort, SecurityException, SecurityGate, SecurityPolicy, Severity};
pub use sources::{CommandSource, ConfigSource, GitSource, HttpSource};
pub use step::Step;
pub use tests_gate::{TestException, TestSource, TestsGate};
pub use text_or::TextOr;
pub use transformations::{AttributeChanges, SpanPart, TimeUnit, Transformations};

pub use preview::{Detection, EnvironmentPreview, Evidence, Preview, Proof, StepPreview, preview};

use model::{BasisPoints, ClientTls, Environment, PerEnvironment, UnixMillis, Upstream};
use redact::Policy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A plan is one page of YAML; 1 MiB is a thousand of them, and bounds what the parser may hold.
pub const MAX_PLAN_BYTES: usize = 1 << 20;

/// A ledger record holds at most 64 KiB (the entry of tlog-tiles) and the plan stands in one beside names, times and
/// keys: 48 KiB leaves a quarter of it to them.
pub const MAX_PLAN_JSON_BYTES: usize = 48 * 1024;

/// More steps than this are not a plan that a person reads before approving it.
pub const MAX_STEPS: usize = 64;

/// Traces a second as a plan writes them, `500/s`; or what was expected.
pub fn parse_rate_per_s(text: &str) -> Result<f64, String> {
    quantity::rate_per_s(text)
}

/// A look at a trace store is over so long before the horizon, for its answer to come and to be told of. What is read
/// in the place of a tap needs a horizon longer by that than its settling time.
pub const STORE_MARGIN_MS: u64 = 30_000;

/// A share above 0 % and up to `most` percent as a plan writes it, `0.1%`; or what was expected, with `example`.
pub fn parse_share(text: &str, most: u32, example: &str) -> Result<f64, String> {
    quantity::share(text, most, example)
}

/// A duration between two bounds in milliseconds as a plan writes it, `10m`; or what was expected.
pub fn parse_duration_within(text: &str, bounds_ms: (u64, u64)) -> Result<u64, String> {
    quantity::duration_ms(text, bounds_ms)
}

/// A probability above 0 and up to 0.5 as a plan writes it, `0.001`; or what was expected.
pub fn parse_chance(text: &str) -> Result<f64, String> {
    quantity::chance(text)
}

/// One rollout, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// `metadata.name`: `[a-z0-9]([-a-z0-9.]*)`, at most 63 characters.
    pub name: String,
    /// `metadata.change`: the ticket.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<String>,
    /// `metadata.reason`: why this is done.
    pub reason: String,
    /// `metadata.impact`: whom it touches.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub impact: Option<String>,
    /// `metadata.authors`: the principals who wrote it, who like the one who starts it cannot approve it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub authors: Vec<String>,
    /// What is rolled out.
    pub subject: Subject,
    /// The two environments.
    pub environments: PerEnvironment<EnvironmentPlan>,
    /// What happens, in order: 1 to [`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// What its [`Step::PointOfNoReturn`] asks for, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub point_of_no_return: Option<PointOfNoReturn>,
    /// How the gates are configured that the steps name.
    pub gates: Gates,
    /// What is watched all the time.
    pub guards: Guards,
    /// How sure the judge must be.
    pub analysis: Analysis,
    /// How long a span may take to come out.
    pub verification: Verification,
    /// How canaries are planted; `None` if they are not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canary: Option<CanaryPlan>,
    /// What the gateway must be shown before it raises the candidate's weight; `None` if nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proofs: Option<Proofs>,
    /// What is replaced in the copies that the candidate gets; `None` if they go as they are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub redaction: Option<Policy>,
    /// What traffic is expected; only forecasts are made from it.
    pub traffic: Traffic,
    /// How long after its last span a trace stays in the environment where it began, in milliseconds.
    pub pin_ms: u64,
}

/// What is rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// A tracing pipeline: OTLP in, OTLP out.
    Pipeline,
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentPlan {
    /// The version that runs there.
    pub version: String,
    /// What was deployed, `sha256:` and 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact: Option<String>,
    /// Where it takes OTLP, and what its tap is called.
    pub upstream: Upstream,
    /// Where its configuration lies as it was declared, for the drift gate and guard.
    pub config: Vec<ConfigSource>,
    /// Where one sees the configuration that runs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub live: Vec<ConfigSource>,
    /// How its trace store is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<StoreQuery>,
    /// What its pipeline is meant to change of the spans.
    #[serde(skip_serializing_if = "Transformations::is_nothing", default)]
    pub transformations: Transformations,
}

/// How the trace store behind an environment's pipeline is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreQuery {
    /// What it speaks.
    pub api: StoreApi,
    /// `http://host:port` or `https://host:port`, with the path that it is below.
    pub url: String,
    /// What TLS needs beyond the defaults.
    #[serde(skip_serializing_if = "ClientTls::is_default", default)]
    pub tls: ClientTls,
    /// The file of the token that it is shown, relative to the plan.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bearer_token_file: Option<String>,
    /// So many milliseconds after its last hand-over a trace should be there whole.
    pub settle_ms: u64,
    /// The share of traces that it is asked for, chosen by hash; above 0.
    pub share: BasisPoints,
    /// Whether what it has is what came out: the environment has no tap.
    pub replaces_tap: bool,
}

impl StoreQuery {
    /// The same with its relative paths starting from `folder`.
    pub fn under(&self, folder: &Path) -> StoreQuery {
        let PrometheusServer { url, tls, bearer_token_file } = PrometheusServer {
            url: self.url.clone(),
            tls: self.tls.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
        }
        .under(folder);
        StoreQuery { url, tls, bearer_token_file, ..self.clone() }
    }
}

/// What a trace store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoreApi {
    /// Jaeger's API v3.
    Jaeger,
    /// The JSON of Jaeger's own page.
    JaegerV2,
    /// Tempo's HTTP API.
    Tempo,
    /// Zipkin's API v2.
    Zipkin,
}

impl StoreApi {
    /// All of them, in the order in which messages name them.
    pub const ALL: [StoreApi; 4] = [StoreApi::Jaeger, StoreApi::JaegerV2, StoreApi::Tempo, StoreApi::Zipkin];

    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            StoreApi::Jaeger => "jaeger",
            StoreApi::JaegerV2 => "jaegerV2",
            StoreApi::Tempo => "tempo",
            StoreApi::Zipkin => "zipkin",
        }
    }
}

/// How the gates are configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gates {
    /// The drift gate, and the drift guard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drift: Option<DriftGate>,
    /// The approval gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<ApprovalGate>,
    /// The security gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub security: Option<SecurityGate>,
    /// The acceptance gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acceptance: Option<AcceptanceGate>,
    /// The tests gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tests: Option<TestsGate>,
    /// The migration gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub migration: Option<MigrationGate>,
    /// Calls of the probe gate, beside its empty export.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probe: Option<ProbeGate>,
    /// The dependencies gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dependencies: Option<DependenciesGate>,
    /// The load gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load: Option<LoadGate>,
}

/// What may differ between the two configurations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftGate {
    /// Between green and blue every other difference fails the gate.
    pub expected: Vec<ExpectedDifference>,
    /// Between what runs and what was declared, of both environments, every other difference fails the gate.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expected_live: Vec<ExpectedDifference>,
}

/// One difference that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedDifference {
    /// Where in the configuration, with dots: `exporters.otlp.endpoint`, or in one Kubernetes object,
    /// `Deployment/shop/checkout: spec.replicas`. It covers what is below it; empty, with `within`, the whole file.
    pub path: String,
    /// In which file alone.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none", default)]
    pub within: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when; after that it fails the gate again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<UnixMillis>,
}

/// What is watched all the time, and rolls back when it breaks. At least one is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guards {
    /// What the judge decides from observations.
    pub judged: judge::Guards,
    /// Whether the configurations still differ only where it is expected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drift: Option<DriftGuard>,
    /// What follows if green puts out sensitive values that blue does not; `None` if nobody looks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leaks: Option<LeakGuard>,
    /// Where each of the judge's metrics is asked for, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<MetricSource>,
}

/// Where a metric from outside comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSource {
    /// The metric's name.
    pub metric: String,
    /// Who counts.
    pub from: MetricFrom,
    /// What follows while the source fails.
    pub on_error: OnError,
}

/// Who counts a metric's units and events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum MetricFrom {
    /// A Prometheus is asked.
    Prometheus {
        /// Which.
        server: Box<PrometheusServer>,
        /// PromQL for the units with an event so far, one number that only grows.
        events: PerEnvironment<String>,
        /// PromQL for all units so far.
        total: PerEnvironment<String>,
    },
    /// Whoever asks both environments' trace stores counts what came of it.
    Stores(StoreCheck),
}

/// What is counted of trace stores. The units are traces that a store was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoreCheck {
    /// The event: a trace is not there whole when it should have settled (STATISTICS.md, check 18).
    Freshness,
    /// The event: a trace that both stores give by its id is not found by a search (check 17).
    QueryParity,
}

impl StoreCheck {
    /// Both.
    pub const ALL: [StoreCheck; 2] = [StoreCheck::Freshness, StoreCheck::QueryParity];

    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            StoreCheck::Freshness => "freshness",
            StoreCheck::QueryParity => "queryParity",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            StoreCheck::Freshness => "traces that are not whole in the store when they should have settled",
            StoreCheck::QueryParity => "traces that both stores have, and that a search does not find",
        }
    }
}

/// A Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusServer {
    /// `http://host:port` or `https://host:port`, with the path that it is below.
    pub url: String,
    /// What TLS needs beyond the defaults.
    #[serde(skip_serializing_if = "ClientTls::is_default", default)]
    pub tls: ClientTls,
    /// The file of the token that it is shown, relative to the plan.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bearer_token_file: Option<String>,
}

impl PrometheusServer {
    /// The same with its relative paths starting from `folder`.
    pub fn under(&self, folder: &Path) -> PrometheusServer {
        let join = |path: &String| folder.join(path).to_string_lossy().into_owned();
        PrometheusServer {
            url: self.url.clone(),
            tls: self.tls.under(folder),
            bearer_token_file: self.bearer_token_file.as_ref().map(join),
        }
    }
}

/// What follows while a metric's source fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnError {
    /// The rollout stands still until the source is back.
    #[default]
    Hold,
    /// Back to the active environment.
    Rollback,
    /// The metric is left out until the source is back.
    Ignore,
}

impl OnError {
    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            OnError::Hold => "hold",
            OnError::Rollback => "rollback",
            OnError::Ignore => "ignore",
        }
    }
}

/// The drift gate, again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftGuard {
    /// Milliseconds from one comparison to the next.
    pub every_ms: u64,
}

/// How sure the judge must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Analysis {
    /// The chance that a good candidate is rolled back, over the whole rollout and all guards together; in (0, 0.5].
    pub false_alarm: f64,
    /// The chance that a candidate just at the margin is promoted; in (0, 0.5].
    pub false_promotion: f64,
    /// What happens when an analysis ends without a proof.
    pub on_inconclusive: OnInconclusive,
    /// The length of an observation in milliseconds of assignment time, 1 to 6 s (STATISTICS.md, "the batch").
    pub batch_ms: u64,
}

/// What happens when an analysis ends without a proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// The rollout stands still until a person decides.
    #[default]
    Hold,
    /// The analysis goes on.
    Extend,
    /// Back to the active environment.
    Rollback,
}

impl OnInconclusive {
    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            OnInconclusive::Hold => "hold",
            OnInconclusive::Extend => "extend",
            OnInconclusive::Rollback => "rollback",
        }
    }
}

/// How long a span may take to come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verification {
    /// A span that has not come out this many milliseconds after it was sent is lost (STATISTICS.md, H).
    pub horizon_ms: u64,
    /// How many milliseconds after the end of its batch a trace's spans still count as its own: the services of one
    /// trace do not send at once.
    pub linger_ms: u64,
}

/// What traffic is expected. Only forecasts are made from it, no decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// New traces a second, both environments together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_traces_per_s: Option<f64>,
    /// The share of traces with an error span, where nothing is wrong.
    pub errors: f64,
}

impl Plan {
    /// The share of traces that verification looks at, where a trace store takes the place of a tap: the same traces of
    /// both environments.
    pub fn verified_share(&self) -> BasisPoints {
        let of = |environment: Environment| {
            let query = self.environments[environment].query.as_ref();
            query.filter(|query| query.replaces_tap).map_or(BasisPoints::ALL, |query| query.share)
        };
        of(Environment::Blue).min(of(Environment::Green))
    }
}

/// Reads a plan. Every rule that can be checked is checked, so that one call names every mistake; where the YAML has
/// not the shape of a plan (an unknown key, a list for a name), the first such place alone is named.
pub fn parse(yaml: &str) -> Result<Plan, PlanErrors> {
    if yaml.len() > MAX_PLAN_BYTES {
        return Err(PlanErrors::from(error::too_long(yaml.len())));
    }
    let plan = Plan::try_from(raw::read(yaml).map_err(|error| error::shape(&error, yaml))?)?;
    let length = plan.canonical_json().len();
    if length > MAX_PLAN_JSON_BYTES {
        return Err(PlanErrors::from(error::too_long_for_a_record(length)));
    }
    Ok(plan)
}

impl Plan {
    /// `sha256:` and the hexadecimal SHA-256 of the plan's canonical JSON (RFC 8785): what approvals bind to. Comments,
    /// order of keys and the spelling of defaults in the YAML do not change it.
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.canonical_json());
        hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// The bytes that the digest is of.
    pub fn canonical_json(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self).expect("a plan has text keys only, and no number that is not finite")
    }
}

#[cfg(test)]
mod tests;
