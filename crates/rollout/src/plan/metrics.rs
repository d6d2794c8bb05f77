//! Metrics from outside: where they are asked for, with which queries, and what follows if their source fails.

use super::endpoint::client_tls;
use super::error::quoted;
use super::problems::{Expected, Place, Problems};
use super::quantity::{MAX_PATH_CHARACTERS, duration_ms, line, name, share, url_with_path};
use super::raw::{RawMetric, RawPair, RawPrometheus, Section};
use super::text_or::TextOr;
use super::typed::word;
use super::{MetricFrom, MetricSource, OnError, PrometheusServer, StoreCheck};
use judge::MetricGuard;
use model::{Environment, PerEnvironment};
use serde_saphyr::Spanned;

/// Metrics of a plan: each is asked for by a task of its own, and 16 share the chance of a false alarm with the guards.
pub(super) const MAX_METRICS: usize = 16;
/// Characters of one query. Four of them are asked as one; Prometheus itself takes megabytes.
const MAX_QUERY_CHARACTERS: usize = 1_000;
/// What stands for `blue` or `green` in a query.
const PLACEHOLDER: &str = "{{environment}}";
/// From one reading to the next: a batch should be short, for units must be comparable within it, and Prometheus
/// seldom scrapes more often than every second.
const EVERY_MS: (u64, u64) = (1_000, 300_000);
const DEFAULT_EVERY_MS: u64 = 10_000;

/// What the judge needs of each, and where it is asked for; in the plan's order.
pub(super) type Metrics = (Vec<MetricGuard>, Vec<MetricSource>);

/// All of them; none if the key is not there.
pub(super) fn metrics(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<Vec<Spanned<RawMetric>>>,
) -> Option<Metrics> {
    let Some(section) = raw else { return Some((Vec::new(), Vec::new())) };
    let list = parent.key("metrics", section);
    if section.value.is_empty() || section.value.len() > MAX_METRICS {
        problems.refuse(
            &list,
            format!("{} metrics", section.value.len()),
            format!("1 to {MAX_METRICS}, or no `metrics`"),
        );
        return None;
    }
    let read = section.value.iter().enumerate().map(|(index, raw)| {
        let at = list.item(index, raw);
        metric(problems, &at, &raw.value).map(|(guard, source)| (at, guard, source))
    });
    // Every entry is read, so that each mistake is noted.
    let read = read.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
    let mut known: Metrics = (Vec::new(), Vec::new());
    for (at, guard, source) in read {
        if known.0.iter().any(|other| other.name == guard.name) {
            let help = "verdicts and records name a metric by it";
            problems.refuse_because(&at, format!("the name {} a second time", guard.name), "a name for each", help);
            return None;
        }
        known.0.push(guard);
        known.1.push(source);
    }
    Some(known)
}

fn metric(problems: &mut Problems, at: &Place, raw: &RawMetric) -> Option<(MetricGuard, MetricSource)> {
    let wanted = "a name for the metric, such as checkout-errors";
    let name = problems.needed(at, "name", &raw.name, wanted, name);
    let from = from(problems, at, raw);
    let every = problems.or(at, "every", &raw.every, DEFAULT_EVERY_MS, |text| duration_ms(text, EVERY_MS));
    let wanted = "a percentage with its sign, such as 0.5%";
    let worse =
        problems.needed(at, "worseThanActiveBy", &raw.worse_than_active_by, wanted, |text| share(text, 50, "0.5%"));
    let words = [OnError::Hold, OnError::Rollback, OnError::Ignore].map(|on| (on.name(), on));
    let on_error = problems.or(at, "onError", &raw.on_error, OnError::default(), |text| word(text, &words));
    // What a store's traces show needs a proof only if that is asked for: they are few.
    let critical = raw.stores.is_none();
    let critical =
        problems.or(at, "critical", &raw.critical, critical, |text| word(text, &[("true", true), ("false", false)]));
    let (Some(name), Some(from), Some(every_ms)) = (name, from, every) else { return None };
    let (Some(worse_than_active_by), Some(on_error), Some(critical)) = (worse, on_error, critical) else { return None };
    let source = MetricSource { metric: name.clone(), from, on_error };
    Some((MetricGuard { name, worse_than_active_by, critical, every_ms }, source))
}

/// A Prometheus with its queries, or what is counted of the trace stores.
fn from(problems: &mut Problems, at: &Place, raw: &RawMetric) -> Option<MetricFrom> {
    if raw.stores.is_some() {
        let words = StoreCheck::ALL.map(|check| (check.name(), check));
        let check = problems.needed(at, "stores", &raw.stores, "what is counted", |text| word(text, &words))?;
        if raw.prometheus.is_some() || raw.events.is_some() || raw.total.is_some() {
            let found = "`stores` beside `prometheus`, `events` or `total`";
            problems.refuse(at, found, "either `stores`, or `prometheus` with `events` and `total`");
            return None;
        }
        return Some(MetricFrom::Stores(check));
    }
    let server = prometheus(problems, at, &raw.prometheus);
    let events = queries(problems, at, "events", &raw.events);
    let total = queries(problems, at, "total", &raw.total);
    let (Some(server), Some(events), Some(total)) = (server, events, total) else { return None };
    if events == total {
        let help = "every unit would have the event";
        problems.refuse_because(&at.missing("events"), "the query of `total`", "a part of what `total` counts", help);
        return None;
    }
    Some(MetricFrom::Prometheus { server: Box::new(server), events, total })
}

fn prometheus(problems: &mut Problems, parent: &Place, raw: &Section<RawPrometheus>) -> Option<PrometheusServer> {
    let wanted = "a Prometheus, such as { url: \"http://127.0.0.1:9090\" }";
    let (at, raw) = problems.section(parent, "prometheus", raw, wanted)?;
    let wanted = "its URL, such as http://127.0.0.1:9090";
    let url = problems.needed(&at, "url", &raw.url, wanted, url_with_path);
    let clear_text = url.as_ref().is_some_and(|url| url.starts_with("http://"));
    let tls = client_tls(problems, &at, &raw.tls, clear_text);
    let token =
        problems.optional(&at, "bearerTokenFile", &raw.bearer_token_file, |text| line(text, MAX_PATH_CHARACTERS));
    let (Some(url), Some(tls), Some(bearer_token_file)) = (url, tls, token) else { return None };
    if bearer_token_file.is_some() && clear_text && !is_on_this_machine(&url) {
        let help = "the token could be read on the way";
        let expected = "an https:// URL, or one on this machine";
        problems.refuse_because(&at, "`bearerTokenFile` beside an http:// URL", expected, help);
        return None;
    }
    Some(PrometheusServer { url, tls, bearer_token_file })
}

pub(super) fn is_on_this_machine(url: &str) -> bool {
    ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|start| url.starts_with(start))
}

/// One text for both environments with the placeholder, or one for each.
fn queries(
    problems: &mut Problems,
    parent: &Place,
    key: &str,
    raw: &Section<TextOr<RawPair>>,
) -> Option<PerEnvironment<String>> {
    let wanted = format!("a PromQL query with {PLACEHOLDER}, or one each for `blue` and `green`");
    let (at, raw) = problems.section(parent, key, raw, &wanted)?;
    let both = match &**raw {
        TextOr::Text(text) => match query(text) {
            Ok(text) => PerEnvironment::from_fn(|environment| text.replace(PLACEHOLDER, environment.name())),
            Err(expected) => {
                problems.refuse(&at, quoted(text), expected);
                return None;
            }
        },
        TextOr::Keys(RawPair { blue, green }) => {
            let wanted = "a PromQL query";
            let blue = problems.needed(&at, Environment::Blue.name(), blue, wanted, query);
            let green = problems.needed(&at, Environment::Green.name(), green, wanted, query);
            PerEnvironment { blue: blue?, green: green? }
        }
    };
    if both.blue == both.green {
        let help = "both environments would be asked for the same number";
        problems.refuse_because(&at, quoted(&both.blue), wanted, help);
        return None;
    }
    Some(both)
}

fn query(text: &str) -> Result<String, Expected> {
    line(text, MAX_QUERY_CHARACTERS)
        .map_err(|expected| format!("a PromQL query: {expected}; YAML's `>-` makes one line of several"))
}
