//! The words of a notification: text with a few placeholders, checked before anything is sent.

use crate::Notice;
use crate::payload::rfc3339;

/// A template is a few lines.
pub const MAX_TEMPLATE_BYTES: usize = 2_048;

/// What can stand in braces.
const PLACEHOLDERS: [&str; 6] = ["rollout", "event", "headline", "cause", "link", "time"];

/// A template that can be filled in for every notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(&'static str),
}

/// A template that cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nobody knows what should stand there.
    #[error("character {at}: found {{{found}}}, expected one of {}", known())]
    Unknown {
        /// Where the brace opens, from 1.
        at: usize,
        /// The beginning of what stands in braces.
        found: String,
    },
    /// A brace that nothing closes, or opens.
    #[error("character {at}: found a single {brace}, expected a placeholder, or {brace}{brace} for the brace itself")]
    Brace {
        /// Where it stands, from 1.
        at: usize,
        /// Which.
        brace: char,
    },
    /// Longer than anybody reads.
    #[error("found {bytes} bytes, expected 1 to {MAX_TEMPLATE_BYTES}")]
    Length {
        /// How long it is.
        bytes: usize,
    },
}

fn known() -> String {
    PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ")
}

impl Default for Template {
    fn default() -> Template {
        Template::parse("{headline}\n{cause}\n{link}").expect("its placeholders are known")
    }
}

impl Template {
    /// Reads one: `{headline}`, `{{` and `}}` for braces.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        if text.trim().is_empty() || text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::Length { bytes: text.len() });
        }
        let characters: Vec<char> = text.chars().collect();
        let (mut parts, mut literal, mut index) = (Vec::new(), String::new(), 0);
        while let Some(character) = characters.get(index) {
            let doubled = characters.get(index + 1) == Some(character);
            match character {
                '{' | '}' if doubled => {
                    literal.push(*character);
                    index += 2;
                }
                '}' => return Err(TemplateError::Brace { at: index + 1, brace: '}' }),
                '{' => {
                    let end = characters[index..].iter().position(|it| *it == '}');
                    let end = index + end.ok_or(TemplateError::Brace { at: index + 1, brace: '{' })?;
                    let found: String = characters[index + 1..end].iter().collect();
                    let name = PLACEHOLDERS.into_iter().find(|name| *name == found).ok_or_else(|| {
                        TemplateError::Unknown { at: index + 1, found: found.chars().take(32).collect() }
                    })?;
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                    parts.push(Part::Placeholder(name));
                    index = end + 1;
                }
                other => {
                    literal.push(*other);
                    index += 1;
                }
            }
        }
        parts.push(Part::Text(literal));
        Ok(Template(parts))
    }

    /// Filled in. Lines of which only what is not there would be left are left out.
    pub fn fill(&self, notice: &Notice, link: Option<&str>) -> String {
        let text: String = self
            .0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Placeholder(name) => value(name, notice, link),
            })
            .collect();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines.join("\n")
    }
}

fn value(name: &str, notice: &Notice, link: Option<&str>) -> String {
    let rollout = notice.rollout.as_ref().map_or("the server", |id| &id.0);
    match name {
        "rollout" => rollout.to_owned(),
        "event" => notice.event.name().to_owned(),
        "headline" => notice.headline.clone(),
        "cause" => notice.cause.clone().unwrap_or_default(),
        "link" => link.unwrap_or_default().to_owned(),
        "time" => rfc3339(notice.at),
        other => unreachable!("{other} is in the list of placeholders, and must be filled in here"),
    }
}
