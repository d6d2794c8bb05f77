//! Real configurations, changed in one place at a time. The fixtures are read here by other parsers than the crate's
//! own, and where a change must show is said anew.

mod lines;
mod mutate;
mod planted;
mod same;
mod write;

use drift::{Difference, SecretKey, Tree, compare};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fixtures of mappings and lists.
const STRUCTURED: [(&str, &str); 13] = [
    ("collector-gateway.yaml", include_str!("../fixtures/collector-gateway.yaml")),
    ("collector-sampling.yaml", include_str!("../fixtures/collector-sampling.yaml")),
    ("collector-agent.yaml", include_str!("../fixtures/collector-agent.yaml")),
    ("checkout.yaml", include_str!("../fixtures/checkout.yaml")),
    ("statefulset.yaml", include_str!("../fixtures/statefulset.yaml")),
    ("daemonset.yaml", include_str!("../fixtures/daemonset.yaml")),
    ("cronjob.yaml", include_str!("../fixtures/cronjob.yaml")),
    ("configmap.yaml", include_str!("../fixtures/configmap.yaml")),
    ("secret.yaml", include_str!("../fixtures/secret.yaml")),
    ("operator.yaml", include_str!("../fixtures/operator.yaml")),
    ("rbac.yaml", include_str!("../fixtures/rbac.yaml")),
    ("compose.yaml", include_str!("../fixtures/compose.yaml")),
    ("service.json", include_str!("../fixtures/service.json")),
];

/// Fixtures of lines.
const LINES: [(&str, &str); 3] = [
    ("app.toml", include_str!("../fixtures/app.toml")),
    ("app.env", include_str!("../fixtures/app.env")),
    ("application.properties", include_str!("../fixtures/application.properties")),
];

fn tree(file: &str, text: &str) -> Tree {
    let files = BTreeMap::from([(file.to_owned(), text.as_bytes().to_vec())]);
    Tree::read(&files, &SecretKey::new([3; 32])).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn differences(file: &str, blue: &Tree, green: &str) -> Vec<Difference> {
    let drift = compare(blue, &tree(file, green));
    assert_eq!(drift.left_out, 0);
    drift.differences
}

/// A fixture's documents, by other parsers.
fn documents(file: &str, text: &str) -> Vec<Value> {
    if file.ends_with(".json") {
        return vec![serde_json::from_str(text).expect("a fixture is valid")];
    }
    serde_saphyr::from_multiple(text).expect("a fixture is valid")
}
