//! The schemas. What is asked is described wholly; of answers, every property of the first level, and below it what programs
//! have reason to read: an object without `properties` can have any.

use super::reference;
use serde_json::{Map, Value, json};

/// An object whose properties are these, all of them there.
fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// With more properties, which need not be there.
fn and<const N: usize>(mut object: Value, optional: [(&str, Value); N]) -> Value {
    for (name, schema) in optional {
        object["properties"][name] = schema;
    }
    object
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

fn any(description: &str) -> Value {
    json!({ "type": "object", "description": description })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// What may not be known.
fn number(description: &str) -> Value {
    or_null(json!({ "type": "number", "description": description }))
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn at(description: &str) -> Value {
    count(&format!("{description} Milliseconds since the Unix epoch."))
}

fn weight(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 10_000, "description": format!("{description} In basis points.") })
}

/// An externally tagged alternative with fields: `{ "rollback": { … } }`.
fn tagged(tag: &str, fields: Value) -> Value {
    object([(tag, fields)])
}

fn per_environment(schema: Value) -> Value {
    object([("blue", schema.clone()), ("green", schema)])
}

/// All schemas by their names.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for (name, schema) in asked().into_iter().chain(answered()).chain(reported()) {
        all.insert(name.to_owned(), schema);
    }
    Value::Object(all)
}

/// What is asked.
fn asked() -> Vec<(&'static str, Value)> {
    let reason = json!({ "type": "string", "description": "Why, in the operator's words." });
    vec![
        (
            "StartRequest",
            object([
                ("plan", text("The plan, as YAML.")),
                ("baseDir", text("The folder that its relative paths start from.")),
            ]),
        ),
        ("CheckRequest", object([("plan", text("The plan, as YAML."))])),
        (
            "Command",
            json!({ "oneOf": [
                one_of(&["pause", "resume", "promote"]),
                tagged("rollback", and(object([("reason", reason.clone())]), [
                    ("pastPointOfNoReturn", flag("Although the point of no return is passed.")),
                ])),
            ] }),
        ),
        (
            "Act",
            json!({ "oneOf": [
                one_of(&["approve", "review"]),
                tagged("breakGlass", object([("reason", reason)])),
            ] }),
        ),
        (
            "SignedStatement",
            object([
                ("statement", text("The bytes that were signed: a statement as RFC 8785 JSON, at most 8 KiB.")),
                ("signature", text("An armored SSH signature (PROTOCOL.sshsig), at most 4 KiB.")),
            ]),
        ),
        (
            "SignOffRequest",
            and(
                object([("says", one_of(&["accept", "refuse"]))]),
                [("note", or_null(json!({ "type": "string", "description": "Why, at most 1,024 bytes." })))],
            ),
        ),
        ("EraseRequest", object([("subject", text("A principal's name, or `trace:` and a trace id."))])),
        (
            "LearnRequest",
            and(
                object([
                    ("forMs", json!({ "type": "integer", "minimum": 10_000, "maximum": 86_400_000 })),
                    ("horizonMs", json!({ "type": "integer", "minimum": 1, "description": "At most `forMs`." })),
                    ("leastShare", json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 0.5 })),
                    ("leastSpans", json!({ "type": "integer", "minimum": 1 })),
                ]),
                [("environment", or_null(one_of(&["blue", "green"])))],
            ),
        ),
        (
            "RecordRequest",
            object([
                ("recipient", text("Who can open it: an age public key.")),
                ("forMs", json!({ "type": "integer", "minimum": 1_000, "maximum": 86_400_000 })),
                ("maxBytes", json!({ "type": "integer", "minimum": 1 << 20, "maximum": 64u64 << 30 })),
                ("keepSensitive", flag("Whether what is sensitive stays in it.")),
            ]),
        ),
    ]
}

/// What is answered, but for reports.
fn answered() -> Vec<(&'static str, Value)> {
    let place = |what: &str| json!({ "type": "integer", "minimum": 1, "description": what });
    vec![
        (
            "Problem",
            and(
                object([
                    (
                        "type",
                        one_of(&[
                            "bad-request",
                            "unauthenticated",
                            "refused",
                            "refused-plan",
                            "unknown",
                            "conflict",
                            "unavailable",
                        ]),
                    ),
                    ("status", json!({ "type": "integer", "minimum": 400, "maximum": 599 })),
                    ("detail", text("What, where, and what to do.")),
                ]),
                [(
                    "errors",
                    list(object([
                        ("line", place("From 1.")),
                        ("column", place("From 1.")),
                        ("message", text("What was found, what was expected.")),
                    ])),
                )],
            ),
        ),
        ("Document", any("An OpenAPI 3.1 document.")),
        (
            "Status",
            json!({
                "type": "object",
                "required": ["version", "listening", "ledger", "gateway", "endpoints", "spool"],
                "properties": { "version": text("The program's."), "listening": any("Addresses."), "gateway": any("Counters.") },
            }),
        ),
        ("Plan", any("A plan as the server understood it, with every default.")),
        (
            "Preview",
            json!({
                "type": "object",
                "required": ["name", "digest", "steps", "shortestMs", "longestMs", "rollsBack", "notes"],
                "properties": {
                    "name": text("The plan's."),
                    "digest": text("What approvals bind to."),
                    "steps": list(any("A step.")),
                    "shortestMs": count("The least time it takes, without the waits for people."),
                    "longestMs": count("The most time it takes if nothing is held."),
                    "rollsBack": list(text("What rolls back, in words.")),
                    "notes": list(text("What whoever wrote the plan should know.")),
                },
            }),
        ),
        (
            "Offer",
            object([
                ("statement", any("What is to be signed.")),
                ("plan", reference("Plan")),
                ("baseDir", text("The folder that the plan's relative paths start from.")),
                ("report", reference("Report")),
            ]),
        ),
        (
            "Erasure",
            object([
                ("subject", text("What was asked for.")),
                ("persons", count("Texts about a person.")),
                ("evidence", count("Blobs of evidence.")),
            ]),
        ),
        ("Learned", any("What was learned so far, all of it.")),
        (
            "RecordedLine",
            object([
                ("sealed", text("The next bytes of the file, in base64.")),
                ("requests", count("Requests that are in it.")),
                ("bytes", count("Bytes of their messages.")),
                ("droppedRequests", count("Requests that came and are not in it.")),
                ("unreadableRequests", count("Of these, those that could not be redacted, or are no OTLP.")),
                ("leftMs", count("How long it goes on at most.")),
                ("over", or_null(text("Why it is over."))),
            ]),
        ),
    ]
}

fn reported() -> Vec<(&'static str, Value)> {
    let progress = one_of(&["progressing", "paused", "held", "rollingBack", "promoting", "promoted", "rolledBack"]);
    let environment = || one_of(&["blue", "green"]);
    vec![
        ("Progress", progress),
        (
            "RolloutSummary",
            object([
                ("rollout", text("The rollout's name.")),
                ("progress", reference("Progress")),
                ("headline", text("In one sentence.")),
                ("greenServes", weight("The share of traces that green serves.")),
                ("active", environment()),
                ("startedAt", at("When it started.")),
                ("endedAt", or_null(at("When it ended."))),
                ("exceptions", list(text("What of it is not as the rules have it."))),
            ]),
        ),
        (
            "Step",
            object([
                ("does", text("In the plan's words.")),
                ("done", flag("Whether it is done.")),
                ("current", flag("Whether it is the present one.")),
                ("failed", flag("Whether the rollout was rolled back at it.")),
            ]),
        ),
        (
            "Cause",
            object([
                ("guard", text("The guard, gate or command.")),
                ("finding", text("What was found, in words.")),
                ("exampleTrace", or_null(text("A trace that shows it."))),
                ("firstSeen", or_null(at("When the first trace that shows it was assigned."))),
                ("reasons", list(text("The numbers behind it."))),
            ]),
        ),
        ("Assessment", assessment()),
        ("Finding", finding()),
        ("Report", report()),
        ("Window", window()),
        ("Timeline", timeline()),
    ]
}

fn window() -> Value {
    let arm = object([
        ("traces", count("Traces that were verified.")),
        ("tracesPerSecond", number("How many in a second.")),
        ("errors", number("The share of traces with a span with an error, of 1.")),
        ("loss", number("The share of acknowledged spans that did not come out in time, of 1.")),
        ("p50Us", number("Microseconds through the pipeline, of the slowest span of the median trace.")),
        ("p95Us", number("The same of the 95th percentile.")),
        ("p99Us", number("The same of the 99th percentile.")),
    ]);
    let guard = object([
        ("against", number("That green is worse; natural logarithm.")),
        ("forGreen", number("That it is within what the plan tolerates.")),
    ]);
    let evidence =
        object([("all", number("Against green over all guards; natural logarithm.")), ("guards", list(guard))]);
    object([
        ("from", at("Traces first seen from here on.")),
        ("until", at("And before this.")),
        ("judgedAt", at("When the last of them was judged.")),
        ("blue", arm.clone()),
        ("green", arm),
        ("evidence", evidence),
    ])
}

fn timeline() -> Value {
    object([
        (
            "guards",
            list(object([
                ("guard", text("As the plan has it; in the order of each window's evidence.")),
                ("thresholdAgainst", number("What the evidence against green must reach; natural logarithm.")),
                ("thresholdFor", number("What the evidence for green must reach, where promotion needs it.")),
            ])),
        ),
        ("lately", or_null(reference("Window"))),
        ("whole", or_null(reference("Window"))),
        ("windows", list(reference("Window"))),
        (
            "shifts",
            list(object([
                ("at", at("When it was recorded.")),
                ("observed", flag("Whether the gateway had applied it; otherwise it was ordered.")),
                ("green", weight("Green's share from then on.")),
                ("mirror", flag("Whether green gets copies of the rest.")),
            ])),
        ),
    ])
}

fn assessment() -> Value {
    json!({
        "type": "object",
        "required": ["verdict", "guards", "logEvidence", "logThreshold", "traces"],
        "properties": {
            "verdict": { "oneOf": [
                one_of(&["pass"]),
                tagged("fail", any("Why: `reasons` are for a person.")),
                tagged("inconclusive", object([("missing", list(text("What is missing for a pass.")))])),
                tagged("error", object([("reason", text("What is broken; nothing is said about green."))])),
            ] },
            "guards": list(json!({
                "type": "object",
                "required": ["guard", "logAgainst", "logThresholdAgainst", "proved", "alarmed", "words"],
                "properties": {
                    "logAgainst": { "type": "number" },
                    "logThresholdAgainst": { "type": "number" },
                    "logFor": { "type": ["number", "null"] },
                    "proved": { "type": "boolean" },
                    "alarmed": { "type": "boolean" },
                    "words": text("One line for a person."),
                },
            })),
            "logEvidence": { "type": "number", "description": "ln of all guards' evidence against green." },
            "logThreshold": { "type": "number", "description": "What it must reach for an alarm." },
            "traces": per_environment(count("Traces judged so far.")),
        },
    })
}

fn finding() -> Value {
    object([
        (
            "group",
            json!({
                "type": "object",
                "required": ["check", "service", "operation", "traces", "spans", "firstSeen", "lastSeen", "examples"],
                "properties": {
                    "check": text("What is wrong: `lostSpan`."),
                    "service": text("`service.name` of the spans concerned."),
                    "operation": text("Their name."),
                    "traces": per_environment(count("Traces that show it.")),
                    "spans": per_environment(count("Spans that show it.")),
                    "examples": list(text("Traces that show it.")),
                },
            }),
        ),
        ("share", per_environment(any("The share of the environment's traces that show it."))),
    ])
}

fn report() -> Value {
    let always = object([
        ("rollout", text("The rollout's name.")),
        ("planDigest", text("What an approval names.")),
        ("startedBy", text("Who started it.")),
        ("startedAt", at("When.")),
        ("progress", reference("Progress")),
        ("needsPerson", flag("Whether it stands still until a person acts.")),
        ("headline", text("In one sentence.")),
        ("waitsFor", list(text("What it waits for, the most important first."))),
        ("timeLeftMs", or_null(count("Until the present wait ends by itself."))),
        ("steps", list(reference("Step"))),
        ("active", one_of(&["blue", "green"])),
        ("weightOrdered", weight("The candidate's share that was ordered.")),
        ("weightObserved", or_null(weight("The candidate's share that the gateway applied."))),
        ("greenServes", or_null(weight("The share of traces that green serves now."))),
        ("mirror", flag("Whether the candidate gets copies.")),
        ("generation", count("The generation that was ordered last.")),
        ("torn", count("Traces torn by a rollback.")),
        ("observations", count("Observations so far.")),
        ("assessment", or_null(reference("Assessment"))),
        ("noise", or_null(any("Whether blue differs from itself."))),
        ("findings", list(reference("Finding"))),
        ("canaries", or_null(any("What became of the canaries."))),
        ("leaks", or_null(any("What the search for sensitive values found."))),
        ("cause", or_null(reference("Cause"))),
        ("approvals", list(any("Who approved, and until when."))),
        ("glass", or_null(any("The emergency in which one approval passed the gate."))),
        ("exceptions", list(text("What everybody must see."))),
        ("decidedAt", or_null(at("When the rollback or the promotion was decided."))),
        ("endedAt", or_null(at("When it ended."))),
    ]);
    and(
        always,
        [
            ("pointApprovals", list(any("Who approved the point of no return."))),
            ("pastReturn", any("The point of no return, once it is passed.")),
            ("signOffs", list(any("What testers said last."))),
        ],
    )
}
