use super::*;
use proptest::prelude::*;

/// An answer as Prometheus 2.42 gives it, for these four values.
fn vector(values: [&str; 4]) -> String {
    let element = |(part, value): (Part, &str)| {
        format!(r#"{{"metric":{{"verdigris":"{}"}},"value":[1700000000.123,"{value}"]}}"#, part.name())
    };
    let elements: Vec<String> = Part::ALL.into_iter().zip(values).map(element).collect();
    success(&elements.join(","))
}

fn success(elements: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
}

/// The answer is refused in these words.
#[track_caller]
fn refused(status: u16, body: &str, expected: &str) {
    let error = read(status, body.as_bytes()).expect_err("this answer should be refused").to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn four_counters_are_a_reading() {
    let reading = read(200, vector(["5", "1000", "1.2e+03", "9007199254740992"]).as_bytes()).unwrap();
    assert_eq!(reading.at, UnixMillis(1_700_000_000_123));
    assert_eq!(reading.counters.blue, Counters { events: 5.0, total: 1_000.0 });
    assert_eq!(reading.counters.green, Counters { events: 1_200.0, total: MAX_COUNTER });
    // What later versions add is left unread.
    let more = vector(["0"; 4]).replacen("\"data\"", "\"infos\":[\"might not be a counter\"],\"data\"", 1);
    assert!(read(200, more.as_bytes()).is_ok());
}

#[test]
fn what_is_no_counter_is_refused_by_name() {
    for value in ["NaN", "+Inf", "-Inf", "-1", "9007199254740994", "1e400", "", "x", "0x10"] {
        refused(200, &vector(["1", "2", value, "4"]), "for the `events` of green; expected a counter, from 0 to 2^53");
    }
    let histogram = vector(["1"; 4]).replacen(r#""value":[1700000000.123,"1"]"#, r#""histogram":[1,{"count":"3"}]"#, 1);
    refused(200, &histogram, "answered a histogram for the `events` of blue");
}

#[test]
fn each_number_needs_exactly_one_series() {
    refused(200, &success(""), "no series for the `events` of blue; expected one: check the query's labels");
    let element = |label: &str| format!(r#"{{"metric":{{"pod":"a","verdigris":"{label}"}},"value":[1,"2"]}}"#);
    let events = [element("blueEvents"), element("blueEvents")].join(",");
    refused(200, &success(&events), "several series for the `events` of blue; expected one: put sum(…) around");
    refused(200, &success(&element("blueEvents")), "no series for the `total` of blue");
}

#[test]
fn what_prometheus_refuses_is_said_with_the_query_that_is_meant() {
    let bad = |place: &str| {
        format!(
            r#"{{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": {place}: parse error: unexpected \",\""}}"#
        )
    };
    let words = "refused the query for the `events` of blue: invalid parameter \"query\": 2:1: parse error: unexpected \
                 \",\" (HTTP status 400, bad_data); expected PromQL for one counter";
    refused(400, &bad("2:1"), words);
    refused(400, &bad("8:44"), "refused the query for the `total` of green: invalid");
    refused(400, &bad("9:3"), "refused the query for the `total` of green: invalid");
    refused(400, &bad("1:1"), "refused the query: invalid");
    let timeout = r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;
    refused(503, timeout, "refused the query: query timed out in expression evaluation (HTTP status 503, timeout)");
}

#[test]
fn what_is_not_the_api_is_said_with_what_to_do() {
    refused(401, "Unauthorized", "HTTP status 401 with something else than the API's JSON");
    refused(401, "Unauthorized", "`bearerTokenFile`");
    refused(302, "<a href=\"/login\">Found</a>", "name that address in `url`");
    refused(404, "404 page not found", "is the path missing");
    refused(200, "<html>", "expected a Prometheus that answers at /api/v1/query");
    refused(200, "{\"status\":\"success\"}", "no `data`");
    refused(200, &"[".repeat(100_000), "something else than the API's JSON");
    refused(500, &vector(["1"; 4]), "refused the query: (nothing) (HTTP status 500, (nothing))");
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
    refused(200, scalar, "answered with a scalar; expected a vector");
    let partial = vector(["1"; 4]).replacen("\"data\"", "\"warnings\":[\"a store is missing\"],\"data\"", 1);
    refused(200, &partial, "warned: a store is missing; an answer that may be incomplete is not used");
    let times = vector(["1"; 4]).replacen("1700000000.123", "1700000001.123", 1);
    refused(200, &times, "times that cannot be");
    refused(200, &vector(["1"; 4]).replace("1700000000.123", "-1"), "times that cannot be");
}

#[test]
fn words_from_outside_are_short_and_printable() {
    let error = format!(r#"{{"status":"error","errorType":"\u001b[2J","error":"{}"}}"#, "ä".repeat(5_000));
    let said = read(400, error.as_bytes()).unwrap_err().to_string();
    assert!(said.len() < 700 && !said.contains(char::is_control), "{said:?}");
}

proptest! {
    #[test]
    fn a_counter_is_what_was_written(values in prop::array::uniform4(0.0..=MAX_COUNTER)) {
        let texts = values.map(|value| value.to_string());
        let reading = read(200, vector(texts.each_ref().map(String::as_str)).as_bytes()).unwrap();
        let PerEnvironment { blue, green } = reading.counters;
        prop_assert_eq!([blue.events, blue.total, green.events, green.total], values);
    }
}
