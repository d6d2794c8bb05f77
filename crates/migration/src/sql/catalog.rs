//! The definitions of tables, from `pg_catalog`, whoever may read the tables themselves. Nine texts a row: what it is,
//! schema, table, name, and five details.

use super::quoted;
use crate::checks::TableName;

/// Tables, partitioned tables, views, materialized views, foreign tables.
const KINDS: &str = "'r', 'p', 'v', 'm', 'f'";

pub(super) fn render(tables: &[TableName], schemas: &[String]) -> String {
    let mut wanted: Vec<_> = tables
        .iter()
        .map(|table| format!("(n.nspname = {} AND c.relname = {})", quoted(&table.schema), quoted(&table.name)))
        .collect();
    if !schemas.is_empty() {
        let names: Vec<_> = schemas.iter().map(|schema| quoted(schema)).collect();
        wanted.push(format!("n.nspname IN ({})", names.join(", ")));
    }
    let wanted = if wanted.is_empty() { "false".to_owned() } else { wanted.join(" OR ") };
    format!(
        "WITH t AS (SELECT c.oid, n.nspname::text AS s, c.relname::text AS r, c.relkind::text AS k \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ({KINDS}) AND ({wanted})) \
         {TABLES} UNION ALL {COLUMNS} UNION ALL {KEYS} UNION ALL {CONSTRAINTS} UNION ALL {INDEXES} UNION ALL {SEQUENCES}"
    )
}

const TABLES: &str = "SELECT 'table', s, r, '', k, coalesce(pg_get_partkeydef(oid), ''), '', '', '' FROM t";

/// Type as written, the type below a domain, NOT NULL, default, generated or identity with the collation.
const COLUMNS: &str = "SELECT 'column', t.s, t.r, a.attname::text, format_type(a.atttypid, a.atttypmod), \
    format_type(CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END, NULL), a.attnotnull::text, \
    coalesce(pg_get_expr(d.adbin, d.adrelid), ''), \
    a.attgenerated::text || '/' || a.attidentity::text || '/' || coalesce(o.collname::text, '') \
    FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
    JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation";

/// The primary key's columns, and which place each has.
const KEYS: &str = "SELECT 'key', t.s, t.r, a.attname::text, array_position(p.conkey, a.attnum)::text, '', '', '', '' \
    FROM t JOIN pg_catalog.pg_constraint p ON p.conrelid = t.oid AND p.contype = 'p' \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(p.conkey)";

/// By what they demand: a name changes nothing. PostgreSQL 18 has NOT NULL among them, which is a column's already.
const CONSTRAINTS: &str = "SELECT 'constraint', t.s, t.r, pg_get_constraintdef(p.oid), p.convalidated::text, '', '', '', '' \
    FROM t JOIN pg_catalog.pg_constraint p ON p.conrelid = t.oid AND p.contype IN ('c', 'f', 'p', 'u', 'x')";

/// By what they are over, but those that belong to a constraint.
const INDEXES: &str = "SELECT 'index', t.s, t.r, \
    CASE WHEN i.indisunique THEN 'UNIQUE' ELSE '' END || substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*$'), \
    (i.indisvalid AND i.indisready)::text, '', '', '', '' \
    FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p \
    WHERE p.conindid = i.indexrelid AND p.contype IN ('p', 'u', 'x'))";

/// The column that takes its values from one, where it stands ('' before its first value), whether that may be read, how far it goes
/// at a time. A column has one by owning it (`serial`, identity), or by its default.
const SEQUENCES: &str = "SELECT DISTINCT 'sequence', t.s, t.r, a.attname::text, q.oid::regclass::text, \
    coalesce(CASE WHEN has_sequence_privilege(q.oid, 'SELECT,USAGE') THEN pg_sequence_last_value(q.oid) END::text, ''), \
    has_sequence_privilege(q.oid, 'SELECT,USAGE')::text, e.seqincrement::text, '' \
    FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
    JOIN (SELECT p.objid AS seq, p.refobjid AS rel, p.refobjsubid AS num FROM pg_catalog.pg_depend p \
    WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.deptype IN ('a', 'i') \
    UNION SELECT p.refobjid, d.adrelid, d.adnum FROM pg_catalog.pg_depend p JOIN pg_catalog.pg_attrdef d ON d.oid = p.objid \
    WHERE p.classid = 'pg_attrdef'::regclass AND p.refclassid = 'pg_class'::regclass) AS u \
    ON u.rel = t.oid AND u.num = a.attnum \
    JOIN pg_catalog.pg_class q ON q.oid = u.seq AND q.relkind = 'S' JOIN pg_catalog.pg_sequence e ON e.seqrelid = q.oid";
