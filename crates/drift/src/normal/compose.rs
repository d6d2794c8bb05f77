//! Docker Compose files (compose-spec): the short and the long form of a setting are the same one.

use super::{named, quantity};
use crate::value::{Raw, Value};
use std::collections::BTreeMap;

/// Keys of a service that are found nowhere else together with `services`.
const SERVICE: &[&str] = &["image", "build", "environment", "ports", "command", "depends_on", "env_file", "extends"];

/// Lists without an order.
const UNORDERED: &[&str] = &[
    "ports",
    "expose",
    "volumes",
    "cap_add",
    "cap_drop",
    "security_opt",
    "profiles",
    "devices",
    "group_add",
    "tmpfs",
    "volumes_from",
    "links",
    "external_links",
];

/// Lists of `NAME=value` that may be mappings.
const ASSIGNMENTS: &[&str] = &["environment", "labels", "args", "annotations", "sysctls", "extra_hosts"];

const DURATIONS: &[&str] = &["interval", "timeout", "start_period", "start_interval", "stop_grace_period", "delay"];

/// Whether a mapping is a Compose project.
pub(crate) fn is_project<L>(value: &Value<L>) -> bool {
    let Some(services) = value.get("services").and_then(Value::map) else { return false };
    services.values().any(|service| SERVICE.iter().any(|key| service.get(key).is_some()))
}

pub(super) fn normalise(raw: &mut Raw) {
    let Some(root) = raw.map_mut() else { return };
    // Says nothing any more (compose-spec, "Version and name top-level elements").
    root.remove("version");
    let Some(services) = root.get_mut("services").and_then(Raw::map_mut) else { return };
    for service in services.values_mut() {
        settings(service);
        let Some(service) = service.map_mut() else { continue };
        dependencies(service);
        for key in ["networks", "secrets", "configs"] {
            if let Some(list) = service.get_mut(key) {
                references(list);
            }
        }
        for key in ["command", "entrypoint"] {
            if let Some(command) = service.get_mut(key) {
                arguments(command);
            }
        }
        if let Some(files) = service.get_mut("env_file").filter(|files| files.as_text().is_some()) {
            *files = Value::List(vec![std::mem::replace(files, Raw::NULL)]);
        }
        service.entry("restart".to_owned()).or_insert_with(|| Raw::text("no"));
    }
}

fn settings(raw: &mut Raw) {
    let Some(map) = raw.map_mut() else { return };
    for (key, value) in map {
        let key = key.as_str();
        if ASSIGNMENTS.contains(&key) {
            assignments(value);
        } else if UNORDERED.contains(&key) {
            if let Value::List(items) = value {
                items.iter_mut().for_each(Raw::spell_out);
            }
            named::bag(value);
        } else if DURATIONS.contains(&key) {
            if let Some(one) = value.as_text().and_then(quantity::duration) {
                *value = Raw::text(one);
            }
        } else {
            settings(value);
        }
    }
}

/// Values are strings; a name by itself is taken from the surroundings, which null says too.
fn assignments(raw: &mut Raw) {
    if let Value::List(items) = raw {
        let mut map = BTreeMap::new();
        for item in items.iter() {
            let Some(text) = item.as_text() else { return };
            match text.split_once(['=']).or_else(|| text.split_once(": ")) {
                Some((name, value)) => map.insert(name.to_owned(), Raw::text(value)),
                None => map.insert(text.to_owned(), Raw::NULL),
            };
        }
        *raw = Value::Map(map);
    }
    if let Some(map) = raw.map_mut() {
        map.values_mut().for_each(Raw::spell_out);
    }
}

/// `depends_on: [db]` waits until it is started.
fn dependencies(service: &mut BTreeMap<String, Raw>) {
    let Some(list) = service.get_mut("depends_on") else { return };
    references(list);
    let Some(map) = list.map_mut() else { return };
    for dependency in map.values_mut() {
        if dependency.is_null() {
            *dependency = Raw::empty();
        }
        if let Some(dependency) = dependency.map_mut() {
            dependency.entry("condition".to_owned()).or_insert_with(|| Raw::text("service_started"));
        }
    }
}

/// A list of names is a mapping of names to nothing; the long form says its name as `source`.
fn references(raw: &mut Raw) {
    let Value::List(items) = raw else { return };
    let mut map = BTreeMap::new();
    for item in items.iter() {
        let (name, value) = match item.as_text() {
            Some(name) => (name.to_owned(), Raw::NULL),
            None => match item.get("source").and_then(Raw::spelled) {
                Some(name) => (name, item.clone()),
                None => return,
            },
        };
        map.insert(name, value);
    }
    *raw = Value::Map(map);
}

/// A command without quotes or variables is its words.
fn arguments(raw: &mut Raw) {
    if let Some(text) = raw.as_text().filter(|text| !text.contains(['"', '\'', '\\', '$'])) {
        *raw = Value::List(text.split_ascii_whitespace().map(Raw::text).collect());
    } else if let Value::List(items) = raw {
        items.iter_mut().for_each(Raw::spell_out);
    }
}
