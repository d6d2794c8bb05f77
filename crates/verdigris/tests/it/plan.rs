//! Plans, as text.

use std::path::{Path, PathBuf};

/// A plan whose steps and numbers a test chooses.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) blue: Environment,
    pub(crate) green: Environment,
    pub(crate) steps: Vec<&'static str>,
    pub(crate) gates: &'static str,
    pub(crate) guards: &'static str,
    pub(crate) horizon: &'static str,
    pub(crate) linger: &'static str,
    /// `off`, or keys.
    pub(crate) canary: Option<&'static str>,
    /// How many witnesses must cosign a proof of a shift.
    pub(crate) proofs: Option<u32>,
    pub(crate) pin: &'static str,
    pub(crate) rate: f64,
}

/// Where an environment takes OTLP, and where its tap hands on to.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) grpc: String,
    /// More keys of `otlp`, from a comma on.
    pub(crate) more: String,
    pub(crate) backend: Option<String>,
    /// What its `query` holds.
    pub(crate) query: Option<String>,
    /// What its `transformations` are, as JSON.
    pub(crate) transformations: Option<String>,
    /// A file or folder of its configuration.
    pub(crate) config: Option<String>,
    /// Its artifact's digest.
    pub(crate) artifact: Option<String>,
}

impl Environment {
    pub(crate) fn at(grpc: &str) -> Environment {
        Environment {
            grpc: grpc.to_owned(),
            more: String::new(),
            backend: None,
            query: None,
            transformations: None,
            config: None,
            artifact: None,
        }
    }

    fn yaml(&self, version: &str) -> String {
        let backend = self.backend.as_ref().map(|backend| format!(", backend: \"{backend}\"")).unwrap_or_default();
        let query = self.query.as_ref().map(|query| format!(", query: {{ {query} }}")).unwrap_or_default();
        let declared = self.transformations.as_ref().map(|it| format!(", transformations: {it}")).unwrap_or_default();
        let artifact = self.artifact.as_ref().map(|it| format!(", artifact: \"{it}\"")).unwrap_or_default();
        let config = self.config.as_ref().map(|it| format!(", config: [{{ files: {it} }}]")).unwrap_or_default();
        format!(
            "{{ version: \"{version}\"{artifact}, otlp: {{ grpc: \"{}\"{} }}{backend}{query}{declared}{config} }}",
            self.grpc, self.more
        )
    }
}

impl Plan {
    /// A plan that nothing holds up but its steps: wide margins, a short horizon.
    pub(crate) fn of(blue: Environment, green: Environment, steps: &[&'static str]) -> Plan {
        Plan {
            blue,
            green,
            steps: steps.to_vec(),
            gates: "{}",
            guards: "{ spanLoss: { atMost: 10% } }",
            horizon: "2s",
            linger: "500ms",
            canary: None,
            proofs: None,
            pin: "1s",
            rate: 50.0,
        }
    }

    pub(crate) fn yaml(&self) -> String {
        let canary = self.canary.map(|canary| format!("  canary: {canary}\n")).unwrap_or_default();
        let proofs = self.proofs.map(|count| format!("  proofs: {{ cosignatures: {count} }}\n")).unwrap_or_default();
        let steps: String = self.steps.iter().map(|step| format!("      - {step}\n")).collect();
        format!(
            "apiVersion: verdigris.dev/v1alpha1\n\
             kind: Rollout\n\
             metadata:\n  name: e2e\n  reason: The end-to-end tests\n\
             spec:\n  subject: pipeline\n  environments:\n    blue: {}\n    green: {}\n\
             \x20 strategy:\n    steps:\n{steps}\
             \x20 gates: {}\n  guards: {}\n\
             \x20 analysis: {{ falseAlarm: 0.001, falsePromotion: 0.05, onInconclusive: hold, batch: 1s }}\n\
             \x20 verification: {{ horizon: {}, linger: {} }}\n\
             {canary}{proofs}\
             \x20 traffic: {{ expected: {}/s, errors: 0.5% }}\n\
             \x20 pin: {}\n",
            self.blue.yaml("1.0.0"),
            self.green.yaml("1.1.0"),
            self.gates,
            self.guards,
            self.horizon,
            self.linger,
            self.rate,
            self.pin
        )
    }

    /// Writes it into the folder.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("plan.yaml");
        std::fs::write(&path, self.yaml()).expect("the folder is ours");
        path
    }
}
