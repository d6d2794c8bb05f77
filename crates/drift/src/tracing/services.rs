//! Services: Kubernetes workloads, Compose services and environment files, and what sets up their tracing.

use super::{Report, Rule, told, variables};
use crate::normal::kubernetes::PODS;
use crate::path::Path;
use crate::tree::{Document, DocumentId, Tree};
use crate::value::{Node, Value};
use std::collections::BTreeMap;

/// What a service is known by in both environments: its document, and its name in it.
type ServiceId<'a> = (&'a DocumentId, &'a str);

/// One service.
pub(super) struct Service<'a> {
    /// As people call it.
    pub(super) name: &'a str,
    pub(super) file: &'a str,
    /// The path of the service itself.
    pub(super) path: String,
    /// Its variables, by container and name.
    pub(super) variables: BTreeMap<(&'a str, &'a str), Variable<'a>>,
    /// Whether an operator instruments it, or a collector stands beside it.
    attended: Option<String>,
    /// An environment file alone cannot say whether a service is traced.
    is_file: bool,
}

/// An environment variable: where it is set, and what to; a reference to somewhere else is a value too.
pub(super) struct Variable<'a> {
    pub(super) file: &'a str,
    pub(super) path: String,
    pub(super) value: &'a Node,
}

pub(super) fn compare(blue: &Tree, green: &Tree, report: &mut Report) {
    let green_services = services(green);
    for (id, service) in services(blue) {
        let Some(other) = green_services.get(&id) else { continue };
        if !service.is_file && without_tracing(&service, other, report) {
            continue;
        }
        variables::compare(&service, other, report);
    }
}

/// Whether blue's is traced and green's is not.
fn without_tracing(blue: &Service<'_>, green: &Service<'_>, report: &mut Report) -> bool {
    let Some(sets) = blue.set_up() else { return false };
    let lacks = match (green.turned_off(), green.set_up()) {
        (Some(off), _) if blue.turned_off().is_none() => format!("green sets {off}"),
        (Some(_) | None, Some(_)) => return false,
        (Some(_) | None, None) => "green sets no OTEL_ variable".to_owned(),
    };
    let what = format!("service {} has no tracing set up in green: blue sets {sets}, {lacks}", blue.name);
    report.push(Rule::ServiceWithoutTracing, green.file, green.path.clone(), &what);
    true
}

impl Service<'_> {
    /// What sets up tracing; the endpoint, if it is among several.
    fn set_up(&self) -> Option<String> {
        let mut names = self.variables.keys().map(|(_, name)| *name).filter(|name| name.starts_with("OTEL_"));
        let endpoint = names.clone().find(|name| *name == "OTEL_EXPORTER_OTLP_ENDPOINT");
        endpoint.or_else(|| names.next()).map(str::to_owned).or_else(|| self.attended.clone())
    }

    /// What turns it off again.
    fn turned_off(&self) -> Option<&'static str> {
        let is = |name: &str, off: &str| {
            let mut values = self.variables.iter().filter(|((_, variable), _)| *variable == name);
            values.any(|(_, variable)| told(Some(variable.value)).eq_ignore_ascii_case(off))
        };
        if is("OTEL_SDK_DISABLED", "true") {
            return Some("OTEL_SDK_DISABLED=true");
        }
        is("OTEL_TRACES_EXPORTER", "none").then_some("OTEL_TRACES_EXPORTER=none")
    }
}

fn services(tree: &Tree) -> BTreeMap<ServiceId<'_>, Service<'_>> {
    let mut services = BTreeMap::new();
    for (id, document) in &tree.documents {
        match id {
            DocumentId::Object { name, .. } => {
                if let Some(service) = workload(tree, id, name, document) {
                    services.insert((id, ""), service);
                }
            }
            DocumentId::File { name, .. } => {
                compose(tree, id, document, &mut services);
                if is_environment(name) {
                    let variables = of_file(id, document);
                    let path = Path::of(id).shown();
                    let service =
                        Service { name, file: &document.file, path, variables, attended: None, is_file: true };
                    services.insert((id, ""), service);
                }
            }
        }
    }
    services
}

fn is_environment(file: &str) -> bool {
    let last = file.rsplit('/').next().unwrap_or(file);
    last == ".env" || last.starts_with(".env.") || last.ends_with(".env")
}

fn of_file<'a>(id: &DocumentId, document: &'a Document) -> BTreeMap<(&'a str, &'a str), Variable<'a>> {
    let entries = document.root.entries().into_iter().flatten();
    let variables = entries.map(|(name, value)| {
        let mut path = Path::of(id);
        path.key(name);
        (("", name.as_str()), Variable { file: &document.file, path: path.shown(), value })
    });
    variables.collect()
}

fn workload<'a>(tree: &'a Tree, id: &DocumentId, object: &'a str, document: &'a Document) -> Option<Service<'a>> {
    let mut parts = object.split('/');
    let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, pods) = PODS.iter().find(|(workload, _)| *workload == kind)?;
    let pod = document.root.at(pods)?;
    let mut service = Service {
        name,
        file: &document.file,
        path: Path::of(id).shown(),
        variables: BTreeMap::new(),
        attended: attended(tree, namespace, &document.root, pods, pod),
        is_file: false,
    };
    let mut path = Path::of(id);
    pods.iter().for_each(|step| _ = path.key(step));
    for section in ["initContainers", "containers"] {
        let Some(containers) = pod.get(section).and_then(Value::entries) else { continue };
        for (container, node) in containers {
            let mut path = path.clone();
            path.key(section);
            path.name(container);
            from_others(tree, namespace, container, node, &mut service);
            for (name, variable) in node.get("env").and_then(Value::entries).into_iter().flatten() {
                let mut path = path.clone();
                path.key("env");
                path.name(name);
                let value = variable.get("value").unwrap_or(variable);
                let variable = Variable { file: &document.file, path: path.shown(), value };
                service.variables.insert((container, name), variable);
            }
        }
    }
    Some(service)
}

/// `envFrom`: the entries of config maps and secrets, as far as they are in the tree.
fn from_others<'a>(tree: &'a Tree, namespace: &str, container: &'a str, node: &'a Node, service: &mut Service<'a>) {
    let Some(Value::List(sources)) = node.get("envFrom") else { return };
    for source in sources {
        for (reference, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            let Some(name) = source.at(&[reference, "name"]).and_then(Node::shown) else { continue };
            let id = DocumentId::Object { name: format!("{kind}/{namespace}/{name}"), number: 0 };
            let Some(found) = tree.documents.get(&id) else { continue };
            for (name, value) in found.root.get("data").and_then(Value::entries).into_iter().flatten() {
                let mut path = Path::of(&id);
                path.key("data");
                path.key(name);
                let variable = Variable { file: &found.file, path: path.shown(), value };
                service.variables.insert((container, name), variable);
            }
        }
    }
}

/// The annotations of the OpenTelemetry operator, on the pods or their namespace, and collectors among the containers.
fn attended(tree: &Tree, namespace: &str, root: &Node, pods: &[&str], pod: &Node) -> Option<String> {
    let template = root.at(&pods[..pods.len().saturating_sub(1)]);
    let namespace = DocumentId::Object { name: format!("Namespace/{namespace}"), number: 0 };
    let around = tree.documents.get(&namespace).map(|document| &document.root);
    for place in [template, around].into_iter().flatten() {
        let annotations = place.at(&["metadata", "annotations"]).and_then(Value::entries).into_iter().flatten();
        for (name, value) in annotations {
            let injects = name.starts_with("instrumentation.opentelemetry.io/inject-")
                || name == "sidecar.opentelemetry.io/inject";
            if injects && value.shown().is_some_and(|value| value != "false") {
                return Some(format!("the annotation {name}"));
            }
        }
    }
    let containers = pod.get("containers").and_then(Value::entries).into_iter().flatten();
    let is_collector = |image: String| image.contains("opentelemetry-collector") || image.contains("otelcol");
    containers
        .filter(|(_, container)| container.get("image").and_then(Node::shown).is_some_and(is_collector))
        .map(|(name, _)| format!("a collector as the container {name}"))
        .next()
}

fn compose<'a>(
    tree: &'a Tree,
    id: &'a DocumentId,
    document: &'a Document,
    services: &mut BTreeMap<ServiceId<'a>, Service<'a>>,
) {
    // Only a Compose file's services have these after they were brought into the normal form.
    let Some(entries) = document.root.get("services").and_then(Value::map) else { return };
    for (name, node) in entries.iter().filter(|(_, node)| node.get("restart").is_some()) {
        let mut path = Path::of(id);
        path.key("services");
        path.key(name);
        let mut variables = BTreeMap::new();
        for (file, found) in env_files(tree, &document.file, node) {
            variables.extend(of_file(file, found));
        }
        for (variable, value) in node.get("environment").and_then(Value::entries).into_iter().flatten() {
            let mut path = path.clone();
            path.key("environment");
            path.key(variable);
            variables.insert(("", variable.as_str()), Variable { file: &document.file, path: path.shown(), value });
        }
        let service =
            Service { name, file: &document.file, path: path.shown(), variables, attended: None, is_file: false };
        services.insert((id, name), service);
    }
}

/// The environment files of a Compose service, as far as they are in the tree.
fn env_files<'a>(tree: &'a Tree, file: &str, node: &Node) -> Vec<(&'a DocumentId, &'a Document)> {
    let Some(Value::List(files)) = node.get("env_file") else { return Vec::new() };
    let folder = file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let paths = files.iter().filter_map(|file| file.get("path").unwrap_or(file).shown());
    let ids = paths.map(|path| {
        let name = format!("{folder}{}", path.trim_start_matches("./"));
        DocumentId::File { name, index: 0 }
    });
    ids.filter_map(|id| tree.documents.get_key_value(&id)).collect()
}
