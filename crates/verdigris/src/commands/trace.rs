//! `verdigris trace …`: needs no server.

mod decode;
mod evidence;
mod kept;
mod read;
mod told;
mod tree;

use crate::cli::{Diff, Format, Look, Trace};
use crate::describe::{Exit, Failed, say, say_as_is};
use model::TraceId;
use read::Contents;
use std::path::Path;
use told::Told;

/// Runs it.
pub fn run(command: Trace, format: Format) -> Result<Exit, Failed> {
    match command {
        Trace::Diff(command) => diff(&command, format),
        Trace::Show(command) => kept::show(&command, format),
    }
}

fn diff(command: &Diff, format: Format) -> Result<Exit, Failed> {
    if command.trace.len() > 2 {
        return Err(Failed::usage(
            "--trace: given more than twice; expected one id, or one for A and one for B".to_owned(),
        ));
    }
    let told = match &command.b {
        None => of_evidence(&command.a)?,
        Some(b) => vec![of_two(&command.a, b, &command.trace)?],
    };
    tell(&told, command.look, format);
    // As diff(1) has it. Nothing else ends with this code here: what cannot be read is wrong usage.
    Ok(if told.iter().all(Told::is_equal) { Exit::Done } else { Exit::Other })
}

fn tell(told: &[Told], look: Look, format: Format) {
    match format {
        Format::Json => say(told::json(told)),
        Format::Text => say_as_is(tree::render(told, tree::Style::choose(look))),
    }
}

fn of_evidence(path: &Path) -> Result<Vec<Told>, Failed> {
    let file = read::file(path)?;
    match file.contents {
        Contents::Evidence(examples) => evidence::told(examples).map_err(|error| file.name.refused(error)),
        Contents::Spans(_) => Err(file.name.refused("a trace alone; name the trace that it is compared with")),
    }
}

fn of_two(a: &Path, b: &Path, traces: &[TraceId]) -> Result<Told, Failed> {
    if [a, b] == [Path::new("-"); 2] {
        return Err(Failed::usage("both sides are standard input; expected a file for one of them".to_owned()));
    }
    let (a, b) = (read::spans(a)?, read::spans(b)?);
    let (id_a, id_b) = match traces {
        [] => read::choose(&a, &b)?,
        [id] => (*id, *id),
        [id_a, id_b, ..] => (*id_a, *id_b),
    };
    Ok(Told::of_two((a.name.to_string(), id_a, a.side(id_a)?), (b.name.to_string(), id_b, b.side(id_b)?)))
}
