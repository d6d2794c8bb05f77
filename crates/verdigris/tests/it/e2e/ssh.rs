//! Approvals with OpenSSH itself: what it signs counts, and what we sign it verifies.

use crate::process::run;
use crate::server::Config;
use crate::stage::Stage;
use crate::wait::seconds;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

fn ssh_keygen(folder: &Path, arguments: &[&str], input: Option<&str>) -> String {
    let mut command = Command::new("ssh-keygen");
    command.current_dir(folder).args(arguments);
    match input {
        Some(file) => command.stdin(File::open(folder.join(file)).expect("it is there")),
        None => command.stdin(Stdio::null()),
    };
    let ran = command.output().expect("`cargo xtask e2e-setup` installs openssh-client");
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "ssh-keygen {arguments:?}: {said}");
    said
}

#[test]
fn openssh_signs_what_counts_and_verifies_what_we_sign() {
    let keys = tempfile::tempdir().expect("a temporary folder");
    let at = keys.path();
    for name in ["bob", "carol"] {
        ssh_keygen(at, &["-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", name], None);
    }
    let line = |name: &str| fs::read_to_string(at.join(format!("{name}.pub"))).expect("it was made").trim().to_owned();
    let person = |name: &str| format!("  - {{ name: {name}, roles: [approver], keys: [\"{}\"] }}\n", line(name));
    let more = format!("principals:\n{}{}", person("bob"), person("carol"));
    let stage = Stage::set_as(|config| Config { more, ..config });
    let mut plan = stage.plan(&["gate: approval", "setWeight: 100%", "pause: {}", "bake: { for: 1s }"]);
    plan.gates = "{ approval: { role: approver, count: 2, expires: 1h } }";
    stage.start(&plan).expect(0);
    let socket = stage.server.socket().display().to_string();
    let approve = |arguments: &[&str]| run(&[&["approve", "--socket", &socket], arguments].concat());
    let path = |name: &str| at.join(name).display().to_string();

    approve(&["--out", &path("bobs.json")]).expect(0);
    ssh_keygen(at, &["-Y", "sign", "-f", "bob", "-n", "approval@verdigris.dev", "bobs.json"], None);
    approve(&["--statement", &path("bobs.json")]).expect(0);

    approve(&["--out", &path("carols.json")]).expect(0);
    approve(&["--sign", &path("carols.json"), "--key", &path("carol"), "--yes"]).expect(0);
    fs::write(at.join("allowed"), format!("carol {}\n", line("carol"))).expect("the folder is ours");
    let verify =
        ["-Y", "verify", "-f", "allowed", "-I", "carol", "-n", "approval@verdigris.dev", "-s", "carols.json.sig"];
    let said = ssh_keygen(at, &verify, Some("carols.json"));
    assert!(said.contains("Good \"approval@verdigris.dev\" signature for carol"), "{said}");
    approve(&["--statement", &path("carols.json")]).expect(0);
    stage.server.eventually_reports("the shift", seconds(60), |report| report["weightOrdered"] == 10_000);

    // For another purpose, and by a key with a passphrase, which we leave to OpenSSH.
    approve(&["--out", &path("other.json")]).expect(0);
    ssh_keygen(at, &["-Y", "sign", "-f", "bob", "-n", "file", "other.json"], None);
    approve(&["--statement", &path("other.json")]).expect(2).says(&["the namespace \"file\""]);
    ssh_keygen(at, &["-q", "-t", "ed25519", "-N", "a passphrase", "-f", "locked"], None);
    approve(&["--key", &path("locked"), "--yes"]).expect(2).says(&["protected by a passphrase", "ssh-keygen -Y sign"]);
    ssh_keygen(at, &["-q", "-t", "ecdsa", "-N", "", "-f", "other"], None);
    approve(&["--key", &path("other"), "--yes"]).expect(2).says(&["other"]);
}
