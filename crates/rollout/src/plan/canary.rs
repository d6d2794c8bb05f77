//! Whether, and how often, synthetic traces with marked secrets are planted, and what follows if one comes out in clear.

use super::EnvironmentPlan;
use super::problems::{Place, Problems};
use super::quantity::duration_ms;
use super::raw::{RawCanary, Section};
use super::text_or::TextOr;
use super::typed::word;
use model::{Environment, PerEnvironment};
use serde::{Deserialize, Serialize};

/// Not more often than a small share of anybody's traffic, and often enough that two come out within a step.
const EVERY_MS: (u64, u64) = (5_000, 600_000);
const DEFAULT_EVERY_MS: u64 = 30_000;

/// The planting of canaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryPlan {
    /// Milliseconds from one to the next, while the candidate gets any traffic.
    pub every_ms: u64,
    /// What follows if the candidate puts out in clear what the active environment masks.
    pub on_leak: OnLeak,
}

/// What follows if the candidate puts out in clear what the active environment masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnLeak {
    /// Back to the active environment.
    #[default]
    Rollback,
    /// The status says so.
    Report,
}

impl OnLeak {
    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            OnLeak::Rollback => "rollback",
            OnLeak::Report => "report",
        }
    }
}

/// `canary`, on if it is not there. Where trace stores take the taps' place there is nothing to search: then it is off,
/// and cannot be switched on.
pub(super) fn canary(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<TextOr<RawCanary>>,
    environments: Option<&PerEnvironment<EnvironmentPlan>>,
) -> Option<Option<CanaryPlan>> {
    let stores = environments.is_some_and(without_taps);
    let default = CanaryPlan { every_ms: DEFAULT_EVERY_MS, on_leak: OnLeak::default() };
    let Some(section) = raw else { return Some((!stores).then_some(default)) };
    let at = parent.key("canary", section);
    let keys = match &*section.value {
        TextOr::Text(text) if text == "off" => return Some(None),
        TextOr::Text(text) => {
            problems.refuse(&at, text, "`off`, or keys, such as { every: 30s, onLeak: rollback }");
            return None;
        }
        TextOr::Keys(keys) => keys,
    };
    let words = [OnLeak::Rollback, OnLeak::Report].map(|on_leak| (on_leak.name(), on_leak));
    let every = problems.or(&at, "every", &keys.every, default.every_ms, |text| duration_ms(text, EVERY_MS));
    let on_leak = problems.or(&at, "onLeak", &keys.on_leak, default.on_leak, |text| word(text, &words));
    if stores {
        let help = "what comes out is read from trace stores, for a share of the traces, and is not searched";
        problems.refuse_because(&at, "`canary` without taps", "`off`, or a `tap` in both environments", help);
        return None;
    }
    Some(Some(CanaryPlan { every_ms: every?, on_leak: on_leak? }))
}

/// Whether what comes out is read from trace stores. Both environments are looked at in one way.
pub(super) fn without_taps(environments: &PerEnvironment<EnvironmentPlan>) -> bool {
    let replaced =
        |environment: Environment| environments[environment].query.as_ref().is_some_and(|query| query.replaces_tap);
    Environment::BOTH.into_iter().any(replaced)
}
