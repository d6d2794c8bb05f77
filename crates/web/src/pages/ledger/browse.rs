//! `/ledger`: records, the newest first, and those alone that a filter wants.

use crate::api::problem::Problem;
use crate::files::{LedgerFiles, Opened};
use crate::pages::layout;
use crate::{Api, Caller};
use access::Action;
use axum::extract::{Query, State};
use control::rollout::{Body, Event, Record};
use maud::{Markup, html};
use model::UnixMillis;
use serde::Deserialize;

/// Records of a page.
const PER_PAGE: usize = 50;
/// Entries that one page looks at: 16 bundles, some 10 ms of hashing. A filter that finds little goes on with the next page.
const MAX_LOOKED_AT: u64 = 4_096;
/// Characters of a filter.
const MAX_FILTER_CHARACTERS: usize = 200;
/// Characters of a record's words in the table.
const MAX_WORDS: usize = 400;

/// What records may be about, by the names that they have in JSON.
const KINDS: [&str; 22] = [
    "serverStarted",
    "serverStopped",
    "started",
    "happened",
    "decided",
    "evidenceKept",
    "evidenceDeleted",
    "evidenceRead",
    "principalsRead",
    "erased",
    "heartbeat",
    "reviewed",
    "reviewOverdue",
    "keyRotated",
    "trafficRecorded",
    "accessRefused",
    "shardBegan",
    "entriesPruned",
    "notificationsRead",
    "notified",
    "notObserved",
    "observed",
];

/// What is wanted. An empty field of the form is none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    rollout: String,
    kind: String,
    text: String,
    since: String,
    until: String,
    before: String,
}

pub(super) async fn records(
    State(api): State<Api>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeLedger)?;
    let may_export = caller.may(Action::ExportLedger);
    let csrf = caller.csrf.clone();
    let shown = api.ledger.read(move |files, opened| {
        let wanted = Wanted::of(&filter)?;
        let found = wanted.find(files, opened)?;
        Ok(page(files, opened, &filter, &found, may_export.then_some(csrf.as_deref())))
    });
    Ok(layout::page(&caller, "Ledger", shown.await?))
}

/// A filter that was understood.
struct Wanted<'a> {
    filter: &'a Filter,
    text: String,
    since: Option<UnixMillis>,
    until: Option<UnixMillis>,
    before: u64,
}

struct Found {
    rows: Vec<(u64, Record, String)>,
    /// Where the next page goes on.
    reached: u64,
}

impl Wanted<'_> {
    fn of(filter: &Filter) -> Result<Wanted<'_>, Problem> {
        let refused = |detail: String| Problem::new("bad-request", axum::http::StatusCode::BAD_REQUEST, detail);
        let Filter { rollout, kind, text, since, until, before } = filter;
        if [rollout, kind, text, since, until, before].iter().any(|it| it.chars().count() > MAX_FILTER_CHARACTERS) {
            return Err(refused(format!("a filter has at most {MAX_FILTER_CHARACTERS} characters")));
        }
        if !kind.is_empty() && !KINDS.contains(&kind.as_str()) {
            return Err(refused(format!("no record is of that kind; expected one of {}", KINDS.join(", "))));
        }
        let time = |text: &str, name: &str| match text {
            "" => Ok(None),
            text => unix_millis(text)
                .map(Some)
                .ok_or_else(|| refused(format!("{name}: expected a time in UTC, such as 2026-12-01T09:30"))),
        };
        let before = match before.as_str() {
            "" => u64::MAX,
            number => number.parse().map_err(|_| refused("before: expected the number of an entry".to_owned()))?,
        };
        Ok(Wanted {
            filter,
            text: text.to_lowercase(),
            since: time(since, "since")?,
            until: time(until, "until")?,
            before,
        })
    }

    fn find(&self, files: &LedgerFiles, opened: &Opened) -> Result<Found, Problem> {
        let (mut rows, mut is_past) = (Vec::new(), false);
        let kind = match self.filter.kind.as_str() {
            // Which event it is stands within.
            "observed" | "notObserved" => "",
            kind => kind,
        };
        let reached = opened.backward(self.before, MAX_LOOKED_AT, |entry| {
            if entry.mentions(&self.filter.rollout) && entry.mentions(kind) {
                let record = entry.record()?;
                // Times go up with the entries, so that nothing older is wanted either.
                if self.since.is_some_and(|since| record.at < since) {
                    is_past = true;
                    return Ok(false);
                }
                let words = (files.words)(&record.body);
                if self.wants(&record, &words) {
                    rows.push((entry.index, record, words));
                }
            }
            Ok(rows.len() < PER_PAGE)
        })?;
        Ok(Found { rows, reached: if is_past { 0 } else { reached } })
    }

    fn wants(&self, record: &Record, words: &str) -> bool {
        let Filter { rollout, kind, .. } = self.filter;
        let is_observation = matches!(&record.body, Body::Happened(event) if matches!(**event, Event::Observed(_)));
        let is_kind = match kind.as_str() {
            "" => true,
            "observed" => is_observation,
            "notObserved" => !is_observation,
            kind => kind_of(&record.body) == kind,
        };
        is_kind
            && (rollout.is_empty() || record.rollout.as_ref().is_some_and(|id| id.0 == *rollout))
            && self.until.is_none_or(|until| record.at <= until)
            && (self.text.is_empty()
                || words.to_lowercase().contains(&self.text)
                || record.by.to_lowercase().contains(&self.text))
    }
}

/// As JSON calls it.
pub(super) fn kind_of(body: &Body) -> &'static str {
    match body {
        Body::ServerStarted { .. } => "serverStarted",
        Body::ServerStopped => "serverStopped",
        Body::Started(_) => "started",
        Body::Happened(_) => "happened",
        Body::Decided(_) => "decided",
        Body::EvidenceKept { .. } => "evidenceKept",
        Body::EvidenceDeleted { .. } => "evidenceDeleted",
        Body::PrincipalsRead { .. } => "principalsRead",
        Body::Erased { .. } => "erased",
        Body::Heartbeat => "heartbeat",
        Body::Reviewed { .. } => "reviewed",
        Body::ReviewOverdue { .. } => "reviewOverdue",
        Body::KeyRotated { .. } => "keyRotated",
        Body::EvidenceRead { .. } => "evidenceRead",
        Body::TrafficRecorded { .. } => "trafficRecorded",
        Body::AccessRefused { .. } => "accessRefused",
        Body::ShardBegan(_) => "shardBegan",
        Body::EntriesPruned { .. } => "entriesPruned",
        Body::NotificationsRead { .. } => "notificationsRead",
        Body::Notified { .. } => "notified",
    }
}

fn page(files: &LedgerFiles, opened: &Opened, filter: &Filter, found: &Found, export: Option<Option<&str>>) -> Markup {
    let Opened { checkpoint, note, reader, key } = opened;
    let cosigned = reader.cosigned_notes(key);
    html! {
        link rel="stylesheet" href=(crate::assets::address("traces.css"));
        section aria-labelledby="head" {
            h2 id="head" { "Checkpoint" }
            dl {
                dt { "Origin" } dd { code { (checkpoint.origin()) } }
                dt { "Entries" } dd { (checkpoint.size()) }
                dt { "Root" } dd { code.digest { (checkpoint.root().to_string()) } }
                dt { "Signed by" } dd { code.digest { (key.to_string()) } }
                dt { "Cosigned by" }
                dd {
                    @match &cosigned {
                        Err(error) => { strong { "Not known: " } (model::with_causes(error)) }
                        Ok(notes) if notes.is_empty() => { "nobody" }
                        Ok(notes) => { ul { @for note in notes {
                            li { (note.witness.name().to_string()) " over the first " (note.checkpoint.size()) " entries" }
                        } } }
                    }
                }
            }
            details { summary { "The signed note" } pre { (note.to_string()) } }
            p { "Any tlog client can read this ledger at " code { "/ledger/tiles/" } " ("
                a href="/ledger/tiles/checkpoint" { "checkpoint" } ")." }
        }
        @if let Some(csrf) = export {
            (export_form(filter, csrf))
        }
        section aria-labelledby="records" {
            h2 id="records" { "Records" }
            (filters(filter))
            (table(files, found))
            @if found.reached > 0 {
                p { a rel="next" href=(older(filter, found.reached)) { "Older, from entry " (found.reached - 1) " down" } }
            } @else { p { "There are no older ones." } }
        }
    }
}

fn table(files: &LedgerFiles, found: &Found) -> Markup {
    html! {
        @if found.rows.is_empty() {
            p { "No record matches among the entries that were looked at." }
        } @else {
            div.scrolls tabindex="0" role="region" aria-label="Records" { table {
                thead { tr {
                    th scope="col" { "Entry" } th scope="col" { "Time" } th scope="col" { "Rollout" }
                    th scope="col" { "Who" } th scope="col" { "What" }
                } }
                tbody {
                    @for (index, record, words) in &found.rows {
                        tr {
                            td { a href={ "/ledger/" (index) } { (index) } }
                            td { time { ((files.time)(record.at)) } }
                            td { @if let Some(rollout) = &record.rollout { (rollout.to_string()) } @else { "server" } }
                            td { (record.by) }
                            td { (cut(words)) }
                        }
                    }
                }
            } }
        }
    }
}

fn cut(words: &str) -> String {
    let mut cut: String = words.chars().take(MAX_WORDS).collect();
    if cut.len() < words.len() {
        cut.push('…');
    }
    cut
}

fn filters(filter: &Filter) -> Markup {
    html! {
        form.filters method="get" action="/ledger" {
            label { "Rollout " input name="rollout" value=(filter.rollout); }
            label { "Kind " select name="kind" {
                option value="" { "all" }
                @for kind in KINDS { option value=(kind) selected[filter.kind == kind] { (kind) } }
            } }
            label { "Text " input name="text" value=(filter.text); }
            label { "Since (UTC) " input type="datetime-local" name="since" value=(filter.since); }
            label { "Until (UTC) " input type="datetime-local" name="until" value=(filter.until); }
            button type="submit" { "Filter" }
        }
    }
}

fn export_form(filter: &Filter, csrf: Option<&str>) -> Markup {
    html! {
        section aria-labelledby="export" {
            h2 id="export" { "Bundle for an auditor" }
            form.filters method="post" action="/ledger/export" {
                @if let Some(csrf) = csrf { input type="hidden" name="csrf" value=(csrf); }
                label { "Rollout " input name="rollout" required value=(filter.rollout); }
                button type="submit" { "Download the bundle" }
            }
            p { "It holds the rollout's records with their proofs, and no evidence: each look at evidence is recorded. Check it with "
                code { "verdigris audit verify" } ", which needs no server." }
        }
    }
}

fn older(filter: &Filter, before: u64) -> String {
    let mut query = String::from("/ledger?");
    let Filter { rollout, kind, text, since, until, before: _ } = filter;
    for (name, value) in [("rollout", rollout), ("kind", kind), ("text", text), ("since", since), ("until", until)] {
        if !value.is_empty() {
            query += &format!("{name}={}&", crate::pages::encoded(value));
        }
    }
    query + &format!("before={before}")
}

/// `2026-12-01T09:30`, with seconds or without, in UTC.
fn unix_millis(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().map_or(Some(0), |second| second)?);
    let (year, month, day) = (year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?);
    let (hour, minute, second) = (hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?);
    let at = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    // Nothing is older than 1970.
    Some(UnixMillis(at.as_millisecond().try_into().ok()?))
}

fn number(digits: &str) -> Option<u64> {
    (digits.len() <= 4 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_form_are_in_utc() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(unix_millis(text).map(|it| it.0), expect, "{text}");
        check("1970-01-01T00:00", Some(0));
        check("2000-02-29T12:00:01", Some(951_825_601_000));
        check("2026-12-01T09:30", Some(1_796_117_400_000));
        for text in [
            "",
            "T",
            "2026-13-01T00:00",
            "2026-12-01",
            "2026-12-01T24:00",
            "1969-01-01T00:00",
            "a-b-cT1:1",
            "99999-1-1T1:1",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let filter = Filter { text: "a b&c".into(), before: "9".into(), ..Filter::default() };
        assert_eq!(older(&filter, 5), "/ledger?text=a%20b%26c&before=5");
    }
}
