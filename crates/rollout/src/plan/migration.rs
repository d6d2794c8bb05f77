//! The migration gate: which databases are compared, and by what; which of blue's older traces green must have.

use super::endpoint::client_tls;
use super::problems::{Expected, Place, Problems, list};
use super::quantity::{MAX_PATH_CHARACTERS, duration_ms, line, prose, share, whole};
use super::raw::{
    RawDatabase, RawLeftOut, RawMigrationGate, RawOlderTraces, RawQueryCheck, RawSchemaDifference, RawTable, Section,
    Text,
};
use super::strategy::weight;
use super::typed::word;
use model::{BasisPoints, ClientTls, Environment, PerEnvironment};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

/// The bounds of `migration`, which meets them again.
const MAX_TABLES: usize = 200;
const MAX_QUERIES: usize = 100;
const MAX_COLUMNS: usize = 1_600;
/// Bytes of a name in PostgreSQL are 63; characters of a table's name with its schema.
const MAX_NAME_CHARACTERS: usize = 200;
/// Characters of a query or a condition, and of a reason.
const MAX_SQL_CHARACTERS: usize = 8 * 1024;
const MAX_REASON_CHARACTERS: usize = 500;
/// Services whose older traces are searched for: with ten searches each, a store is asked 100 times.
const MAX_SERVICES: usize = 10;
/// Older traces that are asked for: `migration::traces` says what they are worth.
const MAX_SAMPLE: u32 = 100;
/// With fewer nothing is said, unless the plan says another number.
const DEFAULT_LEAST: u32 = 20;
/// An hour to what stores keep, a year; a week unless the plan says otherwise.
const SINCE_MS: (u64, u64) = (3_600_000, 366 * 24 * 3_600_000);
const DEFAULT_SINCE_MS: u64 = 7 * 24 * 3_600_000;

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigrationGate {
    /// Where the data is; none where only older traces are looked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub databases: Option<PerEnvironment<DatabasePlan>>,
    /// Tables, row by row.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tables: Vec<TablePlan>,
    /// Queries of the plan's own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub queries: Vec<QueryPlan>,
    /// The definitions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<SchemaPlan>,
    /// What green's trace store must have of blue's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub older_traces: Option<OlderTracesPlan>,
}

/// A sample of blue's older traces, which green's trace store must have too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OlderTracesPlan {
    /// Whose traces are searched for: `service.name`.
    pub services: Vec<String>,
    /// How far back, in milliseconds.
    pub since_ms: u64,
    /// Traces that are asked for, at most.
    pub sample: u32,
    /// The least share of blue's that green must have whole.
    pub at_least: BasisPoints,
    /// With fewer traces of blue nothing is said.
    pub least: u32,
}

/// Where a database is. The DSN holds a password, and never stands in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabasePlan {
    /// Where the DSN is.
    pub dsn: DsnPlan,
    /// What TLS needs beyond the defaults.
    #[serde(skip_serializing_if = "ClientTls::is_default", default)]
    pub tls: ClientTls,
}

/// Where a DSN is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DsnPlan {
    /// In a file, relative to the plan.
    File(String),
    /// In an environment variable of the server.
    Variable(String),
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TablePlan {
    /// `orders` or `sales.orders`.
    pub name: String,
    /// What tells rows apart; empty: the primary key.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub key: Vec<String>,
    /// What is compared; empty: all that blue has.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub columns: Vec<String>,
    /// What is not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left_out: Vec<Reasoned>,
    /// Only rows for which this holds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub filter: Option<String>,
    /// Whether green may have rows that blue has not.
    #[serde(default)]
    pub green_may_have_more: bool,
}

/// Something with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reasoned {
    /// A column, or a path.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// A query that gives one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryPlan {
    /// What reasons call it.
    pub name: String,
    /// One `SELECT`.
    pub sql: String,
    /// What green's value must be to blue's.
    pub green: RelationPlan,
}

/// Green's value to blue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum RelationPlan {
    /// The same.
    Equal,
    /// Not less.
    AtLeast,
    /// Not more.
    AtMost,
    /// They differ by so many hundredths of a percent at most.
    Within(u32),
}

/// The definitions of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaPlan {
    /// Whose tables are all compared, beside those that are named.
    pub schemas: Vec<String>,
    /// What may differ.
    pub expected: Vec<Reasoned>,
}

/// `gates.migration`.
pub(super) fn gate(problems: &mut Problems, at: &Place, raw: &RawMigrationGate) -> Option<MigrationGate> {
    let tables = list(problems, at, ("tables", MAX_TABLES), &raw.tables, table);
    let queries = list(problems, at, ("queries", MAX_QUERIES), &raw.queries, query);
    let schema = match &raw.schema {
        None => Some(None),
        Some(section) => {
            let at = at.key("schema", section);
            let schemas = names(problems, &at, "schemas", &section.value.schemas);
            let expected = list(problems, &at, ("expected", MAX_COLUMNS), &section.value.expected, expected);
            schemas.zip(expected).map(|(schemas, expected)| Some(SchemaPlan { schemas, expected }))
        }
    };
    let older = match &raw.older_traces {
        None => Some(None),
        Some(section) => older_traces(problems, &at.key("olderTraces", section), &section.value).map(Some),
    };
    let (tables, queries, schema, older_traces) = (tables?, queries?, schema?, older?);
    let compares = !tables.is_empty() || !queries.is_empty() || schema.is_some();
    if !compares && older_traces.is_none() {
        problems.refuse(at, "nothing to compare", "`tables`, `queries`, `schema` or `olderTraces`");
        return None;
    }
    if !compares
        && let Some((key, section)) =
            [("blue", &raw.blue), ("green", &raw.green)].into_iter().find_map(|(key, raw)| Some((key, raw.as_ref()?)))
    {
        let help = "`olderTraces` asks the trace stores that `environments` name";
        problems.refuse_because(&at.key(key, section), "a database", "`tables`, `queries` or `schema` beside it", help);
        return None;
    }
    let databases = if compares { Some(databases(problems, at, raw)?) } else { None };
    Some(MigrationGate { databases, tables, queries, schema, older_traces })
}

fn databases(problems: &mut Problems, at: &Place, raw: &RawMigrationGate) -> Option<PerEnvironment<DatabasePlan>> {
    let mut database = |environment: Environment, raw: &Section<RawDatabase>| {
        let wanted = "where its database is, such as { dsnFile: ./blue.dsn }";
        let (at, raw) = problems.section(at, environment.name(), raw, wanted)?;
        database_plan(problems, &at, raw)
    };
    let (blue, green) = (database(Environment::Blue, &raw.blue), database(Environment::Green, &raw.green));
    let databases = PerEnvironment { blue: blue?, green: green? };
    if databases.blue.dsn == databases.green.dsn {
        let help = "a database that is compared with itself is always the same";
        problems.refuse_because(at, "one DSN for both environments", "one for each", help);
        return None;
    }
    Some(databases)
}

fn older_traces(problems: &mut Problems, at: &Place, raw: &RawOlderTraces) -> Option<OlderTracesPlan> {
    let services = list(problems, at, ("services", MAX_SERVICES), &raw.services, |problems, at, raw: &String| {
        let refused = |expected: Expected| problems.refuse(at, super::error::quoted(raw), expected);
        line(raw, MAX_NAME_CHARACTERS).map_err(refused).ok()
    });
    let since = problems.or(at, "since", &raw.since, DEFAULT_SINCE_MS, |text| duration_ms(text, SINCE_MS));
    let sample = problems.or(at, "sample", &raw.sample, MAX_SAMPLE, |text| whole(text, (1, MAX_SAMPLE)));
    let at_least = problems.or(at, "atLeast", &raw.at_least, BasisPoints::ALL, weight);
    let least = problems.or(at, "least", &raw.least, DEFAULT_LEAST, |text| whole(text, (1, MAX_SAMPLE)));
    let services = services?;
    if services.is_empty() {
        problems.refuse(
            &at.missing("services"),
            "nothing",
            "the services whose traces are searched for in blue, such as [checkout]",
        );
        return None;
    }
    let (sample, least) = (sample?, least?);
    if least > sample {
        problems.refuse(at, format!("`least: {least}` beside `sample: {sample}`"), "a sample of at least as many");
        return None;
    }
    Some(OlderTracesPlan { services, since_ms: since?, sample, at_least: at_least?, least })
}

fn database_plan(problems: &mut Problems, at: &Place, raw: &RawDatabase) -> Option<DatabasePlan> {
    let wanted = "either `dsnFile` or `dsnVariable`, for a password does not stand in a plan";
    let dsn = match (&raw.dsn_file, &raw.dsn_variable) {
        (Some(_), None) => dsn_place(problems, at, ("dsnFile", &raw.dsn_file), file).map(DsnPlan::File),
        (None, Some(_)) => dsn_place(problems, at, ("dsnVariable", &raw.dsn_variable), variable).map(DsnPlan::Variable),
        (Some(_), Some(_)) | (None, None) => {
            problems.refuse(at, "both or neither of `dsnFile` and `dsnVariable`", wanted);
            None
        }
    };
    let tls = client_tls(problems, at, &raw.tls, false);
    Some(DatabasePlan { dsn: dsn?, tls: tls? })
}

/// Never says what was found: whoever mistakes the place for the DSN has written a password there.
fn dsn_place(
    problems: &mut Problems,
    at: &Place,
    (key, text): (&str, &Text),
    read: impl FnOnce(&str) -> Result<String, Expected>,
) -> Option<String> {
    let text = text.as_ref()?;
    let refused = |expected: Expected| problems.refuse(&at.key(key, text), "something else", expected);
    read(&text.value).map_err(refused).ok()
}

fn file(text: &str) -> Result<String, Expected> {
    let is_dsn = text.contains("://") || text.contains("password=") || text.contains("host=");
    let path = if is_dsn { None } else { line(text, MAX_PATH_CHARACTERS).ok() };
    path.ok_or_else(|| "the path of a file with a DSN, such as ./blue.dsn".to_owned())
}

fn variable(text: &str) -> Result<String, Expected> {
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = (1..=100).contains(&text.len()) && text.bytes().all(known);
    if is_name { Ok(text.to_owned()) } else { Err("the name of an environment variable, such as BLUE_DSN".to_owned()) }
}

fn names(problems: &mut Problems, at: &Place, key: &str, raw: &Section<Vec<Spanned<String>>>) -> Option<Vec<String>> {
    list(problems, at, (key, MAX_COLUMNS), raw, |problems, at, raw: &String| {
        let refused = |expected: Expected| problems.refuse(at, super::error::quoted(raw), expected);
        line(raw, MAX_NAME_CHARACTERS).map_err(refused).ok()
    })
}

fn table(problems: &mut Problems, at: &Place, raw: &RawTable) -> Option<TablePlan> {
    let named = |text: &str| line(text, MAX_NAME_CHARACTERS);
    let name = problems.needed(at, "name", &raw.name, "a table, such as orders or sales.orders", named);
    let (key, columns) = (names(problems, at, "key", &raw.key), names(problems, at, "columns", &raw.columns));
    let left_out = list(problems, at, ("leftOut", MAX_COLUMNS), &raw.left_out, left_out);
    let filter = problems.optional(at, "filter", &raw.filter, |text| line(text, MAX_SQL_CHARACTERS));
    let words = [("same", false), ("greenMayHaveMore", true)];
    let more = problems.or(at, "rows", &raw.rows, false, |text| word(text, &words));
    let (key, columns, left_out) = (key?, columns?, left_out?);
    Some(TablePlan { name: name?, key, columns, left_out, filter: filter?, green_may_have_more: more? })
}

fn left_out(problems: &mut Problems, at: &Place, raw: &RawLeftOut) -> Option<Reasoned> {
    let named = |text: &str| line(text, MAX_NAME_CHARACTERS);
    let what = problems.needed(at, "column", &raw.column, "a column", named);
    let read = |text: &str| prose(text, MAX_REASON_CHARACTERS);
    let reason = problems.needed(at, "reason", &raw.reason, "why it is not compared", read);
    Some(Reasoned { what: what?, reason: reason? })
}

fn expected(problems: &mut Problems, at: &Place, raw: &RawSchemaDifference) -> Option<Reasoned> {
    let wanted = "what differs, such as orders.column.total.type";
    let what = problems.needed(at, "path", &raw.path, wanted, |text| line(text, MAX_NAME_CHARACTERS));
    let read = |text: &str| prose(text, MAX_REASON_CHARACTERS);
    let reason = problems.needed(at, "reason", &raw.reason, "why it may differ", read);
    Some(Reasoned { what: what?, reason: reason? })
}

fn query(problems: &mut Problems, at: &Place, raw: &RawQueryCheck) -> Option<QueryPlan> {
    let named = |text: &str| line(text, MAX_NAME_CHARACTERS);
    let name = problems.needed(at, "name", &raw.name, "what reasons call it", named);
    let sql = problems.needed(at, "sql", &raw.sql, "one SELECT of one value", |text| prose(text, MAX_SQL_CHARACTERS));
    let wanted = "what green's value must be to blue's: `equal`, `atLeast`, `atMost` or `within 1%`";
    let green = problems.needed(at, "green", &raw.green, wanted, |text| match text {
        "equal" => Ok(RelationPlan::Equal),
        "atLeast" => Ok(RelationPlan::AtLeast),
        "atMost" => Ok(RelationPlan::AtMost),
        _ => {
            let within = text.strip_prefix("within ").ok_or_else(|| wanted.to_owned())?;
            Ok(RelationPlan::Within((share(within, 100, "1%")? * 10_000.0).round() as u32))
        }
    });
    Some(QueryPlan { name: name?, sql: sql?, green: green? })
}
