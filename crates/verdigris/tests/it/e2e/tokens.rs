//! Keys where others made them: a PKCS#11 token of Debian's SoftHSM, and files of Debian's `age`.

use crate::process::{Process, Ran, root, verdigris};
use crate::server::{Config, Server, announced};
use crate::wait::{eventually, seconds};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PIN: &str = "4711";

/// A file of Debian's packages: where e2e-setup says, where it unpacked them, or where they are installed.
fn installed(place: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("VERDIGRIS_E2E_DEBIAN") {
        return PathBuf::from(folder).join(place);
    }
    let places = [root().join("target/e2e/debian").join(place), Path::new("/").join(place)];
    let found = places.into_iter().find(|place| place.exists());
    found.unwrap_or_else(|| {
        panic!("/{place} is missing: run `cargo xtask e2e-setup`, or name its root in VERDIGRIS_E2E_DEBIAN")
    })
}

/// Runs a command on a terminal of its own, on which somebody types.
fn typed(lines: &str, command: &str) -> Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"printf '%s' "$TYPED" | script -qec "$COMMAND" /dev/null"#]);
    shell.env("TYPED", lines).env("COMMAND", command);
    Process::start(command, &mut shell).wait(seconds(60))
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder is ours");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("it is ours");
}

#[test]
fn age_opens_what_verdigris_encrypts_and_the_other_way_around() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    Server::start(folder.path(), &Config::of("http://127.0.0.1:9")).stop().expect(0);
    let (age, verdigris) = (installed("usr/bin/age"), verdigris());
    let (age, verdigris) = (age.display(), verdigris.get_program().display().to_string());
    let key = fs::read_to_string(path("data/ledger.key")).expect("text");
    // Typed twice, for nobody sees it; the second time with a letter too many, and one back.
    let command = format!("{verdigris} ledger key encrypt --file {}", path("data/ledger.key"));
    let ran = typed("correct horse\ncorrect horses\x7f\n", &command).expect(0);
    assert!(ran.stdout.contains("passphrase of ") && !ran.stdout.contains("correct horse"), "{}", ran.stdout);
    typed("correct horse\n", &format!("{age} -d -o {} {}", path("plain"), path("data/ledger.key"))).expect(0);
    assert_eq!(fs::read_to_string(path("plain")).expect("text"), key);
    // As bytes, without armor.
    fs::remove_file(path("data/ledger.key")).expect("it is ours");
    let command = format!("{age} -p -o {} {}", path("data/ledger.key"), path("plain"));
    typed("battery staple\nbattery staple\n", &command).expect(0);
    fs::set_permissions(path("data/ledger.key"), Permissions::from_mode(0o600)).expect("it is ours");
    let config =
        Config { more: "ledger: { key: { passphrase: prompt } }\n".to_owned(), ..Config::of("http://127.0.0.1:9") };
    let config = config.write(folder.path()).display().to_string();
    let show = format!("{verdigris} ledger key show --config {config}");
    let public = fs::read_to_string(path("data/ledger.key.pub")).expect("text");
    assert!(typed("battery staple\n", &show).expect(0).stdout.contains(public.trim_end()));
    assert!(typed("battery horse\n", &show).expect(1).stdout.contains("the passphrase is wrong"));
    // Control-C is an answer too, and the terminal shows again afterwards what is typed.
    let ran = typed("batt\x03", &format!("{show}; stty")).expect(0);
    assert!(ran.stdout.contains("cancelled") && !ran.stdout.contains("-echo"), "{}", ran.stdout);
}

/// SoftHSM with a folder of its own, and one token in it.
struct SoftHsm {
    folder: tempfile::TempDir,
    module: PathBuf,
}

impl SoftHsm {
    fn new() -> SoftHsm {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tokens")).expect("the folder is ours");
        let tokens = folder.path().join("tokens").display().to_string();
        let config = format!("directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n");
        fs::write(folder.path().join("softhsm2.conf"), config).expect("the folder is ours");
        write_secret(&folder.path().join("pin"), PIN);
        let hsm = SoftHsm { folder, module: installed("usr/lib/softhsm/libsofthsm2.so") };
        hsm.util(&["--init-token", "--free", "--label", "ledger", "--so-pin", "0815", "--pin", PIN]);
        hsm
    }

    fn on(&self, command: &mut Command) -> &SoftHsm {
        command.env("SOFTHSM2_CONF", self.folder.path().join("softhsm2.conf"));
        self
    }

    fn util(&self, arguments: &[&str]) {
        let mut command = Command::new(installed("usr/bin/softhsm2-util"));
        command.arg("--module").arg(&self.module).args(arguments);
        self.on(&mut command);
        Process::start("softhsm2-util", &mut command).wait(seconds(60)).expect(0);
    }

    /// Puts an Ed25519 key into the token.
    fn add_key(&self, label: &str, id: &str) {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let path = self.folder.path().join("key.pem");
        write_secret(&path, &key.serialize_pem());
        let path = path.display().to_string();
        self.util(&["--import", &path, "--token", "ledger", "--label", label, "--id", id, "--pin", PIN]);
    }

    /// As verdigris.yaml names a key in it.
    fn yaml(&self, key: &str, pin: &str) -> String {
        let (module, pin) = (self.module.display(), self.folder.path().join(pin));
        format!("{{ pkcs11: {{ module: {module}, token: ledger, key: {key}, pin: {{ file: {} }} }} }}", pin.display())
    }

    /// The token is pulled out, or put back.
    fn pull(&self, out: bool) {
        let (there, gone) = (self.folder.path().join("tokens"), self.folder.path().join("gone"));
        let (from, to) = if out { (&there, &gone) } else { (&gone, &there) };
        fs::rename(from, to).expect("the folder is ours");
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = verdigris();
        command.args(arguments).args(["--format", "json"]);
        self.on(&mut command);
        Process::start(&arguments.join(" "), &mut command).wait(seconds(60))
    }

    /// `verdigris serve` with these lines of `ledger` in its configuration.
    fn serve(&self, folder: &Path, ledger: &str) -> Result<Server, Ran> {
        let config = Config { more: format!("ledger: {ledger}\n"), ..Config::of("http://127.0.0.1:9") };
        let config = config.write(folder);
        let mut command = verdigris();
        command.args(["serve", "--format", "json", "--config"]).arg(&config);
        self.on(&mut command);
        announced(Process::start("verdigris serve", &mut command), &config)
    }
}

#[test]
fn a_token_signs_the_ledger_and_another_of_its_keys_follows() {
    let (hsm, folder) = (SoftHsm::new(), tempfile::tempdir().expect("a temporary folder"));
    hsm.add_key("first", "01");
    hsm.add_key("second", "02");
    let (first, second) = (hsm.yaml("first", "pin"), hsm.yaml("second", "pin"));
    let server = hsm.serve(folder.path(), &format!("{{ key: {first} }}")).expect("it starts");
    let old = server.verifier_key();
    server.ledger_command(&["verify"]).expect(0);
    server.stop().expect(0);
    assert!(!folder.path().join("data/ledger.key").exists());
    let public = fs::read_to_string(folder.path().join("data/ledger.key.pub")).expect("it is there");
    assert_eq!(public.trim_end(), old);
    // Without a key to change to, and with one.
    let config = folder.path().join("verdigris.yaml").display().to_string();
    let refused = hsm.run(&["ledger", "rotate-key", "--config", &config]).expect(1);
    assert!(refused.stderr.contains("name it in `ledger.nextKey`"), "{}", refused.stderr);
    let both =
        Config { more: format!("ledger: {{ key: {first}, nextKey: {second} }}\n"), ..Config::of("http://127.0.0.1:9") };
    both.write(folder.path());
    let changed = hsm.run(&["ledger", "rotate-key", "--config", &config]).expect(0).json();
    let new = changed["new"].as_str().expect("a text").to_owned();
    assert!(changed["old"] == old.as_str() && new != old, "{changed}");
    // With both, and with the new one alone; the old one alone signs it no more.
    for ledger in [format!("{{ key: {first}, nextKey: {second} }}"), format!("{{ key: {second} }}")] {
        let server = hsm.serve(folder.path(), &ledger).expect("it starts");
        assert_eq!(server.verifier_key(), new);
        let dir = server.ledger().display().to_string();
        let verified = hsm.run(&["ledger", "verify", "--dir", &dir, "--key", &old]).expect(0).json();
        assert_eq!(verified["keys"], serde_json::json!([old, new]));
        server.stop().expect(0);
    }
    let refused = hsm.serve(folder.path(), &format!("{{ key: {first} }}")).err().expect("it does not start");
    assert!(refused.stderr.contains("is signed by another key"), "{}", refused.stderr);
}

#[test]
fn what_the_token_does_not_have_is_told() {
    let (hsm, folder) = (SoftHsm::new(), tempfile::tempdir().expect("a temporary folder"));
    hsm.add_key("first", "01");
    write_secret(&hsm.folder.path().join("wrong"), "1234");
    let token = |yaml: String| format!("{{ key: {yaml} }}");
    for (ledger, words) in [
        (token(hsm.yaml("absent", "pin")), "there are 0 private Ed25519 keys \"absent\" in the token, expected one"),
        (token(hsm.yaml("first", "wrong")), "the token refused the PIN"),
        (token(hsm.yaml("first", "nowhere")), "there is no PIN of the token"),
        (token(hsm.yaml("first", "pin").replace("ledger", "other")), "there are 0 tokens \"other\", expected one"),
        (token(hsm.yaml("first", "pin").replace("libsofthsm2", "lib")), "cannot be used as a PKCS#11 module"),
    ] {
        let refused = hsm.serve(folder.path(), &ledger).err().unwrap_or_else(|| panic!("{ledger} is served"));
        assert!(refused.code == 1 && refused.stderr.contains(words), "{}\ndoes not say\n{words}", refused.stderr);
        assert!(!refused.stderr.contains("1234"), "{}", refused.stderr);
        // Nothing was begun that a right configuration would stumble over.
        assert!(!folder.path().join("data/ledger/checkpoint").exists());
    }
}

#[test]
fn without_its_token_nothing_is_decided_until_it_is_back() {
    let (hsm, folder) = (SoftHsm::new(), tempfile::tempdir().expect("a temporary folder"));
    hsm.add_key("first", "01");
    let server = hsm.serve(folder.path(), &format!("{{ key: {} }}", hsm.yaml("first", "pin"))).expect("it starts");
    let plan = folder.path().join("plan.yaml");
    let environment = |port: u16| format!("{{ version: \"{port}\", otlp: {{ grpc: \"http://127.0.0.1:{port}\" }} }}");
    let text = format!(
        "apiVersion: verdigris.dev/v1alpha1\nkind: Rollout\nmetadata: {{ name: tokens, reason: a test }}\nspec:\n  subject: pipeline\n  \
         environments:\n    blue: {}\n    green: {}\n  strategy: {{ steps: [{{ pause: {{}} }}] }}\n",
        environment(9),
        environment(10)
    );
    fs::write(&plan, text).expect("the folder is ours");
    let start = || server.rollout(&["start", &plan.display().to_string()]);
    let size = || server.ledger_command(&["verify"]).expect(0).json()["size"].as_u64().expect("a number");
    let before = size();
    hsm.pull(true);
    let refused = start();
    assert!(refused.code == 1 && refused.stderr.contains("acknowledged"), "{refused:?}");
    assert_eq!(size(), before);
    eventually("the log says why", seconds(30), || server.log().contains("did not sign").then_some(()));
    hsm.pull(false);
    eventually("the ledger is open again", seconds(60), || {
        server.log().contains("the ledger is open again").then_some(())
    });
    let status: Value = server.rollout(&["list"]).expect(0).json();
    // What was in the write-ahead log was signed as the ledger was opened again, or was never in it.
    let started = status.as_array().map_or(0, Vec::len);
    if started == 0 {
        start().expect(0);
    }
    assert!(size() > before);
    server.stop().expect(0);
}
