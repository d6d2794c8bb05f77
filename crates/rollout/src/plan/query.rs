//! Trace stores: how an environment's is asked, and that what the rest of the plan wants of them can be had.

use super::endpoint::client_tls;
use super::metrics::is_on_this_machine;
use super::problems::{Place, Problems};
use super::quantity::{MAX_PATH_CHARACTERS, duration_ms, line, url_with_path};
use super::raw::{RawQuery, RawSpec, Section, Text};
use super::strategy::weight;
use super::{EnvironmentPlan, MetricFrom, MetricSource, STORE_MARGIN_MS, StoreApi, StoreQuery, Verification};
use model::{BasisPoints, Environment, PerEnvironment, ShortDuration};

/// A store indexes within seconds; what takes minutes is no store that one looks into during a rollout.
const SETTLE_MS: (u64, u64) = (1_000, 300_000);
const DEFAULT_SETTLE_MS: u64 = 30_000;
/// Of 1,000 traces a second ten, each asked for some five times.
const DEFAULT_SHARE_BASIS_POINTS: u16 = 100;

/// An environment's `query`.
pub(super) fn query(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawQuery>,
    replaces_tap: bool,
) -> Option<Option<StoreQuery>> {
    let Some(section) = raw else { return Some(None) };
    let (at, raw) = (parent.key("query", section), &section.value);
    let address = address(problems, &at, raw);
    let clear_text = address.as_ref().is_some_and(|(_, url)| url.starts_with("http://"));
    let tls = client_tls(problems, &at, &raw.tls, clear_text);
    let token =
        problems.optional(&at, "bearerTokenFile", &raw.bearer_token_file, |text| line(text, MAX_PATH_CHARACTERS));
    let settle = problems.or(&at, "settle", &raw.settle, DEFAULT_SETTLE_MS, |text| duration_ms(text, SETTLE_MS));
    let default = BasisPoints::new(DEFAULT_SHARE_BASIS_POINTS).unwrap_or(BasisPoints::ALL);
    let share = problems.or(&at, "share", &raw.share, default, weight);
    let (Some((api, url)), Some(tls), Some(bearer_token_file), Some(settle_ms), Some(share)) =
        (address, tls, token, settle, share)
    else {
        return None;
    };
    if bearer_token_file.is_some() && clear_text && !is_on_this_machine(&url) {
        let help = "the token could be read on the way";
        let expected = "an https:// URL, or one on this machine";
        problems.refuse_because(&at, "`bearerTokenFile` beside an http:// URL", expected, help);
        return None;
    }
    Some(Some(StoreQuery { api, url, tls, bearer_token_file, settle_ms, share, replaces_tap }))
}

/// Exactly one of the stores.
fn address(problems: &mut Problems, at: &Place, raw: &RawQuery) -> Option<(StoreApi, String)> {
    let text = |api: StoreApi| -> &Text {
        match api {
            StoreApi::Jaeger => &raw.jaeger,
            StoreApi::JaegerV2 => &raw.jaeger_v2,
            StoreApi::Tempo => &raw.tempo,
            StoreApi::Zipkin => &raw.zipkin,
        }
    };
    let named: Vec<StoreApi> = StoreApi::ALL.into_iter().filter(|api| text(*api).is_some()).collect();
    let wanted = "one store, `jaeger`, `jaegerV2`, `tempo` or `zipkin`, such as { tempo: \"http://127.0.0.1:3200\" }";
    match named[..] {
        [api] => {
            let url = problems.needed(at, api.name(), text(api), wanted, url_with_path)?;
            Some((api, url))
        }
        [] => {
            problems.refuse(at, "nothing", wanted);
            None
        }
        [one, other, ..] => {
            problems.refuse(at, format!("`{}` and `{}`", one.name(), other.name()), wanted);
            None
        }
    }
}

/// That the horizon leaves time to look, and that metrics which are counted of stores have two of them.
pub(super) fn fits(
    problems: &mut Problems,
    at: &Place,
    raw: &RawSpec,
    environments: &PerEnvironment<EnvironmentPlan>,
    verification: &Verification,
    sources: &[MetricSource],
) -> Option<()> {
    let mut fits = Some(());
    for environment in Environment::BOTH {
        let Some(query) = environments[environment].query.as_ref().filter(|query| query.replaces_tap) else { continue };
        let place = at.child("environments").child(environment.name());
        let place =
            raw_query(raw, environment).map_or_else(|| place.missing("query"), |query| place.key("query", query));
        let (settle, linger) = (ShortDuration(query.settle_ms), ShortDuration(verification.linger_ms));
        let horizon = ShortDuration(verification.horizon_ms);
        if query.settle_ms < verification.linger_ms {
            let expected = format!("at least {linger}, spec.verification.linger");
            let help = "spans of a trace may be handed over for that long";
            problems.refuse_because(&place, format!("a settling time of {settle}"), expected, help);
            fits = None;
        }
        if verification.horizon_ms < query.settle_ms.saturating_add(STORE_MARGIN_MS) {
            let most = ShortDuration(verification.horizon_ms.saturating_sub(STORE_MARGIN_MS));
            let expected =
                format!("at most {most}, {} less than the horizon of {horizon}", ShortDuration(STORE_MARGIN_MS));
            let help = "a trace must be asked for, and the answer told, before its spans count as lost";
            problems.refuse_because(&place, format!("a settling time of {settle}"), expected, help);
            fits = None;
        }
    }
    let both = Environment::BOTH.into_iter().all(|environment| environments[environment].query.is_some());
    for (index, source) in sources.iter().enumerate() {
        if both || !matches!(source.from, MetricFrom::Stores(_)) {
            continue;
        }
        let metrics = at.child("guards").child("metrics");
        let metric = raw.guards.as_ref().and_then(|guards| guards.value.metrics.as_ref()?.value.get(index));
        let place = metric.map_or_else(|| metrics.clone(), |metric| metrics.item(index, metric));
        let help = "there is nobody to ask";
        let expected = "`query` in both environments";
        problems.refuse_because(&place, "`stores` without `query` in both environments", expected, help);
        fits = None;
    }
    let gates = raw.gates.as_ref().map(|gates| &gates.value);
    let migration = gates.and_then(|gates| gates.migration.as_ref());
    if let Some((migration, older)) = migration.and_then(|it| Some((it, it.value.older_traces.as_ref()?)))
        && !both
    {
        let place = at.child("gates").key("migration", migration).key("olderTraces", older);
        let expected = "`query` in both environments";
        problems.refuse_because(
            &place,
            "`olderTraces` without `query` in both environments",
            expected,
            "there is nobody to ask",
        );
        fits = None;
    }
    fits
}

fn raw_query(raw: &RawSpec, environment: Environment) -> Option<&serde_saphyr::Spanned<Box<RawQuery>>> {
    let environments = &raw.environments.as_ref()?.value;
    let section = match environment {
        Environment::Blue => &environments.blue,
        Environment::Green => &environments.green,
    };
    section.as_ref()?.value.query.as_ref()
}
