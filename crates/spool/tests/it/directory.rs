//! What may be in the directory, and who may read it.

use spool::{Limits, OpenError, Spool};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn nobody_else_may_read_what_is_spooled() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("deep/spool");
    let (spool, _) = Spool::open(&dir, Limits::default()).unwrap();
    spool.append(0, b"", "secret".into()).await.unwrap();
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    // The room of the segment is really set aside.
    let segment = fs::metadata(dir.join("0000000000000000-00000.segment")).unwrap();
    assert_eq!(segment.len(), Limits::default().segment_bytes);
    assert!(std::os::unix::fs::MetadataExt::blocks(&segment) * 512 >= Limits::default().segment_bytes);
}

#[test]
fn a_spool_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path(), Limits::default()).unwrap();
    let Err(error) = Spool::open(dir.path(), Limits::default()) else { panic!("it was opened twice") };
    let expected = format!(
        "another process has the spool in {} open: stop it first, or choose another directory",
        dir.path().display()
    );
    assert!(matches!(error, OpenError::Locked { .. }));
    assert_eq!(error.to_string(), expected);
    drop(first);
    Spool::open(dir.path(), Limits::default()).unwrap();
}

#[test]
fn what_is_no_segment_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("notes.txt"), "mine").unwrap();
    fs::create_dir(path("0000000000000003-00000.segment")).unwrap();
    symlink("/dev/zero", path("0000000000000004-00000.segment")).unwrap();
    let made = Command::new("mkfifo").arg(path("0000000000000005-00000.segment")).status().unwrap();
    assert!(made.success());
    let (spool, recovered) = Spool::open(dir.path(), Limits::default()).unwrap();
    let foreign = [
        "0000000000000003-00000.segment",
        "0000000000000004-00000.segment",
        "0000000000000005-00000.segment",
        "notes.txt",
    ];
    assert_eq!((recovered.entries, &recovered.foreign[..]), (0, &foreign.map(str::to_owned)[..]));
    drop(spool);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = Spool::open(&file.join("spool"), Limits::default()) else { panic!("it was opened") };
    assert_eq!(error.to_string(), format!("cannot make the directory {}", file.join("spool").display()));
}
