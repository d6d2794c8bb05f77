//! From what was read to what a tree keeps: every secret becomes its seal, every other value stays.

use crate::secret::{HIDDEN, SecretKey, Visible, names, shapes, visible, visible_when_named};
use crate::value::{Named, Node, Raw, RawScalar, Scalar, Value};
use std::collections::BTreeMap;

/// What the names above a value say of it.
#[derive(Clone, Copy)]
struct Above<'a> {
    /// The nearest key.
    name: &'a str,
    /// Whether a name above makes everything here secret.
    secret: bool,
    /// Whether the values here are those of headers.
    headers: bool,
}

/// Seals a document. The depth of the recursion is that of the document, which is bounded.
pub(crate) fn seal(raw: Raw, key: &SecretKey) -> Node {
    value(raw, Above { name: "", secret: false, headers: false }, key)
}

/// A key or name as it may be shown.
pub(crate) fn name(name: String, key: &SecretKey) -> String {
    const SHORTEST: usize = 14;
    if name.len() >= SHORTEST && shapes::is_known(&name) {
        let mark = key.seal(name.as_bytes()).mark();
        return format!("{HIDDEN} {mark}");
    }
    name
}

fn value(raw: Raw, above: Above<'_>, key: &SecretKey) -> Node {
    match raw {
        Value::Leaf(scalar) => Value::Leaf(leaf(scalar, above, key)),
        Value::Map(entries) => map(entries, above, key),
        Value::List(items) => Value::List(list(items, above, key)),
        Value::Bag(items) => {
            let mut items = list(items, above, key);
            items.sort_unstable();
            Value::Bag(items)
        }
        Value::Named(Named { items, order }) => {
            let order = order.map(|order| order.into_iter().map(|item| name(item, key)).collect());
            let items = items.into_iter().map(|(item, raw)| {
                let node = named(&item, raw, above, key);
                (name(item, key), node)
            });
            Value::Named(Named { items: items.collect(), order })
        }
    }
}

/// An item with a name of its own: the name of a variable says whether its value is secret, that of a container
/// nothing.
fn named(item: &str, raw: Raw, above: Above<'_>, key: &SecretKey) -> Node {
    match raw {
        Value::Map(mut entries) => {
            let alone = entries.remove("value");
            let node = map(entries, above, key);
            match (alone, node) {
                (Some(raw), Value::Map(mut entries)) => {
                    entries.insert("value".to_owned(), value(raw, below(item, above), key));
                    Value::Map(entries)
                }
                (_, node) => node,
            }
        }
        raw @ (Value::Leaf(_) | Value::List(_) | Value::Bag(_) | Value::Named(_)) => {
            value(raw, Above { name: item, ..above }, key)
        }
    }
}

/// Fields that hold what another field names.
const VALUES: [&str; 3] = ["value", "values", "default_value"];

fn map(entries: BTreeMap<String, Raw>, above: Above<'_>, key: &SecretKey) -> Node {
    // `{name: x-api-key, value: …}`, as lists of headers, attributes and parameters have it.
    let values = VALUES.iter().any(|field| entries.contains_key(*field));
    let told = || ["name", "key", "header"].iter().find_map(|field| entries.get(*field).and_then(Raw::as_text));
    let told = if values { told().map(str::to_owned) } else { None };
    let chosen = names::holds_chosen(above.name);
    let entries = entries.into_iter().map(|(entry, raw)| {
        let collection = !matches!(raw, Value::Leaf(_));
        let at = match &told {
            Some(told) if VALUES.contains(&entry.as_str()) => below(told, above),
            Some(_) | None if chosen && collection => Above { name: &entry, headers: false, ..above },
            Some(_) | None if collection && is_reference(&entry, &raw) => {
                Above { name: &entry, secret: false, headers: false }
            }
            Some(_) | None => below(&entry, above),
        };
        let node = value(raw, at, key);
        (name(entry, key), node)
    });
    Value::Map(entries.collect())
}

/// What a name says of the value below it.
fn below<'a>(name: &'a str, above: Above<'_>) -> Above<'a> {
    let header = above.headers && names::is_secret_header(name);
    let headers = names::holds_headers(name);
    Above { name, secret: above.secret || header || names::is_secret(name), headers }
}

/// Whether a collection only says where a secret is: `secretKeyRef: {…}`, `secret: {secretName: …}`, and Compose's
/// `secrets: {db_password: {file: …}}`.
fn is_reference(entry: &str, raw: &Raw) -> bool {
    const COMPOSE: [&str; 3] = ["file", "external", "environment"];
    if names::is_reference(entry) {
        return true;
    }
    let Some(map) = raw.map() else { return false };
    map.contains_key("secretName") || (!map.is_empty() && map.keys().all(|key| COMPOSE.contains(&key.as_str())))
}

fn list(items: Vec<Raw>, above: Above<'_>, key: &SecretKey) -> Vec<Node> {
    let mut sealed = Vec::with_capacity(items.len());
    // `--token s3cret` as two arguments.
    let mut flag: Option<String> = None;
    for raw in items {
        let next = raw.as_text().filter(|text| text.starts_with('-') && !text.contains('=')).map(str::to_owned);
        let at = match &flag {
            Some(flag) if next.is_none() => below(flag, above),
            Some(_) | None => above,
        };
        sealed.push(value(raw, at, key));
        flag = next;
    }
    sealed
}

fn leaf(scalar: RawScalar, above: Above<'_>, key: &SecretKey) -> Scalar {
    // The whole of `name=value,…` is one value here; below a map of headers each has its own name.
    let secret = above.secret || above.headers;
    match scalar {
        RawScalar::Null => Scalar::Null,
        RawScalar::Bool(value) => Scalar::Bool(value),
        RawScalar::Number(number) if secret => Scalar::Secret(key.seal(number.to_string().as_bytes())),
        RawScalar::Number(number) => Scalar::Number(number),
        RawScalar::Secret(bytes) => Scalar::Secret(key.seal(&bytes)),
        RawScalar::Opaque(bytes) => Scalar::Opaque(key.seal(&bytes)),
        RawScalar::Text(text) => {
            let seen = if secret { visible_when_named(above.name, &text) } else { visible(&text) };
            match seen {
                Visible::Whole => Scalar::Text(text),
                Visible::Nothing => Scalar::Secret(key.seal(text.as_bytes())),
                Visible::Masked { shown, secret } => Scalar::Masked { shown, seal: key.seal(secret.0.as_bytes()) },
            }
        }
    }
}
