//! Lines broken to a width, with their styles.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// What goes on is indented by this much.
const INDENT: usize = 2;

/// Breaks lines that are wider than `width`, at spaces where there are some.
pub fn wrap<'l>(lines: Vec<Line<'l>>, width: u16) -> Vec<Line<'l>> {
    let width = usize::from(width).max(1);
    lines.into_iter().flat_map(|line| if line.width() <= width { vec![line] } else { broken(&line, width) }).collect()
}

fn broken<'l>(line: &Line<'l>, width: usize) -> Vec<Line<'l>> {
    let of = |span: &Span<'_>| {
        let style = line.style.patch(span.style);
        span.content.chars().map(move |character| (character, style)).collect::<Vec<_>>()
    };
    let mut rest: Vec<(char, Style)> = line.spans.iter().flat_map(of).collect();
    let mut lines = Vec::new();
    // Each round takes a character at least.
    while !rest.is_empty() {
        // Deep indents would leave no room for words.
        let indent = if lines.is_empty() || width <= 4 * INDENT { 0 } else { INDENT };
        let mut taken = fitting(&rest, width - indent);
        if taken < rest.len()
            && let Some(space) = rest[..taken].iter().rposition(|(character, _)| *character == ' ')
            && space > taken / 3
        {
            taken = space + 1;
        }
        let next = rest.split_off(taken);
        lines.push(joined(indent, &rest));
        rest = next;
    }
    lines
}

/// Characters that fit; one at least, so that it comes to an end.
fn fitting(characters: &[(char, Style)], width: usize) -> usize {
    let mut used = 0;
    let fits = |(character, _): &&(char, Style)| {
        used += Span::from(character.to_string()).width();
        used <= width
    };
    characters.iter().take_while(fits).count().max(1)
}

fn joined<'l>(indent: usize, characters: &[(char, Style)]) -> Line<'l> {
    let mut spans = vec![Span::from(" ".repeat(indent))];
    for run in characters.chunk_by(|(_, one), (_, other)| one == other) {
        spans.push(Span::styled(run.iter().map(|(character, _)| *character).collect::<String>(), run[0].1));
    }
    Line::from(spans)
}
