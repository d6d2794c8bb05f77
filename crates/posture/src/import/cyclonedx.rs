//! CycloneDX 1.4 to 1.6 as JSON: `components` at any depth that the format's own lists have, and `vulnerabilities`.

use super::bounded::{Few, Field, Items};
use super::{Format, ImportError, Report, name, names, parse};
use crate::{Package, Severity, Vulnerability};
use model::quoted;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: Field,
    spec_version: Field,
    metadata: Option<Metadata>,
    #[serde(default)]
    components: Items<Component>,
    #[serde(default)]
    vulnerabilities: Items<Found>,
}

#[derive(Deserialize)]
struct Metadata {
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "bom-ref")]
    reference: Option<Field>,
    name: Field,
    #[serde(default)]
    version: Field,
    #[serde(default)]
    licenses: Few<Choice>,
    /// Parts of it.
    #[serde(default)]
    components: Items<Component>,
}

#[derive(Deserialize)]
struct Choice {
    license: Option<Licence>,
    expression: Option<Field>,
}

#[derive(Deserialize)]
struct Licence {
    id: Option<Field>,
    name: Option<Field>,
}

#[derive(Deserialize)]
struct Found {
    id: Field,
    source: Option<Source>,
    #[serde(default)]
    references: Few<Reference>,
    #[serde(default)]
    ratings: Few<Rating>,
    analysis: Option<Analysis>,
    #[serde(default)]
    affects: Few<Affected>,
}

#[derive(Deserialize)]
struct Source {
    name: Option<Field>,
}

#[derive(Deserialize)]
struct Reference {
    id: Field,
}

#[derive(Deserialize)]
struct Rating {
    score: Option<f64>,
    severity: Option<Field>,
}

#[derive(Deserialize)]
struct Analysis {
    state: Option<Field>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(rename = "ref")]
    reference: Field,
}

/// States of an analysis that say that there is nothing to do (CycloneDX 1.6, "Impact Analysis State").
const SETTLED: [&str; 4] = ["resolved", "resolved_with_pedigree", "false_positive", "not_affected"];

pub(super) fn read(bytes: &[u8]) -> Result<Report, ImportError> {
    let format = Format::CycloneDx;
    let document: Document = parse(format, bytes)?;
    if document.bom_format.0 != "CycloneDX" {
        let found = quoted(&document.bom_format.0);
        return Err(ImportError::Version { format, field: "bomFormat", found, expected: "CycloneDX" });
    }
    if !["1.4", "1.5", "1.6"].contains(&document.spec_version.0.as_str()) {
        let found = quoted(&document.spec_version.0);
        return Err(ImportError::Version { format, field: "specVersion", found, expected: "1.4, 1.5 or 1.6" });
    }
    let main = document.metadata.and_then(|metadata| metadata.component);
    let (mut packages, mut by_reference) = (Vec::new(), BTreeMap::new());
    // The reader of JSON bounds the depth of what is nested to 128.
    let mut waiting: Vec<Component> = main.into_iter().chain(document.components.0).collect();
    while let Some(component) = waiting.pop() {
        let package = package(&component);
        if let Some(reference) = component.reference {
            by_reference.insert(reference.0, (package.name.clone(), package.version.clone()));
        }
        packages.push(package);
        waiting.extend(component.components.0);
    }
    packages.sort();
    let mut vulnerabilities = Vec::new();
    for (at, found) in document.vulnerabilities.0.into_iter().enumerate() {
        let settled = found.analysis.as_ref().and_then(|analysis| analysis.state.as_ref());
        if settled.is_some_and(|state| SETTLED.contains(&state.0.as_str())) {
            continue;
        }
        add(&mut vulnerabilities, &found, &by_reference);
        if vulnerabilities.len() > super::MAX_ITEMS {
            let reason = format!("more than {} affected components until here", super::MAX_ITEMS);
            return Err(ImportError::Field { format, field: format!("vulnerabilities[{at}].affects"), reason });
        }
    }
    Ok(Report { format, vulnerabilities, packages })
}

fn package(component: &Component) -> Package {
    let licences = component.licenses.0.iter().flat_map(|choice| {
        let licence = choice.license.as_ref().and_then(|licence| licence.id.as_ref().or(licence.name.as_ref()));
        [licence, choice.expression.as_ref()].into_iter().flatten()
    });
    Package { name: name(&component.name.0), version: name(&component.version.0), licences: names(licences) }
}

/// One for each component that has it; one without a component where the report names none.
fn add(into: &mut Vec<Vulnerability>, found: &Found, by_reference: &BTreeMap<String, (String, String)>) {
    let rating = |rating: &Rating| {
        let word = rating.severity.as_ref().and_then(|word| Severity::of_word(&word.0));
        word.filter(|severity| *severity != Severity::Unrated).or_else(|| rating.score.and_then(Severity::of_score))
    };
    let id = name(&found.id.0);
    let mut aliases = names(found.references.0.iter().map(|reference| &reference.id));
    aliases.remove(&id);
    let source = found.source.as_ref().and_then(|source| source.name.as_ref());
    let vulnerability = Vulnerability {
        id,
        aliases,
        severity: found.ratings.0.iter().filter_map(rating).max().unwrap_or(Severity::Unrated),
        component: String::new(),
        version: String::new(),
        source: source.map_or_else(|| "cyclonedx".to_owned(), |source| name(&source.0)),
    };
    let affected: BTreeSet<(String, String)> = found
        .affects
        .0
        .iter()
        .map(|affected| {
            let unknown = || (name(&affected.reference.0), String::new());
            by_reference.get(&affected.reference.0).cloned().unwrap_or_else(unknown)
        })
        .collect();
    if affected.is_empty() {
        into.push(vulnerability);
        return;
    }
    for (component, version) in affected {
        into.push(Vulnerability { component, version, ..vulnerability.clone() });
    }
}
