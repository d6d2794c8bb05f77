//! What the security gate of a plan asks for, in the words of its runner.

use gates::security::{DebugPort, Security, Surface, Target};
use model::{Environment, Protocol};
use posture::rules::{Policy, SHIPPED};
use posture::{Exception, Severity};
use rollout::plan::{self, ContextValue, Plan, SecurityGate, SecurityPolicy};
use serde_json::{Map, Value};
use std::path::Path;

/// A policy of a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// There is none of this name.
    #[error("gates.security.policies: found the shipped policy {name}, expected one of {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It cannot be used.
    #[error("gates.security.policies: {0}")]
    Rules(#[from] posture::rules::RulesError),
}

/// Whether the policies of a plan can be used, before anything begins.
///
/// # Errors
/// If one is unknown, or would be refused when the gate runs.
pub fn check_policies(plan: &Plan) -> Result<(), PolicyError> {
    let policies = plan.gates.security.iter().flat_map(|gate| &gate.policies);
    policies.map(policy).try_for_each(|policy| Ok(policy?.check()?))
}

/// A policy with its text.
fn policy(policy: &SecurityPolicy) -> Result<Policy, PolicyError> {
    let name = policy.name.clone();
    match &policy.rego {
        Some(text) => Ok(Policy { name, text: text.clone() }),
        None => Policy::shipped(&name).ok_or_else(|| {
            let known = SHIPPED.map(|(name, _)| name).join(", ");
            PolicyError::Unknown { name, known }
        }),
    }
}

/// What is asked of an environment: the endpoints at which it takes OTLP, and the reports about it.
pub(crate) fn target(plan: &Plan, environment: Environment, base_dir: &Path) -> Target {
    let upstream = plan.environments[environment].upstream.under(base_dir);
    let surface = Surface {
        name: match upstream.protocol {
            Protocol::Grpc => "OTLP/gRPC".to_owned(),
            Protocol::Http => "OTLP/HTTP".to_owned(),
        },
        endpoints: upstream.endpoints().map(str::to_owned).collect(),
        protocol: upstream.protocol,
        transport: upstream.transport,
    };
    let reports = plan.gates.security.as_ref().map(|gate| gate.reports[environment].as_slice()).unwrap_or_default();
    let reports = reports.iter().map(|path| base_dir.join(path)).collect();
    Target { surfaces: vec![surface], told: Vec::new(), reports }
}

/// What is demanded, whatever the plan leaves out at its default.
///
/// # Errors
/// If it names a policy that there is not.
pub(crate) fn demanded(plan: &Plan) -> Result<Security, PolicyError> {
    let SecurityGate { at_least, exceptions, policies, reports: _, ports, context } =
        plan.gates.security.clone().unwrap_or_default();
    let exceptions = exceptions.into_iter().map(|it| Exception {
        id: it.id,
        component: it.component,
        reason: it.reason,
        expires: it.expires,
    });
    let policies = policies.iter().map(policy).collect::<Result<_, _>>()?;
    let value = |value: ContextValue| match value {
        ContextValue::Number(number) => Value::from(number),
        ContextValue::Text(text) => Value::from(text),
    };
    let own = ports.into_iter().map(|port| DebugPort { port: port.port, what: port.name });
    Ok(Security {
        at_least: match at_least {
            plan::Severity::Low => Severity::Low,
            plan::Severity::Medium => Severity::Medium,
            plan::Severity::High => Severity::High,
            plan::Severity::Critical => Severity::Critical,
        },
        exceptions: exceptions.collect(),
        policies,
        context: context.into_iter().map(|(name, it)| (name, value(it))).collect::<Map<_, _>>(),
        debug_ports: DebugPort::usual().into_iter().chain(own).collect(),
    })
}
