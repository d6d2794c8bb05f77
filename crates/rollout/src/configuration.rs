//! What of the environments' configurations a rollout knows: their digests, never what is in them.

use model::PerEnvironment;
use serde::{Deserialize, Serialize};

/// The configuration of one environment, as it was read last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Configuration {
    /// The plan names none.
    Undeclared,
    /// It was read.
    Read {
        /// `sha256:…` over the names and contents of all its files.
        digest: String,
    },
    /// It could not be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl Configuration {
    /// What a statement says of it; `Err` with the reason where nobody can say anything of it.
    pub fn digest(&self) -> Result<Option<&str>, &str> {
        match self {
            Configuration::Undeclared => Ok(None),
            Configuration::Read { digest } => Ok(Some(digest)),
            Configuration::Unreadable { reason } => Err(reason),
        }
    }
}

/// What a statement says of both; `Err` with words where one cannot be read.
pub(crate) fn digests(
    configurations: &PerEnvironment<Configuration>,
) -> Result<PerEnvironment<Option<String>>, String> {
    let of = |name: &str, configuration: &Configuration| match configuration.digest() {
        Ok(digest) => Ok(digest.map(str::to_owned)),
        Err(reason) => Err(format!("{name}'s configuration cannot be read: {reason}")),
    };
    Ok(PerEnvironment { blue: of("blue", &configurations.blue)?, green: of("green", &configurations.green)? })
}
