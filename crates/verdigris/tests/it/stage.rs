//! What stands around a server where no real collector is needed: back ends that take OTLP and keep count, as the two
//! environments, and a folder.

use crate::plan::{Environment, Plan};
use crate::server::{Config, Server};
use tokio::runtime::Runtime;
use verdigris::demo::backend::Backend;

/// A runtime for the test's own servers; the tests themselves are not asynchronous.
pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

/// Two environments that take everything, and a server whose traffic blue serves.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) blue: Backend,
    pub(crate) green: Backend,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
}

impl Stage {
    pub(crate) fn set() -> Stage {
        Stage::set_with("")
    }

    /// With more lines in verdigris.yaml.
    pub(crate) fn set_with(more: &str) -> Stage {
        Stage::set_as(|config| Config { more: more.to_owned(), ..config })
    }

    /// With another configuration.
    pub(crate) fn set_as(configure: impl FnOnce(Config) -> Config) -> Stage {
        let runtime = runtime();
        let backend = || runtime.block_on(Backend::start()).expect("a free port");
        let (blue, green) = (backend(), backend());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = configure(Config::of(&blue.endpoint()));
        let server = Server::start(folder.path(), &config);
        Stage { server, blue, green, folder, runtime }
    }

    /// Without canaries: tests count what reaches the back ends.
    pub(crate) fn plan(&self, steps: &[&'static str]) -> Plan {
        let (blue, green) = (Environment::at(&self.blue.endpoint()), Environment::at(&self.green.endpoint()));
        Plan { canary: Some("off"), ..Plan::of(blue, green, steps) }
    }

    /// `rollout start` without `--watch`.
    pub(crate) fn start(&self, plan: &Plan) -> crate::process::Ran {
        let plan = plan.write(self.folder.path()).display().to_string();
        self.server.rollout(&["start", &plan])
    }
}
