use super::*;
use crate::server::answering::{Answer, Answering, http};
use std::process::Command;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn check(sources: &[Source], allowed: &[&str], expected: Result<&[(&str, &str)], &str>) {
    let allowed: Vec<PathBuf> = allowed.iter().map(PathBuf::from).collect();
    let read = runtime().block_on(read(sources, &allowed));
    match (read, expected) {
        (Ok(files), Ok(expected)) => {
            let files: Vec<(&str, &str)> =
                files.iter().map(|(name, content)| (name.as_str(), str::from_utf8(content).unwrap())).collect();
            assert_eq!(files, expected);
        }
        (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
        (read, expected) => panic!("{read:?}, not {expected:?}"),
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn command(run: &[&str]) -> Source {
    Source::Command { run: run.iter().map(|word| (*word).to_owned()).collect(), name: "printed.yaml".to_owned() }
}

#[test]
fn files_and_folders_are_named_relative_to_what_was_given() {
    let given = folder(&[("a.yaml", "x: 1"), ("in/b.yaml", "y: 2"), (".git/config", "not this")]);
    check(&[Source::Files(given.path().to_owned())], &[], Ok(&[("a.yaml", "x: 1"), ("in/b.yaml", "y: 2")]));
    check(&[Source::Files(given.path().join("in/b.yaml"))], &[], Ok(&[("b.yaml", "y: 2")]));
    check(&[Source::Files(given.path().join("none"))], &[], Err("none: cannot be read"));
    let twice = [Source::Files(given.path().join("a.yaml")), Source::Files(given.path().to_owned())];
    check(&twice, &[], Err("a.yaml comes from two sources"));
}

#[test]
fn a_git_revision_is_what_was_committed() {
    let given = folder(&[("blue/a.yaml", "x: 1"), ("blue/in/b.yaml", "y: 2"), ("other", "z")]);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(given.path()).args(["-c", "user.name=x", "-c", "user.email=x"]).args(arguments);
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "x"]);
    git(&["tag", "v1"]);
    std::fs::write(given.path().join("blue/a.yaml"), "x: 3").unwrap();
    git(&["commit", "-q", "-a", "-m", "x"]);
    std::fs::write(given.path().join("blue/a.yaml"), "x: 4").unwrap();
    let at = |revision: &str, path: Option<&str>| Source::Git {
        repository: given.path().to_owned(),
        revision: revision.to_owned(),
        path: path.map(str::to_owned),
    };
    check(&[at("v1", Some("blue"))], &[], Ok(&[("a.yaml", "x: 1"), ("in/b.yaml", "y: 2")]));
    check(&[at("HEAD", Some("blue/a.yaml"))], &[], Ok(&[("a.yaml", "x: 3")]));
    check(&[at("v1", None)], &[], Ok(&[("blue/a.yaml", "x: 1"), ("blue/in/b.yaml", "y: 2"), ("other", "z")]));
    check(&[at("v2", None)], &[], Err("failed (exit status: 128)"));
    check(&[at("v1", Some("green"))], &[], Err("failed (exit status: 128)"));
}

#[test]
fn programs_are_run_only_where_they_are_allowed_and_never_quoted() {
    check(&[command(&["/bin/echo", "x: 1"])], &["/bin/echo"], Ok(&[("printed.yaml", "x: 1\n")]));
    check(&[command(&["/bin/echo", "x: 1"])], &["/bin/cat"], Err("/bin/echo is not among the programs"));
    check(&[command(&["/bin/sh", "-c", "echo hunter2 >&2; exit 3"])], &["/bin/sh"], Err("failed (exit status: 3)"));
    check(&[command(&["/bin/nothing"])], &["/bin/nothing"], Err("cannot be run"));
    check(&[command(&["/usr/bin/head", "-c", "5000000", "/dev/zero"])], &["/usr/bin/head"], Err("printed more than"));
}

#[tokio::test]
async fn a_server_answers_with_a_document() {
    let answers = [http("200 OK", "x: 1"), http("404 Not Found", "x: 2")].map(String::into_bytes).map(Answer::Bytes);
    let server = Answering::with(answers.to_vec(), None).await;
    let source = Source::Http {
        url: format!("{}/config", server.url),
        name: "collector.yaml".to_owned(),
        tls: ClientTls::default(),
        token_file: None,
    };
    let first = read(std::slice::from_ref(&source), &[]).await.unwrap();
    assert_eq!(first, Files::from([("collector.yaml".to_owned(), b"x: 1".to_vec())]));
    let second = read(std::slice::from_ref(&source), &[]).await.unwrap_err().to_string();
    assert!(second.contains("answered with the status 404"), "{second}");
}

#[test]
fn a_name_or_a_byte_more_is_another_configuration() {
    let of = |files: &[(&str, &str)]| {
        digest(&files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect())
    };
    let all = [
        of(&[]),
        of(&[("a.yaml", "x: 1\n")]),
        of(&[("a.yaml", "x: 1 # a comment\n")]),
        of(&[("b.yaml", "x: 1\n")]),
        of(&[("a.yaml", "x: 1\n"), ("b.yaml", "")]),
    ];
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(all[1], of(&[("a.yaml", "x: 1\n")]));
}
