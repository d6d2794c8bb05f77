//! The terminal: raw mode in, the screen drawn, keys out, and everything put back as it was.

use super::screen::{Screen, draw};
use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::DefaultTerminal;
use rollout::Report;
use std::time::Duration;

/// Lines of the log that are kept for the screen.
const MAX_LOG: usize = 200;

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
    screen: Screen,
    lines: super::PlainView,
}

impl Terminal {
    /// Takes the terminal over.
    pub fn open() -> std::io::Result<Terminal> {
        let terminal = ratatui::try_init()?;
        Ok(Terminal { terminal, screen: Screen::default(), lines: super::PlainView::default() })
    }

    /// Draws, and looks whether a key was pressed; never waits.
    pub fn show(&mut self, report: &Report, note: &str, now: model::UnixMillis) -> Flow {
        self.screen.log.extend(self.lines.lines(report, now));
        let surplus = self.screen.log.len().saturating_sub(MAX_LOG);
        self.screen.log.drain(..surplus);
        note.clone_into(&mut self.screen.note);
        self.screen.now = now;
        // A terminal that went away is noticed by the next read; the rollout does not depend on being looked at.
        let _ = self.terminal.draw(|frame| draw(frame, report, &self.screen));
        while event::poll(Duration::ZERO).unwrap_or(false) {
            let Ok(Event::Key(key)) = event::read() else { continue };
            let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if control_c || key.code == KeyCode::Char('q') {
                return Flow::Quit;
            }
        }
        Flow::GoOn
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
