//! The terminal: raw mode in, the screen drawn, keys out, and everything put back as it was.

use super::screen::draw;
use super::state::{Action, Screen};
use crossterm::event::{self, Event};
use model::UnixMillis;
use ratatui::DefaultTerminal;
use rollout::Report;
use std::time::Duration;

/// Keys that are taken between two drawings: who holds one down sends 30 a second, and a pasted page must not keep the
/// screen from being drawn.
const MAX_EVENTS: usize = 64;

/// Whether to go on showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    GoOn,
    /// The person asked to stop looking.
    Quit,
}

/// A terminal in raw mode, put back when it is dropped.
pub struct Terminal {
    terminal: DefaultTerminal,
    /// What it shows beside the report.
    pub screen: Screen,
    lines: super::PlainView,
}

impl Terminal {
    /// Takes the terminal over.
    pub fn open(screen: Screen) -> std::io::Result<Terminal> {
        let terminal = ratatui::try_init()?;
        Ok(Terminal { terminal, screen, lines: super::PlainView::default() })
    }

    /// Takes a new report in.
    pub fn learn(&mut self, report: &Report, note: &str, now: UnixMillis) {
        self.screen.now = now;
        self.screen.answered(report);
        let lines = self.lines.lines(report, now);
        self.screen.tell(lines);
        note.clone_into(&mut self.screen.note);
    }

    /// Draws what is known, in whatever size the window has now.
    pub fn draw(&mut self, report: &Report, now: UnixMillis) {
        self.screen.now = now;
        let mut ends = None;
        // A terminal that went away is noticed by the next read; the rollout does not depend on being looked at.
        let _ = self.terminal.draw(|frame| ends = Some(draw(frame, report, &self.screen)));
        if let Some(ends) = ends {
            self.screen.drawn(ends);
        }
    }

    /// Takes the keys that were pressed, up to the first that asks for something; never waits. A terminal that is gone
    /// quits.
    pub fn keys(&mut self, report: Option<&Report>) -> Option<Action> {
        for _ in 0..MAX_EVENTS {
            match event::poll(Duration::ZERO).and_then(|there| if there { event::read().map(Some) } else { Ok(None) }) {
                Ok(Some(Event::Key(key))) => {
                    if let Some(action) = self.screen.handle(key, report) {
                        return Some(action);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(_) => return Some(Action::Quit),
            }
        }
        None
    }

    /// Learns, draws, and looks whether somebody wants to stop; never waits. For a view that only looks.
    pub fn show(&mut self, report: &Report, note: &str, now: UnixMillis) -> Flow {
        self.learn(report, note, now);
        self.draw(report, now);
        match self.keys(Some(report)) {
            Some(Action::Quit) => Flow::Quit,
            Some(Action::Do(_)) | None => Flow::GoOn,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
