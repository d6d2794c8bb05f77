//! What the gates for behaviour ask for, in the words of their runners: tests, migration, calls, load, dependencies.

use crate::gating::Surroundings;
use crate::older_traces;
use gates::testing::{Source, Tests};
use gates::{Run, integration};
use integrations::{Calls, Dependencies, cover};
use migration::{Assessment, Checks, ExpectedDifference, LeftOut, Query, Relation, Rows, SchemaCheck, Table};
use model::{ClientTls, GateResult, GateVerdict, PerEnvironment};
use postgres::Database;
use rollout::plan::{
    AgentPlan, DatabasePlan, DsnPlan, MigrationGate, Plan, ProbeGate, Reasoned, RelationPlan, TablePlan, TestSource,
    TestsGate,
};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testing::Demand;

/// A comparison ends by itself before the gate is given up, and says how far it came.
const MIGRATION_LIMIT: Duration = Duration::from_secs(105);

/// A gate that the plan does not configure cannot be run.
fn unconfigured(gate: &str) -> Run {
    Run::error(format!("the plan has no spec.gates.{gate}"))
}

/// Is green tested?
pub(crate) async fn tests(plan: &Plan, base_dir: &Path, around: &Surroundings) -> Run {
    let Some(gate) = &plan.gates.tests else { return unconfigured("tests") };
    let TestsGate { at_least, max_age_ms, max_skipped, built, like_blue, reports, properties, key_file, exceptions } =
        gate.clone();
    let Some(artifact) = &plan.environments.green.artifact else {
        return Run::error("the plan does not say which artifact green is: add environments.green.artifact".to_owned());
    };
    let artifact = match artifact.parse() {
        Ok(artifact) => artifact,
        Err(error) => return Run::error(format!("environments.green.artifact: {error}")),
    };
    let exceptions =
        exceptions.into_iter().map(|it| testing::Exception { test: it.test, reason: it.reason, expires: it.expires });
    let demand = Demand {
        artifact,
        built,
        at_least: u64::from(at_least),
        max_age_ms,
        max_skipped: max_skipped.map(u64::from),
        exceptions: exceptions.collect(),
    };
    let source = |source: TestSource| match source {
        TestSource::Files(path) => Source::Files(base_dir.join(path)),
        TestSource::Command(run) => Source::Command(run),
    };
    let sources = reports.map(|reports| reports.into_iter().map(source).collect::<Vec<_>>());
    let key_file = key_file.map(|path| base_dir.join(path));
    let tests = Tests { demand, properties, zone_minutes: 0, key_file, like_blue };
    gates::testing::run(&sources, &tests, &around.commands, around.now).await
}

/// Is green's data blue's?
pub(crate) async fn migration(plan: &Plan, base_dir: &Path, around: &Surroundings) -> Run {
    let Some(gate) = &plan.gates.migration else { return unconfigured("migration") };
    let rows = async {
        let databases = gate.databases.clone()?.map(|it| database(it, base_dir));
        let answer = postgres::run(&databases, &checks(gate), MIGRATION_LIMIT, around.key).await;
        Some((answer.result, answer.evidence))
    };
    let traces = async {
        let demand = gate.older_traces.as_ref()?;
        let Assessment { verdict, reasons, evidence } =
            older_traces::run(demand, plan, base_dir, around, MIGRATION_LIMIT).await;
        Some((GateResult { verdict, reasons, evidence: None }, evidence))
    };
    match tokio::join!(rows, traces) {
        (Some((result, evidence)), None) | (None, Some((result, evidence))) => Run::with_evidence(result, &evidence),
        (Some((rows, seen_rows)), Some((traces, seen_traces))) => {
            Run::with_evidence(worse_first(rows, traces), &json!({ "rows": seen_rows, "traces": seen_traces }))
        }
        (None, None) => unconfigured("migration"),
    }
}

/// Both as one: the verdict that weighs more, and its reasons first.
fn worse_first(one: GateResult, other: GateResult) -> GateResult {
    let weight = |result: &GateResult| match result.verdict {
        GateVerdict::Fail => 3,
        GateVerdict::Error => 2,
        GateVerdict::Inconclusive => 1,
        GateVerdict::Pass => 0,
    };
    let (mut first, second) = if weight(&other) > weight(&one) { (other, one) } else { (one, other) };
    first.reasons.extend(second.reasons);
    first
}

fn database(plan: DatabasePlan, base_dir: &Path) -> Database {
    let source = match plan.dsn {
        DsnPlan::File(path) => postgres::Source::File(base_dir.join(path)),
        DsnPlan::Variable(name) => postgres::Source::Variable(name),
    };
    Database { source, tls: plan.tls.under(base_dir) }
}

fn checks(gate: &MigrationGate) -> Checks {
    let table = |table: &TablePlan| {
        let left_out = |it: &Reasoned| LeftOut { column: it.what.clone(), reason: it.reason.clone() };
        Table {
            key: table.key.clone(),
            columns: table.columns.clone(),
            left_out: table.left_out.iter().map(left_out).collect(),
            filter: table.filter.clone(),
            rows: if table.green_may_have_more { Rows::GreenMayHaveMore } else { Rows::Same },
            ..Table::new(&table.name)
        }
    };
    let queries = gate.queries.iter().map(|query| Query {
        name: query.name.clone(),
        sql: query.sql.clone(),
        relation: match query.green {
            RelationPlan::Equal => Relation::Equal,
            RelationPlan::AtLeast => Relation::AtLeast,
            RelationPlan::AtMost => Relation::AtMost,
            RelationPlan::Within(basis_points) => Relation::Within { basis_points },
        },
    });
    let schema = gate.schema.as_ref().map(|schema| {
        let expected = |it: &Reasoned| ExpectedDifference { path: it.what.clone(), reason: it.reason.clone() };
        SchemaCheck { schemas: schema.schemas.clone(), expected: schema.expected.iter().map(expected).collect() }
    });
    Checks { tables: gate.tables.iter().map(table).collect(), queries: queries.collect(), schema }
}

/// Can both environments make their calls? Certificates are looked at by the time at which the gate began.
pub(crate) async fn calls(probe: &ProbeGate, base_dir: &Path, around: &Surroundings) -> Run {
    let calls = match Calls::new(probe.calls.clone()) {
        Ok(calls) => calls,
        Err(error) => return Run::error(error.to_string()),
    };
    let agents = probe.agents.clone().map(|agent| {
        agent.map(|AgentPlan { url, token_file, tls }| integration::AgentAddress {
            url,
            token_file: base_dir.join(token_file),
            tls: tls.under(base_dir),
        })
    });
    let demanded = integration::Demanded {
        calls,
        slower: probe.slower,
        controller_is_meant: probe.from_controller,
        tls: ClientTls::default(),
    };
    let now = around.now;
    integration::run(&agents, &demanded, &integration::stopwatch(), &(Arc::new(move || now) as integration::Clock))
        .await
}

/// Has green called whom blue calls?
pub(crate) fn dependencies(plan: &Plan, around: &Surroundings) -> Run {
    let Some(gate) = &plan.gates.dependencies else { return unconfigured("dependencies") };
    let seen = around.dependencies.as_ref().zip(around.route_key);
    let Some(seen) = seen.and_then(|(seen, key)| seen(key)) else {
        return Run::inconclusive(
            "whom the environments call is known while a rollout runs, from its traces".to_owned(),
        );
    };
    let PerEnvironment::<Dependencies> { blue, green } = &seen;
    let answer = cover(&gate.coverage, PerEnvironment { blue, green }, around.now);
    let result = GateResult { verdict: answer.verdict, reasons: answer.reasons, evidence: None };
    Run::with_evidence(result, &answer.evidence)
}
