//! SPDX 2.3, clause 7: packages with their versions and licences. SPDX 2 has no vulnerabilities.

use super::bounded::{Field, Items};
use super::{Format, ImportError, Report, name, names, parse};
use crate::Package;
use model::quoted;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: Field,
    #[serde(default)]
    packages: Items<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: Field,
    #[serde(default)]
    version_info: Field,
    license_concluded: Option<Field>,
    license_declared: Option<Field>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Report, ImportError> {
    let format = Format::Spdx;
    let Document { spdx_version, packages } = parse(format, bytes)?;
    if !["SPDX-2.2", "SPDX-2.3"].contains(&spdx_version.0.as_str()) {
        let found = quoted(&spdx_version.0);
        return Err(ImportError::Version { format, field: "spdxVersion", found, expected: "SPDX-2.3 (or 2.2)" });
    }
    let packages = packages.0.into_iter().map(|described| {
        // Clauses 7.13 and 7.15: both words say that there is nothing to say.
        let said = |licence: &&Field| !["NOASSERTION", "NONE"].contains(&licence.0.as_str());
        let licences = [&described.license_concluded, &described.license_declared];
        Package {
            name: name(&described.name.0),
            version: name(&described.version_info.0),
            licences: names(licences.into_iter().flatten().filter(said)),
        }
    });
    Ok(Report { format, vulnerabilities: Vec::new(), packages: packages.collect() })
}
