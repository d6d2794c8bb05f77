//! What a policy names and calls, before it is run. The interpreter finds a missing function only when it comes there, and
//! does not notice a function that calls itself before its stack ends.
//!
//! By names, without knowing what is a local variable: a variable with the name of a rule counts as that rule. So no rule
//! that depends on itself is missed, and a few others are refused.

use super::functions::{ALLOWED, why_not};
use super::{Policy, RulesError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rules that use rules that use rules. Each may hold queries of its own.
const MAX_CHAIN: usize = 16;
/// Statements of one query: the interpreter orders them in more than quadratic time, and before it counts its steps.
const MAX_STATEMENTS: usize = 64;

/// Names of rules, with the names that each uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Refuses what [`RulesError`] says. `tree` is what regorus gives as its syntax tree.
pub(super) fn check(policy: &Policy, tree: &Value) -> Result<(), RulesError> {
    let module = &tree[0]["ast"];
    for import in module["imports"].as_array().into_iter().flatten() {
        let (name, line) = (root(&import["refr"]), line(&import["span"]));
        if !["input", "rego", "future"].contains(&name.as_str()) {
            return Err(RulesError::Outside { policy: policy.name.clone(), line, name });
        }
    }
    let rules: Vec<(String, &Value)> =
        module["rules"].as_array().into_iter().flatten().filter_map(|rule| Some((head(rule)?, rule))).collect();
    let names: BTreeSet<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
    let is_deny = |(name, rule): &(String, &Value)| name == "deny" && !rule["Spec"]["head"]["Set"].is_null();
    if !rules.iter().any(is_deny) {
        return Err(RulesError::NoDeny { policy: policy.name.clone() });
    }
    let mut uses = Uses::new();
    for (name, rule) in &rules {
        let used = uses.entry(name.clone()).or_default();
        visit(policy, rule, &names, used)?;
    }
    for name in uses.keys() {
        chain(policy, name, &uses, &mut BTreeMap::new())?;
    }
    Ok(())
}

/// The first name of a rule's head.
fn head(rule: &Value) -> Option<String> {
    let head = &rule["Spec"]["head"];
    let reference = ["Func", "Compr", "Set"].into_iter().map(|kind| &head[kind]["refr"]).find(|one| !one.is_null());
    let name = root(reference.unwrap_or(&rule["Default"]["refr"]));
    (!name.is_empty()).then_some(name)
}

/// The variable that a reference begins with; empty for another expression.
fn root(reference: &Value) -> String {
    let mut reference = reference;
    loop {
        match (&reference["RefDot"]["refr"], &reference["RefBrack"]["refr"]) {
            (Value::Null, Value::Null) => return text(&reference["Var"]["value"]),
            (Value::Null, below) | (below, _) => reference = below,
        }
    }
}

/// What stands in the brackets of a reference.
fn brackets(reference: &Value) -> Vec<&Value> {
    let (mut reference, mut found) = (reference, Vec::new());
    loop {
        match (&reference["RefDot"]["refr"], &reference["RefBrack"]["refr"]) {
            (Value::Null, Value::Null) => return found,
            (Value::Null, below) => {
                found.push(&reference["RefBrack"]["index"]);
                reference = below;
            }
            (below, _) => reference = below,
        }
    }
}

/// `time.now_ns`.
fn path(reference: &Value) -> String {
    match &reference["RefDot"] {
        Value::Null => root(reference),
        dotted => format!("{}.{}", path(&dotted["refr"]), text(&dotted["field"][1])),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn line(span: &Value) -> u64 {
    span["line"].as_u64().unwrap_or_default()
}

/// Everything below a rule but the name in its head. Nested as deeply as the reader of JSON allows, 128.
fn visit(
    policy: &Policy,
    value: &Value,
    names: &BTreeSet<&str>,
    used: &mut BTreeSet<String>,
) -> Result<(), RulesError> {
    match value {
        Value::Array(elements) => elements.iter().try_for_each(|element| visit(policy, element, names, used)),
        Value::Object(fields) => {
            if let Some(call) = fields.get("Call") {
                let function = path(&call["fcn"]);
                let known = names.contains(root(&call["fcn"]).as_str()) || ALLOWED.contains(&function.as_str());
                if !known {
                    let (line, reason) = (line(&call["span"]), why_not(&function));
                    return Err(RulesError::Function { policy: policy.name.clone(), line, function, reason });
                }
            }
            if let Some(variable) = fields.get("Var") {
                let name = text(&variable["value"]);
                if name == "data" {
                    return Err(RulesError::Outside {
                        policy: policy.name.clone(),
                        line: line(&variable["span"]),
                        name,
                    });
                }
                if names.contains(name.as_str()) {
                    used.insert(name);
                }
            }
            let statements = fields.get("stmts").and_then(Value::as_array).map_or(0, Vec::len);
            if statements > MAX_STATEMENTS {
                let line = line(&fields["span"]);
                return Err(RulesError::Statements { policy: policy.name.clone(), line, statements });
            }
            // Of the four shapes of a head, and of no other expression: the name there is no use of the rule.
            let is_head = ["assign", "key", "op"].iter().any(|field| fields.contains_key(*field));
            fields.iter().try_for_each(|(field, below)| {
                if is_head && field == "refr" {
                    brackets(below).into_iter().try_for_each(|index| visit(policy, index, names, used))
                } else {
                    visit(policy, below, names, used)
                }
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// How many rules hang together below this one; `done` has those that are known. Their number bounds its own depth.
fn chain(
    policy: &Policy,
    name: &str,
    uses: &Uses,
    done: &mut BTreeMap<String, Option<usize>>,
) -> Result<usize, RulesError> {
    let refused = |reason| Err(RulesError::Depth { policy: policy.name.clone(), rule: name.to_owned(), reason });
    match done.get(name) {
        Some(Some(length)) => return Ok(*length),
        Some(None) => return refused("depends on itself, or has the name of a variable"),
        None => {}
    }
    done.insert(name.to_owned(), None);
    let mut length = 0;
    for used in &uses[name] {
        length = length.max(chain(policy, used, uses, done)?);
    }
    if length >= MAX_CHAIN {
        return refused("uses rules that use rules in a chain of more than 16");
    }
    done.insert(name.to_owned(), Some(length + 1));
    Ok(length + 1)
}
