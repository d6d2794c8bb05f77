use super::*;
use crate::read as read_report;
use crate::suite::MAX_REPORT_BYTES;
use model::UnixMillis;
use proptest::prelude::*;

const ARTIFACT: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn reading(properties: &[String]) -> Reading<'_> {
    Reading { source: "green.xml", properties, zone_minutes: 0, key: None }
}

fn report(text: &str) -> Result<Suite, ReadError> {
    read_report(text.as_bytes(), &reading(&["artifact".to_owned()]))
}

/// `expect` is a line for each test: its name and what became of it.
fn check(text: &str, expect: &[&str]) -> Suite {
    let suite = report(text).unwrap();
    let found: Vec<String> = suite
        .cases
        .iter()
        .map(|case| format!("{} {}{}", case.name, case.outcome, if case.flaky { ", flaky" } else { "" }))
        .collect();
    assert_eq!(found, expect);
    suite
}

fn refused(text: &str, expect: &str) {
    let error = report(text).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
}

const APRIL_2025: u64 = 1_743_501_600_000; // 2025-04-01T10:00:00Z

#[test]
fn surefire() {
    let suite = check(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report-3.0.xsd" version="3.0" name="com.shop.CartTest" time="0.042" tests="5" errors="1" skipped="1" failures="1">
  <properties><property name="java.version" value="21"/><property name="artifact" value="registry.example/shop@sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"/></properties>
  <testcase name="adds" classname="com.shop.CartTest" time="0.01"><system-out><![CDATA[<testcase name="not one"/>]]></system-out></testcase>
  <testcase name="removes" classname="com.shop.CartTest" time="0.01"><failure message="expected &lt;1&gt;" type="java.lang.AssertionError"><![CDATA[at ...]]></failure><rerunFailure message="again" type="x"><stackTrace>…</stackTrace></rerunFailure></testcase>
  <testcase name="breaks" classname="com.shop.CartTest" time="0"><error type="java.lang.NullPointerException"/></testcase>
  <testcase name="waits" classname="com.shop.CartTest" time="0"><skipped message="later"/></testcase>
  <testcase name="shakes" classname="com.shop.CartTest" time="0.02"><flakyFailure message="once" type="x"><stackTrace>…</stackTrace></flakyFailure></testcase>
</testsuite>"#,
        &[
            "com.shop.CartTest::adds passed",
            "com.shop.CartTest::removes failed",
            "com.shop.CartTest::breaks ended with an error",
            "com.shop.CartTest::waits was skipped",
            "com.shop.CartTest::shakes passed, flaky",
        ],
    );
    assert_eq!(suite.artifacts, BTreeSet::from([ARTIFACT.parse().unwrap()]));
    assert_eq!((suite.ran, suite.unlisted_failures), (None, 0));
}

#[test]
fn pytest() {
    let suite = check(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="0.031" timestamp="2025-04-01T12:00:00.123456+02:00" hostname="ci"><properties><property name="artifact" value="sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"/></properties><testcase classname="tests.test_cart" name="test_add[1-2]" time="0.001" /><testcase classname="tests.test_cart" name="test_fail" time="0.001"><failure message="assert 1 == 2">def test_fail(): &gt; assert &#8364;</failure></testcase><testcase classname="tests.test_cart" name="test_skip" time="0.000"><skipped type="pytest.skip" message="no">here</skipped></testcase></testsuite></testsuites>"#,
        &[
            "tests.test_cart::test_add[1-2] passed",
            "tests.test_cart::test_fail failed",
            "tests.test_cart::test_skip was skipped",
        ],
    );
    let at = UnixMillis(APRIL_2025 + 123);
    assert_eq!(suite.ran, Some(Span { earliest: at, latest: at, zone_is_assumed: false }));
}

/// A suite that did not run at all has its failure in its attributes alone.
#[test]
fn jest_junit() {
    let suite = check(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="1" failures="0" errors="1" time="1.2">
  <testsuite name="cart" errors="0" failures="0" skipped="0" timestamp="2025-04-01T10:00:00" time="1" tests="1"><testcase classname="cart adds" name="cart adds" time="0.01"></testcase></testsuite>
  <testsuite name="undefined" errors="1" failures="0" skipped="0" timestamp="2025-04-01T10:00:01" time="0" tests="0"></testsuite>
</testsuites>"#,
        &["cart adds::cart adds passed"],
    );
    let (earliest, latest) = (UnixMillis(APRIL_2025), UnixMillis(APRIL_2025 + 1_000));
    assert_eq!(suite.ran, Some(Span { earliest, latest, zone_is_assumed: true }));
    assert_eq!(suite.unlisted_failures, 1);
}

#[test]
fn gotestsum() {
    check(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="0" time="0.5">
	<testsuite tests="3" failures="1" time="0.5" name="example.com/cart" timestamp="2025-04-01T10:00:00Z">
		<properties><property name="go.version" value="go1.24 linux/amd64"></property></properties>
		<testcase classname="example.com/cart" name="TestAdd" time="0.000000"></testcase>
		<testcase classname="example.com/cart" name="TestAdd/one&amp;two" time="0.000000"><failure message="Failed" type="">=== RUN</failure></testcase>
		<testcase classname="example.com/cart" name="TestSkip" time="0.000000"><skipped message="…"></skipped></testcase>
	</testsuite>
</testsuites>"#,
        &[
            "example.com/cart::TestAdd passed",
            "example.com/cart::TestAdd/one&two failed",
            "example.com/cart::TestSkip was skipped",
        ],
    );
}

#[test]
fn nextest_and_gradle() {
    let suite = check(
        r#"<testsuites name="nextest-run" tests="2" failures="0" errors="0" uuid="1" timestamp="2025-04-01T12:00:00.000+02:00" time="0.1">
    <testsuite name="shop" tests="2" disabled="0" errors="0" failures="0">
        <testcase name="cart::adds" classname="shop" timestamp="2025-04-01T12:00:02.000+02:00" time="0.01"/>
        <testcase name="cart::shakes" classname="shop" timestamp="2025-04-01T12:00:01.000+02:00" time="0.01"><flakyFailure type="test failure" message="…">out</flakyFailure></testcase>
    </testsuite>
</testsuites>"#,
        &["shop::cart::adds passed", "shop::cart::shakes passed, flaky"],
    );
    let (earliest, latest) = (UnixMillis(APRIL_2025), UnixMillis(APRIL_2025 + 2_000));
    assert_eq!(suite.ran, Some(Span { earliest, latest, zone_is_assumed: false }));
    check(
        r#"<testsuite name="CartTest" tests="1" skipped="1" failures="0" errors="0" timestamp="2025-04-01T10:00:00.000Z" hostname="ci" time="0.0"><properties/><testcase name="adds()" classname="CartTest" time="0.0"><skipped/></testcase><system-out><![CDATA[]]></system-out><system-err></system-err></testsuite>"#,
        &["CartTest::adds() was skipped"],
    );
}

#[test]
fn nested_suites_and_tests_without_a_class() {
    let suite = check(
        r#"<testsuites failures="9"><testsuite name="outer" failures="1"><testsuite name="inner" failures="1"><testcase name="a"><failure/></testcase></testsuite><testcase name="b" status="notrun" result="suppressed"/></testsuite></testsuites>"#,
        &["inner::a failed", "outer::b was skipped"],
    );
    assert_eq!(suite.unlisted_failures, 0, "what an outer suite counts, the inner ones list");
}

#[test]
fn an_artifact_without_a_digest_is_known_as_such() {
    let text = r#"<testsuite><properties><property name="artifact" value="shop:latest"/></properties></testsuite>"#;
    let suite = report(text).unwrap();
    assert!(suite.artifacts.is_empty() && suite.artifact_is_unreadable);
    let other = read_report(text.as_bytes(), &reading(&["image".to_owned()])).unwrap();
    assert!(!other.artifact_is_unreadable, "another property's name was asked for");
}

#[test]
fn hostile_reports_are_refused() {
    refused(r#"<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>"#, "a document type");
    refused(r#"<testsuite name="&b;"/>"#, "`b`");
    refused("<html><body/></html>", "<html> at the top");
    refused("<testsuite/><testsuite/>", "<testsuite> at the top; expected one");
    refused("<testsuite><testcase name='a'/>", "ends before its root element does");
    refused("<testsuite></testsuites>", "at byte 11");
    refused("hello", "of no kind");
    refused("", "of no kind");
    refused(&format!("<testsuite>{}", "<a>".repeat(MAX_DEPTH)), "more than 64 elements within each other");
    let attributes: String = (0..=MAX_ATTRIBUTES).map(|index| format!(" a{index}=''")).collect();
    refused(&format!("<testsuite{attributes}/>"), "more than 64 attributes");
    refused(&format!("<testsuite>{}</testsuite>", "<testcase/>".repeat(MAX_TESTS + 1)), "more than 100000 tests");
    let long = vec![b' '; MAX_REPORT_BYTES + 1];
    assert!(matches!(read_report(&long, &reading(&[])), Err(ReadError::TooLong { .. })));
    assert_eq!(read_report(b"<\xff", &reading(&[])), Err(ReadError::NotUtf8 { offset: 1 }));
}

/// What is in messages and output may be anybody's, and is in no fact and no error.
#[test]
fn nothing_of_a_message_is_kept() {
    let secret = "hunter2";
    let text = format!(
        "<testsuite><testcase name='a'><failure message='{secret}'>{secret}</failure><system-out>{secret}</system-out>\
         </testcase></testsuite>"
    );
    let suite = report(&text).unwrap();
    assert!(!serde_json::to_string(&suite).unwrap().contains(secret));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(<|>|/|&|;|testsuite|testcase|failure|name=|'|\"| |!DOCTYPE|<!--|-->|<!\\[CDATA\\[|\\]\\]>|.){0,80}") {
        match report(&format!("<testsuite>{text}</testsuite>")) {
            Ok(suite) => prop_assert!(suite.cases.iter().all(|case| !case.name.contains(char::is_control))),
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
        }
    }

    /// What is written is read again, whatever the names are.
    #[test]
    fn names_and_outcomes_come_back(tests in prop::collection::vec(("[a-z<>&'\" é]{1,12}", 0_u8..4), 0..20)) {
        let mut text = "<testsuites><testsuite name='s'>".to_owned();
        let mut expect = Vec::new();
        for (name, outcome) in &tests {
            let escaped = quick_xml::escape::escape(name);
            let (inside, outcome) = match outcome {
                0 => ("", Outcome::Passed),
                1 => ("<skipped/>", Outcome::Skipped),
                2 => ("<failure/>", Outcome::Failed),
                _ => ("<error/>", Outcome::Errored),
            };
            text += &format!("<testcase classname=\"c\" name=\"{escaped}\">{inside}</testcase>");
            expect.push(Case { name: format!("c::{name}"), outcome, flaky: false });
        }
        text += "</testsuite></testsuites>";
        prop_assert_eq!(report(&text).unwrap().cases, expect);
    }
}
