//! Pipelines of Collectors: signals, receivers, exporters, samplers and what protects personal data.

use super::{Report, Rule, told, transport};
use crate::normal::collector::{component_type, is_configuration};
use crate::path::Path;
use crate::tree::{DocumentId, Tree};
use crate::value::{Node, Value};
use std::collections::BTreeMap;

/// Processors that take out or rewrite what a span says: without one, more leaves the pipeline than did.
const PROTECTING: &[&str] = &["redaction", "attributes", "transform", "filter", "resource", "span", "k8sattributes"];
const SAMPLERS: &[&str] = &["probabilistic_sampler", "tail_sampling"];

/// A Collector's configuration in a tree.
struct Collector<'a> {
    file: &'a str,
    path: Path,
    root: &'a Node,
}

/// What one is known by: its document and the key in it.
type CollectorId<'a> = (&'a DocumentId, &'a str);

pub(super) fn compare(blue: &Tree, green: &Tree, report: &mut Report) {
    let (mut blue, mut green) = (collectors(blue), collectors(green));
    let mut pairs = Vec::new();
    for (id, collector) in std::mem::take(&mut blue) {
        match green.remove(&id) {
            Some(other) => pairs.push((collector, other)),
            None => _ = blue.insert(id, collector),
        }
    }
    // One that is called otherwise in green is still the same one, if no other can be meant.
    if blue.len() == 1 && green.len() == 1 {
        pairs.extend(blue.into_values().zip(green.into_values()));
    }
    for (blue, green) in &pairs {
        Pair { blue: blue.root, green, report }.compare();
    }
}

fn collectors<'a>(tree: &'a Tree) -> BTreeMap<CollectorId<'a>, Collector<'a>> {
    let mut found = BTreeMap::new();
    let mut add = |id: &'a DocumentId, key: &'a str, file: &'a str, path, root: &'a Node| {
        if is_configuration(root) {
            found.insert((id, key), Collector { file, path, root });
        }
    };
    for (id, document) in &tree.documents {
        let (file, root) = (document.file.as_str(), &document.root);
        let step = |steps: &[&str]| {
            let mut path = Path::of(id);
            steps.iter().for_each(|step| _ = path.key(step));
            path
        };
        match id {
            DocumentId::File { .. } => add(id, "", file, step(&[]), root),
            DocumentId::Object { name, .. } if name.starts_with("ConfigMap/") => {
                for (key, value) in root.get("data").and_then(Value::entries).into_iter().flatten() {
                    add(id, key.as_str(), file, step(&["data", key]), value);
                }
            }
            DocumentId::Object { .. } => {
                if let Some(config) = root.at(&["spec", "config"]) {
                    add(id, "", file, step(&["spec", "config"]), config);
                }
            }
        }
    }
    found
}

/// Blue's and green's.
struct Pair<'a, 'r> {
    blue: &'a Node,
    green: &'a Collector<'a>,
    report: &'r mut Report,
}

impl<'a> Pair<'a, '_> {
    fn push(&mut self, rule: Rule, steps: &[&str], what: &str) {
        let mut path = self.green.path.clone();
        steps.iter().for_each(|step| _ = path.key(step));
        self.report.push(rule, self.green.file, path.shown(), what);
    }

    /// In a pipeline's list, whose items are found by name.
    fn push_member(&mut self, rule: Rule, pipeline: &str, list: &str, member: &str, what: &str) {
        let mut path = self.green.path.clone();
        ["service", "pipelines", pipeline, list].iter().for_each(|step| _ = path.key(step));
        path.name(member);
        self.report.push(rule, self.green.file, path.shown(), what);
    }

    fn compare(&mut self) {
        let pipelines = |root: &'a Node| root.at(&["service", "pipelines"]).and_then(Value::map);
        let Some(blue) = pipelines(self.blue) else { return };
        let green = pipelines(self.green.root);
        for (name, pipeline) in blue {
            let signal = component_type(name);
            if let Some(other) = green.and_then(|green| green.get(name)) {
                self.pipeline(name, pipeline, other);
            } else if green.is_some_and(|green| green.keys().any(|other| component_type(other) == signal)) {
                let what = format!("the pipeline {name} is missing in green");
                self.push(Rule::PipelineMissing, &["service", "pipelines", name], &what);
            } else {
                let what = format!("green has no pipeline for {signal}: blue has {name}");
                self.push(Rule::SignalMissing, &["service", "pipelines", name], &what);
            }
        }
        self.components("exporters");
        self.components("receivers");
    }

    fn pipeline(&mut self, name: &str, blue: &'a Node, green: &'a Node) {
        let parts =
            [("receivers", Rule::ReceiverMissing, "receives from"), ("exporters", Rule::ExporterMissing, "exports to")];
        for (section, rule, verb) in parts {
            let (_, missing) = pairs(&members(blue, section), &members(green, section));
            for component in missing {
                let what = format!("the pipeline {name} {verb} {component} in blue, and not in green");
                self.push_member(rule, name, section, component, &what);
            }
        }
        let (blue, green) = (members(blue, "processors"), members(green, "processors"));
        let (same, missing) = pairs(&blue, &green);
        for component in missing.iter().filter(|name| PROTECTING.contains(&component_type(name))) {
            let what = format!("the processor {component} is missing in green's pipeline {name}");
            self.push_member(Rule::ProcessorMissing, name, "processors", component, &what);
        }
        self.sampling(name, &same, &missing, &green);
        let batches = |processors: &[&str]| {
            let batch = processors.iter().position(|name| component_type(name) == "batch");
            let sampler = processors.iter().rposition(|name| SAMPLERS.contains(&component_type(name)));
            matches!((batch, sampler), (Some(batch), Some(sampler)) if batch < sampler)
        };
        if batches(&green) && !batches(&blue) {
            let what = format!("green's pipeline {name} makes batches before it samples, which tears them again");
            self.push(Rule::BatchBeforeSampler, &["service", "pipelines", name, "processors"], &what);
        }
    }

    fn sampling(&mut self, pipeline: &str, same: &[(&'a str, &'a str)], missing: &[&str], green: &[&'a str]) {
        let is_sampler = |name: &&str| SAMPLERS.contains(&component_type(name));
        let place = ["service", "pipelines", pipeline, "processors"];
        for name in missing.iter().filter(|name| is_sampler(name)) {
            let what = format!("the pipeline {pipeline} samples by {name} in blue, and not in green");
            self.push(Rule::SamplingDiffers, &place, &what);
        }
        for name in green.iter().filter(|name| is_sampler(name) && !same.iter().any(|(_, other)| other == *name)) {
            let what = format!("the pipeline {pipeline} samples by {name} in green, and not in blue");
            self.push(Rule::SamplingDiffers, &place, &what);
        }
        for (blue_name, green_name) in same.iter().filter(|(name, _)| is_sampler(name)) {
            let blue = self.blue.at(&["processors", blue_name]);
            let green = self.green.root.at(&["processors", green_name]);
            if blue == green {
                continue;
            }
            let ratio = |node: Option<&Node>| told(node.and_then(|node| node.get("sampling_percentage")));
            let (blue_ratio, green_ratio) = (ratio(blue), ratio(green));
            if component_type(blue_name) == "probabilistic_sampler" && blue_ratio != green_ratio {
                let what = format!("{blue_name} samples {blue_ratio} % in blue, {green_ratio} % in green");
                self.push(Rule::SamplingDiffers, &["processors", green_name, "sampling_percentage"], &what);
            } else {
                let what = format!("{blue_name} samples by other rules in green");
                self.push(Rule::SamplingDiffers, &["processors", green_name], &what);
            }
        }
    }

    /// TLS of the exporters and receivers that any pipeline of both uses.
    fn components(&mut self, section: &'static str) {
        let used = |root: &'a Node| -> Vec<&'a str> {
            let pipelines = root.at(&["service", "pipelines"]).and_then(Value::map).into_iter().flatten();
            let mut names: Vec<&str> = pipelines.flat_map(|(_, pipeline)| members(pipeline, section)).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (same, _) = pairs(&used(self.blue), &used(self.green.root));
        for (blue_name, green_name) in same {
            let blue = self.blue.at(&[section, blue_name]);
            let (Some(blue), Some(green)) = (blue, self.green.root.at(&[section, green_name])) else { continue };
            if section == "exporters" {
                for (below, words) in transport::exporter(blue, green) {
                    let steps = [&[section, green_name][..], below].concat();
                    self.push(Rule::TlsWeakened, &steps, &format!("the exporter {green_name} {words}"));
                }
                continue;
            }
            for (below, words) in transport::receiver(blue, green) {
                let mut steps = vec![section, green_name];
                steps.extend(below.iter().map(String::as_str));
                self.push(Rule::TlsWeakened, &steps, &format!("the receiver {green_name} {words}"));
            }
        }
    }
}

/// The components of a pipeline's list, in the order that the file has where it matters.
fn members<'a>(pipeline: &'a Node, section: &str) -> Vec<&'a str> {
    match pipeline.get(section) {
        Some(Value::Named(named)) => match &named.order {
            Some(order) => order.iter().map(String::as_str).collect(),
            None => named.items.keys().map(String::as_str).collect(),
        },
        Some(Value::Leaf(_) | Value::Map(_) | Value::List(_) | Value::Bag(_)) | None => Vec::new(),
    }
}

/// Which component of green stands for one of blue: that of the same name, or else another one of its type
/// (`otlp/blue` and `otlp/green`); and which of blue's have none.
fn pairs<'a>(blue: &[&'a str], green: &[&'a str]) -> (Vec<(&'a str, &'a str)>, Vec<&'a str>) {
    let (mut same, mut missing) = (Vec::new(), Vec::new());
    let mut free: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    let in_blue: std::collections::BTreeSet<&str> = blue.iter().copied().collect();
    let in_green: std::collections::BTreeSet<&str> = green.iter().copied().collect();
    for name in green.iter().rev().filter(|name| !in_blue.contains(*name)) {
        free.entry(component_type(name)).or_default().push(name);
    }
    for name in blue {
        if in_green.contains(name) {
            same.push((*name, *name));
        } else if let Some(other) = free.get_mut(component_type(name)).and_then(Vec::pop) {
            same.push((*name, other));
        } else {
            missing.push(*name);
        }
    }
    (same, missing)
}
