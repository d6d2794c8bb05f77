//! OpenTelemetry Collector configurations: defaults of the common components, durations, sizes, references to the
//! environment, and which orders matter: that of a pipeline's processors alone.

mod defaults;

use super::{named, quantity};
use crate::value::{Raw, RawScalar, Value};

/// The sections of components.
pub(crate) const SECTIONS: &[&str] = &["receivers", "processors", "exporters", "connectors", "extensions"];

/// Keys whose texts are data, and not settings: a duration there is only a text that looks like one.
const VERBATIM: &[&str] = &[
    "value",
    "values",
    "pattern",
    "patterns",
    "regex",
    "body",
    "name",
    "key",
    "headers",
    "attributes",
    "labels",
    "statements",
    "static_configs",
    "blocked_values",
    "allowed_keys",
];

/// Whether a mapping is a Collector's configuration: it has pipelines, or receivers and exporters.
pub(crate) fn is_configuration<L>(value: &Value<L>) -> bool {
    let is_map = |path: &[&str]| value.at(path).is_some_and(|value| value.map().is_some());
    is_map(&["service", "pipelines"]) || (is_map(&["receivers"]) && is_map(&["exporters"]))
}

/// The type of a component: `otlp` of `otlp/backend`.
pub(crate) fn component_type(name: &str) -> &str {
    name.split_once('/').map_or(name, |(kind, _)| kind)
}

pub(super) fn normalise(raw: &mut Raw) {
    settings(raw, false);
    let Some(root) = raw.map_mut() else { return };
    for section in SECTIONS {
        let Some(components) = root.get_mut(*section).and_then(Raw::map_mut) else { continue };
        for (name, component) in components {
            // `batch:` is a component with its defaults.
            if component.is_null() {
                *component = Raw::empty();
            }
            defaults::fill_component(section, component_type(name), component);
        }
    }
    let Some(service) = root.get_mut("service").and_then(Raw::map_mut) else { return };
    if let Some(extensions) = service.get_mut("extensions") {
        named::texts(extensions, false);
    }
    let Some(pipelines) = service.get_mut("pipelines").and_then(Raw::map_mut) else { return };
    for (key, list) in pipelines.values_mut().filter_map(Raw::map_mut).flatten() {
        named::texts(list, key == "processors");
    }
}

/// Durations, sizes and references in one spelling each.
fn settings(raw: &mut Raw, verbatim: bool) {
    match raw {
        Value::Map(entries) => {
            for (key, value) in entries {
                settings(value, verbatim || VERBATIM.contains(&key.as_str()));
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| settings(item, verbatim)),
        Value::Leaf(RawScalar::Text(text)) => {
            if text.contains("${") {
                *text = references(text);
            } else if !verbatim && let Some(one) = quantity::duration(text).or_else(|| quantity::size(text)) {
                *text = one;
            }
        }
        Value::Leaf(_) | Value::Bag(_) | Value::Named(_) => {}
    }
}

/// `${NAME}` is `${env:NAME}`; `$${NAME}` is a text (opentelemetry.io/docs/collector/configuration).
fn references(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].bytes().rev().take_while(|byte| *byte == b'$').count() % 2 == 1;
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let name = after.bytes().take_while(|byte| plain(*byte)).count();
        let begins = after.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let ends = after[name..].starts_with('}') || after[name..].starts_with(":-");
        if !escaped && begins && ends {
            out.push_str("env:");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
