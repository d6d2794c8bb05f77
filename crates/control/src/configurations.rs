//! Reads the configurations of a rollout's environments again and again, and tells when they are others than before: what
//! was approved must be what is there.

use crate::handle::{Handle, Input};
use model::{Environment, PerEnvironment};
use rollout::{Configuration, RolloutId, State};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How often they are read: some files of some kilobytes each. Whoever hands in an approval has them read at once.
const READ_EVERY: Duration = Duration::from_secs(10);

/// Where the configurations of a rollout lie.
#[derive(Clone, Debug)]
pub(crate) struct Sources(PerEnvironment<Vec<PathBuf>>);

impl Sources {
    /// None if the plan names none: then nothing has to be read to know it.
    pub(crate) fn of(state: &State, base_dir: &Path) -> Option<Sources> {
        let files = |environment: Environment| {
            let config = &state.plan.environments[environment].config;
            config.iter().map(|source| base_dir.join(&source.files)).collect::<Vec<_>>()
        };
        let sources = PerEnvironment::from_fn(files);
        (!sources.blue.is_empty() || !sources.green.is_empty()).then_some(Sources(sources))
    }

    /// Reads both, on a thread that may block.
    pub(crate) async fn read(self) -> PerEnvironment<Configuration> {
        let read =
            tokio::task::spawn_blocking(move || PerEnvironment::from_fn(|environment| one(&self.0[environment])));
        let given_up = |error: tokio::task::JoinError| {
            let reason = format!("reading was given up: {error}");
            PerEnvironment::from_fn(|_| Configuration::Unreadable { reason: reason.clone() })
        };
        read.await.unwrap_or_else(given_up)
    }
}

fn one(files: &[PathBuf]) -> Configuration {
    match files.is_empty() {
        true => Configuration::Undeclared,
        false => match gates::configuration::digest(files) {
            Ok(digest) => Configuration::Read { digest },
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
            let mut ticks = interval(READ_EVERY);
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
