//! `verdigris completions` and `verdigris man`: from the same definitions as the command line itself, so that they never
//! say something else.

use crate::cli::{Cli, Man, Shell};
use crate::describe::{Exit, Failed, say, say_as_is};
use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::{generate, shells};
use std::fs;
use std::path::Path;

const NAME: &str = "verdigris";

/// Prints the completions.
pub fn run(shell: Shell) -> Result<Exit, Failed> {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, NAME, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, NAME, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, NAME, &mut script),
    }
    say_as_is(String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// Writes the pages.
pub fn man(command: &Man) -> Result<Exit, Failed> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut written = 0;
    pages(&command.folder, &root, NAME, &mut written)?;
    say(format_args!("{written} pages in {}", command.folder.display()));
    Ok(Exit::Done)
}

/// `verdigris-rollout-start.1`, as git and cargo name theirs. As deep as the commands are.
fn pages(folder: &Path, command: &Command, name: &str, written: &mut usize) -> Result<(), Failed> {
    let mut page = Vec::new();
    let named: &'static str = Box::leak(name.to_owned().into_boxed_str());
    clap_mangen::Man::new(command.clone().name(named)).render(&mut page)?;
    let path = folder.join(format!("{name}.1"));
    fs::write(&path, page).with_context(|| format!("{}: cannot be written", path.display()))?;
    *written += 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(folder, below, &format!("{name}-{}", below.get_name()), written)?;
    }
    Ok(())
}
