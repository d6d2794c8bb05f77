//! Where configurations are read from, and which differences are meant.

use super::accepted;
use super::refused::check;
use crate::plan::{CommandSource, ConfigSource, ExpectedDifference, GitSource, HttpSource};
use model::{ClientTls, UnixMillis};

const BLUE: &str = "      config: [{ files: ./blue }]\n";
const EXPECTED: &str = "{ path: \"exporters.otlp.endpoint\", reason: \"each writes to its own backend\" }";

fn blue(lines: &str) -> Vec<(&'static str, String)> {
    vec![(BLUE, format!("{lines}\n"))]
}

fn edits<'a>(edits: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    edits.iter().map(|(from, to)| (*from, to.as_str())).collect()
}

#[track_caller]
fn refused(lines: &str, expected: &str) {
    check(&edits(&blue(lines)), &[expected]);
}

#[test]
fn every_source_means_what_it_says() {
    let lines = r#"      config:
        - git: { repository: ../deploy, revision: v1.2, path: collectors/blue }
        - http: { url: "https://127.0.0.1:8443/config", name: collector.yaml, tls: { ca: ca.pem }, bearerTokenFile: token }
      live:
        - command: { run: [/usr/bin/kubectl, get, -o, yaml], name: live.yaml }
        - files: ./live"#;
    let plan = accepted(&edits(&blue(lines)));
    let git =
        GitSource { repository: "../deploy".into(), revision: "v1.2".into(), path: Some("collectors/blue".into()) };
    let http = HttpSource {
        url: "https://127.0.0.1:8443/config".into(),
        name: "collector.yaml".into(),
        tls: ClientTls { ca: Some("ca.pem".into()), ..ClientTls::default() },
        bearer_token_file: Some("token".into()),
    };
    let run = ["/usr/bin/kubectl", "get", "-o", "yaml"].map(str::to_owned).to_vec();
    let command = CommandSource { run, name: "live.yaml".into() };
    let blue = &plan.environments.blue;
    assert_eq!(blue.config, [ConfigSource::Git(git), ConfigSource::Http(http)]);
    assert_eq!(blue.live, [ConfigSource::Command(command), ConfigSource::Files("./live".into())]);
    let json = serde_json::to_value(&plan).expect("it has a JSON form");
    assert_eq!(serde_json::from_value::<crate::plan::Plan>(json).expect("and comes back"), plan);
}

#[test]
fn sources_that_cannot_be_are_refused() {
    refused(
        "      config: [{ files: ./blue, git: { repository: x, revision: y } }]",
        "14:16: spec.environments.blue.config[0]: found `files` and `git`, expected one of `files`, `git`, `http` and \
         `command`, such as { files: ./blue }",
    );
    refused(
        "      config: [{ git: { repository: x, revision: --upload-pack=y } }]",
        "14:50: spec.environments.blue.config[0].git.revision: found --upload-pack=y, expected a branch, a tag or a \
         commit, such as v1.2 or 4f1c9d2",
    );
    refused(
        "      config: [{ git: { repository: x, revision: y, path: ../z } }]",
        "14:59: spec.environments.blue.config[0].git.path: found ../z, expected a path inside the repository, such as \
         collectors/blue",
    );
    refused(
        "      config: [{ command: { run: [kubectl, get], name: x } }]",
        "14:35: spec.environments.blue.config[0].command.run[0]: found kubectl, expected the whole path of a program, \
         such as /usr/bin/kubectl",
    );
    refused(
        "      config: [{ http: { url: \"http://config.example:80/x\", name: x, bearerTokenFile: t } }]",
        "14:24: spec.environments.blue.config[0].http: found `bearerTokenFile` beside an http:// URL, expected an \
         https:// URL, or one on this machine: the token could be read on the way",
    );
    refused(
        "      live: [{ files: ./live }]",
        "12:7: spec.environments.blue: found `live` without `config`, expected `config`: where what was declared lies: \
         what runs there is held against what was declared",
    );
}

#[test]
fn an_expected_difference_may_be_of_one_file_and_until_a_day() {
    let meant = "{ path: \"Deployment/shop/checkout: spec.replicas\", in: shop.yaml, reason: r, expires: 2027-01-31 }";
    let plan = accepted(&[(EXPECTED, meant)]);
    let expected = plan.gates.drift.expect("it is configured").expected;
    let until_the_end_of_the_day = Some(UnixMillis(1_801_439_999_999));
    let one = ExpectedDifference {
        path: "Deployment/shop/checkout: spec.replicas".into(),
        within: Some("shop.yaml".into()),
        reason: "r".into(),
        expires: until_the_end_of_the_day,
    };
    assert_eq!(expected, [one]);
    let whole_file = accepted(&[(EXPECTED, "{ in: shop.yaml, reason: r }")]);
    assert_eq!(whole_file.gates.drift.expect("it is configured").expected[0].path, "");
    let moment = accepted(&[(EXPECTED, "{ path: a, reason: r, expires: 2027-01-31T18:00:00+01:00 }")]);
    let expires = moment.gates.drift.expect("it is configured").expected[0].expires;
    assert_eq!(expires, Some(UnixMillis(1_801_414_800_000)));
    for wrong in ["2027-13-01", "tomorrow", "1969-12-31", "2027-01-31T18:00:00"] {
        let meant = format!("{{ path: a, reason: r, expires: {wrong} }}");
        let plan = super::edited(&[(EXPECTED, &meant)]);
        let refused = crate::plan::parse(&plan).expect_err(wrong).to_string();
        assert!(refused.contains("expected a day, such as 2027-01-31, or a moment"), "{refused}");
    }
}
