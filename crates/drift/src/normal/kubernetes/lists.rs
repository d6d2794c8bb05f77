//! Which lists of Kubernetes objects are found by name, and which have no order; nulls and quantities on the way.
//!
//! The names are the merge keys of the API's types (`x-kubernetes-list-map-keys`, `patchMergeKey` in
//! k8s.io/api/core/v1/types.go), where a person would not choose another one.

use super::is_foreign;
use crate::normal::{named, quantity};
use crate::value::{Raw, Value};
use std::collections::BTreeMap;

/// Lists of items with a `name`; `initContainers` run in their order.
const BY_NAME: &[(&str, bool)] = &[
    ("containers", false),
    ("initContainers", true),
    ("ephemeralContainers", false),
    ("volumes", false),
    ("imagePullSecrets", false),
    ("webhooks", false),
    ("ownerReferences", false),
    ("secrets", false),
];

/// Lists without an order.
const UNORDERED: &[&str] = &[
    "tolerations",
    "accessModes",
    "finalizers",
    "policyTypes",
    "verbs",
    "resources",
    "apiGroups",
    "resourceNames",
    "add",
    "drop",
    "matchExpressions",
    "topologySpreadConstraints",
    "subjects",
    "metrics",
    "nonResourceURLs",
    "hosts",
    "mountOptions",
    "supplementalGroups",
    "loadBalancerSourceRanges",
    "externalIPs",
];

/// Keys of resources by name, each with a quantity.
const QUANTITIES: &[&str] = &["limits", "requests", "capacity", "hard", "max", "min", "defaultRequest"];

pub(super) fn walk(raw: &mut Raw, key: &str) {
    match raw {
        Value::Map(entries) => {
            // The API takes null for nothing.
            entries.retain(|_, value| !value.is_null());
            let quantities = QUANTITIES.contains(&key);
            for (key, value) in entries.iter_mut().filter(|(key, _)| !is_foreign(key)) {
                if quantities || matches!(key.as_str(), "sizeLimit" | "divisor") {
                    one_spelling(value);
                }
                walk(value, key);
            }
        }
        Value::List(items) => {
            items.iter_mut().for_each(|item| walk(item, key));
            list(raw, key);
        }
        Value::Leaf(_) | Value::Bag(_) | Value::Named(_) => {}
    }
}

fn one_spelling(value: &mut Raw) {
    if let Some(text) = value.spelled() {
        *value = Raw::text(quantity::quantity(&text).unwrap_or(text));
    }
}

fn list(raw: &mut Raw, key: &str) {
    if let Some((_, ordered)) = BY_NAME.iter().find(|(name, _)| *name == key) {
        named::name(raw, *ordered, |item| item.get("name")?.spelled());
        return drop_names(raw);
    }
    match key {
        "env" => env(raw),
        "ports" => named::name(raw, false, port),
        "volumeMounts" => mounts(raw),
        "volumeDevices" => named::name(raw, false, |item| item.get("devicePath")?.spelled()),
        "hostAliases" => named::name(raw, false, |item| item.get("ip")?.spelled()),
        "volumeClaimTemplates" => named::name(raw, false, |item| item.at(&["metadata", "name"])?.spelled()),
        "command" | "args" => {
            if let Value::List(items) = raw {
                items.iter_mut().for_each(Raw::spell_out);
            }
        }
        _ if UNORDERED.contains(&key) => named::bag(raw),
        _ => {}
    }
}

/// The name is told by the path already.
fn drop_names(raw: &mut Raw) {
    let Value::Named(named) = raw else { return };
    for item in named.items.values_mut().filter_map(Raw::map_mut) {
        item.remove("name");
    }
}

/// Of a variable that stands twice the last one counts. Values are strings, whatever they look like; a variable
/// without one is empty.
fn env(raw: &mut Raw) {
    let Value::List(items) = raw else { return };
    let named = |item: &Raw| item.get("name").and_then(Raw::spelled);
    if !items.iter().all(|item| named(item).is_some()) {
        return;
    }
    let mut variables = BTreeMap::new();
    for mut item in std::mem::take(items) {
        let Some(name) = named(&item) else { continue };
        if let Some(map) = item.map_mut() {
            map.remove("name");
            if !map.contains_key("valueFrom") {
                map.entry("value".to_owned()).or_insert_with(|| Raw::text("")).spell_out();
            }
        }
        variables.insert(name, item);
    }
    *raw = Value::Named(crate::value::Named { items: variables, order: None });
}

/// By name, or by number and protocol.
fn port(item: &Raw) -> Option<String> {
    if let Some(name) = item.get("name").and_then(Raw::spelled) {
        return Some(name);
    }
    let number = item.get("containerPort").or_else(|| item.get("port"))?.spelled()?;
    match item.get("protocol").and_then(Raw::as_text) {
        None | Some("TCP") => Some(number),
        Some(protocol) => Some(format!("{number}/{protocol}")),
    }
}

/// By the volume's name; one that is mounted twice by name and path.
fn mounts(raw: &mut Raw) {
    let Value::List(items) = raw else { return };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in items.iter().filter_map(|item| item.get("name").and_then(Raw::spelled)) {
        *counts.entry(name).or_default() += 1;
    }
    named::name(raw, false, |item| {
        let name = item.get("name")?.spelled()?;
        if counts.get(&name) == Some(&1) {
            return Some(name);
        }
        Some(format!("{name}@{}", item.get("mountPath")?.spelled()?))
    });
}
