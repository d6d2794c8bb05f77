//! Lists whose items have names.

use crate::value::{Named, Raw, Value};
use std::collections::BTreeMap;

/// Names the items of a list; a list that has an item without a name, or two with the same one, stays as it is.
pub(super) fn name(raw: &mut Raw, ordered: bool, name: impl Fn(&Raw) -> Option<String>) {
    let Value::List(items) = raw else { return };
    let names: Option<Vec<String>> = items.iter().map(name).collect();
    let Some(names) = names else { return };
    let mut distinct: Vec<&String> = names.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() == names.len() {
        let order = ordered.then(|| names.clone());
        let items: BTreeMap<String, Raw> = names.into_iter().zip(std::mem::take(items)).collect();
        *raw = Value::Named(Named { items, order });
    }
}

/// The same for texts, each its own name.
pub(super) fn texts(raw: &mut Raw, ordered: bool) {
    name(raw, ordered, |item| item.as_text().map(str::to_owned));
}

/// Leaves a list's order out of the comparison.
pub(super) fn bag(raw: &mut Raw) {
    if let Value::List(items) = raw {
        *raw = Value::Bag(std::mem::take(items));
    }
}
