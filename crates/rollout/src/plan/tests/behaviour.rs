//! The gates `tests`, `migration`, `load`, `dependencies` and the calls of `probe`: what is read, what is refused, and what a
//! plan says of them.

use super::refused::check;
use super::{accepted, edited, previewed};
use crate::plan::{DsnPlan, GateName, Gates, LoadSource, Plan, RelationPlan, SpansOf, Step, TestSource, parse};
use integrations::{Method, Records, Target};
use model::{BasisPoints, PerEnvironment, UnixMillis};

const GATES: &str = "  gates:\n";
const FIRST_STEP: &str = "      - gate: drift\n";
/// After the first weight.
const LATER_STEP: &str = "      - setWeight: 10%\n";

fn with(lines: &str) -> String {
    format!("{GATES}    {lines}\n")
}

fn gates(lines: &str) -> Gates {
    accepted(&[(GATES, &with(lines))]).gates
}

/// What is said of each of these sections, which no plan can have.
fn refusals(sections: &[String]) -> String {
    let refusal = |section: &String| {
        let errors = parse(&edited(&[(GATES, &with(section))])).expect_err(section);
        format!("{section}\n{}\n", errors.display("plan.yaml"))
    };
    sections.iter().map(refusal).collect()
}

const TESTS: &str = r#"tests:
      atLeast: 1200
      maxAge: 24h
      maxSkipped: 10
      built: 2026-11-30T08:00:00Z
      likeBlue: true
      reports:
        blue: [{ files: ./blue-tests }]
        green: [{ files: ./green-tests }, { command: [/usr/bin/fetch-tests, green] }]
      properties: [image.digest]
      keyFile: ci.pem
      exceptions: [{ test: "shop.CartTest.slow()", reason: "waits for SHOP-12", expires: 2027-01-31 }]"#;

const MIGRATION: &str = r#"migration:
      blue: { dsnFile: ./blue.dsn }
      green: { dsnVariable: GREEN_DSN, tls: { ca: ca.pem } }
      tables:
        - { name: orders }
        - { name: sales.items, key: [order_id, line], columns: [order_id, line, price], filter: "order_id > 10", rows: greenMayHaveMore }
        - { name: users, leftOut: [{ column: last_seen, reason: "both write it" }] }
      queries:
        - { name: revenue, sql: "SELECT sum(total) FROM orders", green: within 0.5% }
        - { name: customers, sql: "SELECT count(*) FROM users", green: atLeast }
      schema: { schemas: [sales], expected: [{ path: orders.column.total.type, reason: "numeric(12,2) is new" }] }"#;

const SYNTHETIC: &str = "load: { peak: 5000/s, topology: chain, multiple: 3, for: 1m, warmUp: 5s, lossAtMost: 0.1%, quantile: 0.95, slowerBy: 50% }";

const CALLS: &str = r#"probe:
      calls:
        - { name: scheduling, http: "https://scheduling.example:443/health", status: 204, method: HEAD, repetitions: 30, timeout: 500ms }
        - { name: store, tcp: "db.example:5432" }
        - { name: bank, tls: "bank.example:443", serverName: api.bank.example, minValidity: 14d }
        - { name: names, dns: bank.example, records: AAAA }
        - { name: billing, grpcHealth: "http://billing:50051", service: billing.v1 }
      agents:
        blue: { url: "https://10.0.1.5:7070", tokenFile: agent.token, tls: { ca: ca.pem } }
        green: { url: "http://127.0.0.1:7070", tokenFile: agent.token }
      slowerBy: 100%
      slowerByAtLeast: 20ms"#;

const DEPENDENCIES: &str = r#"dependencies:
      atLeast: 10
      moreErrors: 2%
      slowerBy: 75%
      slowerByAtLeast: 10ms
      by: version
      same: { "database postgresql db-blue.example": database postgresql db-green.example }
      exceptions: [{ dependency: http reports.example, reason: "once a month", expires: 2027-01-31 }]"#;

#[test]
fn tests_mean_what_they_say() {
    let gate = gates(TESTS).tests.unwrap();
    assert_eq!((gate.at_least, gate.max_age_ms, gate.max_skipped), (1_200, Some(86_400_000), Some(10)));
    assert_eq!((gate.built, gate.like_blue), (Some(UnixMillis(1_796_025_600_000)), true));
    let files = |path: &str| TestSource::Files(path.to_owned());
    let command = TestSource::Command(vec!["/usr/bin/fetch-tests".to_owned(), "green".to_owned()]);
    assert_eq!(
        gate.reports,
        PerEnvironment { blue: vec![files("./blue-tests")], green: vec![files("./green-tests"), command] }
    );
    assert_eq!((gate.properties, gate.key_file), (vec!["image.digest".to_owned()], Some("ci.pem".to_owned())));
    let [exception] = &gate.exceptions[..] else { panic!("{:?}", gate.exceptions) };
    assert_eq!((exception.test.as_str(), exception.expires), ("shop.CartTest.slow()", UnixMillis(1_801_439_999_999)));

    let least = gates("tests: { atLeast: 1, reports: { green: [{ files: r }] } }").tests.unwrap();
    assert_eq!((least.max_age_ms, least.max_skipped, least.built, least.like_blue), (None, None, None, false));
    assert_eq!((least.properties, least.key_file), (vec!["artifact".to_owned()], None));
}

#[test]
fn a_migration_means_what_it_says() {
    let gate = gates(MIGRATION).migration.unwrap();
    let databases = gate.databases.unwrap();
    assert_eq!(databases.blue.dsn, DsnPlan::File("./blue.dsn".to_owned()));
    assert_eq!(databases.green.dsn, DsnPlan::Variable("GREEN_DSN".to_owned()));
    assert_eq!(databases.green.tls.ca.as_deref(), Some("ca.pem"));
    let names: Vec<(&str, bool)> =
        gate.tables.iter().map(|table| (table.name.as_str(), table.green_may_have_more)).collect();
    assert_eq!(names, [("orders", false), ("sales.items", true), ("users", false)]);
    let items = &gate.tables[1];
    assert_eq!((items.key.len(), items.columns.len(), items.filter.as_deref()), (2, 3, Some("order_id > 10")));
    assert_eq!(gate.tables[2].left_out[0].what, "last_seen");
    let relations: Vec<RelationPlan> = gate.queries.iter().map(|query| query.green).collect();
    assert_eq!(relations, [RelationPlan::Within(50), RelationPlan::AtLeast]);
    let schema = gate.schema.unwrap();
    assert_eq!(
        (schema.schemas, schema.expected[0].what.as_str()),
        (vec!["sales".to_owned()], "orders.column.total.type")
    );
    for (word, meant) in [("equal", RelationPlan::Equal), ("atMost", RelationPlan::AtMost)] {
        let lines = format!(
            "migration: {{ blue: {{ dsnFile: a }}, green: {{ dsnFile: b }}, queries: [{{ name: n, sql: SELECT 1, green: {word} }}] }}"
        );
        assert_eq!(gates(&lines).migration.unwrap().queries[0].green, meant);
    }
}

#[test]
fn a_load_means_what_it_says() {
    let gate = gates(SYNTHETIC).load.unwrap();
    let synthetic =
        |topology: &str, peak_spans_per_s| LoadSource::Synthetic { topology: topology.to_owned(), peak_spans_per_s };
    assert_eq!((gate.source, gate.multiple), (synthetic("chain", 5_000.0), 3));
    assert_eq!((gate.for_ms, gate.warm_up_ms, gate.loss_at_most), (60_000, 5_000, BasisPoints::new(10).unwrap()));
    assert_eq!((gate.quantile, gate.slower_by), (0.95, 0.5));

    let least = gates("load: { peak: 100/s }").load.unwrap();
    assert_eq!((least.source, least.multiple), (synthetic("shop", 100.0), 2));
    assert_eq!((least.for_ms, least.warm_up_ms, least.loss_at_most), (30_000, 3_000, BasisPoints::ZERO));
    assert_eq!((least.quantile, least.slower_by), (0.99, 0.2));

    let recorded = gates("load: { recording: peak.vrec.age, identity: key.txt }").load.unwrap();
    let source = LoadSource::Recording { file: "peak.vrec.age".to_owned(), identity: "key.txt".to_owned() };
    assert_eq!(recorded.source, source);
}

#[test]
fn calls_mean_what_they_say() {
    let gate = gates(CALLS).probe.unwrap();
    let names: Vec<&str> = gate.calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["scheduling", "store", "bank", "names", "billing"]);
    assert_eq!((gate.calls[0].repetitions, gate.calls[0].timeout_ms), (30, 500));
    assert_eq!((gate.calls[1].repetitions, gate.calls[1].timeout_ms), (20, 2_000));
    let Target::Http { method, status, .. } = &gate.calls[0].to else { panic!("{:?}", gate.calls[0].to) };
    assert_eq!((*method, *status), (Method::Head, 204));
    assert_eq!(gate.calls[1].to, Target::Tcp { host: "db.example".to_owned(), port: 5_432 });
    let Target::Tls { server_name, min_validity_ms, .. } = &gate.calls[2].to else { panic!() };
    assert_eq!((server_name.as_deref(), *min_validity_ms), (Some("api.bank.example"), 14 * 86_400_000));
    assert_eq!(gate.calls[3].to, Target::Dns { name: "bank.example".to_owned(), records: Records::Aaaa });
    let health = Target::GrpcHealth { url: "http://billing:50051".to_owned(), service: "billing.v1".to_owned() };
    assert_eq!(gate.calls[4].to, health);
    assert_eq!((gate.slower.by_percent, gate.slower.by_us), (100, 20_000));
    assert_eq!(gate.agents.blue.as_ref().unwrap().tls.ca.as_deref(), Some("ca.pem"));
    assert_eq!(gate.agents.green.unwrap().token_file, "agent.token");
    assert!(!gate.from_controller);

    let least = gates("probe: { calls: [{ name: x, dns: y }], fromController: true }").probe.unwrap();
    assert_eq!((least.slower.by_percent, least.slower.by_us, least.from_controller), (50, 5_000, true));
    assert_eq!(least.agents, PerEnvironment::default());
}

#[test]
fn dependencies_mean_what_they_say() {
    let gate = gates(DEPENDENCIES).dependencies.unwrap();
    assert_eq!((gate.coverage.at_least, gate.coverage.more_errors), (10, BasisPoints::new(200).unwrap()));
    assert_eq!((gate.coverage.slower.by_percent, gate.coverage.slower.by_us), (75, 10_000));
    assert_eq!((gate.by, gate.coverage.same.len()), (SpansOf::Version, 1));
    assert_eq!(gate.coverage.exceptions[0].dependency.to_string(), "http reports.example");

    let least = gates("dependencies: {}").dependencies.unwrap();
    assert_eq!((least.coverage.at_least, least.coverage.more_errors), (1, BasisPoints::new(100).unwrap()));
    assert_eq!((least.coverage.slower.by_percent, least.coverage.slower.by_us), (50, 5_000));
    assert_eq!((least.by, least.coverage.exceptions.len()), (SpansOf::Serving, 0));
}

#[test]
fn every_mistake_in_tests_is_named() {
    insta::assert_snapshot!(refusals(&[
        "tests: {}".to_owned(),
        "tests: { atLeast: 0, reports: { green: [{ files: r }] } }".to_owned(),
        "tests: { atLeast: 1, built: 2026-11-30, reports: { green: [{ files: r }] } }".to_owned(),
        "tests: { atLeast: 1, likeBlue: true, reports: { green: [{ files: r }] } }".to_owned(),
        "tests: { atLeast: 1, reports: { green: [{ command: [fetch] }, {}] } }".to_owned(),
        "tests: { atLeast: 1, reports: { green: [{ files: r }] }, exceptions: [{ test: t, reason: r }] }".to_owned(),
    ]));
}

#[test]
fn every_mistake_in_a_migration_is_named() {
    const BOTH: &str = "blue: { dsnFile: a }, green: { dsnFile: b }";
    insta::assert_snapshot!(refusals(&[
        format!("migration: {{ {BOTH} }}"),
        "migration: { green: { dsnFile: b, dsnVariable: B }, schema: {} }".to_owned(),
        "migration: { blue: { dsnVariable: DSN }, green: { dsnVariable: DSN }, schema: {} }".to_owned(),
        "migration: { blue: { dsnVariable: \"postgresql://u:p@h/d\" }, green: { dsnFile: b }, schema: {} }".to_owned(),
        "migration: { blue: { dsnFile: \"host=h password=p\" }, green: { dsnFile: b }, schema: {} }".to_owned(),
        format!("migration: {{ {BOTH}, tables: [{{ name: t, rows: more }}, {{ key: [a] }}] }}"),
        format!("migration: {{ {BOTH}, queries: [{{ name: n, sql: SELECT 1, green: same }}] }}"),
        format!("migration: {{ {BOTH}, tables: [{{ name: t, leftOut: [{{ column: c }}] }}] }}"),
        format!("migration: {{ {BOTH}, olderTraces: {{ services: [shop] }} }}"),
        "migration: { olderTraces: { since: 5m, sample: 500 } }".to_owned(),
        "migration: { olderTraces: { services: [shop], sample: 10 } }".to_owned(),
        "migration: { olderTraces: { services: [shop] } }".to_owned(),
    ]));
}

#[test]
fn every_mistake_in_a_load_is_named() {
    insta::assert_snapshot!(refusals(&[
        "load: {}".to_owned(),
        "load: { recording: r, topology: shop }".to_owned(),
        "load: { peak: 1/s, identity: key.txt }".to_owned(),
        "load: { peak: 1/s, for: 22s }".to_owned(),
        "load: { peak: 1/s, for: 2m, multiple: 101, lossAtMost: 0.001%, quantile: 0.2, topology: shp }".to_owned(),
    ]));
}

#[test]
fn every_mistake_in_calls_is_named() {
    insta::assert_snapshot!(refusals(&[
        "probe: { calls: [{ name: a, tcp: nowhere }, { name: b }, { name: c, dns: x, tcp: \"y:1\" }] }".to_owned(),
        "probe: { calls: [{ name: a, tcp: \"a:1\", status: 204 }] }".to_owned(),
        "probe: { calls: [{ name: a, dns: a, repetitions: 0, timeout: 1m }] }".to_owned(),
        "probe: { calls: [{ name: a, dns: a }], agents: { green: { url: \"http://10.0.1.5:7070\", tokenFile: t } } }"
            .to_owned(),
        "probe: { calls: [{ name: a, dns: a }, { name: a, dns: b }] }".to_owned(),
    ]));
}

#[test]
fn every_mistake_in_dependencies_is_named() {
    insta::assert_snapshot!(refusals(&[
        "dependencies: { by: versions, atLeast: 0, moreErrors: 2, same: { nonsense: http b } }".to_owned(),
        "dependencies: { exceptions: [{ dependency: http a.example, reason: r }] }".to_owned(),
    ]));
}

#[test]
fn a_step_needs_what_it_asks() {
    let step = |gate: &str| format!("      - gate: {gate}\n");
    let asks = |gate: &str, expected: &[&str]| check(&[(FIRST_STEP, &step(gate))], expected);
    let at = "22:15: spec.strategy.steps[0].gate: found no such configuration, expected spec.gates.";
    let why = "without it there is nothing to ask";
    asks("tests", &[&format!("{at}tests with atLeast and reports: {why}")]);
    asks("migration", &[&format!("{at}migration with blue, green and tables: {why}")]);
    asks("load", &[&format!("{at}load with peak, or recording and identity: {why}")]);
    asks("dependencies", &[&format!("{at}dependencies, `dependencies: {{}}` at least: {why}")]);
    let artifact = "      artifact: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n";
    check(
        &[(FIRST_STEP, &step("tests")), (artifact, ""), (GATES, &with(TESTS))],
        &[
            "21:15: spec.strategy.steps[0].gate: found no artifact of green, expected spec.environments.green.artifact: tests are of one artifact, and it must be green's",
        ],
    );
}

/// All of them asked for, the dependencies once green serves.
fn whole() -> Plan {
    let lines = [TESTS, MIGRATION, SYNTHETIC, CALLS, DEPENDENCIES].join("\n    ");
    let first = "      - gate: tests\n      - gate: migration\n      - gate: probe\n      - gate: load\n";
    let later = format!("      - gate: dependencies\n{LATER_STEP}");
    let yaml = edited(&[(GATES, &with(&lines)), (FIRST_STEP, first), (LATER_STEP, &later)]);
    parse(&yaml).unwrap_or_else(|errors| panic!("{}", errors.display("plan.yaml")))
}

#[test]
fn the_preview_says_what_each_does() {
    let plan = whole();
    super::stays_itself(&plan);
    let shown = |plan: &Plan| -> String {
        let gates = |step: &&Step| matches!(step, Step::Gate(gate) if gate.is_run());
        let steps = plan.steps.iter().zip(crate::plan::preview(plan).steps);
        let steps = steps.filter(|(step, _)| gates(step));
        steps.map(|(_, shown)| format!("{}: {}\n", shown.does, shown.effects.join("; "))).collect()
    };
    let mut few = plan.clone();
    if let (Some(probe), Some(migration)) = (&mut few.gates.probe, &mut few.gates.migration) {
        probe.agents = PerEnvironment::default();
        probe.calls.truncate(1);
        (migration.schema, migration.tables) = (None, migration.tables[..1].to_vec());
        migration.queries.truncate(1);
    }
    few.gates.load = gates("load: { recording: peak.vrec.age, identity: key.txt }").load;
    few.gates.dependencies = gates("dependencies: {}").dependencies;
    insta::assert_snapshot!(format!("{}\n{}", shown(&plan), shown(&few)));
}

#[test]
fn what_nothing_asks_for_is_said() {
    let notes = |edits: &[(&str, &str)]| -> Vec<String> {
        let of_gates = |note: &String| note.contains("no step uses it") || note.contains("before green serves");
        previewed(edits).notes.into_iter().filter(of_gates).collect()
    };
    let all = with(&[TESTS, MIGRATION, SYNTHETIC, CALLS, DEPENDENCIES].join("\n    "));
    let unused = |gate: GateName| format!("spec.gates.{gate} is configured, but no step uses it");
    let gates = [GateName::Tests, GateName::Migration, GateName::Load, GateName::Probe, GateName::Dependencies];
    assert_eq!(notes(&[(GATES, &all)]), gates.map(unused));
    let serving = with("dependencies: {}");
    let early = notes(&[(GATES, &serving), (FIRST_STEP, "      - gate: dependencies\n")]);
    assert!(early[0].contains("move it behind a setWeight"), "{early:?}");
    let later = format!("      - gate: dependencies\n{LATER_STEP}");
    assert_eq!(notes(&[(GATES, &serving), (LATER_STEP, &later)]), [""; 0]);
    let by_version = with("dependencies: { by: version }");
    assert_eq!(notes(&[(GATES, &by_version), (FIRST_STEP, "      - gate: dependencies\n")]), [""; 0]);
}

/// Both environments have a trace store, and time enough to ask it.
fn asks_stores(plan: &str) -> String {
    let otlp = ["14317", "24317"].map(|port| format!("      otlp: {{ grpc: \"http://127.0.0.1:{port}\" }}\n"));
    let with_store = |plan: String, otlp: &String| {
        assert!(plan.contains(otlp), "{otlp:?} is not in {plan}");
        let port = if otlp.contains("14317") { 13200 } else { 23200 };
        plan.replace(otlp, &format!("{otlp}      query: {{ tempo: \"http://127.0.0.1:{port}\" }}\n"))
    };
    let plan = otlp.iter().fold(plan.to_owned(), with_store);
    plan.replace("  guards:\n", "  verification: { horizon: 70s }\n  guards:\n")
}

#[test]
fn older_traces_mean_what_they_say() {
    let lines =
        "migration: { olderTraces: { services: [shop, cart], since: 30d, sample: 50, atLeast: 99.5%, least: 10 } }";
    let plan = parse(&asks_stores(&edited(&[(GATES, &with(lines))]))).unwrap();
    let gate = plan.gates.migration.unwrap();
    let older = gate.older_traces.unwrap();
    assert_eq!(gate.databases, None);
    assert_eq!((older.services.join(" "), older.since_ms), ("shop cart".to_owned(), 30 * 24 * 3_600_000));
    assert_eq!((older.sample, older.at_least.get(), older.least), (50, 9_950, 10));
    let short =
        parse(&asks_stores(&edited(&[(GATES, &with("migration: { olderTraces: { services: [a] } }"))]))).unwrap();
    let older = short.gates.migration.unwrap().older_traces.unwrap();
    assert_eq!((older.since_ms, older.sample, older.at_least, older.least), (604_800_000, 100, BasisPoints::ALL, 20));
}

/// The documentation's examples: their steps in the place of the drift gate's, their gates in the place of all gates.
fn documented(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
    let examples = blocks.filter(|block| block.starts_with("spec:\n") && block.contains("  gates:\n"));
    let plan = |block: &str| {
        let (before, gates) = block.split_once("  gates:\n").unwrap();
        let step: String =
            before.lines().filter(|line| line.contains("gate: ")).map(|line| format!("{line}\n")).collect();
        let gates = format!("  gates:\n{gates}");
        let start = super::EXAMPLE.find(GATES).unwrap();
        let end = super::EXAMPLE.find("  guards:\n").unwrap();
        // The guard and the steps need what they ask for; what is asked for late stands before the second weight.
        let steps = super::EXAMPLE[..start].replace(FIRST_STEP, "").replace("      - gate: approval\n", "");
        let steps = steps.replacen(LATER_STEP, &format!("{step}{LATER_STEP}"), 1);
        let guards = super::EXAMPLE[end..].replace("    drift:       { every: 30s }\n", "");
        let plan = format!("{steps}{gates}{guards}");
        // Who is asked for older traces is not the example's to show.
        if gates.contains("olderTraces") { asks_stores(&plan) } else { plan }
    };
    examples.map(plan).collect()
}

#[test]
fn the_examples_of_the_documentation_are_plans() {
    let pages = [
        (include_str!("../../../../../docs/gates.md"), 9),
        (include_str!("../../../../../docs/migration.md"), 1),
        (include_str!("../../../../../docs/plan.md"), 4),
    ];
    for (page, least) in pages {
        let examples = documented(page);
        assert!(examples.len() >= least, "{} examples", examples.len());
        for example in examples {
            parse(&example).unwrap_or_else(|errors| panic!("{}\n{example}", errors.display("plan.yaml")));
        }
    }
}
