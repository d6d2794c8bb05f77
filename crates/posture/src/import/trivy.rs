//! `trivy --format json` (aquasecurity/trivy, `pkg/types/report.go`): the vulnerabilities and packages of `Results`.

use super::bounded::{Few, Field, Items};
use super::{Format, ImportError, MAX_ITEMS, Report, name, names, parse, rated};
use crate::{Package, Vulnerability};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    schema_version: u32,
    #[serde(default)]
    results: Few<Scanned>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scanned {
    #[serde(default)]
    vulnerabilities: Items<Found>,
    #[serde(default)]
    packages: Items<Installed>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "VulnerabilityID")]
    id: Field,
    #[serde(rename = "VendorIDs", default)]
    aliases: Few<Field>,
    #[serde(rename = "PkgName")]
    package: Field,
    #[serde(rename = "InstalledVersion", default)]
    version: Field,
    #[serde(rename = "Severity")]
    severity: Option<Field>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Installed {
    name: Field,
    #[serde(default)]
    version: Field,
    #[serde(default)]
    licenses: Few<Field>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Report, ImportError> {
    let format = Format::Trivy;
    let Document { schema_version, results } = parse(format, bytes)?;
    if schema_version != 2 {
        let found = schema_version.to_string();
        return Err(ImportError::Version { format, field: "SchemaVersion", found, expected: "2" });
    }
    let (mut vulnerabilities, mut packages) = (Vec::new(), Vec::new());
    for (at, result) in results.0.into_iter().enumerate() {
        vulnerabilities.extend(result.vulnerabilities.0.into_iter().map(vulnerability));
        packages.extend(result.packages.0.into_iter().map(package));
        if vulnerabilities.len().max(packages.len()) > MAX_ITEMS {
            let reason = format!("more than {MAX_ITEMS} elements until here");
            return Err(ImportError::Field { format, field: format!("Results[{at}]"), reason });
        }
    }
    Ok(Report { format, vulnerabilities, packages })
}

fn vulnerability(found: Found) -> Vulnerability {
    Vulnerability {
        id: name(&found.id.0),
        aliases: names(&found.aliases.0),
        severity: rated(found.severity.as_ref()),
        component: name(&found.package.0),
        version: name(&found.version.0),
        source: "trivy".to_owned(),
    }
}

fn package(installed: Installed) -> Package {
    let licences: BTreeSet<String> = names(&installed.licenses.0);
    Package { name: name(&installed.name.0), version: name(&installed.version.0), licences }
}
