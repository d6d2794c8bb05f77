//! What every page has around it.

use crate::Caller;
use crate::assets;
use maud::{DOCTYPE, Markup, html};

/// Which page of a rollout it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Plan,
    Gates,
    Drift,
    Findings,
    Map,
    Approvals,
}

impl Tab {
    const ALL: [(Tab, &'static str, &'static str); 7] = [
        (Tab::Overview, "", "Overview"),
        (Tab::Plan, "/plan", "Plan"),
        (Tab::Gates, "/gates", "Gates"),
        (Tab::Drift, "/drift", "Drift"),
        (Tab::Findings, "/findings", "Findings"),
        (Tab::Map, "/map", "Service map"),
        (Tab::Approvals, "/approvals", "Approvals"),
    ];
}

/// The navigation's entries: where they lead, and how they are called.
const PLACES: [(&str, &str); 3] = [("/", "Rollouts"), ("/map", "Service map"), ("/ledger", "Ledger")];

/// What a page is, beside its content.
pub(super) struct Page<'p> {
    /// The heading, and the beginning of the window's title.
    pub(super) title: &'p str,
    /// The rollout that it is of, and which of its pages.
    pub(super) rollout: Option<(&'p str, Tab)>,
    /// The module of JavaScript that makes it live, by its name in `assets`.
    pub(super) module: Option<&'static str>,
    /// After so many seconds a browser without JavaScript asks for it again.
    pub(super) again_s: Option<u32>,
}

impl<'p> Page<'p> {
    /// A page that stays as it is.
    pub(super) fn of(title: &'p str) -> Page<'p> {
        Page { title, rollout: None, module: None, again_s: None }
    }

    /// The same, as a part of a rollout.
    pub(super) fn in_rollout(self, rollout: &'p str, tab: Tab) -> Page<'p> {
        Page { rollout: Some((rollout, tab)), ..self }
    }

    /// The page. `main` is its content.
    pub(super) fn render(&self, caller: &Caller, main: &Markup) -> Markup {
        let current = if self.title == "Rollouts" || self.rollout.is_some() { "/" } else { "" };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) " · Verdigris" }
                    link rel="stylesheet" href=(assets::address("style.css"));
                    link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                    @if let Some(module) = self.module { script type="module" src=(assets::address(module)) {} }
                    @if let Some(seconds) = self.again_s { noscript { meta http-equiv="refresh" content=(seconds); } }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/" { "Verdigris" }
                        nav aria-label="Main" { ul {
                            @for (href, name) in PLACES {
                                li { a href=(href) aria-current=[(href == current || name == self.title).then_some("page")] { (name) } }
                            }
                        } }
                        div.who {
                            span { (caller.principal.name) }
                            // Whoever came by a token or a certificate has no session to end.
                            @if caller.csrf.is_some() {
                                form method="post" action="/sign-out" { (csrf(caller)) button.plain { "Sign out" } }
                            }
                        }
                    }
                    @if let Some((rollout, tab)) = self.rollout { (tabs(rollout, tab)) }
                    main #main tabindex="-1" { h1 { (self.title) } (main) }
                }
            }
        }
    }
}

fn tabs(rollout: &str, current: Tab) -> Markup {
    let base = rollout_path(rollout);
    html! {
        nav.tabs aria-label="Rollout" { ul {
            @for (tab, path, name) in Tab::ALL {
                li { a href={ (base) (path) } aria-current=[(tab == current).then_some("page")] { (name) } }
            }
        } }
    }
}

/// Where a rollout's pages are. Its name is made of a plan's, which is of letters, digits and hyphens; whatever else came
/// would stand in it as %xx.
pub(super) fn rollout_path(rollout: &str) -> String {
    format!("/rollouts/{}", super::encoded(rollout))
}

/// A page of this title that stays as it is. `main` is its content.
pub(super) fn page(caller: &Caller, title: &str, main: Markup) -> Markup {
    Page::of(title).render(caller, &main)
}

/// What a form must send back, where the caller's door asks for it.
pub(crate) fn csrf(caller: &Caller) -> Markup {
    html! { @if let Some(csrf) = &caller.csrf { input type="hidden" name="csrf" value=(csrf); } }
}
