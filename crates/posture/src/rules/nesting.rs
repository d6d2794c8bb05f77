//! How deeply a policy's brackets are nested, by its text: regorus 0.11 reads a list in twice the time for each list that it
//! stands in (20 of them take ten seconds), and neither limits that nor counts it as steps.

/// Round, square and curly brackets around each other, a rule's own among them.
pub(super) const MAX_NESTING: usize = 8;

/// The line of the first bracket that is nested too deeply.
pub(super) fn too_deep(text: &str) -> Option<u64> {
    let (mut depth, mut line) = (0_usize, 1);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\n' => line += 1,
            '(' | '[' | '{' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Some(line);
                }
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '#' => {
                characters.by_ref().find(|next| *next == '\n');
                line += 1;
            }
            // A raw text may hold lines, and has no escapes.
            '`' => {
                line += characters.by_ref().take_while(|next| *next != '`').filter(|next| *next == '\n').count() as u64
            }
            '"' => {
                while let Some(next) = characters.next() {
                    match next {
                        '\\' => drop(characters.next()),
                        '"' => break,
                        // No text goes over its line: what follows is read as if it were none.
                        '\n' => {
                            line += 1;
                            break;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    None
}
