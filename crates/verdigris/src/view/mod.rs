//! What a person sees of a rollout: a live view on a terminal, plain lines everywhere else.

mod ask;
mod panes;
mod plain;
mod screen;
mod state;
mod terminal;
mod wrap;

pub use ask::Ask;
pub use plain::PlainView;
pub use screen::draw;
pub use state::{Action, Pane, Screen};
pub use terminal::{Flow, Terminal};

use crate::describe::say;
use rollout::Report;
use std::io::IsTerminal;

/// How a rollout is shown while it goes on.
pub enum View {
    /// The live view.
    Live(Box<Terminal>),
    /// A line for each thing that happens.
    Plain(PlainView),
}

impl View {
    /// Live on a terminal, unless plain lines are asked for or `TERM` is dumb.
    pub fn open(plain: bool, screen: Screen) -> View {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if !plain && !dumb && std::io::stdout().is_terminal() {
            match Terminal::open(screen) {
                Ok(terminal) => return View::Live(Box::new(terminal)),
                Err(error) => tracing::debug!("no live view: {error}"),
            }
        }
        View::Plain(PlainView::default())
    }

    /// Shows where the rollout stands now. `note` is a line of the surroundings' own, such as the demo's traffic.
    pub fn show(&mut self, report: &Report, note: &str, now: model::UnixMillis) -> Flow {
        match self {
            View::Live(terminal) => terminal.show(report, note, now),
            View::Plain(plain) => {
                for line in plain.lines(report, now) {
                    say(line);
                }
                Flow::GoOn
            }
        }
    }
}
