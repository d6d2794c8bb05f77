//! `/ledger/{index}`: one record, its bytes, its leaf and its proof, and the button that checks them in the browser.

use super::browse::kind_of;
use crate::api::problem::Problem;
use crate::files::{Entry, unreadable};
use crate::pages::layout;
use crate::{Api, Caller};
use access::Action;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ledger::Hash;
use maud::{Markup, html};

pub(super) async fn record(
    State(api): State<Api>,
    caller: Caller,
    Path(index): Path<String>,
) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeLedger)?;
    let missing = |index: &str| {
        let detail = format!("the ledger's checkpoint covers no entry {index}");
        Problem::new("unknown", StatusCode::NOT_FOUND, detail)
    };
    let number: u64 = index.chars().take(20).collect::<String>().parse().map_err(|_| missing("of that name"))?;
    let shown = api.ledger.read(move |files, opened| {
        let bytes = opened.entry(number)?.ok_or_else(|| missing(&number.to_string()))?;
        let entry = Entry { index: number, bytes };
        let record = entry.record()?;
        let (leaf, checkpoint) = (Hash::of_leaf(&entry.bytes), &opened.checkpoint);
        let proof = opened.reader.inclusion_proof(checkpoint, number).map_err(|error| unreadable(&error))?;
        let text = String::from_utf8_lossy(&entry.bytes).into_owned();
        Ok(html! {
            link rel="stylesheet" href=(crate::assets::address("traces.css"));
            p { ((files.words)(&record.body)) }
            dl {
                dt { "Time" } dd { time { ((files.time)(record.at)) } }
                dt { "Rollout" } dd { @if let Some(rollout) = &record.rollout { (rollout.to_string()) } @else { "none: the server's own" } }
                dt { "Sequence" } dd { (record.sequence) }
                dt { "Who" } dd { (record.by) }
                dt { "Kind" } dd { code { (kind_of(&record.body)) } }
                dt { "Leaf" } dd { code.digest { (leaf.to_string()) } }
            }
            h2 { "The entry, as it was hashed" }
            pre.bytes id="entry" tabindex="0" { (text) }
            h2 { "Proof of inclusion" }
            p { "That entry " (number) " is among the " (checkpoint.size()) " entries under the root "
                code.digest { (checkpoint.root().to_string()) } " (RFC 9162, section 2.1.3)." }
            @if proof.is_empty() { p { "The leaf is the root: there is nothing beside it." } } @else {
                ol.digests { @for hash in &proof { li { code.digest { (hash.to_string()) } } } }
            }
            section id="verify" aria-labelledby="verify-title" data-index=(number) data-leaf=(leaf.to_string())
                data-origin=(checkpoint.origin()) data-key=(opened.key.to_string()) {
                h2 id="verify-title" { "Verify here" }
                p { "This browser fetches checkpoint and tiles, and computes by itself whether this record is in the ledger, and whether the ledger still begins with what it saw last." }
                button type="button" id="verify-run" hidden { "Verify in this browser" }
                noscript { p { "Without JavaScript nothing is verified here." } }
                ol id="verify-results" aria-live="polite" {}
                p { "The program that does this comes from the server that it checks, which could send a forged one. Independent is "
                    code { "verdigris audit verify" } " on an exported bundle, or "
                    code { "verdigris ledger verify --key KEY" } " on a copy, with a key that you have from elsewhere." }
            }
            nav aria-label="Entries" { p {
                @if number > 0 { a rel="prev" href={ "/ledger/" (number - 1) } { "Entry " (number - 1) } " · " }
                a href="/ledger" { "All records" }
                @if number + 1 < checkpoint.size() { " · " a rel="next" href={ "/ledger/" (number + 1) } { "Entry " (number + 1) } }
            } }
            script type="module" src=(crate::assets::address("verify.js")) {}
        })
    });
    Ok(layout::page(&caller, &format!("Ledger entry {number}"), shown.await?))
}
