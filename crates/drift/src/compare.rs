//! Two trees, and what differs between them: in the order of files and paths, bounded, the rest counted.

use crate::difference::{Change, Difference, Shown, cut};
use crate::limits::MAX_DIFFERENCES;
use crate::path::Path;
use crate::tree::Tree;
use crate::value::{Named, Node, Scalar, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// What differs between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Sorted by file and path, [`MAX_DIFFERENCES`] at most.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub left_out: usize,
}

/// Compares two trees that were read under one key. Under two keys every secret counts as changed.
///
/// Takes time in proportion to both trees, but for the items of unnamed lists that differ: those are sorted.
pub fn compare(blue: &Tree, green: &Tree) -> Drift {
    let mut drift = Drift::default();
    for (id, document) in &blue.documents {
        let mut at = At { drift: &mut drift, file: &document.file, path: Path::of(id) };
        match green.documents.get(id) {
            None => at.missing(&document.root),
            Some(other) => at.values(&document.root, &other.root),
        }
    }
    for (id, document) in &green.documents {
        if !blue.documents.contains_key(id) {
            At { drift: &mut drift, file: &document.file, path: Path::of(id) }.only(&document.root);
        }
    }
    drift.differences.sort();
    drift
}

/// Where the comparison is.
struct At<'a> {
    drift: &'a mut Drift,
    file: &'a str,
    path: Path,
}

impl At<'_> {
    fn push(&mut self, change: Change) {
        if self.drift.differences.len() >= MAX_DIFFERENCES {
            self.drift.left_out += 1;
            return;
        }
        let difference = Difference { file: self.file.to_owned(), path: self.path.shown(), change };
        self.drift.differences.push(difference);
    }

    fn missing(&mut self, blue: &Node) {
        self.push(Change::MissingInGreen { blue: Shown::of(blue) });
    }

    fn only(&mut self, green: &Node) {
        self.push(Change::OnlyInGreen { green: Shown::of(green) });
    }

    fn changed(&mut self, blue: &Node, green: &Node) {
        let (blue, green) = Shown::both(blue, green);
        self.push(Change::Changed { blue, green });
    }

    fn values(&mut self, blue: &Node, green: &Node) {
        match (blue, green) {
            (Value::Map(blue), Value::Map(green)) => self.entries(blue, green, Path::key),
            (Value::Named(blue), Value::Named(green)) => self.named(blue, green),
            (Value::List(blue), Value::List(green)) => self.lists(blue, green),
            (Value::Bag(blue), Value::Bag(green)) => self.unmatched(blue, green),
            (Value::Leaf(_) | Value::Map(_) | Value::List(_) | Value::Bag(_) | Value::Named(_), _) => {
                if blue != green {
                    self.changed(blue, green);
                }
            }
        }
    }

    fn entries(
        &mut self,
        blue: &BTreeMap<String, Node>,
        green: &BTreeMap<String, Node>,
        step: fn(&mut Path, &str) -> usize,
    ) {
        for (key, value) in blue {
            let back = step(&mut self.path, key);
            match green.get(key) {
                None => self.missing(value),
                Some(other) => self.values(value, other),
            }
            self.path.back(back);
        }
        for (key, value) in green.iter().filter(|(key, _)| !blue.contains_key(*key)) {
            let back = step(&mut self.path, key);
            self.only(value);
            self.path.back(back);
        }
    }

    fn named(&mut self, blue: &Named<Scalar>, green: &Named<Scalar>) {
        self.entries(&blue.items, &green.items, Path::name);
        let (Some(blue_order), Some(green_order)) = (&blue.order, &green.order) else { return };
        let blue_order: Vec<_> = blue_order.iter().filter(|name| green.items.contains_key(*name)).collect();
        let green_order: Vec<_> = green_order.iter().filter(|name| blue.items.contains_key(*name)).collect();
        if blue_order != green_order {
            let shown = |order: &[&String]| order.iter().take(MAX_ORDER).map(|name| Shown::Value(cut(name))).collect();
            self.push(Change::Reordered { blue: shown(&blue_order), green: shown(&green_order) });
        }
    }

    /// Equal items at both ends are passed over. What is left is compared item by item where both have as many, and
    /// else by which items have no equal on the other side.
    fn lists(&mut self, blue: &[Node], green: &[Node]) {
        let start = blue.iter().zip(green).take_while(|(blue, green)| blue == green).count();
        let (blue_rest, green_rest) = (&blue[start..], &green[start..]);
        let end = blue_rest.iter().rev().zip(green_rest.iter().rev()).take_while(|(blue, green)| blue == green).count();
        let (blue_rest, green_rest) = (&blue_rest[..blue_rest.len() - end], &green_rest[..green_rest.len() - end]);
        if blue_rest.is_empty() && green_rest.is_empty() {
            return;
        }
        if blue_rest.len() != green_rest.len() {
            return self.unmatched_from(blue_rest, green_rest, start);
        }
        if same_items(blue_rest, green_rest) {
            let shown = |items: &[Node]| items.iter().take(MAX_ORDER).map(Shown::of).collect();
            return self.push(Change::Reordered { blue: shown(blue_rest), green: shown(green_rest) });
        }
        for (offset, (blue, green)) in blue_rest.iter().zip(green_rest).enumerate() {
            let back = self.path.index(start + offset);
            self.values(blue, green);
            self.path.back(back);
        }
    }

    fn unmatched(&mut self, blue: &[Node], green: &[Node]) {
        self.unmatched_from(blue, green, 0);
    }

    /// The items that only one side has. Where each side has one left they are one item that changed.
    fn unmatched_from(&mut self, blue: &[Node], green: &[Node], start: usize) {
        let mut counts: BTreeMap<&Node, isize> = BTreeMap::new();
        for item in green {
            *counts.entry(item).or_default() += 1;
        }
        let take = |counts: &mut BTreeMap<&Node, isize>, item: &Node| match counts.get_mut(item) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        };
        let missing: Vec<usize> = (0..blue.len()).filter(|at| take(&mut counts, &blue[*at])).collect();
        // From the end: of equal items the last ones are those that are too many.
        let mut only: Vec<usize> = (0..green.len()).rev().filter(|at| !take(&mut counts, &green[*at])).collect();
        only.reverse();
        if let ([missing], [only]) = (missing.as_slice(), only.as_slice()) {
            let back = self.path.index(start + missing);
            self.values(&blue[*missing], &green[*only]);
            return self.path.back(back);
        }
        for at in missing {
            let back = self.path.index(start + at);
            self.missing(&blue[at]);
            self.path.back(back);
        }
        for at in only {
            let back = self.path.index(start + at);
            self.only(&green[at]);
            self.path.back(back);
        }
    }
}

/// Names that are shown of an order: processors of a pipeline are fewer.
const MAX_ORDER: usize = 32;

fn same_items(blue: &[Node], green: &[Node]) -> bool {
    let sorted = |items: &[Node]| -> Vec<usize> {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by(|left, right| items[*left].cmp(&items[*right]));
        order
    };
    sorted(blue).into_iter().zip(sorted(green)).all(|(left, right)| blue[left] == green[right])
}

#[cfg(test)]
pub(crate) mod tests;
