//! Whether what comes out is searched for sensitive values, and what follows if green alone shows any.

use super::canary::without_taps;
use super::problems::{Place, Problems};
use super::quantity::{line, moment, prose};
use super::raw::{RawGuards, RawTolerated, Section};
use super::text_or::TextOr;
use super::typed::word;
use super::{EnvironmentPlan, OnLeak};
use model::{CanaryPlace, MAX_CANARY_KEY_CHARACTERS, PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

/// Keys that are tolerated: as many as places are told apart.
const MAX_TOLERATED: usize = 128;
/// Characters of a reason.
const MAX_REASON_CHARACTERS: usize = 500;

/// The guard `leaks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeakGuard {
    /// What follows if green puts out in clear what blue does not.
    pub on_leak: OnLeak,
    /// Attributes in which green may.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expected: Vec<Tolerated>,
}

/// An attribute that green may put out in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tolerated {
    /// Its key.
    pub key: String,
    /// Why.
    pub reason: String,
    /// Until when; after that it counts again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<UnixMillis>,
}

impl LeakGuard {
    /// What is tolerated of a place now.
    pub fn tolerates(&self, place: &CanaryPlace, now: UnixMillis) -> Option<&Tolerated> {
        let found = match place {
            CanaryPlace::Attribute { key }
            | CanaryPlace::EventAttribute { key }
            | CanaryPlace::LinkAttribute { key }
            | CanaryPlace::ResourceAttribute { key } => key,
            CanaryPlace::Key
            | CanaryPlace::Name
            | CanaryPlace::EventName
            | CanaryPlace::Status
            | CanaryPlace::TraceState
            | CanaryPlace::Scope
            | CanaryPlace::Unreadable => return None,
        };
        self.expected.iter().find(|it| it.key == *found && it.expires.is_none_or(|expires| now < expires))
    }
}

/// `guards.leaks`, on if it is not there. Where trace stores take the taps' place there is nothing to search: then it is
/// off, and cannot be switched on.
pub(super) fn leaks(
    problems: &mut Problems,
    guards: &Place,
    raw: &RawGuards,
    environments: Option<&PerEnvironment<EnvironmentPlan>>,
) -> Option<Option<LeakGuard>> {
    let stores = environments.is_some_and(without_taps);
    let Some(section) = &raw.leaks else { return Some((!stores).then(LeakGuard::default)) };
    let at = guards.key("leaks", section);
    let keys = match &*section.value {
        TextOr::Text(text) if text == "off" => return Some(None),
        TextOr::Text(text) => {
            problems.refuse(&at, text, "`off`, or keys, such as { onLeak: rollback }");
            return None;
        }
        TextOr::Keys(keys) => keys,
    };
    let words = [OnLeak::Rollback, OnLeak::Report].map(|on_leak| (on_leak.name(), on_leak));
    let on_leak = problems.or(&at, "onLeak", &keys.on_leak, OnLeak::default(), |text| word(text, &words));
    let expected = expected(problems, &at, &keys.expected);
    if stores {
        let help = "what comes out is read from trace stores, for a share of the traces, and is not searched";
        problems.refuse_because(&at, "`leaks` without taps", "`off`, or a `tap` in both environments", help);
        return None;
    }
    Some(Some(LeakGuard { on_leak: on_leak?, expected: expected? }))
}

fn expected(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<Vec<Spanned<RawTolerated>>>,
) -> Option<Vec<Tolerated>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let at = parent.key("expected", section);
    if section.value.len() > MAX_TOLERATED {
        problems.refuse(&at, format!("{} entries", section.value.len()), format!("at most {MAX_TOLERATED}"));
        return None;
    }
    let read = section.value.iter().enumerate().map(|(index, entry)| {
        let (at, raw) = (at.item(index, entry), &entry.value);
        let key = problems.needed(&at, "key", &raw.key, "an attribute's key, such as host.contact", |text| {
            line(text, MAX_CANARY_KEY_CHARACTERS)
        });
        let reason = problems
            .needed(&at, "reason", &raw.reason, "why green may put it out", |text| prose(text, MAX_REASON_CHARACTERS));
        let expires = problems.optional(&at, "expires", &raw.expires, moment);
        Some(Tolerated { key: key?, reason: reason?, expires: expires? })
    });
    // Every entry is read, so that each mistake is noted.
    read.collect::<Vec<_>>().into_iter().collect()
}
