//! What every page has around it.

use crate::Caller;
use maud::{DOCTYPE, Markup, html};

/// A page of this title. `main` is its content.
pub(super) fn page(caller: &Caller, title: &str, main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Verdigris" }
            }
            body {
                header { a href="/" { "Verdigris" } " " span { (caller.principal.name) } }
                main { h1 { (title) } (main) }
            }
        }
    }
}
