//! What is refused as a whole: its shape, its order, its size; with the place and the words.

use super::edited;
use crate::plan::{MAX_PLAN_BYTES, parse};

/// The example with these edits is refused in these lines, and no others.
pub(super) fn check(edits: &[(&str, &str)], expected: &[&str]) {
    let errors = parse(&edited(edits)).expect_err("this plan should be refused");
    let lines = errors.display("plan.yaml").to_string();
    let expected: Vec<String> = expected.iter().map(|line| format!("plan.yaml:{line}")).collect();
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "\nfor {edits:?}\n{lines}\n");
}

fn check_whole(yaml: &str, expected: &str) {
    let errors = parse(yaml).expect_err("this plan should be refused");
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn what_has_not_the_shape_of_a_plan() {
    check(
        &[("reason: Upgrade", "reasn: Upgrade")],
        &[
            "6:3: metadata.reasn: found the unknown key `reasn`, expected `name`, `change`, `reason`, `impact` or `authors`: did you mean `reason`?",
        ],
    );
    check(
        &[("      - setWeight: 10%", "      - setweight: 10%")],
        &[
            "27:9: spec.strategy.steps[5].setweight: found the unknown key `setweight`, expected `gate`, `mirror`, `setWeight`, `analysis`, `pause`, `bake` or `pointOfNoReturn`: did you mean `setWeight`?",
        ],
    );
    check(
        &[("  gates:", "  frobnicate: 1\n  gates:")],
        &[
            "32:3: spec.frobnicate: found the unknown key `frobnicate`, expected `subject`, `environments`, `strategy`, `gates`, `guards`, `analysis`, `verification`, `canary`, `redaction`, `proofs`, `traffic` or `pin`",
        ],
    );
    check(
        &[("  change: CHG-4711", "  change: CHG-4711\n  change: CHG-4712")],
        &["6:3: metadata.change: found the key `change` a second time, expected each key once"],
    );
    check(
        &[("setWeight: 10%", "setWeight: [10%]")],
        &["27:20: spec.strategy.steps[5].setWeight: found another shape, expected one value"],
    );
    check(
        &[("      - mirror: { for: 2m }", "      - mirror: 2m")],
        &["24:17: spec.strategy.steps[2].mirror: found another shape, expected keys (`key: value`)"],
    );
    check(
        &[("config: [{ files: ./blue }]", "config: ./blue")],
        &["14:15: spec.environments.blue.config: found another shape, expected a list (`- …`)"],
    );
    check(
        &[("kind: Rollout", "kind: Rollout\n---\n")],
        &["5:1: found a second document, expected one: a file describes one rollout"],
    );
    check(
        &[("kind: Rollout", "kind: 'Rollout")],
        &[
            "3:1: found YAML that cannot be read (invalid indentation in multiline quoted scalar), expected a plan in YAML",
        ],
    );
    check(
        &[("subject: pipeline", "subject: *nowhere")],
        &["9:12: found YAML that cannot be read (reference to unknown value), expected a plan in YAML"],
    );
    check(
        &[("    approval: {", "    migrations: {}\n    approval: {")],
        &[
            "34:5: spec.gates.migrations: found the unknown key `migrations`, expected `drift`, `approval`, `security`, `acceptance`, `tests`, `migration`, `probe`, `dependencies` or `load`: did you mean `migration`?",
        ],
    );
    check(
        &[("    approval: {", "    probe: {}\n    approval: {")],
        &[
            "34:12: spec.gates.probe: found calls that cannot be made, expected 1 to 32 calls, each with a name of its own: 0 calls, expected 1 to 32",
        ],
    );
}

#[test]
fn steps_that_are_no_watched_way_to_everything() {
    check(
        &[("setWeight: 10%", "setWeight: 1%")],
        &[
            "27:20: spec.strategy.steps[5].setWeight: found 1%, expected more than 1%, the weight of spec.strategy.steps[3].setWeight: a weight only goes down by a rollback",
        ],
    );
    check(
        &[("setWeight: 1%", "setWeight: 20%")],
        &[
            "27:20: spec.strategy.steps[5].setWeight: found 10%, expected more than 20%, the weight of spec.strategy.steps[3].setWeight: a weight only goes down by a rollback",
        ],
    );
    check(
        &[("setWeight: 1%", "setWeight: 0%")],
        &[
            "25:20: spec.strategy.steps[3].setWeight: found 0%, expected a percentage above 0% and up to 100% with its sign and at most two decimals, such as 1% or 0.25%",
        ],
    );
    check(
        &[("setWeight: 1%", "setWeight: 1")],
        &[
            "25:20: spec.strategy.steps[3].setWeight: found 1, expected a percentage above 0% and up to 100% with its sign and at most two decimals, such as 1% or 0.25%",
        ],
    );
    check(
        &[("setWeight: 1%", "setWeight: 0.001%")],
        &[
            "25:20: spec.strategy.steps[3].setWeight: found 0.001%, expected a percentage above 0% and up to 100% with its sign and at most two decimals, such as 1% or 0.25%",
        ],
    );
    check(
        &[("setWeight: 100%", "setWeight: 50%")],
        &[
            "30:20: spec.strategy.steps[8].setWeight: found 50%, expected 100% as the last weight: a rollout ends with the candidate serving everything, or with a rollback",
        ],
    );
    check(
        &[("      - setWeight: 1%\n", ""), ("      - setWeight: 10%\n", ""), ("      - setWeight: 100%\n", "")],
        &[
            "22:7: spec.strategy.steps: found no setWeight, expected at least one, the last to 100%: a rollout ends with the candidate serving everything, or with a rollback",
        ],
    );
    check(
        &[("      - bake: { for: 30m }\n", "")],
        &[
            "30:20: spec.strategy.steps[8].setWeight: found 100% without a bake after it, expected a step such as bake: { for: 30m }: promotion would follow at once, without a watched way back",
        ],
    );
    check(
        &[("      - mirror: { for: 2m }\n", ""), ("      - setWeight: 1%\n", "")],
        &[
            "24:19: spec.strategy.steps[2].analysis: found no mirror and no weight before, expected a mirror or setWeight first: the candidate has no traffic yet, so there is nothing to look at",
        ],
    );
    check(
        &[("      - gate: drift", "      - bake: { for: 1m }")],
        &[
            "22:15: spec.strategy.steps[0].bake: found no mirror and no weight before, expected a mirror or setWeight first: the candidate has no traffic yet, so there is nothing to look at",
        ],
    );
    check(
        &[("      - pause: {} ", "      - mirror: { for: 1m } ")],
        &[
            "29:17: spec.strategy.steps[7].mirror: found a mirror after a weight, expected every mirror before the first setWeight: from there on the candidate serves, and a copy would reach it twice",
        ],
    );
    check(
        &[("gate: drift", "gate: migrations")],
        &[
            "22:15: spec.strategy.steps[0].gate: found migrations, expected `drift`, `approval`, `probe`, `security`, `acceptance`, `tests`, `migration`, `load` or `dependencies`: did you mean `migration`?",
        ],
    );
    check(
        &[("gate: drift", "gate: drfit")],
        &[
            "22:15: spec.strategy.steps[0].gate: found drfit, expected `drift`, `approval`, `probe`, `security`, `acceptance`, `tests`, `migration`, `load` or `dependencies`: did you mean `drift`?",
        ],
    );
    check(
        &[("    approval: { role: approver, count: 2, expires: 4h }\n", "")],
        &[
            "23:15: spec.strategy.steps[1].gate: found no such configuration, expected spec.gates.approval with role, count and expires: without it nobody could approve",
        ],
    );
    check(
        &[("      - pause: {} ", "      - pause: ")],
        &[
            "29:9: spec.strategy.steps[7]: found a step without a value, expected exactly one of `gate`, `mirror`, `setWeight`, `analysis`, `pause`, `bake` or `pointOfNoReturn`: a pause until a person resumes is written `pause: {}`",
        ],
    );
    check(
        &[("      - pause: {} ", "      - pause: {}\n        bake: { for: 1m } ")],
        &[
            "29:9: spec.strategy.steps[7]: found pause and bake, expected exactly one of `gate`, `mirror`, `setWeight`, `analysis`, `pause`, `bake` or `pointOfNoReturn`: a pause until a person resumes is written `pause: {}`",
        ],
    );
    check(
        &[("mirror: { for: 2m }", "mirror: {}")],
        &["24:17: spec.strategy.steps[2].mirror.for: found nothing, expected a duration with its unit, such as 2m"],
    );
    check(
        &[("mirror: { for: 2m }", "mirror: { for: 2 }")],
        &[
            "24:24: spec.strategy.steps[2].mirror.for: found 2, expected a duration with its unit from 1s to 30d, such as 30s",
        ],
    );
    check(
        &[("mirror: { for: 2m }", "mirror: { for: 2 m }")],
        &[
            "24:24: spec.strategy.steps[2].mirror.for: found 2 m, expected a duration with its unit from 1s to 30d, such as 30s",
        ],
    );
    check(
        &[("mirror: { for: 2m }", "mirror: { for: 31d }")],
        &["24:24: spec.strategy.steps[2].mirror.for: found 31d, expected a duration from 1s to 30d"],
    );
    check(
        &[("until: conclusive, ", "")],
        &["26:19: spec.strategy.steps[4].analysis.until: found nothing, expected `conclusive`"],
    );
    check(
        &[("until: conclusive, atMost: 10m", "until: conclusive")],
        &["26:19: spec.strategy.steps[4].analysis.atMost: found nothing, expected how long at most, such as 10m"],
    );
    check(
        &[("until: conclusive", "until: done")],
        &["26:28: spec.strategy.steps[4].analysis.until: found done, expected `conclusive`"],
    );
}

#[test]
fn a_plan_without_a_way_back() {
    let guards = edited(&[]).split_once("  guards:\n").unwrap().1.split_once("  analysis:\n").unwrap().0.to_owned();
    check(
        &[(&guards, ""), ("  guards:\n", "")],
        &["9:3: spec.guards: found nothing, expected at least one guard, such as spanLoss: { atMost: 0.1% }"],
    );
    let help = "without one no observation would ever roll back, and a bake would have nothing to prove";
    let expected = "expected at least one guard, such as spanLoss: { atMost: 0.1% }";
    check(&[(&guards, "    {}\n")], &[&format!("36:5: spec.guards: found no guard, {expected}: {help}")]);
    check(
        &[(&guards, "    drift: { every: 30s }\n")],
        &[&format!("36:5: spec.guards: found the guard `drift` alone, {expected}: {help}")],
    );
}

#[test]
fn every_mistake_is_named_at_once() {
    check(
        &[
            ("name: collector-0-131", "name: C"),
            ("0.130.1\"\n", "0.130.1\"\n      tap: green\n"),
            ("setWeight: 10%", "setWeight: 1%"),
            ("count: 2", "count: 0"),
            ("atMost: 0.1%", "atMost: 0.1"),
            ("onInconclusive: hold", "onInconclusive: stop"),
        ],
        &[
            "4:9: metadata.name: found C, expected 1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, such as collector-0-131",
            "17:7: spec.environments.green.tap: found green, blue's tap, expected a tap of its own: what comes out of green could not be told from what comes out of blue",
            "28:20: spec.strategy.steps[5].setWeight: found 1%, expected more than 1%, the weight of spec.strategy.steps[3].setWeight: a weight only goes down by a rollback",
            "35:40: spec.gates.approval.count: found 0, expected a whole number from 1 to 16",
            "37:28: spec.guards.spanLoss.atMost: found 0.1, expected a percentage above 0% and up to 50% with its sign, such as 0.1%",
            "44:21: spec.analysis.onInconclusive: found stop, expected `hold`, `extend` or `rollback`",
        ],
    );
}

#[test]
fn a_list_of_steps_that_is_empty_or_endless() {
    let steps = edited(&[]).split_once("    steps:\n").unwrap().1.split_once("  gates:").unwrap().0.to_owned();
    check(&[(&steps, "      []\n")], &["22:7: spec.strategy.steps: found 0 steps, expected 1 to 64 steps"]);
    let many = "      - pause: { for: 1s }\n".repeat(65);
    check(&[(&steps, &many)], &["22:7: spec.strategy.steps: found 65 steps, expected 1 to 64 steps"]);
}

#[test]
fn a_file_that_is_no_plan() {
    check_whole("5", "1:1: found another shape, expected keys (`key: value`)");
    check_whole("[]", "1:1: found another shape, expected keys (`key: value`)");
    check_whole("a: b\n", "1:1: a: found the unknown key `a`, expected `apiVersion`, `kind`, `metadata` or `spec`");
    check_whole(
        "# nothing",
        "1:10: apiVersion: found nothing, expected verdigris.dev/v1alpha1\n\
         1:10: kind: found nothing, expected Rollout\n\
         1:10: metadata: found nothing, expected the rollout's name and reason\n\
         1:10: spec: found nothing, expected what to roll out, and how",
    );
}

#[test]
fn more_than_a_plan_needs() {
    let long = format!("{}#{}", edited(&[]), "-".repeat(MAX_PLAN_BYTES));
    let bytes = long.len();
    check_whole(&long, &format!("1:1: found {bytes} bytes, expected at most 1048576 bytes (1 MiB)"));

    let difference = "      - { path: a.b.c, reason: \"".to_owned() + &"r".repeat(400) + "\" }\n";
    let yaml =
        edited(&[("  gates:\n    drift:    {", "  gates:\n    drift:\n      expected:\n"), (" expected: [{", "#")]);
    let yaml = yaml.replacen("      expected:\n", &format!("      expected:\n{}", difference.repeat(150)), 1);
    let message = parse(&yaml).expect_err("this plan should be refused").to_string();
    assert!(message.contains("comments left out, expected at most 49152, so that it fits into a record"), "{message}");

    // Nine lists of nine aliases of nine are 9^4 values; a hundred aliases end it, wherever they stand.
    let nine = |of: &str| [of; 9].join(", ");
    let mut bomb = format!("apiVersion: &a [{}]\n", nine("x"));
    for (key, name, of) in [("b", "b", "*a"), ("c", "c", "*b"), ("d", "d", "*c"), ("e", "e", "*d")] {
        bomb += &format!("{key}: &{name} [{}]\n", nine(of));
    }
    parse(&bomb).expect_err("this plan should be refused");
    let aliases = format!("[{}]", ["*g"; 200].join(", "));
    check(
        &[("files: ./blue", "files: &g ./blue"), ("[{ files: ./green }]", &aliases.replace("*g", "{ files: *g }"))],
        &["19:1525: found more anchors, aliases, keys or values than a plan has, expected at most 20,000 values, \
             32 levels, and 100 aliases: write out what an alias repeats"],
    );
    parse(&"[".repeat(MAX_PLAN_BYTES)).expect_err("this plan should be refused");
    parse(&"- ".repeat(MAX_PLAN_BYTES / 2)).expect_err("this plan should be refused");
    parse(&"? ".repeat(MAX_PLAN_BYTES / 2)).expect_err("this plan should be refused");
}

#[test]
fn what_a_message_quotes_cannot_write_to_the_terminal() {
    check(
        &[("subject: pipeline", "subject: \"\\e[31m\"")],
        &["9:12: spec.subject: found \\u{1b}[31m, expected `pipeline`"],
    );
    let long = format!("subject: {}", "p".repeat(500));
    let quoted = "p".repeat(80);
    check(&[("subject: pipeline", &long)], &[&format!("9:12: spec.subject: found {quoted}…, expected `pipeline`")]);
}
