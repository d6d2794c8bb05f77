//! The normal form of a document: what means the same becomes the same. Defaults are filled in rather than left out,
//! so that a difference from one is told with both values.

pub(crate) mod collector;
mod compose;
mod fill;
pub(crate) mod kubernetes;
mod named;
mod quantity;

use crate::format::{self, Budget};
use crate::value::{Raw, Value};

/// The documents in one that was read, each with the name of the object that it is, if it is one. Lists of objects are
/// as many documents as they have items.
pub(crate) fn documents(file: &str, raw: Raw, budget: &mut Budget) -> Vec<(Option<String>, Raw)> {
    let mut documents = Vec::new();
    expand(raw, &mut documents, budget);
    for (object, raw) in &mut documents {
        if object.is_none() {
            plain(raw);
            if file.rsplit('/').next().is_some_and(|name| name.starts_with("docker-compose")) {
                compose::normalise(raw);
            }
        }
    }
    documents
}

fn expand(mut raw: Raw, documents: &mut Vec<(Option<String>, Raw)>, budget: &mut Budget) {
    if let Some(items) = kubernetes::items(&mut raw) {
        for item in items {
            expand(item, documents, budget);
        }
        return;
    }
    let object = kubernetes::identity(&raw);
    if object.is_some() {
        kubernetes::normalise(&mut raw, budget);
    }
    documents.push((object, raw));
}

/// A document that is no Kubernetes object.
fn plain(raw: &mut Raw) {
    if collector::is_configuration(raw) {
        collector::normalise(raw);
    } else if compose::is_project(raw) {
        compose::normalise(raw);
    }
}

/// A text that is a document of its own, in its normal form; else it stays a text.
fn embedded(name: &str, raw: &mut Raw, depth: usize, budget: &mut Budget) {
    let Some(text) = raw.as_text() else { return };
    if let Some(mut document) = format::embedded(name, text, depth, budget) {
        match &mut document {
            Value::List(documents) => documents.iter_mut().for_each(plain),
            Value::Leaf(_) | Value::Map(_) | Value::Bag(_) | Value::Named(_) => plain(&mut document),
        }
        *raw = document;
    }
}

#[cfg(test)]
mod tests;
