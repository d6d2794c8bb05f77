//! The evidence as OSCAL assessment results (NIST OSCAL 1.1), for tools that collect evidence.
//!
//! What it holds is chosen by what is true. An assessor assesses; we state what was recorded. So there are observations, one for
//! each kind of record, each with the records and the controls that it supports evidence for; and there are risks, one for each
//! exception, all open, for it is not ours to close them. There are no findings: OSCAL wants a finding to say `satisfied` or
//! `not-satisfied`, and that is the assessor's word.
//!
//! The same bundle gives the same bytes: times are the records', and identifiers are made of the entries' hashes (UUID version 5,
//! RFC 9562, section 5.5; OSCAL allows versions 4 and 5).

use crate::bundle::{Bundle, EntryContent};
use crate::controls::{CONTROLS, Control, Framework};
use crate::derived::PLAN;
use crate::exceptions::{Exception, exceptions};
use crate::files::CHECKPOINT;
use crate::kind::Kind;
use crate::moment::rfc3339;
use crate::statement::{sha256, sha256_of_entry};
use crate::verify::named_by;
use model::UnixMillis;
use rollout::Record;
use serde_json::{Value, json};
use uuid::Uuid;

/// The version of the model that is written.
const OSCAL_VERSION: &str = "1.1.3";

/// Whose words the properties are.
const NAMESPACE: &str = "https://verdigris.dev/ns/oscal";

/// Records that one observation names: the first and the last of them, half each. 14 kinds of 1,000 at 700 bytes are 9.8 MB,
/// within [`MAX_DERIVED_BYTES`](crate::derived::MAX_DERIVED_BYTES).
const MAX_NAMED: usize = 1_000;

/// What every reader must know.
const REMARKS: &str = "Records of a rollout, by kind, and the controls that they support evidence for. Nobody assessed \
                       anything here: whether a control is met is for an assessor to say.";

/// Makes the identifiers of one bundle.
struct Names(Uuid);

impl Names {
    /// Of what is in it: another export of the same rollout is another document.
    fn of(bundle: &Bundle) -> Names {
        let mut text = bundle.checkpoint.to_string();
        for (index, entry) in &bundle.entries {
            let shown = match entry.content {
                EntryContent::Shown(_) => "shown",
                EntryContent::Hidden(_) => "hidden",
            };
            text += &format!("{index} {shown} {}\n", entry.leaf());
        }
        bundle.evidence.keys().for_each(|digest| text += &format!("{digest}\n"));
        let verdigris = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE.as_bytes());
        Names(Uuid::new_v5(&verdigris, text.as_bytes()))
    }

    fn name(&self, what: &str) -> String {
        Uuid::new_v5(&self.0, what.as_bytes()).to_string()
    }
}

/// The file, as canonical JSON; nothing without a record.
pub(crate) fn assessment_results(bundle: &Bundle, plan: Option<&[u8]>, records: &[(u64, Record)]) -> Option<Vec<u8>> {
    let ((_, first), (_, last)) = (records.first()?, records.last()?);
    let names = Names::of(bundle);
    let of_kind = |kind| records.iter().filter(move |(_, record)| Kind::of(record) == kind);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| of_kind(*kind).next().is_some()).collect();
    let observations: Vec<Value> =
        kinds.iter().map(|kind| observation(bundle, &names, *kind, &of_kind(*kind).collect::<Vec<_>>())).collect();
    let mut result = json!({
        "uuid": names.name("result"),
        "title": format!("Rollout {}", bundle.rollout),
        "description": REMARKS,
        "start": rfc3339(first.at),
        "end": rfc3339(last.at),
        "reviewed-controls": { "control-selections": selections(&kinds), "remarks": "Not reviewed: supported by evidence." },
        "observations": observations,
    });
    let risks: Vec<Value> = exceptions(bundle, records)
        .iter()
        .enumerate()
        .map(|(place, exception)| risk(&names, place, exception, records))
        .collect();
    if !risks.is_empty() {
        result["risks"] = risks.into();
    }
    let document = json!({ "assessment-results": {
        "uuid": names.name("assessment-results"),
        "metadata": {
            "title": format!("Evidence of the rollout {}", bundle.rollout),
            "last-modified": rfc3339(last.at),
            "version": names.0.to_string(),
            "oscal-version": OSCAL_VERSION,
            "remarks": REMARKS,
        },
        "import-ap": {
            "href": format!("#{}", names.name(PLAN)),
            "remarks": "The plan of the rollout, in Verdigris' own format; there is no OSCAL assessment plan.",
        },
        "results": [result],
        "back-matter": { "resources": resources(bundle, &names, plan) },
    }});
    Some(serde_json_canonicalizer::to_vec(&document).expect("texts under text keys are JSON"))
}

/// The controls that records of these kinds support evidence for, by framework.
fn selections(kinds: &[Kind]) -> Vec<Value> {
    let supported = |control: &&Control| control.records.iter().any(|kind| kinds.contains(kind));
    let selections = Framework::ALL.into_iter().filter_map(|framework| {
        let of_framework = CONTROLS.iter().filter(|control| control.framework == framework).filter(supported);
        let controls: Vec<Value> =
            of_framework.flat_map(|control| control.tokens).map(|token| json!({ "control-id": token })).collect();
        let description = format!("{}: controls that these records support evidence for.", framework.name());
        (!controls.is_empty()).then(|| json!({ "description": description, "include-controls": controls }))
    });
    selections.collect()
}

fn observation(bundle: &Bundle, names: &Names, kind: Kind, records: &[&(u64, Record)]) -> Value {
    let controls = CONTROLS.iter().filter(|control| control.records.contains(&kind));
    let props: Vec<Value> = controls
        .flat_map(|control| {
            let class = control.framework.token();
            control.tokens.iter().map(move |token| {
                json!({ "name": "supports-evidence-for", "ns": NAMESPACE, "class": class, "value": token })
            })
        })
        .collect();
    let left_out = records.len().saturating_sub(MAX_NAMED);
    let (head, tail) = records.split_at(records.len().min(MAX_NAMED / 2));
    let named = head.iter().chain(&tail[left_out.min(tail.len())..]);
    let evidence: Vec<Value> = named.map(|(index, record)| relevant_evidence(bundle, *index, record)).collect();
    let collected = records.last().map_or(UnixMillis(0), |(_, record)| record.at);
    let count = match left_out {
        0 => format!("{} records", records.len()),
        left_out => {
            format!("{} records, of which {left_out} between the first and the last are not named", records.len())
        }
    };
    let mut observation = json!({
        "uuid": names.name(&format!("observation {}", kind.name())),
        "title": kind.name(),
        "description": format!("{count}, each of which says {}.", kind.says()),
        "methods": [if kind.is_test() { "TEST" } else { "EXAMINE" }],
        "relevant-evidence": evidence,
        "collected": rfc3339(collected),
    });
    if !props.is_empty() {
        observation["props"] = props.into();
    }
    observation
}

/// A record's file, its digest, and the blob that it names, if that is here.
fn relevant_evidence(bundle: &Bundle, index: u64, record: &Record) -> Value {
    let sha256 = sha256_of_entry(bundle, index);
    let mut evidence = json!({
        "href": format!("records/{index:010}.json"),
        "description": format!("Entry {index} of the ledger, of {}.", rfc3339(record.at)),
        "props": [{ "name": "sha-256", "ns": NAMESPACE, "value": sha256 }],
    });
    let mut links = vec![json!({ "href": format!("proofs/{index:010}.tlog-proof"), "rel": "proof" })];
    if let Some(digest) = named_by(record).filter(|digest| bundle.evidence.contains_key(*digest)) {
        links.push(json!({ "href": format!("evidence/{digest}"), "rel": "evidence" }));
    }
    evidence["links"] = links.into();
    evidence
}

fn risk(names: &Names, place: usize, exception: &Exception, records: &[(u64, Record)]) -> Value {
    let Exception { kind, entry, at, words } = exception;
    let place = names.name(&format!("risk {place}"));
    let when = at.map(|at| format!(" at {}", rfc3339(at))).unwrap_or_default();
    let mut risk = json!({
        "uuid": place,
        "title": kind.name(),
        "description": one_line(words),
        "statement": format!("An exception{when}, for an assessor to weigh: {}.", kind.name()),
        "status": "open",
    });
    let observed = entry.and_then(|entry| records.iter().find(|(index, _)| *index == entry));
    if let Some((index, record)) = observed {
        let observation = names.name(&format!("observation {}", Kind::of(record).name()));
        risk["related-observations"] = json!([{ "observation-uuid": observation }]);
        risk["links"] = json!([{ "href": format!("records/{index:010}.json"), "rel": "evidence" }]);
    }
    risk
}

/// Words of a risk: 13 kinds of at most 201, each of 1,000 characters in up to 4 bytes and 600 bytes around them, are 12 MB.
const MAX_WORDS: usize = 1_000;

/// Words come from outside; OSCAL's markup takes no control characters.
fn one_line(words: &str) -> String {
    words.chars().take(MAX_WORDS).map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

fn resources(bundle: &Bundle, names: &Names, plan: Option<&[u8]>) -> Vec<Value> {
    let resource = |path: &str, title: &str, media_type: &str, content: &[u8]| {
        let hashes = json!([{ "algorithm": "SHA-256", "value": sha256(content) }]);
        json!({
            "uuid": names.name(path),
            "title": title,
            "rlinks": [{ "href": path, "media-type": media_type, "hashes": hashes }],
        })
    };
    let checkpoint = bundle.checkpoint.to_string();
    let checkpoint = resource(CHECKPOINT, "The signed head of the ledger", "text/plain", checkpoint.as_bytes());
    let plan = match plan {
        Some(plan) => resource(PLAN, "The plan of the rollout", "application/json", plan),
        None => json!({ "uuid": names.name(PLAN), "title": "The plan of the rollout, which is not shown" }),
    };
    vec![plan, checkpoint]
}
