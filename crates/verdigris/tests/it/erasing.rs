//! What a person asks to have erased is gone, and everything that was recorded is proved as before.

use crate::process::run;
use crate::server::Config;
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use std::path::Path;

const WHO: &str = "Ada Lovelace, ada@example.com";

/// Every file below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(std::fs::read(entry.path()).expect("it is there"));
        }
    }
    found
}

#[test]
fn a_person_is_in_no_file_in_clear_and_gone_when_erased() {
    let named = format!("principals: [{{ name: u4711, uids: [4711], person: \"{WHO}\" }}]\n");
    let mut stage = Stage::set_as(|config| Config { more: named.clone(), ..config });
    let data = stage.folder.path().join("data");
    let in_clear = || files(&data).iter().any(|file| file.windows(3).any(|part| part == b"Ada"));
    assert!(!in_clear(), "sealed, and committed to");
    let shown = stage.server.ledger_command(&["show"]).expect(0).stdout;
    assert_eq!(shown.matches("\"person\":\"sha256:").count(), 1, "{shown}");
    let sealed = || std::fs::read_dir(data.join("subjects")).expect("it is there").count();
    assert_eq!(sealed(), 2, "a key and what it seals");
    // The same text is sealed once.
    stage.server.kill_and_start();
    assert_eq!(sealed(), 2);

    let socket = stage.server.socket().display().to_string();
    let erase = |subject: &str| run(&["ledger", "erase", subject, "--socket", &socket, "--format", "json"]);
    erase("u4711").expect(1).says(&["still says who u4711 is", "SIGHUP"]);
    let config = std::fs::read_to_string(stage.server.config()).expect("it was written");
    let without = config.replace(&format!(", person: \"{WHO}\""), "");
    std::fs::write(stage.server.config(), without).expect("the folder is ours");
    stage.server.hang_up();
    eventually("the configuration to be read", seconds(30), || {
        stage.server.log().contains("applies; listening").then_some(())
    });
    let erased = erase("u4711").expect(0).json();
    assert_eq!((erased["persons"].as_u64(), erased["evidence"].as_u64()), (Some(1), Some(0)), "{erased}");
    assert_eq!(sealed(), 0);
    erase("u4711").expect(1).says(&["nothing is kept of u4711"]);
    erase("trace:12").expect(1).says(&["trace:12 is no trace"]);
    erase(&format!("trace:{}", "1".repeat(32))).expect(1).says(&["nothing is kept of trace:1111"]);
    let dir = stage.server.ledger().display().to_string();
    let shown = run(&["ledger", "show", "--dir", &dir]).expect(0).stdout;
    assert!(shown.contains("u4711 was erased: 1 sealed text(s)"), "{shown}");
    stage.server.ledger_command(&["verify"]).expect(0);
    stage.server.kill_and_start();
    stage.server.ledger_command(&["verify"]).expect(0);
}
