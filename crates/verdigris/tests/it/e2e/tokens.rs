//! Keys where others made them: a PKCS#11 token of Debian's SoftHSM, and files of Debian's `age`.

use crate::process::{Process, Ran, root, verdigris};
use crate::server::{Config, Server, announced};
use crate::wait::{eventually, seconds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PIN: &str = "4711";

/// What is before the seed of an Ed25519 key in PKCS#8: a sequence of version, algorithm (1.3.101.112) and key.
const ED25519_PKCS8: [u8; 16] = [0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32];

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

/// Runs a command on a terminal of its own. Each line is typed once what it answers was asked, for before that the terminal
/// itself shows what is typed.
fn typed(lines: &[(&str, &str)], command: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keyboard = folder.path().join("keyboard");
    let made = Command::new("mkfifo").arg(&keyboard).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe in a new folder");
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec script -qec "$COMMAND" /dev/null < "$KEYBOARD""#]);
    shell.env("COMMAND", command).env("KEYBOARD", &keyboard);
    let process = Process::start(command, &mut shell);
    let mut keyboard = OpenOptions::new().write(true).open(&keyboard).expect("somebody reads it");
    let mut seen = 0;
    for (question, line) in lines {
        let asked = || process.stdout()[seen..].find(question).map(|at| seen + at + question.len());
        seen = eventually(&format!("the question {question:?}"), seconds(60), asked);
        keyboard.write_all(line.as_bytes()).expect("it is read");
    }
    process.wait(seconds(60))
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
    let lines = [("data/ledger.key: ", "correct horse\n"), ("again: ", "correct horses\x7f\n")];
    let ran = typed(&lines, &command).expect(0);
    assert!(ran.stdout.contains("passphrase of ") && !ran.stdout.contains("correct horse"), "{}", ran.stdout);
    typed(
        &[("passphrase: ", "correct horse\n")],
        &format!("{age} -d -o {} {}", path("plain"), path("data/ledger.key")),
    )
    .expect(0);
    assert_eq!(fs::read_to_string(path("plain")).expect("text"), key);
    // As bytes, without armor.
    fs::remove_file(path("data/ledger.key")).expect("it is ours");
    let command = format!("{age} -p -o {} {}", path("data/ledger.key"), path("plain"));
    typed(&[("passphrase", "battery staple\n"), ("onfirm passphrase: ", "battery staple\n")], &command).expect(0);
    fs::set_permissions(path("data/ledger.key"), Permissions::from_mode(0o600)).expect("it is ours");
    let config =
        Config { more: "ledger: { key: { passphrase: prompt } }\n".to_owned(), ..Config::of("http://127.0.0.1:9") };
    let config = config.write(folder.path()).display().to_string();
    let show = format!("{verdigris} ledger key show --config {config}");
    let public = fs::read_to_string(path("data/ledger.key.pub")).expect("text");
    assert!(typed(&[("ledger.key: ", "battery staple\n")], &show).expect(0).stdout.contains(public.trim_end()));
    assert!(typed(&[("ledger.key: ", "battery horse\n")], &show).expect(1).stdout.contains("the passphrase is wrong"));
    // Control-C is an answer too, and the terminal shows again afterwards what is typed.
    let ran = typed(&[("ledger.key: ", "batt\x03")], &format!("{show}; stty")).expect(0);
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
        // PKCS#8 (RFC 5958, version 1) with 32 bytes of seed (RFC 8410).
        let key = [&ED25519_PKCS8[..], id.repeat(16).as_bytes()].concat();
        let path = self.folder.path().join("key.pem");
        let pem = STANDARD.encode(key);
        write_secret(&path, &format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"));
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
        let said = refused.stderr.replace('\\', "");
        assert!(refused.code == 1 && said.contains(words), "{said}\ndoes not say\n{words}");
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
        "apiVersion: verdigris.dev/v1alpha1\nkind: Rollout\nmetadata: {{ name: tokens, reason: a test }}\nspec:\n  \
         subject: pipeline\n  environments: {{ blue: {}, green: {} }}\n  \
         strategy: {{ steps: [{{ pause: {{}} }}, {{ setWeight: 100% }}, {{ bake: {{ for: 20s }} }}] }}\n  \
         guards: {{ spanLoss: {{ atMost: 1% }} }}\n",
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
