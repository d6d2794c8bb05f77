use model::{Check, Environment};
use serde::{Deserialize, Serialize};

/// What the judge is to hold the candidate to, fixed for a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The environment that is judged; the other one is the active one.
    pub candidate: Environment,
    /// Probability of ever failing a candidate that is no worse, over the whole rollout and all guards; above 0, below
    /// 1.
    pub false_alarm: f64,
    /// Probability of ever proving a guard that does not hold; above 0, below 1.
    pub false_promotion: f64,
    /// How many batches an hour has: the prior for when a late regression begins. 0 is read as 1.
    pub batches_per_hour: u32,
    /// The conditions.
    pub guards: Guards,
}

/// The conditions that are judged. Absent means: not judged, and not needed for a pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Guards {
    /// Traces that lose a span.
    pub span_loss: Option<SpanLoss>,
    /// Traces with an error span, and traces whose export fails.
    pub error_rate: Option<ErrorRate>,
    /// How long the pipeline takes.
    pub latency: Option<Latency>,
    /// How long services take, and how often they call each other, as their own spans say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_latency: Option<Latency>,
    /// Operations and edges of which nothing comes out.
    pub blind_spots: Option<BlindSpots>,
    /// Other differences between what was sent and what came out.
    pub findings: Option<Findings>,
    /// Metrics from outside, each a guard by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricGuard>,
}

/// Spans must come out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpanLoss {
    /// The share of traces that may lose a span, 0.0 to 1.0.
    pub at_most: f64,
}

/// Errors must not become more frequent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErrorRate {
    /// Absolute share of traces, 0.0 to 1.0: 0.005 is half a percentage point.
    pub worse_than_active_by: f64,
}

/// The pipeline must not become slower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// The quantile that decides whether a slowdown matters, above 0.0 and below 1.0.
    pub quantile: f64,
    /// Relative: 0.2 is 20 %. The histograms have steps of 9 %, so a margin below that can alarm but never be proved.
    pub worse_than_active_by: f64,
}

/// Nothing may become invisible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlindSpots {
    /// How many operations or edges may be blind.
    pub at_most: u32,
}

/// Duplicated, fabricated, orphaned and re-parented spans, missing attributes, changed resources: each by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Findings {
    /// Absolute share of traces, 0.0 to 1.0.
    pub worse_than_active_by: f64,
}

/// Units that somebody else counts must not have their event more often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricGuard {
    /// What it is called; no other metric of the plan is called so.
    pub name: String,
    /// Absolute share of its units, 0.0 to 1.0: 0.005 is half a percentage point.
    pub worse_than_active_by: f64,
    /// Whether a pass needs its proof.
    pub critical: bool,
    /// Milliseconds from one reading to the next; above 0.
    pub every_ms: u64,
}

/// The guards by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Guard {
    /// [`SpanLoss`].
    SpanLoss,
    /// [`ErrorRate`].
    ErrorRate,
    /// [`Latency`].
    Latency,
    /// [`Guards::service_latency`].
    ServiceLatency,
    /// [`BlindSpots`].
    BlindSpots,
    /// [`Findings`].
    Findings,
    /// One of the [`MetricGuard`]s; which one is said beside it.
    Metrics,
}

impl Guard {
    /// All that look at traces, in the order of plans and reports. [`Guard::Metrics`] is as many guards as the plan has
    /// metrics, behind these.
    pub const ALL: [Guard; 6] =
        [Guard::SpanLoss, Guard::ErrorRate, Guard::Latency, Guard::ServiceLatency, Guard::BlindSpots, Guard::Findings];

    /// In words, as a person would say it.
    pub fn words(self) -> &'static str {
        match self {
            Guard::SpanLoss => "span loss",
            Guard::ErrorRate => "error rate",
            Guard::Latency => "latency",
            Guard::ServiceLatency => "service latency",
            Guard::BlindSpots => "blind spots",
            Guard::Findings => "findings",
            Guard::Metrics => "a metric from outside",
        }
    }

    /// The key of the plan.
    pub fn name(self) -> &'static str {
        match self {
            Guard::SpanLoss => "spanLoss",
            Guard::ErrorRate => "errorRate",
            Guard::Latency => "latency",
            Guard::ServiceLatency => "serviceLatency",
            Guard::BlindSpots => "blindSpots",
            Guard::Findings => "findings",
            Guard::Metrics => "metrics",
        }
    }

    /// The guard that judges a check.
    pub fn of(check: Check) -> Guard {
        match check {
            Check::LostSpan => Guard::SpanLoss,
            Check::ErrorSpan | Check::ExportFailure => Guard::ErrorRate,
            Check::Slow => Guard::Latency,
            Check::SlowOperation | Check::SlowCall | Check::MoreCalls => Guard::ServiceLatency,
            Check::BlindSpot => Guard::BlindSpots,
            Check::DuplicatedSpan
            | Check::FabricatedSpan
            | Check::Orphan
            | Check::Reparented
            | Check::ManyRoots
            | Check::Cycle
            | Check::SplitTrace
            | Check::NewDependency
            | Check::SampledOut
            | Check::MissingAttribute
            | Check::AddedAttribute
            | Check::ChangedType
            | Check::ChangedValue
            | Check::ChangedContext
            | Check::ChangedTime
            | Check::ClockSkew
            | Check::ChangedResource => Guard::Findings,
            Check::External => Guard::Metrics,
        }
    }

    /// The checks that the guard judges, each a metric of its own.
    pub fn checks(self) -> &'static [Check] {
        match self {
            Guard::SpanLoss => &[Check::LostSpan],
            Guard::ErrorRate => &[Check::ErrorSpan, Check::ExportFailure],
            Guard::Latency => &[Check::Slow],
            Guard::ServiceLatency => &[Check::SlowOperation, Check::SlowCall, Check::MoreCalls],
            Guard::BlindSpots => &[Check::BlindSpot],
            Guard::Findings => &[
                Check::DuplicatedSpan,
                Check::FabricatedSpan,
                Check::Orphan,
                Check::Reparented,
                Check::ManyRoots,
                Check::Cycle,
                Check::SplitTrace,
                Check::NewDependency,
                Check::SampledOut,
                Check::MissingAttribute,
                Check::AddedAttribute,
                Check::ChangedType,
                Check::ChangedValue,
                Check::ChangedContext,
                Check::ChangedTime,
                Check::ClockSkew,
                Check::ChangedResource,
            ],
            Guard::Metrics => &[Check::External],
        }
    }
}

impl Guards {
    /// Whether the plan has the guard.
    pub fn has(&self, guard: Guard) -> bool {
        match guard {
            Guard::SpanLoss => self.span_loss.is_some(),
            Guard::ErrorRate => self.error_rate.is_some(),
            Guard::Latency => self.latency.is_some(),
            Guard::ServiceLatency => self.service_latency.is_some(),
            Guard::BlindSpots => self.blind_spots.is_some(),
            Guard::Findings => self.findings.is_some(),
            Guard::Metrics => !self.metrics.is_empty(),
        }
    }

    /// The weight of one metric of this guard in the sum of e-values: equal over the guards that the plan has, then
    /// over the guard's metrics; 0 for a guard that it does not have. A metric from outside counts as a guard.
    pub fn metric_weight(&self, guard: Guard) -> f64 {
        let guards = Guard::ALL.into_iter().filter(|guard| self.has(*guard)).count() + self.metrics.len();
        if self.has(guard) { 1.0 / (guards * guard.checks().len()) as f64 } else { 0.0 }
    }
}

impl Config {
    /// What makes the configuration unusable, for a person; `None` if it can be judged by.
    pub fn problem(&self) -> Option<String> {
        let Guards { span_loss, error_rate, latency, service_latency, blind_spots: _, findings, metrics } =
            &self.guards;
        let probability = |name: std::fmt::Arguments<'_>, value: f64| {
            let usable = value > 0.0 && value < 1.0;
            (!usable).then(|| format!("{name} is {value}; expected more than 0 and less than 1"))
        };
        let share = |name: &str, value: Option<f64>| {
            let value = value.filter(|value| !(0.0..=1.0).contains(value))?;
            Some(format!("{name} is {value}; expected a share from 0 to 1"))
        };
        probability(format_args!("falseAlarm"), self.false_alarm)
            .or_else(|| probability(format_args!("falsePromotion"), self.false_promotion))
            .or_else(|| share("spanLoss.atMost", span_loss.as_ref().map(|guard| guard.at_most)))
            .or_else(|| share("errorRate.worseThanActiveBy", error_rate.as_ref().map(|it| it.worse_than_active_by)))
            .or_else(|| share("findings.worseThanActiveBy", findings.as_ref().map(|it| it.worse_than_active_by)))
            .or_else(|| {
                [("latency", latency), ("serviceLatency", service_latency)].into_iter().find_map(|(name, guard)| {
                    let Latency { quantile, worse_than_active_by: margin } = guard.as_ref()?;
                    let usable = (0.0..=MAX_LATENCY_MARGIN).contains(margin);
                    probability(format_args!("{name}.quantile"), *quantile).or_else(|| {
                        (!usable).then(|| {
                            format!("{name}.worseThanActiveBy is {margin}; expected 0 to {MAX_LATENCY_MARGIN}")
                        })
                    })
                })
            })
            .or_else(|| {
                metrics.iter().find_map(|it| {
                    share(&format!("metrics.{}.worseThanActiveBy", it.name), Some(it.worse_than_active_by))
                })
            })
            .or_else(|| {
                let twice =
                    |(index, it): (usize, &MetricGuard)| metrics[..index].iter().any(|other| other.name == it.name);
                let twice = metrics.iter().enumerate().find(|it| twice(*it))?.1;
                Some(format!("two metrics are called {}; expected a name for each", twice.name))
            })
            .or_else(|| {
                let empty = metrics.is_empty() && Guard::ALL.into_iter().all(|guard| !self.guards.has(guard));
                empty.then(|| "no guard is configured; expected at least one".to_owned())
            })
    }

    /// The probability that a late regression begins in a given batch, had none begun before.
    pub(crate) fn hazard(&self) -> f64 {
        1.0 / f64::from(self.batches_per_hour.max(1))
    }
}

/// 1,000 is a hundred thousand percent: a second that becomes a quarter of an hour. Beyond it a margin is a slip.
const MAX_LATENCY_MARGIN: f64 = 1_000.0;
