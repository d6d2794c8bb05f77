//! One value is changed, left out or added, one item dropped or moved: found there, and nowhere else.

use crate::{STRUCTURED, differences, documents, tree, write};
use drift::Change;
use serde_json::{Map, Value, json};

/// Lists whose items are found by name, and by which field.
const NAMED: [(&str, &[&str]); 11] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("ports", &["name", "containerPort", "port", "protocol"]),
    ("volumeMounts", &["name", "mountPath"]),
    ("volumeClaimTemplates", &["metadata"]),
    ("receivers", &[]),
    ("processors", &[]),
    ("exporters", &[]),
    ("extensions", &[]),
];

/// Lists without an order, in the fixtures.
const UNORDERED: [&str; 10] = [
    "tolerations",
    "drop",
    "add",
    "resources",
    "verbs",
    "apiGroups",
    "subjects",
    "accessModes",
    "hosts",
    "matchExpressions",
];

/// Places of the fixtures that say what is so without them.
const DEFAULTS: [&str; 1] = ["ClusterRoleBinding/otel-agent: roleRef.apiGroup"];

/// One step into a document.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Item(usize),
}

/// A change to the fixture, and the place below which every difference must be.
struct Mutation {
    what: &'static str,
    green: Vec<Value>,
    place: String,
    /// Whether one difference must be exactly there.
    exact: bool,
    /// Whether it is one at all.
    differs: bool,
}

/// A config map's texts that are documents, as documents; and back.
fn opened(mut documents: Vec<Value>) -> Vec<Value> {
    for value in documents.iter_mut().filter(|document| document["kind"] == "ConfigMap").flat_map(data) {
        if let Some(text) = value.as_str().filter(|text| text.contains('\n')) {
            *value = serde_saphyr::from_str(text).expect("a fixture has it");
        }
    }
    documents
}

fn closed(documents: &[Value]) -> Vec<Value> {
    let mut documents = documents.to_vec();
    for value in documents.iter_mut().filter(|document| document["kind"] == "ConfigMap").flat_map(data) {
        if value.is_object() {
            *value = Value::String(value.to_string());
        }
    }
    documents
}

fn data(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    document.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

/// Every place in a value, with the value there.
fn places(value: &Value, at: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, Value)>) {
    found.push((at.clone(), value.clone()));
    let steps: Vec<Step> = match value {
        Value::Object(map) => map.keys().map(|key| Step::Key(key.clone())).collect(),
        Value::Array(items) => (0..items.len()).map(Step::Item).collect(),
        _ => Vec::new(),
    };
    for step in steps {
        let below = get(value, std::slice::from_ref(&step)).clone();
        at.push(step);
        places(&below, at, found);
        at.pop();
    }
}

fn get<'a>(value: &'a Value, path: &[Step]) -> &'a Value {
    path.iter().fold(value, |value, step| match step {
        Step::Key(key) => &value[key],
        Step::Item(index) => &value[index],
    })
}

fn get_mut<'a>(value: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key],
        Step::Item(index) => &mut value[index],
    })
}

fn is_object(document: &Value) -> bool {
    document.get("apiVersion").is_some()
}

/// The document's name, if it is a Kubernetes object.
fn object(document: &Value) -> String {
    if !is_object(document) {
        return String::new();
    }
    let text = |value: &Value| value.as_str().expect("a fixture has it").to_owned();
    let (kind, name) = (text(&document["kind"]), text(&document["metadata"]["name"]));
    match kind.as_str() {
        "Namespace" | "ClusterRole" | "ClusterRoleBinding" => format!("{kind}/{name}"),
        _ => format!("{kind}/{}/{name}", text(&document["metadata"]["namespace"])),
    }
}

/// Whether a list's items are named in this document.
fn named(document: &Value, path: &[Step], list: &Value) -> Option<&'static [&'static str]> {
    let Some(Step::Key(key)) = path.last() else { return None };
    let (_, fields) = NAMED.iter().find(|(name, _)| name == key)?;
    let of_texts = list.as_array()?.iter().all(Value::is_string);
    let collector = matches!(key.as_str(), "receivers" | "processors" | "exporters" | "extensions");
    (if collector { of_texts } else { is_object(document) && !of_texts }).then_some(*fields)
}

/// The place of a value; where a list on the way has no order, that of the list. Also whether it is exact, and the
/// place of the item that the value gives its name to.
fn place(document: &Value, path: &[Step]) -> (String, bool) {
    let mut out = object(document);
    let mut first = true;
    for (at, step) in path.iter().enumerate() {
        let list = get(document, &path[..at]);
        if first && !out.is_empty() {
            out.push_str(": ");
        }
        match step {
            Step::Key(key) if key == "stringData" => out.push_str("data"),
            Step::Key(key) if key.contains(['.', ':', ' ', '[', ']']) => out.push_str(&format!("[{key}]")),
            Step::Key(key) if out.is_empty() || first => out.push_str(key),
            Step::Key(key) => out.push_str(&format!(".{key}")),
            Step::Item(index) => match named(document, &path[..at], list) {
                Some(fields) => {
                    // What names the item, and the name itself: the item is another one then.
                    let names_it = matches!(path.get(at + 1), Some(Step::Key(key)) if fields.contains(&key.as_str()));
                    if names_it || path.len() == at + 1 {
                        return (out, false);
                    }
                    out.push_str(&format!("[{}]", name(&path[..at], list, *index)));
                }
                None => {
                    let Some(Step::Key(key)) = path[..at].last() else { return (out, false) };
                    let compose = document.get("services").is_some();
                    if compose || (is_object(document) && UNORDERED.contains(&key.as_str())) {
                        return (out, false);
                    }
                    out.push_str(&format!("[{index}]"));
                }
            },
        }
        first = false;
    }
    (out, true)
}

fn name(path: &[Step], list: &Value, index: usize) -> String {
    let item = &list[index];
    let Some(Step::Key(key)) = path.last() else { panic!("{path:?}") };
    match key.as_str() {
        "ports" if item["name"].is_string() => item["name"].as_str().expect("a fixture has it").to_owned(),
        "ports" if item["protocol"] == "UDP" => format!("{}/UDP", item["containerPort"]),
        "ports" => item["containerPort"].to_string(),
        "volumeMounts"
            if list
                .as_array()
                .expect("a fixture has it")
                .iter()
                .filter(|other| other["name"] == item["name"])
                .count()
                > 1 =>
        {
            format!(
                "{}@{}",
                item["name"].as_str().expect("a fixture has it"),
                item["mountPath"].as_str().expect("a fixture has it")
            )
        }
        "volumeClaimTemplates" => item["metadata"]["name"].as_str().expect("a fixture has it").to_owned(),
        _ => item["name"].as_str().expect("a fixture has it").to_owned(),
    }
}

/// What an object is known by: without it, or with another one, it is another document.
fn is_identity(document: &Value, path: &[Step]) -> bool {
    let keys: Vec<&str> =
        path.iter().map_while(|step| if let Step::Key(key) = step { Some(key.as_str()) } else { None }).collect();
    is_object(document)
        && matches!(keys.as_slice(), ["kind"] | ["apiVersion"] | ["metadata"] | ["metadata", "name" | "namespace"])
}

/// A strategy's type says which settings stand beside it; a variable without a source has an empty value.
fn decides_others(path: &[Step]) -> bool {
    let [.., Step::Key(above), Step::Key(key)] = path else {
        return path.last() == Some(&Step::Key("valueFrom".into()));
    };
    key == "type" && matches!(above.as_str(), "strategy" | "updateStrategy")
}

fn changed(value: &Value) -> Value {
    match value {
        Value::Null => json!("x"),
        Value::Bool(value) => json!(!value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => json!(number + 1),
            None => json!(number.as_f64().expect("a fixture has it") + 0.5),
        },
        Value::String(text) => json!(format!("{text}x")),
        Value::Array(_) | Value::Object(_) => panic!("a leaf"),
    }
}

fn remove(value: &mut Value, path: &[Step]) {
    let (last, above) = path.split_last().expect("a fixture has it");
    match (get_mut(value, above), last) {
        (Value::Object(map), Step::Key(key)) => _ = map.remove(key),
        (Value::Array(items), Step::Item(index)) => _ = items.remove(*index),
        other => panic!("{other:?}"),
    }
}

fn mutations(blue: &[Value]) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (index, document) in blue.iter().enumerate() {
        let mut found = Vec::new();
        places(document, &mut Vec::new(), &mut found);
        for (path, value) in found {
            let with = |change: &dyn Fn(&mut Value)| {
                let mut green = blue.to_vec();
                change(&mut green[index]);
                green
            };
            let mut push =
                |what, green, place: String, exact, differs| all.push(Mutation { what, green, place, exact, differs });
            let (here, exact) = match is_identity(document, &path) {
                true => (String::new(), false),
                false if decides_others(&path) => (place(document, &path[..path.len() - 1]).0, false),
                false => place(document, &path),
            };
            if !path.is_empty() {
                // Fewer items are found by which of them are missing, so the place is the list.
                let item = matches!(path.last(), Some(Step::Item(_)));
                let list = if item { place(document, &path[..path.len() - 1]).0 } else { here.clone() };
                // Of a mapping some defaults may be left.
                let exact = exact && !item && !value.is_object();
                let differs = !DEFAULTS.contains(&list.as_str());
                push("remove", with(&|green| remove(green, &path)), list, exact, differs);
            }
            match &value {
                Value::Object(_) => {
                    let added = with(&|green| {
                        _ = get_mut(green, &path)
                            .as_object_mut()
                            .expect("a fixture has it")
                            .insert("zz_added".into(), json!(1))
                    });
                    let mut below = path.clone();
                    below.push(Step::Key("zz_added".into()));
                    let (place, exact) = place(document, &below);
                    push("add", added, place, exact, true);
                }
                Value::Array(items) if items.len() > 1 && items[0] != items[1] => {
                    let key = matches!(path.last(), Some(Step::Key(key)) if UNORDERED.contains(&key.as_str()) && is_object(document));
                    let processors = path.last() == Some(&Step::Key("processors".into()));
                    let init = path.last() == Some(&Step::Key("initContainers".into()));
                    let loose = key
                        || (named(document, &path, &value).is_some() && !processors && !init)
                        || path.last() == Some(&Step::Key("ports".into()));
                    let swapped =
                        with(&|green| get_mut(green, &path).as_array_mut().expect("a fixture has it").swap(0, 1));
                    push("swap", swapped, here, true, !loose);
                }
                Value::Array(_) => {}
                leaf => push("change", with(&|green| *get_mut(green, &path) = changed(leaf)), here, exact, true),
            }
        }
    }
    all
}

#[test]
fn every_change_is_found_where_it_is() {
    let mut pairs = 0;
    let mut wrong = Vec::new();
    for (file, text) in STRUCTURED {
        let blue_tree = tree(file, text);
        let blue = opened(documents(file, text));
        assert_eq!(differences(file, &blue_tree, &write::json(&closed(&blue))), [], "{file}");
        for Mutation { what, green, place, exact, differs } in mutations(&blue) {
            pairs += 1;
            let found = differences(file, &blue_tree, &write::json(&closed(&green)));
            let below = |path: &str| {
                path.strip_prefix(place.as_str())
                    .is_some_and(|rest| place.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let right = if differs {
                !found.is_empty()
                    && found.iter().all(|one| below(&one.path))
                    && (!exact || found.iter().any(|one| one.path == place))
            } else {
                found.is_empty()
            };
            if !right {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                wrong.push(format!("{file}: {what} at {place}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {pairs}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(pairs >= 1_000, "{pairs}");
}

#[test]
fn an_order_that_differs_is_called_that() {
    let (file, text) = STRUCTURED[0];
    let green = text.replace("[memory_limiter, k8sattributes,", "[k8sattributes, memory_limiter,");
    let found = differences(file, &tree(file, text), &green);
    assert!(matches!(found.as_slice(), [one] if matches!(one.change, Change::Reordered { .. })), "{found:?}");
}

/// The helper itself: a mutation of nothing would prove nothing.
#[test]
fn every_mutation_is_another_document() {
    let blue = vec![json!({"a": {"b": [1, 2]}, "c": null})];
    let all = mutations(&blue);
    assert!(all.iter().all(|mutation| mutation.green != blue));
    let whats: Map<String, Value> =
        all.iter().map(|one| (format!("{} {}", one.what, one.place), Value::Null)).collect();
    let whats: Vec<&str> = whats.keys().map(String::as_str).collect();
    assert_eq!(
        whats,
        [
            "add a.zz_added",
            "add zz_added",
            "change a.b[0]",
            "change a.b[1]",
            "change c",
            "remove a",
            "remove a.b",
            "remove c",
            "swap a.b"
        ]
    );
}
