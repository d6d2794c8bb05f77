//! Kubernetes objects: what they are called, and what the API server adds to them.

mod defaults;
mod lists;

use super::{collector, embedded};
use crate::format::Budget;
use crate::value::{Raw, RawScalar, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// Kinds without a namespace (`kubectl api-resources --namespaced=false`).
const CLUSTER_WIDE: &[&str] = &[
    "APIService",
    "CertificateSigningRequest",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// How deep `data.NAME` and `spec.config` are.
const DEPTH_OF_DATA: usize = 3;

/// What the API server or a controller writes into metadata.
const MANAGED: &[&str] = &[
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Annotations that tools write.
const MANAGED_ANNOTATIONS: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "kubectl.kubernetes.io/restartedAt",
];

/// Keys below which a document of another kind may stand, where null has a meaning of its own.
const FOREIGN: &[&str] = &["data", "stringData", "binaryData", "config", "values"];

/// Workloads, and where their pods' specification is.
pub(crate) const PODS: &[(&str, &[&str])] = &[
    ("Pod", &["spec"]),
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("ReplicationController", &["spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// `Deployment/default/checkout`, or `ClusterRole/reader`; `None` for what is no object with a name.
pub(super) fn identity(raw: &Raw) -> Option<String> {
    raw.get("apiVersion")?.as_text()?;
    let kind = raw.get("kind")?.as_text().filter(|kind| !kind.is_empty())?;
    let metadata = raw.get("metadata")?;
    let name = metadata.get("name")?.spelled().filter(|name| !name.is_empty())?;
    if CLUSTER_WIDE.contains(&kind) {
        return Some(format!("{kind}/{name}"));
    }
    let namespace = metadata.get("namespace").and_then(Raw::spelled).unwrap_or_else(|| "default".to_owned());
    Some(format!("{kind}/{namespace}/{name}"))
}

/// The items of a list of objects (`v1` `List`, `DeploymentList`), taken out of it.
pub(super) fn items(raw: &mut Raw) -> Option<Vec<Raw>> {
    let version = raw.get("apiVersion")?.as_text()?.to_owned();
    let kind = raw.get("kind")?.as_text()?.strip_suffix("List")?.to_owned();
    let Value::List(items) = raw.map_mut()?.get_mut("items")? else { return None };
    let mut items = std::mem::take(items);
    // Items of a list of one kind need not say theirs.
    for item in items.iter_mut().filter_map(Raw::map_mut).filter(|_| !kind.is_empty()) {
        item.entry("apiVersion".to_owned()).or_insert_with(|| Raw::text(&*version));
        item.entry("kind".to_owned()).or_insert_with(|| Raw::text(&*kind));
    }
    Some(items)
}

pub(super) fn normalise(raw: &mut Raw, budget: &mut Budget) {
    let kind = raw.get("kind").and_then(Raw::as_text).unwrap_or_default().to_owned();
    let Some(object) = raw.map_mut() else { return };
    object.remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Raw::map_mut) {
        // Both are in the document's name.
        metadata.remove("name");
        metadata.remove("namespace");
        clean_metadata(metadata);
    }
    match kind.as_str() {
        "Secret" => secret(object),
        "ConfigMap" => config_map(object, budget),
        "OpenTelemetryCollector" => {
            if let Some(config) = object.get_mut("spec").and_then(Raw::map_mut).and_then(|spec| spec.get_mut("config"))
            {
                embedded("config.yaml", config, DEPTH_OF_DATA, budget);
                if collector::is_configuration(config) {
                    collector::normalise(config);
                }
            }
        }
        _ => {}
    }
    lists::walk(raw, "");
    defaults::fill_object(&kind, raw);
}

fn clean_metadata(metadata: &mut BTreeMap<String, Raw>) {
    metadata.retain(|key, _| !MANAGED.contains(&key.as_str()));
    for key in ["annotations", "labels"] {
        let Some(entries) = metadata.get_mut(key) else { continue };
        if let Some(entries) = entries.map_mut() {
            entries.retain(|name, _| !MANAGED_ANNOTATIONS.contains(&name.as_str()));
            entries.values_mut().for_each(Raw::spell_out);
        }
        if entries.is_null() || entries.map().is_some_and(BTreeMap::is_empty) {
            metadata.remove(key);
        }
    }
}

/// `data` is base64 of what `stringData` says; the latter wins.
fn secret(object: &mut BTreeMap<String, Raw>) {
    let mut values = BTreeMap::new();
    let taken = |object: &mut BTreeMap<String, Raw>, key: &str| match object.remove(key) {
        Some(Value::Map(entries)) => entries,
        Some(_) | None => BTreeMap::new(),
    };
    for (key, raw) in taken(object, "data") {
        let text = raw.spelled().unwrap_or_default();
        let compact: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(compact.as_bytes()).unwrap_or_else(|_| text.into_bytes());
        values.insert(key, Value::Leaf(RawScalar::Secret(bytes)));
    }
    for (key, raw) in taken(object, "stringData") {
        let bytes = raw.spelled().unwrap_or_default().into_bytes();
        values.insert(key, Value::Leaf(RawScalar::Secret(bytes)));
    }
    object.insert("data".to_owned(), Value::Map(values));
}

fn config_map(object: &mut BTreeMap<String, Raw>, budget: &mut Budget) {
    if let Some(data) = object.get_mut("data").and_then(Raw::map_mut) {
        for (name, raw) in data {
            raw.spell_out();
            embedded(name, raw, DEPTH_OF_DATA, budget);
        }
    }
    if let Some(data) = object.get_mut("binaryData").and_then(Raw::map_mut) {
        for raw in data.values_mut() {
            let compact: Option<String> = raw.as_text().map(|text| text.split_ascii_whitespace().collect());
            if let Some(bytes) = compact.and_then(|text| STANDARD.decode(text.as_bytes()).ok()) {
                *raw = Value::Leaf(RawScalar::Opaque(bytes));
            }
        }
    }
}

/// Whether what stands below a key is not the API's.
fn is_foreign(key: &str) -> bool {
    FOREIGN.contains(&key)
}
