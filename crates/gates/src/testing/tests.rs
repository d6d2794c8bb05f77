use super::*;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000); // 2026-09-21
const ARTIFACT: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn tests() -> Tests {
    let demand = Demand {
        artifact: ARTIFACT.parse().unwrap(),
        built: None,
        at_least: 2,
        max_age_ms: Some(86_400_000),
        max_skipped: None,
        exceptions: Vec::new(),
    };
    let properties = vec!["artifact".to_owned()];
    Tests { demand, properties, zone_minutes: 0, key_file: None, like_blue: false }
}

fn report(artifact: &str, timestamp: &str, second: &str) -> String {
    format!(
        "<testsuite name='s' timestamp='{timestamp}'><properties><property name='artifact' value='{artifact}'/>\
         </properties><testcase name='a'/><testcase name='b'>{second}</testcase></testsuite>"
    )
}

fn fresh() -> String {
    report(ARTIFACT, "2026-09-21T10:00:00Z", "")
}

/// A folder with these files, of which `green` is where green's reports are looked for; `expect` is the verdict and a part of
/// the first reason.
async fn check(files: &[(&str, String)], tests: &Tests, expect: (GateVerdict, &str)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let of = |name: &str| vec![Source::Files(folder.path().join(name))];
    let mut tests = tests.clone();
    tests.key_file = tests.key_file.map(|name| folder.path().join(name));
    ask(&PerEnvironment { blue: of("blue"), green: of("green") }, &tests, &[], expect).await
}

async fn ask(
    sources: &PerEnvironment<Vec<Source>>,
    tests: &Tests,
    allowed: &[PathBuf],
    expect: (GateVerdict, &str),
) -> Vec<String> {
    let Run { result, evidence } = run(sources, tests, allowed, NOW).await;
    assert_eq!(result.verdict, expect.0, "{result:?}");
    assert!(result.reasons[0].contains(expect.1), "{result:?}");
    assert!(serde_json::from_slice::<serde_json::Value>(&evidence.unwrap()).is_ok());
    result.reasons
}

use GateVerdict::{Error, Fail, Inconclusive, Pass};

#[tokio::test]
async fn reports_in_files_and_folders() {
    let pass = (Pass, "2 tests passed");
    check(&[("green", fresh())], &tests(), pass).await;
    let other = ("green/readme.txt", "no report".to_owned());
    check(&[("green/in/TEST-a.xml", fresh()), other.clone()], &tests(), pass).await;
    let reasons = check(&[other], &tests(), (Inconclusive, "there is no report of green's tests")).await;
    assert!(reasons[1].contains("holds no report of tests"), "{reasons:?}");
    let reasons = check(&[], &tests(), (Inconclusive, "there is no report of green's tests")).await;
    assert!(reasons[1].contains("green is not there"), "{reasons:?}");
}

#[tokio::test]
async fn stale_and_another_artifacts() {
    let stale = report(ARTIFACT, "2026-09-01T10:00:00Z", "");
    check(&[("green/a.xml", stale)], &tests(), (Fail, "a.xml is stale: its tests ran 20d")).await;
    let other = report(&ARTIFACT.replace("aa", "bb"), "2026-09-21T10:00:00Z", "");
    check(&[("green/a.xml", other)], &tests(), (Fail, "a.xml is of another artifact")).await;
}

/// Invariant 4.
#[tokio::test]
async fn a_report_that_cannot_be_read_is_an_error() {
    let broken = ("green/b.xml", "<testsuite>".to_owned());
    check(&[("green/a.xml", fresh()), broken], &tests(), (Error, "green's tests: b.xml: the report's XML at byte"))
        .await;
    let signed = Tests { key_file: Some("key.pem".into()), ..tests() };
    let no_key = ("key.pem", "hello".to_owned());
    check(&[("green/a.xml", fresh()), no_key], &signed, (Error, "it is no Ed25519 public key")).await;
    check(&[("green/a.xml", fresh())], &signed, (Error, "key.pem: cannot be read")).await;
}

#[tokio::test]
async fn what_passed_for_blue_is_asked_for() {
    let like_blue = Tests { like_blue: true, ..tests() };
    let skipped = report(ARTIFACT, "2026-09-21T10:00:00Z", "<skipped/>");
    let files = [("green/a.xml", skipped), ("blue/a.xml", fresh())];
    check(&files, &like_blue, (Fail, "the test s::b was skipped for green and passed for blue")).await;
    check(&[("green/a.xml", fresh())], &like_blue, (Inconclusive, "there is no report of blue's tests")).await;
}

#[tokio::test]
async fn a_program_prints_its_report() {
    let program = |script: &str| Source::Command(vec!["/bin/sh".into(), "-c".into(), script.to_owned()]);
    let shell = [PathBuf::from("/bin/sh")];
    let of = |script: String| PerEnvironment { blue: Vec::new(), green: vec![program(&script)] };
    let printing = |text: &str, code: u8| of(format!("cat <<'E'\n{text}\nE\nexit {code}"));
    ask(&printing(&fresh(), 0), &tests(), &shell, (Pass, "2 tests passed")).await;
    let failed = report(ARTIFACT, "2026-09-21T10:00:00Z", "<failure/>");
    ask(&printing(&failed, 1), &tests(), &shell, (Fail, "the test s::b failed (`/bin/sh -c")).await;
    let words = "ended with a failure (exit status: 3), and its report tells of none";
    ask(&printing(&fresh(), 3), &tests(), &shell, (Error, words)).await;
    ask(&printing("hello", 0), &tests(), &shell, (Error, "of no kind that is read here")).await;
    ask(&printing(&fresh(), 0), &tests(), &[], (Error, "is not among the programs")).await;
}
