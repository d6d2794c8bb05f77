//! Rules of an organisation's own, in Rego (version 1), run by `regorus`: `package verdigris.security`, and a rule
//! `deny contains message`. `input` has what [`crate::assess`] knows.
//!
//! A policy gives the same answer whenever it is run again: it may call what is in [`functions`] and nothing else, so it
//! has no clock, no network and no randomness, and what it may take is counted in steps, not in time. It stands alone:
//! it sees `input`, and no `data` but its own rules by their names. Its memory is not bounded: a policy is a part of a plan,
//! and who writes plans is trusted as far.

mod calls;
mod functions;
mod nesting;

use model::quoted;
use regorus::Engine;
use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

/// A policy is a page or two.
pub const MAX_POLICY_BYTES: usize = 32 * 1024;
/// Facts are a few kilobytes, and the new vulnerabilities of a report some megabytes at most.
pub const MAX_INPUT_BYTES: usize = 16 * 1024 * 1024;
/// Violations that a policy may name.
pub const MAX_VIOLATIONS: usize = 1_000;
/// Characters of a violation's message that are kept.
const MAX_MESSAGE_CHARACTERS: usize = 400;
/// What a policy may take: as many statements and iterations. The shipped ones take some hundred.
const MAX_STEPS: u64 = 2_000_000;
const STEPS_BETWEEN_LOOKS: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");
/// The interpreter calls itself for every statement of a query that has several answers. [`MAX_POLICY_BYTES`] hold some
/// 4,000 of these, and a build without optimisation takes less than 32 KiB for each: 128 MiB, and as much again. Memory
/// that is not touched is not taken.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// A policy that a plan names, or one of [`SHIPPED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// What it is called in reasons: its file's name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Something that a policy denies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Violation {
    /// The policy's name.
    pub rule: String,
    /// Its message.
    pub message: String,
}

/// Why a policy cannot be used, or came to no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Longer than [`MAX_POLICY_BYTES`].
    #[error("policy {policy}: has {bytes} bytes, more than {MAX_POLICY_BYTES}")]
    TooLong {
        /// The policy's name.
        policy: String,
        /// How many there are.
        bytes: usize,
    },
    /// No Rego.
    #[error("policy {policy}: is not valid Rego: {reason}")]
    Syntax {
        /// The policy's name.
        policy: String,
        /// Where and why.
        reason: String,
    },
    /// Another package.
    #[error("policy {policy}: is of another package; expected `package verdigris.security`")]
    Package {
        /// The policy's name.
        policy: String,
    },
    /// No rule that could deny anything.
    #[error("policy {policy}: has no rule `deny contains message if {{ … }}`")]
    NoDeny {
        /// The policy's name.
        policy: String,
    },
    /// It calls what it may not.
    #[error("policy {policy}, line {line}: calls `{function}`, which {reason}")]
    Function {
        /// The policy's name.
        policy: String,
        /// Where.
        line: u64,
        /// What it calls.
        function: String,
        /// Why that is refused.
        reason: &'static str,
    },
    /// It reads or imports more than `input` and its own rules.
    #[error(
        "policy {policy}, line {line}: names `{name}`; a policy stands alone, and reads `input` and its own rules by name"
    )]
    Outside {
        /// The policy's name.
        policy: String,
        /// Where.
        line: u64,
        /// What it names.
        name: String,
    },
    /// A rule that depends on itself, or rules in a longer chain than is followed.
    #[error("policy {policy}: the rule `{rule}` {reason}")]
    Depth {
        /// The policy's name.
        policy: String,
        /// The rule.
        rule: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Brackets in brackets.
    #[error(
        "policy {policy}, line {line}: brackets are nested more than 8 deep: give the inner part a rule of its own"
    )]
    Nesting {
        /// The policy's name.
        policy: String,
        /// Where.
        line: u64,
    },
    /// More statements in one query than are put in order.
    #[error(
        "policy {policy}, line {line}: a query of {statements} statements, expected 64 at most: divide it among rules"
    )]
    Statements {
        /// The policy's name.
        policy: String,
        /// Where.
        line: u64,
        /// How many.
        statements: usize,
    },
    /// The facts are too many.
    #[error("the facts have {bytes} bytes as JSON, more than {MAX_INPUT_BYTES}")]
    Input {
        /// How many there are.
        bytes: usize,
    },
    /// It came to no answer: an error while it ran, or too many steps.
    #[error("policy {policy}: came to no answer: {reason}")]
    Run {
        /// The policy's name.
        policy: String,
        /// Where and why.
        reason: String,
    },
    /// It denies with something that is no text.
    #[error("policy {policy}: denies with something that is no text; expected messages as strings")]
    Message {
        /// The policy's name.
        policy: String,
    },
    /// More than [`MAX_VIOLATIONS`].
    #[error("policy {policy}: denies {found} things, more than {MAX_VIOLATIONS}")]
    TooMany {
        /// The policy's name.
        policy: String,
        /// How many.
        found: usize,
    },
}

const PACKAGE: &str = "verdigris.security";
const DENY: &str = "data.verdigris.security.deny";

/// The policies that come with Verdigris, by name and text. A plan chooses among them, and adds its own.
pub const SHIPPED: [(&str, &str); 5] = [
    ("weaker-tls", include_str!("../policies/weaker_tls.rego")),
    ("unauthenticated", include_str!("../policies/unauthenticated.rego")),
    ("newly-critical", include_str!("../policies/newly_critical.rego")),
    ("debug-ports", include_str!("../policies/debug_ports.rego")),
    ("expiring-certificates", include_str!("../policies/expiring_certificates.rego")),
];

impl Policy {
    /// The shipped policy of this name.
    pub fn shipped(name: &str) -> Option<Policy> {
        let (name, text) = SHIPPED.into_iter().find(|(shipped, _)| *shipped == name)?;
        Some(Policy { name: name.to_owned(), text: text.to_owned() })
    }

    /// Whether it can be used at all; what it denies needs facts.
    pub fn check(&self) -> Result<(), RulesError> {
        on_a_stack(self, || load(self).map(|_| ()))
    }
}

/// What the policy denies, sorted. The same policy and facts have the same answer.
pub fn evaluate(policy: &Policy, input: &serde_json::Value) -> Result<Vec<Violation>, RulesError> {
    let input = input.to_string();
    if input.len() > MAX_INPUT_BYTES {
        return Err(RulesError::Input { bytes: input.len() });
    }
    on_a_stack(policy, || run(policy, &input))
}

/// Runs it where a deep policy has room. A panic of the interpreter is an error like another.
fn on_a_stack<T: Send>(policy: &Policy, run: impl FnOnce() -> Result<T, RulesError> + Send) -> Result<T, RulesError> {
    let failed = |reason: &str| RulesError::Run { policy: policy.name.clone(), reason: reason.to_owned() };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run);
        let thread = thread.map_err(|_| failed("there is no memory for its stack"))?;
        thread.join().unwrap_or_else(|_| Err(failed("the interpreter panicked")))
    })
}

fn load(policy: &Policy) -> Result<Engine, RulesError> {
    let name = || policy.name.clone();
    if policy.text.len() > MAX_POLICY_BYTES {
        return Err(RulesError::TooLong { policy: name(), bytes: policy.text.len() });
    }
    if let Some(line) = nesting::too_deep(&policy.text) {
        return Err(RulesError::Nesting { policy: name(), line });
    }
    let mut engine = Engine::new();
    // Else it would write to this process' standard error.
    engine.set_gather_prints(true);
    // What a function cannot do is an error, and not the same as nothing to deny.
    engine.set_strict_builtin_errors(true);
    let package = engine.add_policy(policy.name.clone(), policy.text.clone());
    let package =
        package.map_err(|error| RulesError::Syntax { policy: name(), reason: one_line(&error.to_string()) })?;
    if package.strip_prefix("data.") != Some(PACKAGE) {
        return Err(RulesError::Package { policy: name() });
    }
    let tree = engine.get_ast_as_json().ok().and_then(|text| serde_json::from_str(&text).ok());
    let tree: serde_json::Value =
        tree.ok_or_else(|| RulesError::Syntax { policy: name(), reason: "it is too deeply nested".to_owned() })?;
    calls::check(policy, &tree)?;
    Ok(engine)
}

fn run(policy: &Policy, input: &str) -> Result<Vec<Violation>, RulesError> {
    let mut engine = load(policy)?;
    let failed = |reason: &dyn std::fmt::Display| RulesError::Run {
        policy: policy.name.clone(),
        reason: one_line(&reason.to_string()),
    };
    // Whoever was first set the same one.
    let _ = set_time_source(&STEPS);
    let limit = Duration::from_nanos(MAX_STEPS / u64::from(STEPS_BETWEEN_LOOKS.get()));
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: STEPS_BETWEEN_LOOKS });
    engine.set_input(regorus::Value::from_json_str(input).map_err(|error| failed(&error))?);
    let denied = match engine.eval_rule(DENY.to_owned()) {
        Ok(denied) => denied,
        Err(_) if LOOKS.get() > MAX_STEPS / u64::from(STEPS_BETWEEN_LOOKS.get()) => {
            return Err(failed(&format_args!("it takes more than {MAX_STEPS} steps")));
        }
        Err(error) => return Err(failed(&error)),
    };
    let denied = denied.as_set().map_err(|_| RulesError::NoDeny { policy: policy.name.clone() })?;
    if denied.len() > MAX_VIOLATIONS {
        return Err(RulesError::TooMany { policy: policy.name.clone(), found: denied.len() });
    }
    let message = |value: &regorus::Value| match value.as_string() {
        Ok(message) => Ok(printable(message)),
        Err(_) => Err(RulesError::Message { policy: policy.name.clone() }),
    };
    let messages = denied.iter().map(message).collect::<Result<BTreeSet<String>, RulesError>>()?;
    Ok(messages.into_iter().map(|message| Violation { rule: policy.name.clone(), message }).collect())
}

/// The interpreter's clock: a look at it is a nanosecond, so a limit of time is one of steps, and comes out the same on
/// every machine. Each evaluation has a thread of its own.
struct Steps;

static STEPS: Steps = Steps;

thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

impl TimeSource for Steps {
    fn now(&self) -> Option<Duration> {
        LOOKS.set(LOOKS.get() + 1);
        Some(Duration::from_nanos(LOOKS.get()))
    }
}

fn printable(text: &str) -> String {
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(MAX_MESSAGE_CHARACTERS).map(printable).collect()
}

/// regorus draws the line below its place: here it is one line.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.chars().all(|c| "|^".contains(c) || c.is_whitespace()));
    quoted(&lines.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests;
