//! `cargo xtask check`: reads manifests and sources and holds the rules against them. The rules themselves are pure
//! functions in [`rules`].

mod rules;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use rules::Violation;
use std::fs;
use std::path::{Path, PathBuf};

/// Prints every violation, and fails when there is one.
pub fn run(workspace: &Workspace) -> Result<()> {
    let violations = violations(workspace)?;
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("check: {} crates keep the workspace's rules", workspace.packages.len());
            Ok(())
        }
        count => bail!("check: {count} {}", if count == 1 { "rule is broken" } else { "rules are broken" }),
    }
}

fn violations(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = rules::dependencies(&workspace.packages);
    for root in workspace.packages.iter().flat_map(|package| &package.roots) {
        violations.extend(rules::header(&within(workspace, root), &read(root)?));
    }
    for file in rust_files(&workspace.root.join("crates"))? {
        violations.extend(rules::source(&within(workspace, &file), &read(&file)?));
    }
    violations.extend(rules::reasons(&read(&workspace.root.join("Cargo.toml"))?));
    violations.extend(rules::documents(|name| workspace.root.join(name).is_file()));
    Ok(violations)
}

/// The file's path as a person would write it.
fn within(workspace: &Workspace, file: &Path) -> String {
    file.strip_prefix(&workspace.root).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Every `*.rs` below a folder, in the order of their paths. It does not follow links, so it ends.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "rs") {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
