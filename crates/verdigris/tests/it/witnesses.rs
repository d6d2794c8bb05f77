//! Witnesses from end to end: the server as a process, asked by hand, and beside real ledgers that ask it.

use crate::process::{Process, Ran, run, verdigris};
use crate::server::{Config, START_LIMIT, Server};
use crate::stage::{Stage, runtime};
use crate::wait::{eventually, seconds};
use ledger::{AddCheckpoint, Checkpoint, CosignerKey, Hash, KeyName, Note, SignerKey, VerifierKey, WitnessKey};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use verdigris::witness::{WitnessAnswer, WitnessClient};

/// `verdigris witness` with its key and its memory in a folder.
pub(crate) struct Witness {
    process: Process,
    folder: PathBuf,
    logs: Vec<String>,
    pub(crate) url: String,
    pub(crate) key: String,
}

fn command(folder: &Path, logs: &[String]) -> Command {
    let mut command = verdigris();
    command.args(["witness", "--format", "json", "--listen", "127.0.0.1:0"]);
    command.arg("--key").arg(folder.join("witness.key")).arg("--state").arg(folder.join("state"));
    for log in logs {
        command.args(["--log", log]);
    }
    command
}

impl Witness {
    pub(crate) fn start(folder: &Path, logs: &[String]) -> Witness {
        let mut process = Process::start("verdigris witness", &mut command(folder, logs));
        let line = process.first_line(START_LIMIT).unwrap_or_else(|ran| panic!("the witness ended: {ran:?}"));
        let said: Value = serde_json::from_str(&line).expect("it prints a line of JSON");
        let text = |key: &str| said[key].as_str().expect("a text").to_owned();
        let (url, key) = (text("listening"), text("verifierKey"));
        Witness { process, folder: folder.to_owned(), logs: logs.to_vec(), url, key }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and a new start on the same folder.
    fn restart(self) -> Witness {
        let Witness { process, folder, logs, key, .. } = self;
        process.terminate();
        assert_eq!(process.wait(seconds(30)).code, 0, "it ends in order");
        let witness = Witness::start(&folder, &logs);
        assert_eq!(witness.key, key, "the same key");
        witness
    }

    /// Status, head and body of an answer.
    fn post(&self, body: &[u8]) -> (u16, String, String) {
        let head = format!("POST /add-checkpoint HTTP/1.1\r\nContent-Length: {}", body.len());
        self.send(&head, body)
    }

    fn send(&self, head: &str, body: &[u8]) -> (u16, String, String) {
        let address = self.url.strip_prefix("http://").expect("a URL without TLS");
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
        // It may answer, and close, before it has read everything.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_lowercase(), body.to_owned())
    }
}

/// A log of two entries, of which `history` writes the last.
struct Log {
    key: SignerKey,
    history: &'static str,
}

impl Log {
    fn of(history: &'static str) -> Log {
        let name = KeyName::new("example.com/log").expect("a name");
        Log { key: SignerKey::new(name, &[7; 32]), history }
    }

    fn verifier(&self) -> String {
        self.key.verifier().to_string()
    }

    fn leaves(&self) -> [Hash; 2] {
        [Hash::of_leaf(b"first"), Hash::of_leaf(self.history.as_bytes())]
    }

    fn note(&self, size: u64) -> Note {
        let [first, last] = self.leaves();
        let root = match size {
            0 => Hash::of_empty_tree(),
            1 => first,
            _ => Hash::of_node(first, last),
        };
        Checkpoint::new(self.key.verifier().name(), size, root).sign(&self.key)
    }

    fn request(&self, old: u64, size: u64) -> Vec<u8> {
        let proof = if (old, size) == (1, 2) { vec![self.leaves()[1]] } else { Vec::new() };
        AddCheckpoint::new(old, proof, self.note(size)).expect("a request").to_string().into_bytes()
    }
}

#[test]
fn a_witness_answers_as_the_specification_has_it_and_remembers_through_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (log, fork) = (Log::of("last"), Log::of("other"));
    let witness = Witness::start(folder.path(), &[log.verifier()]);
    let mode = |name: &str| fs::metadata(folder.path().join(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("witness.key"), mode("state")), (0o600, 0o700));
    let key: WitnessKey = witness.key.parse().expect("a witness' key");

    let status = |witness: &Witness, body: &[u8]| witness.post(body).0;
    assert_eq!(status(&witness, b""), 400);
    assert_eq!(status(&witness, b"old 0\n\n\xff"), 400);
    assert_eq!(status(&witness, &log.request(2, 1)), 400, "the old size is greater");
    assert_eq!(status(&witness, &vec![b'a'; ledger::MAX_ADD_CHECKPOINT_BYTES + 1]), 413);
    assert_eq!(witness.send("GET /add-checkpoint HTTP/1.1", b"").0, 405);
    assert_eq!(witness.send("GET / HTTP/1.1", b"").0, 404);
    let request = String::from_utf8(log.request(0, 1)).expect("text");
    assert_eq!(status(&witness, request.replace("example.com/log\n1", "example.com/lag\n1").as_bytes()), 404);
    assert_eq!(status(&witness, request.replace("\n1\n", "\n2\n").as_bytes()), 403, "not what was signed");

    let cosigned = |witness: &Witness, old: u64, size: u64| {
        let (status, _, line) = witness.post(&log.request(old, size));
        assert_eq!(status, 200, "{line}");
        let note: Note = format!("{}{line}", log.note(size)).parse().expect("a note with one line more");
        let (_, by) = Checkpoint::open_cosigned(&note, log.key.verifier(), &[&key]).expect("it holds");
        assert_eq!(by.len(), 1, "{note}");
    };
    let conflict = |witness: &Witness, request: &[u8], size: &str| {
        let (status, head, body) = witness.post(request);
        assert_eq!((status, body.as_str()), (409, size));
        assert!(head.contains("content-type: text/x.tlog.size"), "{head}");
    };
    conflict(&witness, &log.request(1, 2), "0\n");
    cosigned(&witness, 0, 1);
    cosigned(&witness, 1, 1);
    let wrong = AddCheckpoint::new(1, vec![Hash([1; 32])], log.note(2)).expect("a request");
    assert_eq!(status(&witness, wrong.to_string().as_bytes()), 422);
    cosigned(&witness, 1, 2);

    let witness = witness.restart();
    conflict(&witness, &log.request(0, 1), "2\n");
    conflict(&witness, &fork.request(2, 2), "2\n");
    cosigned(&witness, 2, 2);
    let log = witness.process.stderr();
    assert!(
        log.contains("a rollback (or an old checkpoint, sent again) of example.com/log: shown were 1 entries"),
        "{log}"
    );
    assert!(log.contains("a fork (or a proof that does not fit) of example.com/log: shown were 2 entries"), "{log}");
    let root = fork.note(2).text().lines().nth(2).expect("a root").to_owned();
    assert!(log.contains(&root), "it says what was shown: {log}");

    let second = Process::start("a second witness", &mut command(folder.path(), &witness.logs)).wait(seconds(30));
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("another process writes to"), "{second:?}");
}

/// Two histories are shown at the same time, several times each: one of them is cosigned, and only that.
#[test]
fn of_two_histories_that_are_shown_at_once_one_is_cosigned() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let logs = [Log::of("last"), Log::of("other")];
    let witness = Witness::start(folder.path(), &[logs[0].verifier()]);
    assert_eq!(witness.post(&logs[0].request(0, 1)).0, 200);
    let statuses: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let post = |index: usize| (index % 2, witness.post(&logs[index % 2].request(1, 2)).0);
        let threads: Vec<_> = (0..8).map(|index| scope.spawn(move || post(index))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it answers")).collect()
    });
    let cosigned: Vec<usize> = statuses.iter().filter(|(_, status)| *status == 200).map(|(log, _)| *log).collect();
    assert_eq!(cosigned.len(), 1, "whoever comes second starts from a size that is no longer known: {statuses:?}");
    assert!(statuses.iter().all(|(_, status)| [200, 409].contains(status)), "{statuses:?}");
}

/// A ledger with its key, which no server has at the moment: what witnesses must know before they are asked.
fn ledger_at_rest() -> (tempfile::TempDir, String) {
    let Stage { server, folder, .. } = Stage::set();
    let key = server.verifier_key();
    assert_eq!(server.stop().code, 0);
    (folder, key)
}

/// A server on that ledger which asks these witnesses.
fn serve(folder: &Path, asked: &[(&str, &str)], quorum: usize) -> Server {
    let entry = |(url, key): &(&str, &str)| format!("{{ url: \"{url}\", key: \"{key}\" }}");
    let list = asked.iter().map(entry).collect::<Vec<_>>().join(", ");
    let more = format!("ledger: {{ witnesses: [{list}], quorum: {quorum} }}\n");
    // Nothing is sent, so that nothing needs to listen there.
    Server::start(folder, &Config { more, ..Config::of("http://127.0.0.1:1") })
}

/// `ledger verify` of a folder with witnesses.
fn verify(data: &Path, key: &str, more: &[&str]) -> Ran {
    let dir = data.join("ledger").display().to_string();
    run(&[&["ledger", "verify", "--format", "json", "--dir", &dir, "--key", key], more].concat())
}

/// Waits until these witnesses have cosigned the whole ledger, and gives its size.
fn eventually_cosigned(data: &Path, key: &str, witnesses: &[&str]) -> u64 {
    let quorum = witnesses.len().to_string();
    let named = witnesses.iter().flat_map(|witness| ["--witness", witness]);
    let more: Vec<&str> = named.chain(["--quorum", &quorum]).collect();
    crate::wait::eventually_with_few_looks("the cosignatures", seconds(40), || {
        let ran = verify(data, key, &more);
        let said: Value = serde_json::from_str(&ran.stdout).ok()?;
        (said["quorumSize"] == said["size"]).then(|| said["size"].as_u64().expect("a count"))
    })
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "a copy of {}", from.display());
}

#[test]
fn a_quorum_cosigns_and_a_witness_that_is_down_holds_nothing_up() {
    let (folder, key) = ledger_at_rest();
    let data = folder.path().join("data");
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let one = Witness::start(folders[0].path(), std::slice::from_ref(&key));
    let two = Witness::start(folders[1].path(), std::slice::from_ref(&key));
    let down = CosignerKey::new(KeyName::new("example.com/down").expect("a name"), &[5; 32]).verifier().to_string();
    let asked = [(one.url.as_str(), one.key.as_str()), (&two.url, &two.key), ("http://127.0.0.1:1", &down)];
    let mut server = serve(folder.path(), &asked, 2);
    let both = [one.key.as_str(), two.key.as_str()];
    let size = eventually_cosigned(&data, &key, &both);
    server.kill_and_start();
    let grown = eventually_cosigned(&data, &key, &both);
    assert!(grown > size, "a start is a record: {grown}");

    // Readers of tlog-tiles find the checkpoint as the log signed it.
    let note = fs::read_to_string(data.join("ledger/checkpoint")).expect("it is there");
    let verifier: VerifierKey = key.parse().expect("a verifier key");
    assert_eq!(Checkpoint::open(&note, &verifier).expect("it holds").size(), grown);
    assert_eq!(note.parse::<Note>().expect("a note").signatures().len(), 1);

    eventually("the witness that is down to be missed", seconds(30), || {
        server.log().contains("example.com/down at http://127.0.0.1:1 does not accept connections").then_some(())
    });
    let all = ["--witness", &one.key, "--witness", &two.key, "--witness", &down];
    let said = verify(&data, &key, &all).expect(0).json();
    assert_eq!((&said["witnesses"][2]["size"], &said["quorumSize"]), (&Value::Null, &Value::Null));
    assert_eq!(said["witnesses"][0]["size"], grown);
    verify(&data, &key, &[&all[..], &["--quorum", "2"]].concat()).expect(0);
    let refused = verify(&data, &key, &[&all[..], &["--quorum", "3"]].concat()).expect(5);
    assert!(refused.stderr.contains("2 of the witnesses cosigned this ledger, expected 3"), "{refused:?}");
    verify(&data, &key, &["--witness", &one.key, "--quorum", "2"]).expect(2);
    verify(&data, &key, &["--witness", &key]).expect(2);
    assert_eq!(server.stop().code, 0);

    // A byte of a cosignature, and it is none.
    let id = one.key.parse::<WitnessKey>().expect("a key").id().to_string();
    let file = data.join("ledger/cosignatures").join(id);
    let text = fs::read_to_string(&file).expect("it is there");
    let altered = text.replacen(&format!("\n{grown}\n"), &format!("\n{}\n", grown - 1), 1);
    fs::write(&file, altered).expect("it is ours");
    verify(&data, &key, &["--witness", &one.key]).expect(5);
}

/// The same key with two histories: a copy of the data that goes on by itself.
#[test]
fn a_ledger_that_was_forked_is_refused_by_its_witness() {
    let (folder, key) = ledger_at_rest();
    let at = tempfile::tempdir().expect("a temporary folder");
    let witness = Witness::start(at.path(), std::slice::from_ref(&key));
    let asked = [(witness.url.as_str(), witness.key.as_str())];
    let other = tempfile::tempdir().expect("a temporary folder");
    copy(&folder.path().join("data"), &other.path().join("data"));
    let mut server = serve(folder.path(), &asked, 1);
    let size = eventually_cosigned(&folder.path().join("data"), &key, &[&witness.key]);
    server.kill();

    // Of the same size first, then with one entry more.
    let mut fork = serve(other.path(), &asked, 1);
    for (shown, status) in [(size, "409"), (size + 1, "422")] {
        eventually("the fork to be refused", seconds(30), || {
            fork.log().contains("THE LEDGER WAS FORKED").then_some(())
        });
        let words =
            format!("a fork (or a proof that does not fit) of verdigris.local/ledger: shown were {shown} entries");
        assert!(witness.process.stderr().contains(&words), "{status}: {}", witness.process.stderr());
        fork.kill_and_start();
    }
    let refused = verify(&other.path().join("data"), &key, &["--witness", &witness.key, "--quorum", "1"]).expect(5);
    assert!(refused.stderr.contains("0 of the witnesses cosigned"), "{refused:?}");
    eventually_cosigned_size(&folder.path().join("data"), &key, &witness.key, size);
}

/// What a witness cosigned stays cosigned.
fn eventually_cosigned_size(data: &Path, key: &str, witness: &str, size: u64) {
    let said = verify(data, key, &["--witness", witness, "--quorum", "1"]).expect(0).json();
    assert_eq!(said["quorumSize"], size);
}

#[test]
fn a_ledger_that_was_set_back_is_refused_by_its_witness_also_after_both_restarted() {
    let (folder, key) = ledger_at_rest();
    let data = folder.path().join("data");
    let at = tempfile::tempdir().expect("a temporary folder");
    let witness = Witness::start(at.path(), std::slice::from_ref(&key));
    let backup = tempfile::tempdir().expect("a temporary folder");
    copy(&data, &backup.path().join("data"));
    let mut server = serve(folder.path(), &[(&witness.url, &witness.key)], 1);
    // Each start is a record, and each is cosigned: the copy is older by three.
    for _ in 0..2 {
        eventually_cosigned(&data, &key, &[&witness.key]);
        server.kill_and_start();
    }
    let size = eventually_cosigned(&data, &key, &[&witness.key]);
    assert_eq!(server.stop().code, 0);
    let witness = witness.restart();

    // The cosignature beside the ledger says so too, if it was not set back with it.
    let cosignatures = backup.path().join("data/ledger/cosignatures");
    copy(&data.join("ledger/cosignatures"), &cosignatures);
    let refused = verify(&backup.path().join("data"), &key, &["--witness", &witness.key]).expect(5);
    assert!(refused.stderr.contains("the ledger was set back"), "{refused:?}");
    fs::remove_dir_all(&cosignatures).expect("it is ours");

    let server = serve(backup.path(), &[(&witness.url, &witness.key)], 1);
    let words = format!("has cosigned {size} entries, but the ledger has");
    eventually("the rollback to be refused", seconds(30), || {
        let log = server.log();
        (log.contains(&words) && log.contains("THE LEDGER WAS SET BACK")).then_some(())
    });
    assert!(
        witness.process.stderr().contains("a rollback (or an old checkpoint, sent again) of verdigris.local/ledger")
    );
    // Asked by hand: it is the size from before its restart that it knows.
    let note: Note =
        fs::read_to_string(backup.path().join("data/ledger/checkpoint")).expect("a file").parse().expect("a note");
    let client = WitnessClient::new(&witness.url, &model::ClientTls::default()).expect("a URL");
    let request = AddCheckpoint::new(0, Vec::new(), note).expect("a request");
    let answer = runtime().block_on(client.add_checkpoint(&request)).expect("an answer");
    assert!(matches!(answer, WitnessAnswer::Conflict(known) if known == size), "{answer:?}");
}

#[test]
fn what_cannot_be_a_witness_or_a_log_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = Log::of("last").verifier();
    let refused = |logs: &[&str]| {
        let logs: Vec<String> = logs.iter().map(|&log| log.to_owned()).collect();
        Process::start("verdigris witness", &mut command(folder.path(), &logs)).wait(seconds(30)).expect(2)
    };
    refused(&[]);
    refused(&["a+b+c"]).says(&["--log: expected a key of the form name+id+base64"]);
    let witness = CosignerKey::new(KeyName::new("w").expect("a name"), &[5; 32]).verifier().to_string();
    refused(&[&witness]).says(&["--log: the key of w has signature type 0x04: only Ed25519 (0x01) is supported"]);
    let serve = |more: &str| {
        let config = Config { more: format!("{more}\n"), ..Config::of("http://127.0.0.1:1") };
        let path = config.write(folder.path());
        crate::server::try_serve(&path).err().expect("it is refused").expect(2)
    };
    let entry = |url: &str, key: &str| format!("ledger: {{ witnesses: [{{ url: \"{url}\", key: \"{key}\" }}] }}");
    serve(&entry("http://127.0.0.1:1", &log)).says(&["ledger.witnesses[0].key", "0x04"]);
    serve(&entry("ftp://127.0.0.1:1", &witness)).says(&["ledger.witnesses[0].url", "expected http://host:port"]);
    serve("ledger: { quorum: 1 }").says(&["ledger.quorum: found 1, expected 1 to the number of ledger.witnesses, 0"]);
    let twice = format!("{{ url: \"http://127.0.0.1:1\", key: \"{witness}\" }}");
    serve(&format!("ledger: {{ witnesses: [{twice}, {twice}] }}")).says(&["ledger.witnesses[1].key", "witnesses[0]"]);
}
