//! The gates by their names.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The gates of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateName {
    /// The two configurations differ only where it is expected.
    Drift,
    /// People in a role have signed.
    Approval,
    /// Both environments take an empty OTLP export.
    Probe,
    /// Green is set up no less safely than blue, and brings no new vulnerability.
    Security,
    /// Named testers accept the candidate after they tried it.
    Acceptance,
    /// Green was tested, lately, and enough.
    Tests,
    /// Green's data is blue's.
    Migration,
    /// Green holds a multiple of the load, and is not slower than blue under it.
    Load,
    /// Green has called whom blue calls.
    Dependencies,
}

impl GateName {
    /// All of them, in the order in which messages name them.
    pub const ALL: [GateName; 9] = [
        GateName::Drift,
        GateName::Approval,
        GateName::Probe,
        GateName::Security,
        GateName::Acceptance,
        GateName::Tests,
        GateName::Migration,
        GateName::Load,
        GateName::Dependencies,
    ];

    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            GateName::Drift => "drift",
            GateName::Approval => "approval",
            GateName::Probe => "probe",
            GateName::Security => "security",
            GateName::Acceptance => "acceptance",
            GateName::Tests => "tests",
            GateName::Migration => "migration",
            GateName::Load => "load",
            GateName::Dependencies => "dependencies",
        }
    }

    /// Whether a runner finds out; the others wait for people.
    pub fn is_run(self) -> bool {
        match self {
            GateName::Approval | GateName::Acceptance => false,
            GateName::Drift
            | GateName::Probe
            | GateName::Security
            | GateName::Tests
            | GateName::Migration
            | GateName::Load
            | GateName::Dependencies => true,
        }
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
