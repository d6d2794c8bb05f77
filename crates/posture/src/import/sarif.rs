//! SARIF 2.1.0 (OASIS): the results of all runs. A result's severity is its rule's `security-severity`, a CVSS score as
//! text, as GitHub and most scanners write it; without one it is the level's: error is high, warning medium, note low.

use super::bounded::{Few, Field, Items};
use super::{Format, ImportError, MAX_ITEMS, Report, name, parse};
use crate::{Severity, Vulnerability};
use model::quoted;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Document {
    version: Field,
    runs: Few<Run>,
}

#[derive(Deserialize)]
struct Run {
    tool: Tool,
    /// Missing or `null`: the run did not come so far as to have results (section 3.14.23).
    results: Option<Items<Found>>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Driver,
}

#[derive(Deserialize)]
struct Driver {
    name: Field,
    #[serde(default)]
    rules: Items<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: Field,
    properties: Option<Properties>,
    default_configuration: Option<Configuration>,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "security-severity")]
    security_severity: Option<Score>,
}

/// GitHub wants text; some write a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Score {
    Number(f64),
    Text(Field),
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<Field>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: Option<Field>,
    rule_index: Option<i64>,
    rule: Option<RuleReference>,
    level: Option<Field>,
    kind: Option<Field>,
    baseline_state: Option<Field>,
    #[serde(default)]
    suppressions: Few<Suppression>,
    #[serde(default)]
    locations: Few<Location>,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct RuleReference {
    id: Option<Field>,
    index: Option<i64>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<Field>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<PhysicalLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
struct ArtifactLocation {
    uri: Option<Field>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Report, ImportError> {
    let format = Format::Sarif;
    let Document { version, runs } = parse(format, bytes)?;
    if version.0 != "2.1.0" {
        let found = quoted(&version.0);
        return Err(ImportError::Version { format, field: "version", found, expected: "2.1.0" });
    }
    let mut vulnerabilities = Vec::new();
    for (at, run) in runs.0.iter().enumerate() {
        let Some(results) = &run.results else {
            let (field, reason) = (format!("runs[{at}].results"), "is missing: the scanner did not finish".to_owned());
            return Err(ImportError::Field { format, field, reason });
        };
        let driver = &run.tool.driver;
        let by_id: BTreeMap<&str, &Rule> = driver.rules.0.iter().map(|rule| (rule.id.0.as_str(), rule)).collect();
        for (number, found) in results.0.iter().enumerate().filter(|(_, found)| found.counts()) {
            let Some((id, rule)) = found.rule(driver, &by_id) else {
                let field = format!("runs[{at}].results[{number}].ruleId");
                return Err(ImportError::Field { format, field, reason: "names no rule".to_owned() });
            };
            vulnerabilities.push(Vulnerability {
                id: name(id),
                aliases: BTreeSet::new(),
                severity: found.severity(rule),
                component: found.place().map(|uri| name(&uri.0)).unwrap_or_default(),
                version: String::new(),
                source: name(&driver.name.0),
            });
        }
        if vulnerabilities.len() > MAX_ITEMS {
            let reason = format!("more than {MAX_ITEMS} elements until here");
            return Err(ImportError::Field { format, field: format!("runs[{at}].results"), reason });
        }
    }
    Ok(Report { format, vulnerabilities, packages: Vec::new() })
}

impl Found {
    /// Sections 3.27.9 (kind), 3.27.24 (baselineState) and 3.27.23 (suppressions): a failure that is there, and that
    /// nobody suppressed.
    fn counts(&self) -> bool {
        let is = |field: &Option<Field>, text: &str| field.as_ref().is_some_and(|field| field.0 == text);
        let fails = self.kind.is_none() || is(&self.kind, "fail");
        let suppressed = self.suppressions.0.iter().any(|one| one.status.is_none() || is(&one.status, "accepted"));
        fails && !is(&self.baseline_state, "absent") && !suppressed
    }

    /// The id, and the rule where the report describes it.
    fn rule<'a>(&'a self, driver: &'a Driver, by_id: &BTreeMap<&str, &'a Rule>) -> Option<(&'a str, Option<&'a Rule>)> {
        let index = self.rule_index.or_else(|| self.rule.as_ref().and_then(|rule| rule.index));
        let indexed = index.and_then(|index| usize::try_from(index).ok()).and_then(|index| driver.rules.0.get(index));
        let id = self.rule_id.as_ref().or_else(|| self.rule.as_ref().and_then(|rule| rule.id.as_ref()));
        let id = id.map(|id| id.0.as_str()).or_else(|| indexed.map(|rule| rule.id.0.as_str()))?;
        Some((id, indexed.or_else(|| by_id.get(id).copied())))
    }

    fn severity(&self, rule: Option<&Rule>) -> Severity {
        let score = |properties: &Option<Properties>| match properties.as_ref()?.security_severity.as_ref()? {
            Score::Number(score) => Severity::of_score(*score),
            Score::Text(text) => text.0.trim().parse().ok().and_then(Severity::of_score),
        };
        let scored = score(&self.properties).or_else(|| rule.and_then(|rule| score(&rule.properties)));
        let configured = rule.and_then(|rule| rule.default_configuration.as_ref()?.level.as_ref());
        // Section 3.27.10: a result without a level has its rule's, and else `warning`.
        let level = self.level.as_ref().or(configured).map_or("warning", |level| level.0.as_str());
        scored.unwrap_or(match level {
            "error" => Severity::High,
            "warning" => Severity::Medium,
            "note" => Severity::Low,
            _ => Severity::Unrated,
        })
    }

    fn place(&self) -> Option<&Field> {
        self.locations
            .0
            .iter()
            .find_map(|location| location.physical_location.as_ref()?.artifact_location.as_ref()?.uri.as_ref())
    }
}
