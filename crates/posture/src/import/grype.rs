//! `grype -o json` (anchore/grype, `grype/presenter/models`): `matches`; `ignoredMatches` are left out.

use super::bounded::{Few, Field, Items};
use super::{Format, ImportError, Report, name, names, parse, rated};
use crate::Vulnerability;
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    matches: Items<Match>,
}

#[derive(Deserialize)]
struct Match {
    vulnerability: Found,
    artifact: Artifact,
    #[serde(rename = "relatedVulnerabilities", default)]
    related: Few<Related>,
}

#[derive(Deserialize)]
struct Found {
    id: Field,
    severity: Option<Field>,
}

#[derive(Deserialize)]
struct Related {
    id: Field,
}

#[derive(Deserialize)]
struct Artifact {
    name: Field,
    #[serde(default)]
    version: Field,
}

pub(super) fn read(bytes: &[u8]) -> Result<Report, ImportError> {
    let Document { matches } = parse(Format::Grype, bytes)?;
    let vulnerabilities = matches.0.into_iter().map(|Match { vulnerability, artifact, related }| {
        let id = name(&vulnerability.id.0);
        let mut aliases = names(related.0.iter().map(|related| &related.id));
        aliases.remove(&id);
        Vulnerability {
            id,
            aliases,
            severity: rated(vulnerability.severity.as_ref()),
            component: name(&artifact.name.0),
            version: name(&artifact.version.0),
            source: "grype".to_owned(),
        }
    });
    Ok(Report { format: Format::Grype, vulnerabilities: vulnerabilities.collect(), packages: Vec::new() })
}
