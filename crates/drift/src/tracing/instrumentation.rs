//! `Instrumentation` objects of the OpenTelemetry operator (opentelemetry.io/v1alpha1).

use super::{Report, Rule, told};
use crate::path::Path;
use crate::tree::{DocumentId, Tree};
use crate::value::{Node, Value};

pub(super) fn compare(blue: &Tree, green: &Tree, report: &mut Report) {
    for (id, document) in &blue.documents {
        let DocumentId::Object { name, .. } = id else { continue };
        if !name.starts_with("Instrumentation/") {
            continue;
        }
        let Some(other) = green.documents.get(id) else {
            let what = format!("{name} is missing in green: pods that it would instrument are not traced");
            report.push(Rule::InstrumentationMissing, &document.file, Path::of(id).shown(), &what);
            continue;
        };
        let mut hold = |rule: Rule, steps: &[&str], thing: &str| {
            let (blue, green) = (document.root.at(steps), other.root.at(steps));
            if blue != green {
                let mut path = Path::of(id);
                steps.iter().for_each(|step| _ = path.key(step));
                let what = format!("{thing} of {name}: {} in blue, {} in green", in_words(blue), in_words(green));
                report.push(rule, &other.file, path.shown(), &what);
            }
        };
        hold(Rule::SamplingDiffers, &["spec", "sampler"], "the sampler");
        hold(Rule::PropagatorsDiffer, &["spec", "propagators"], "the propagators");
    }
}

/// A sampler as `type argument`, propagators as a list.
fn in_words(node: Option<&Node>) -> String {
    match node {
        Some(Value::List(items)) => {
            let words: Vec<String> = items.iter().map(|item| told(Some(item))).collect();
            words.join(", ")
        }
        Some(Value::Map(entries)) => {
            let words = ["type", "argument"].iter().filter_map(|key| entries.get(*key));
            let words: Vec<String> = words.map(|word| told(Some(word))).collect();
            words.join(" ")
        }
        Some(Value::Leaf(_) | Value::Bag(_) | Value::Named(_)) | None => told(node),
    }
}
