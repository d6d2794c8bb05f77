//! Trace stores: what is read, what is refused, and what a plan with them would do.

use super::refused::check;
use super::{accepted, previewed};
use crate::plan::{MetricFrom, StoreApi, StoreCheck, StoreQuery};
use model::{BasisPoints, ClientTls, Environment};

const BLUE: &str = "      config: [{ files: ./blue }]\n";
const GREEN: &str = "      config: [{ files: ./green }]\n";
const GUARDS: &str = "    blindSpots:  { atMost: 0 }\n";

/// The example with these lines in blue (from line 14 on) and in green.
fn with(blue: &str, green: &str) -> Vec<(String, String)> {
    let lines =
        |lines: &str, config: &str| if lines.is_empty() { config.to_owned() } else { format!("{lines}\n{config}") };
    vec![(GREEN.to_owned(), lines(green, GREEN)), (BLUE.to_owned(), lines(blue, BLUE))]
}

fn edits(edits: &[(String, String)]) -> Vec<(&str, &str)> {
    edits.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect()
}

#[track_caller]
fn refused(blue: &str, green: &str, expected: &[&str]) {
    check(&edits(&with(blue, green)), expected);
}

const JAEGER: &str = "      query: { jaeger: \"http://127.0.0.1:16686\" }";
const TEMPO: &str = "      query: { tempo: \"https://tempo.example:3200/tempo/\", share: 0.5%, settle: 45s, tls: { ca: ca.pem }, bearerTokenFile: token }";

#[test]
fn a_store_means_what_it_says() {
    let plan = accepted(&edits(&with(JAEGER, TEMPO)));
    let query = |environment: Environment| plan.environments[environment].query.clone().expect("it has one");
    let blue = StoreQuery {
        api: StoreApi::Jaeger,
        url: "http://127.0.0.1:16686".to_owned(),
        tls: ClientTls::default(),
        bearer_token_file: None,
        settle_ms: 30_000,
        share: BasisPoints::new(100).unwrap(),
        replaces_tap: true,
    };
    assert_eq!(query(Environment::Blue), blue);
    let green = query(Environment::Green).under("/plans".as_ref());
    assert_eq!((green.api, green.url.as_str()), (StoreApi::Tempo, "https://tempo.example:3200/tempo"));
    assert_eq!((green.settle_ms, green.share.get(), green.replaces_tap), (45_000, 50, true));
    assert_eq!(green.tls.ca.as_deref(), Some("/plans/ca.pem"));
    assert_eq!(green.bearer_token_file.as_deref(), Some("/plans/token"));
    assert_eq!(plan.verified_share().get(), 50, "the smaller share, of both");
    // Beside a tap it is asked as well, and verification looks at the tap.
    let beside = accepted(&edits(&with(&format!("      tap: blue\n{JAEGER}"), &format!("      tap: green\n{TEMPO}"))));
    assert!(Environment::BOTH.into_iter().all(|it| !beside.environments[it].query.as_ref().unwrap().replaces_tap));
    assert_eq!((beside.verified_share(), accepted(&[]).verified_share()), (BasisPoints::ALL, BasisPoints::ALL));
    for (name, api) in [("jaegerV2", StoreApi::JaegerV2), ("zipkin", StoreApi::Zipkin)] {
        let one = format!("      tap: green\n      query: {{ {name}: \"http://store:80\" }}");
        assert_eq!(accepted(&edits(&with("", &one))).environments.green.query.unwrap().api, api);
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let one =
        "expected one store, `jaeger`, `jaegerV2`, `tempo` or `zipkin`, such as { tempo: \"http://127.0.0.1:3200\" }";
    let at = "spec.environments.green.query";
    refused(JAEGER, "      query: {}", &[&format!("20:14: {at}: found nothing, {one}")]);
    let two = "      query: { jaeger: \"http://a:1\", zipkin: \"http://a:2\" }";
    refused(JAEGER, two, &[&format!("20:14: {at}: found `jaeger` and `zipkin`, {one}")]);
    refused(
        JAEGER,
        "      query: { tempo: \"tempo:3200\", settle: 10m, share: 0%, other: 1 }",
        &[&format!(
            "20:61: {at}.other: found the unknown key `other`, expected `jaeger`, `jaegerV2`, `tempo`, `zipkin`, `settle`, `share`, `tls` or `bearerTokenFile`"
        )],
    );
    refused(
        JAEGER,
        "      query: { tempo: \"tempo:3200\", settle: 10m, share: 0% }",
        &[
            &format!(
                "20:23: {at}.tempo: found tempo:3200, expected http://host:port or https://host:port, with a path if the server is below one, such as http://127.0.0.1:9090"
            ),
            &format!("20:45: {at}.settle: found 10m, expected a duration from 1s to 5m"),
            &format!(
                "20:57: {at}.share: found 0%, expected a percentage above 0% and up to 100% with its sign and at most two decimals, such as 1% or 0.25%"
            ),
        ],
    );
    refused(
        JAEGER,
        "      query: { tempo: \"http://tempo:3200\", bearerTokenFile: token }",
        &[&format!(
            "20:14: {at}: found `bearerTokenFile` beside an http:// URL, expected an https:// URL, or one on this machine: the token could be read on the way"
        )],
    );
    refused(
        JAEGER,
        &JAEGER.replace("127.0.0.1", "localhost"),
        &[&format!(
            "20:14: {at}: found http://localhost:16686, blue's trace store, expected a store of its own: what came out of green could not be told from what came out of blue"
        )],
    );
}

#[test]
fn both_environments_are_measured_in_one_way() {
    let expected = "found `query` without `tap` in one environment, expected `query` without `tap` in both environments, or a `tap` here: what came out of one environment would be measured otherwise than what came out of the other";
    refused(JAEGER, "", &[&format!("14:14: spec.environments.blue.query: {expected}")]);
    let beside = format!("      tap: blue\n{JAEGER}");
    refused(&beside, TEMPO, &[&format!("21:14: spec.environments.green.query: {expected}")]);
}

#[test]
fn the_settling_time_lies_between_linger_and_horizon() {
    let mut plan = with(JAEGER, TEMPO);
    let traffic = "  analysis:\n    falseAlarm";
    let with = |verification: &str| format!("  verification: {{ {verification} }}\n{traffic}");
    plan.push((traffic.to_owned(), with("horizon: 60s")));
    let at = "spec.environments";
    check(
        &edits(&plan),
        &[&format!(
            "20:14: {at}.green.query: found a settling time of 45s, expected at most 30s, 30s less than the horizon of 1m: a trace must be asked for, and the answer told, before its spans count as lost"
        )],
    );
    plan[2].1 = with("linger: 31s");
    let expected = "expected at least 31s, spec.verification.linger: spans of a trace may be handed over for that long";
    check(&edits(&plan), &[&format!("14:14: {at}.blue.query: found a settling time of 30s, {expected}")]);
    plan[2].1 = with("horizon: 75s");
    accepted(&edits(&plan));
}

/// Three metrics, of which the second and the third are counted of stores.
const COUNTED: &str = "    blindSpots:  { atMost: 0 }
    metrics:
      - { name: fresh, stores: freshness, worseThanActiveBy: 1% }
      - { name: found, stores: queryParity, worseThanActiveBy: 2%, onError: ignore, critical: true, every: 30s }
";

#[test]
fn metrics_may_be_counted_of_stores() {
    let mut plan = with(JAEGER, TEMPO);
    plan.push((GUARDS.to_owned(), COUNTED.to_owned()));
    let guards = accepted(&edits(&plan)).guards;
    let from: Vec<&MetricFrom> = guards.sources.iter().map(|source| &source.from).collect();
    assert_eq!(from, [&MetricFrom::Stores(StoreCheck::Freshness), &MetricFrom::Stores(StoreCheck::QueryParity)]);
    assert_eq!(guards.judged.metrics.iter().map(|metric| metric.critical).collect::<Vec<_>>(), [false, true]);
    let shown = previewed(&edits(&plan)).to_string();
    assert!(!shown.contains("\n  tap "), "{shown}");
    for line in [
        "  query     jaeger http://127.0.0.1:16686, 1%, 30s after, in place of the tap",
        "  - metrics.fresh: its share in green beyond blue's by more than 1%; traces that are not whole in the store when",
        "  - what comes out is read from the trace stores, for 0.5% of the traces: the forecast reckons with these alone",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn stores_that_cannot_be_counted_are_refused() {
    let at = "spec.guards.metrics";
    check(
        &[(GUARDS, COUNTED)],
        &[
            &format!(
                "41:9: {at}[0]: found `stores` without `query` in both environments, expected `query` in both environments: there is nobody to ask"
            ),
            &format!(
                "42:9: {at}[1]: found `stores` without `query` in both environments, expected `query` in both environments: there is nobody to ask"
            ),
        ],
    );
    let mut plan = with(JAEGER, TEMPO);
    plan.push((GUARDS.to_owned(), COUNTED.replace("stores: freshness", "stores: fresh, events: up")));
    check(&edits(&plan), &[&format!("43:32: {at}[0].stores: found fresh, expected `freshness` or `queryParity`")]);
    plan[2].1 = COUNTED.replace("stores: freshness", "stores: freshness, events: up");
    check(
        &edits(&plan),
        &[&format!(
            "43:9: {at}[0]: found `stores` beside `prometheus`, `events` or `total`, expected either `stores`, or `prometheus` with `events` and `total`"
        )],
    );
}
