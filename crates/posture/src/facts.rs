//! What was found out about one environment.

use crate::{Certificate, Setting, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Surfaces of an environment: its OTLP endpoints, its back end, and what a plan adds.
pub const MAX_SURFACES: usize = 32;
/// Certificates that are kept of a surface: one for each endpoint, and an environment has fewer.
pub const MAX_CERTIFICATES: usize = 64;

/// What is known of one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum Fact {
    /// It was seen, or the plan says it.
    Known {
        /// What it is.
        value: Value,
        /// What was seen, for people: `answered HTTP status 401`. No secrets, and printable.
        seen: String,
    },
    /// There is nothing that could have it: a port without TLS has no version of TLS.
    Absent,
    /// It was asked for, and the answer does not tell.
    Unknown {
        /// Why.
        why: String,
    },
    /// It could not be asked.
    Failed {
        /// Why.
        why: String,
    },
}

/// What was found out about one environment, by surface (`OTLP/gRPC`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// Each surface's settings. A setting that is not there was not asked for.
    pub surfaces: BTreeMap<String, BTreeMap<Setting, Fact>>,
    /// The certificates that each surface showed.
    #[serde(default)]
    pub certificates: BTreeMap<String, Vec<Certificate>>,
}

impl Fact {
    /// Something that was seen.
    pub fn known(value: Value, seen: impl Into<String>) -> Fact {
        Fact::Known { value, seen: seen.into() }
    }

    /// Of two endpoints of one surface: the less safe value, and what is not known stays unknown. A value that is at its
    /// least safe needs no other endpoint to be known.
    pub fn weaker_of(self, other: Fact) -> Fact {
        match (self, other) {
            (Fact::Known { value: a, seen: of_a }, Fact::Known { value: b, seen: of_b }) => match a.weaker_of(&b) {
                Some(value) if value == a => Fact::Known { value, seen: of_a },
                Some(value) if value == b => Fact::Known { value, seen: of_b },
                Some(value) => Fact::Known { value, seen: format!("{of_a}; {of_b}") },
                None => Fact::Unknown { why: "two endpoints have values of two kinds".to_owned() },
            },
            (known @ Fact::Known { value: Value::Holds(false), .. }, _)
            | (_, known @ Fact::Known { value: Value::Holds(false), .. }) => known,
            (failed @ Fact::Failed { .. }, _) | (_, failed @ Fact::Failed { .. }) => failed,
            (unknown @ Fact::Unknown { .. }, _) | (_, unknown @ Fact::Unknown { .. }) => unknown,
            (Fact::Absent, other) | (other, Fact::Absent) => other,
        }
    }
}

impl Facts {
    /// Adds what was found at one endpoint of a surface. Beyond [`MAX_SURFACES`] nothing is added.
    pub fn add(&mut self, surface: &str, setting: Setting, fact: Fact) {
        if self.surfaces.len() >= MAX_SURFACES && !self.surfaces.contains_key(surface) {
            return;
        }
        let settings = self.surfaces.entry(surface.to_owned()).or_default();
        let fact = match settings.remove(&setting) {
            Some(before) => before.weaker_of(fact),
            None => fact,
        };
        settings.insert(setting, fact);
    }

    /// Adds a certificate that a surface showed.
    pub fn add_certificate(&mut self, surface: &str, certificate: Certificate) {
        if self.certificates.len() >= MAX_SURFACES && !self.certificates.contains_key(surface) {
            return;
        }
        let certificates = self.certificates.entry(surface.to_owned()).or_default();
        if certificates.len() < MAX_CERTIFICATES && !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
}
