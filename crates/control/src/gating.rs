//! Runs gates: each within its time, and none longer than the rollout that asked for it. By itself a run needs neither,
//! which is how `verdigris gate` asks.

use crate::OWN_SPANS;
use crate::handle::{Handle, Input};
use crate::loading::CountsLoad;
use crate::securing;
use crate::{Clock, Random};
use crate::{behaviour, loading};
use gates::drift::{Expected, SecretKey};
use gates::{Run, configuration, drift, probe, security};
use integrations::Dependencies;
use model::{GateVerdict, PerEnvironment, RouteKey, UnixMillis};
use rollout::plan::{ConfigSource, ExpectedDifference, GateName, Plan};
use rollout::{GATE_LIMIT_MS, RolloutId, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument;

/// The runner's own answer comes before the state machine gives the run up, which is the reason that says more.
const LIMIT: Duration = Duration::from_millis(GATE_LIMIT_MS - 5_000);

/// What a run needs that is not in the plan.
#[derive(Clone)]
pub struct Surroundings {
    /// When it is: expected differences expire.
    pub now: UnixMillis,
    /// A key that nobody else has: secrets are compared by their keyed hashes.
    pub key: [u8; 32],
    /// The programs that may be run for a configuration.
    pub commands: Vec<PathBuf>,
    /// The key of the rollout that asks; none of a run by itself.
    pub route_key: Option<RouteKey>,
    /// Whom the environments called so far, if anybody has looked.
    pub dependencies: Option<SeenDependencies>,
    /// What counts the spans of a load at the taps, if there are taps.
    pub counts_load: Option<Arc<dyn CountsLoad>>,
}

/// Whom the environments called so far; nothing while no rollout is watched.
pub type SeenDependencies = Arc<dyn Fn() -> Option<PerEnvironment<Dependencies>> + Send + Sync>;

impl Surroundings {
    /// By which the traces of a load are known.
    pub(crate) fn load_key(&self) -> RouteKey {
        let mut own = [0; 16];
        own.copy_from_slice(&self.key[..16]);
        self.route_key.unwrap_or(RouteKey(own))
    }

    /// Of what is random in a run.
    pub(crate) fn seed(&self) -> u64 {
        let mut seed = [0; 8];
        seed.copy_from_slice(&self.key[16..24]);
        u64::from_be_bytes(seed)
    }
}

/// Where [`Surroundings`] come from.
pub(crate) struct Around {
    pub clock: Clock,
    pub random: Random,
    pub commands: Vec<PathBuf>,
    pub dependencies: Option<SeenDependencies>,
    pub counts_load: Option<Arc<dyn CountsLoad>>,
}

impl Around {
    /// Those of a run that begins now: each has a key of its own, so that nobody can try values against what it left.
    pub(crate) fn now(&self, route_key: RouteKey) -> Surroundings {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&(self.random)());
        key[16..].copy_from_slice(&(self.random)());
        Surroundings {
            now: (self.clock)(),
            key,
            commands: self.commands.clone(),
            route_key: Some(route_key),
            dependencies: self.dependencies.clone(),
            counts_load: self.counts_load.clone(),
        }
    }
}

/// Runs one gate of a plan whose relative paths start from `base_dir`. Dropped, it ends what it began.
pub async fn run_gate(gate: GateName, plan: &Plan, base_dir: &Path, around: Surroundings) -> Run {
    let running = async {
        match gate {
            GateName::Probe => {
                let upstreams = PerEnvironment::from_fn(|it| plan.environments[it].upstream.under(base_dir));
                let export = Run::without_evidence(probe::run(&upstreams).await);
                match &plan.gates.probe {
                    Some(probe) => both(export, behaviour::calls(probe, base_dir, &around).await),
                    None => export,
                }
            }
            GateName::Drift => drift::run(comparison(plan, base_dir, &around), &around.commands).await,
            GateName::Security => {
                let targets = PerEnvironment::from_fn(|it| securing::target(plan, it, base_dir));
                let demanded = match securing::demanded(plan) {
                    Ok(demanded) => demanded,
                    Err(error) => return Run::error(error.to_string()),
                };
                let answer = security::run(&targets, &demanded, around.now).await;
                Run::with_evidence(answer.result, &answer.evidence)
            }
            GateName::Tests => behaviour::tests(plan, base_dir, &around).await,
            GateName::Migration => behaviour::migration(plan, base_dir, &around).await,
            GateName::Dependencies => behaviour::dependencies(plan, &around),
            GateName::Load => loading::load(plan, base_dir, &around).await,
            GateName::Acceptance => Run::error("testers sign off: `verdigris rollout accept`".to_owned()),
            // The state machine counts approvals itself and never asks for a run.
            GateName::Approval => Run::error("approvals are given by people: `verdigris approve`".to_owned()),
        }
    };
    let given_up = |_| Run::error(format!("it did not end within {} s", LIMIT.as_secs()));
    tokio::time::timeout(LIMIT, running).await.unwrap_or_else(given_up)
}

/// Two answers as one: the worse verdict, and its reasons first.
fn both(one: Run, other: Run) -> Run {
    let rank = |run: &Run| match run.result.verdict {
        GateVerdict::Fail => 0,
        GateVerdict::Error => 1,
        GateVerdict::Inconclusive => 2,
        GateVerdict::Pass => 3,
    };
    let evidence = one.evidence.clone().or(other.evidence.clone());
    let (mut first, then) = if rank(&one) <= rank(&other) { (one, other) } else { (other, one) };
    first.result.reasons.extend(then.result.reasons);
    Run { evidence, ..first }
}

/// What the drift gate of a plan compares.
fn comparison(plan: &Plan, base_dir: &Path, around: &Surroundings) -> drift::Comparison {
    let gate = plan.gates.drift.clone().unwrap_or_default();
    let environments = PerEnvironment::from_fn(|it| {
        let environment = &plan.environments[it];
        drift::Configurations {
            declared: sources(&environment.config, base_dir),
            live: sources(&environment.live, base_dir),
            endpoints: environment
                .upstream
                .endpoints()
                .chain(environment.upstream.backend.as_deref())
                .map(str::to_owned)
                .collect(),
        }
    });
    let expected = |differences: &[ExpectedDifference]| differences.iter().map(meant).collect();
    drift::Comparison {
        environments,
        expected: expected(&gate.expected),
        expected_live: expected(&gate.expected_live),
        key: SecretKey::new(around.key),
        now: around.now,
    }
}

fn meant(difference: &ExpectedDifference) -> Expected {
    let ExpectedDifference { path, within, reason, expires } = difference.clone();
    Expected { path, in_file: within, reason, expires: expires.map(|expires| expires.0) }
}

/// The sources of a plan, with paths that start from its folder.
pub(crate) fn sources(sources: &[ConfigSource], base_dir: &Path) -> Vec<configuration::Source> {
    let under = |path: &String| base_dir.join(path);
    sources
        .iter()
        .map(|source| match source {
            ConfigSource::Files(path) => configuration::Source::Files(under(path)),
            ConfigSource::Git(git) => configuration::Source::Git {
                repository: under(&git.repository),
                revision: git.revision.clone(),
                path: git.path.clone(),
            },
            ConfigSource::Http(http) => configuration::Source::Http {
                url: http.url.clone(),
                name: http.name.clone(),
                tls: http.tls.under(base_dir),
                token_file: http.bearer_token_file.as_ref().map(under),
            },
            ConfigSource::Command(command) => {
                configuration::Source::Command { run: command.run.clone(), name: command.name.clone() }
            }
        })
        .collect()
}

/// The runs of one rollout's gates. Dropped, they end.
pub(crate) struct Gating {
    rollout: RolloutId,
    runs: JoinSet<()>,
}

impl Gating {
    pub(crate) fn of(rollout: RolloutId) -> Gating {
        Gating { rollout, runs: JoinSet::new() }
    }

    /// Whether it is this rollout's.
    pub(crate) fn is_of(&self, rollout: &RolloutId) -> bool {
        self.rollout == *rollout
    }

    /// Begins a run, which comes back as an input. At most two are under way: the present step's, and the drift guard's.
    pub(crate) fn begin(
        &mut self,
        asked: (GateName, u32),
        state: &State,
        base_dir: &Path,
        around: Surroundings,
        handle: &Handle,
    ) {
        let (gate, run) = asked;
        let (plan, base_dir) = (state.plan.clone(), base_dir.to_owned());
        let (handle, rollout) = (handle.clone(), self.rollout.clone());
        while self.runs.try_join_next().is_some() {}
        let span = tracing::info_span!(target: OWN_SPANS, "gate", %gate, run, rollout = %rollout);
        let running = async move {
            let Run { result, evidence } = run_gate(gate, &plan, &base_dir, around).await;
            handle.tell(Input::GateFinished { rollout, gate, run, result, evidence }).await;
        };
        self.runs.spawn(running.instrument(span));
    }
}
