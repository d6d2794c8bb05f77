//! What the live view remembers, and what a key means. Decides nothing about a rollout and draws nothing: a key in, at most
//! one action out, so that a test can press every key without a terminal.

use super::ask::Ask;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use model::{BasisPoints, UnixMillis};
use rollout::Report;

/// Lines of the log that are kept: at a line a second more than three minutes, and a rollout says far less.
const MAX_LOG: usize = 200;
/// Changes of the weight that are kept: a plan has at most some dozens of steps.
const MAX_WEIGHTS: usize = 100;
/// Lines that Page Up and Page Down go.
const PAGE: usize = 8;

/// A part of the screen that can be scrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The plan's steps.
    Steps,
    /// Weights ordered and observed, as they changed while this view was open.
    Weights,
    /// The evidence for and against green.
    Evidence,
    /// What differs.
    Findings,
    /// What it waits for, or why it went back.
    Waits,
    /// What happened.
    Log,
}

impl Pane {
    /// In the order of Tab.
    pub const ALL: [Pane; 6] = [Pane::Steps, Pane::Weights, Pane::Evidence, Pane::Findings, Pane::Waits, Pane::Log];

    /// Its title.
    pub fn name(self) -> &'static str {
        match self {
            Pane::Steps => "steps",
            Pane::Weights => "weights",
            Pane::Evidence => "evidence",
            Pane::Findings => "findings",
            Pane::Waits => "waits for",
            Pane::Log => "log",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop looking; the rollout goes on.
    Quit,
    /// Confirmed by the person: to be asked of the server.
    Do(Ask),
}

/// A share of traces that green served from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Since when, as far as this view saw.
    pub at: UnixMillis,
    /// As the gateway applied it; none before it has applied anything.
    pub observed: Option<BasisPoints>,
    /// As it was ordered.
    pub ordered: BasisPoints,
    /// The generation that was ordered.
    pub generation: u64,
}

/// What the last drawing found out: how far each pane can be scrolled.
pub type Ends = [usize; Pane::ALL.len()];

/// What is shown beside the report.
#[derive(Clone, Debug)]
pub struct Screen {
    /// What happened, the newest last.
    pub log: Vec<String>,
    /// A line of the surroundings' own.
    pub note: String,
    /// What the view itself said last, and when: whoever pressed a key must see what came of it, whichever pane is shown.
    pub said: Option<(UnixMillis, String)>,
    /// The time.
    pub now: UnixMillis,
    /// The weights as they changed, the newest last.
    pub weights: Vec<Weight>,
    /// Since when the server does not answer.
    pub silent_since: Option<UnixMillis>,
    /// Where the keys for scrolling go.
    pub focus: Pane,
    /// What the person is asked to confirm.
    pub asking: Option<Ask>,
    /// Whether the keys are explained.
    pub help: bool,
    /// Whether the rollout can be asked for something from here.
    pub controls: bool,
    /// Lines above the first that is shown; none where the pane follows what happens by itself.
    pub(super) scroll: [Option<usize>; Pane::ALL.len()],
    pub(super) ends: Ends,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen {
            log: Vec::new(),
            note: String::new(),
            said: None,
            now: UnixMillis(0),
            weights: Vec::new(),
            silent_since: None,
            focus: Pane::Steps,
            asking: None,
            help: false,
            controls: false,
            scroll: [None; Pane::ALL.len()],
            ends: [0; Pane::ALL.len()],
        }
    }
}

impl Screen {
    /// One that can ask the rollout for something, and not only look.
    pub fn with_controls() -> Screen {
        Screen { controls: true, ..Screen::default() }
    }

    /// Takes a key. A press alone counts: some terminals tell of the release as well.
    pub fn handle(&mut self, key: KeyEvent, report: Option<&Report>) -> Option<Action> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control {
            // Nothing else has Control, so that no shortcut of a terminal pauses a rollout.
            return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
        }
        match self.asking {
            Some(ask) => self.answer(ask, key.code, report),
            None => self.press(key.code, report),
        }
    }

    /// `y` alone confirms. What is asked for may have become impossible while the person read.
    fn answer(&mut self, ask: Ask, code: KeyCode, report: Option<&Report>) -> Option<Action> {
        match code {
            KeyCode::Char('y' | 'Y') => {
                self.asking = None;
                match report.map(|report| ask.refused(report)) {
                    Some(None) => return Some(Action::Do(ask)),
                    Some(Some(why)) => self.say(format!("{}: {why}", ask.verb())),
                    None => self.say(format!("{}: nothing is known of the rollout yet", ask.verb())),
                }
            }
            KeyCode::Esc | KeyCode::Char('n' | 'N') => self.asking = None,
            _ => {}
        }
        None
    }

    fn press(&mut self, code: KeyCode, report: Option<&Report>) -> Option<Action> {
        let index = self.focus.index();
        let at = self.scroll[index].unwrap_or(self.follows(index));
        match code {
            KeyCode::Char('q') => return Some(Action::Quit),
            KeyCode::Char('?') => self.help = !self.help,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => self.scroll = [None; Pane::ALL.len()],
            KeyCode::Char('p') => self.ask(Ask::Pause, report),
            KeyCode::Char('r') => self.ask(Ask::Resume, report),
            KeyCode::Char('b') => self.ask(Ask::RollBack, report),
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Pane::ALL.len() - 1),
            KeyCode::Up => self.scroll_to(index, at.saturating_sub(1)),
            KeyCode::Down => self.scroll_to(index, at + 1),
            KeyCode::PageUp => self.scroll_to(index, at.saturating_sub(PAGE)),
            KeyCode::PageDown => self.scroll_to(index, at + PAGE),
            KeyCode::Home => self.scroll_to(index, 0),
            KeyCode::End => self.scroll_to(index, usize::MAX),
            _ => {}
        }
        None
    }

    fn ask(&mut self, ask: Ask, report: Option<&Report>) {
        if !self.controls {
            return self.say(format!("{}: this view only looks", ask.verb()));
        }
        match report.map(|report| ask.refused(report)) {
            Some(None) => {
                self.help = false;
                self.asking = Some(ask);
            }
            Some(Some(why)) => self.say(format!("{}: {why}", ask.verb())),
            None => self.say(format!("{}: nothing is known of the rollout yet", ask.verb())),
        }
    }

    fn turn(&mut self, by: usize) {
        self.focus = Pane::ALL[(self.focus.index() + by) % Pane::ALL.len()];
    }

    /// At its end the log follows what happens again.
    fn scroll_to(&mut self, index: usize, line: usize) {
        let line = line.min(self.ends[index]);
        let follows = index == Pane::Log.index() && line == self.ends[index];
        self.scroll[index] = (!follows).then_some(line);
    }

    fn follows(&self, index: usize) -> usize {
        if index == Pane::Log.index() { self.ends[index] } else { 0 }
    }

    /// Lines above the first that is shown of a pane; none where it follows by itself.
    pub fn scrolled(&self, pane: Pane) -> Option<usize> {
        self.scroll[pane.index()]
    }

    /// What was drawn.
    pub fn drawn(&mut self, ends: Ends) {
        self.ends = ends;
    }

    /// Writes a line of the view's own into the log, with the time.
    pub fn say(&mut self, line: String) {
        let (time, line) = (crate::describe::time_of_day(self.now), crate::describe::printable(&line));
        self.tell([format!("{time} {line}")]);
        self.said = Some((self.now, line));
    }

    /// Writes lines into the log as they are.
    pub fn tell(&mut self, lines: impl IntoIterator<Item = String>) {
        self.log.extend(lines);
        let surplus = self.log.len().saturating_sub(MAX_LOG);
        self.log.drain(..surplus);
    }

    /// The server does not answer; says so once.
    pub fn silent(&mut self, why: &str) {
        if self.silent_since.is_none() {
            self.silent_since = Some(self.now);
            self.say(format!("no answer, trying again: {why}"));
        }
    }

    /// The server answered; says so if it had not.
    pub fn answered(&mut self, report: &Report) {
        if let Some(since) = self.silent_since.take() {
            let gone = model::ShortDuration(self.now.since_ms(since));
            self.say(format!("the server answers again, after {gone}"));
        }
        let weight = Weight {
            at: self.now,
            observed: report.green_serves,
            ordered: report.weight_ordered,
            generation: report.generation,
        };
        let same = |last: &Weight| Weight { at: weight.at, ..*last } == weight;
        if !self.weights.last().is_some_and(same) {
            self.weights.push(weight);
            let surplus = self.weights.len().saturating_sub(MAX_WEIGHTS);
            self.weights.drain(..surplus);
        }
    }
}

#[cfg(test)]
mod tests;
