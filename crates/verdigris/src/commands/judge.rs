//! `verdigris judge …`: needs no server.

mod replay;
mod simulate;

use crate::cli::{Format, Judge};
use crate::describe::{Exit, Failed};

/// Runs it.
pub fn run(command: Judge, format: Format) -> Result<Exit, Failed> {
    match command {
        Judge::Simulate(command) => simulate::run(&command, format),
        Judge::Replay(command) => replay::run(&command, format),
    }
}
