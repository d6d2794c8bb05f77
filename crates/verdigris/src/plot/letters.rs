//! A plot of letters, a letter a curve: for terminals, pipes and mails.

use super::{Curve, Panel, Plot, rounded_up};
use std::fmt::Write as _;

/// Characters of the plot's field: with labels a line has 80.
const COLUMNS: usize = 70;
const ROWS: usize = 11;

impl Plot {
    /// The panels in letters, each with a legend below.
    pub fn letters(&self) -> String {
        let mut text = String::new();
        for panel in &self.panels {
            self.panel(&mut text, panel);
        }
        text
    }

    fn panel(&self, text: &mut String, panel: &Panel) {
        let (end, step) = rounded_up(self.axis.end);
        let mut field = vec![vec![' '; COLUMNS]; ROWS];
        // A later letter covers an earlier one; the first curve is the one to see.
        for (index, curve) in panel.curves.iter().enumerate().rev() {
            draw(&mut field, curve, letter(index), end, panel.top);
        }
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}", panel.title);
        for (row, characters) in field.iter().enumerate() {
            let share = panel.top * (ROWS - 1 - row) as f64 / (ROWS - 1) as f64;
            let label = if row % 5 == 0 { percent(share) } else { String::new() };
            let line: String = characters.iter().collect();
            let _ = writeln!(text, "{label:>7} |{}", line.trim_end());
        }
        let _ = writeln!(text, "{:>7} +{}", "", "-".repeat(COLUMNS));
        let _ = writeln!(text, "{:>8}{}\n{:>9}{}", "", ticks(end, step), "", self.axis.label);
        for (index, curve) in panel.curves.iter().enumerate() {
            let _ = writeln!(text, "{:>9} {}  {}", letter(index), curve.label, percent(curve.last(&self.axis)));
        }
        text.push('\n');
    }
}

/// One letter a column, at the height of the share there; nothing before the first step.
fn draw(field: &mut [Vec<char>], curve: &Curve, letter: char, end: f64, top: f64) {
    let row_at = |column: usize| {
        let x = end * (column + 1) as f64 / COLUMNS as f64;
        let share = curve.share_at(x).min(top);
        ROWS - 1 - (share / top * (ROWS - 1) as f64).round() as usize
    };
    (0..COLUMNS).for_each(|column| field[row_at(column)][column] = letter);
}

fn ticks(end: f64, step: f64) -> String {
    let mut line = vec![' '; COLUMNS + 8];
    for tick in 0..=(end / step).round() as usize {
        let value = step * tick as f64;
        let at = (value / end * COLUMNS as f64).round() as usize;
        let text = number(value);
        for (offset, character) in text.chars().enumerate() {
            if let Some(place) = line.get_mut((at + 1 + offset).saturating_sub(text.len() / 2)) {
                *place = character;
            }
        }
    }
    line.into_iter().collect::<String>().trim_end().to_owned()
}

fn letter(index: usize) -> char {
    char::from(b'a' + u8::try_from(index % 26).unwrap_or(0))
}

/// A number of the axis, without needless zeros.
pub fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share as a percentage, without needless zeros.
pub fn percent(share: f64) -> String {
    format!("{}%", number(share * 100.0))
}
