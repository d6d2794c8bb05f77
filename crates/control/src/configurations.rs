//! Reads the configurations of a rollout's environments again and again, and tells when they are others than before: what
//! was approved must be what is there.

use crate::gating::sources;
use crate::handle::{Handle, Input};
use gates::configuration::{self, Source};
use model::{Environment, PerEnvironment};
use rollout::{Configuration, RolloutId, State};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How often they are read: some files of some kilobytes each. Whoever hands in an approval has them read at once.
const READ_EVERY: Duration = Duration::from_secs(10);
/// How often git, a server or a program is asked: each may take seconds.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Where the configurations of a rollout lie.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    of: PerEnvironment<Vec<Source>>,
    commands: Vec<PathBuf>,
}

impl Sources {
    /// None if the plan names none: then nothing has to be read to know it. Programs other than `commands` are not run.
    pub(crate) fn of(state: &State, base_dir: &Path, commands: &[PathBuf]) -> Option<Sources> {
        let of = PerEnvironment::from_fn(|it: Environment| sources(&state.plan.environments[it].config, base_dir));
        let some = !of.blue.is_empty() || !of.green.is_empty();
        some.then(|| Sources { of, commands: commands.to_vec() })
    }

    /// Reads both.
    pub(crate) async fn read(self) -> PerEnvironment<Configuration> {
        let blue = one(&self.of.blue, &self.commands).await;
        PerEnvironment { blue, green: one(&self.of.green, &self.commands).await }
    }

    /// Files are read again soon; what others must be asked for, less often.
    fn read_every(&self) -> Duration {
        let is_near = |source: &Source| matches!(source, Source::Files(_));
        let all_near = Environment::BOTH.into_iter().flat_map(|it| &self.of[it]).all(is_near);
        if all_near { READ_EVERY } else { ASK_EVERY }
    }
}

async fn one(sources: &[Source], commands: &[PathBuf]) -> Configuration {
    match sources.is_empty() {
        true => Configuration::Undeclared,
        false => match configuration::read(sources, commands).await {
            Ok(files) => Configuration::Read { digest: configuration::digest(&files) },
            Err(error) => Configuration::Unreadable { reason: error.to_string() },
        },
    }
}

/// The task that reads. Dropped, it ends.
pub(crate) struct Reading {
    _task: JoinSet<()>,
}

impl Reading {
    pub(crate) fn start(rollout: RolloutId, sources: Sources, handle: &Handle) -> Reading {
        let (mut task, handle) = (JoinSet::new(), handle.clone());
        task.spawn(async move {
            let mut ticks = interval(sources.read_every());
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = None;
            loop {
                ticks.tick().await;
                let configurations = sources.clone().read().await;
                if told.as_ref() != Some(&configurations) {
                    told = Some(configurations.clone());
                    handle.tell(Input::ConfigurationsRead { rollout: rollout.clone(), configurations }).await;
                }
            }
        });
        Reading { _task: task }
    }
}
