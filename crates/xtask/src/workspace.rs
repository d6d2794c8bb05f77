//! The workspace as `cargo metadata` describes it.

use crate::process;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::PathBuf;

/// Where things are, and the crates.
pub struct Workspace {
    /// The folder of the root Cargo.toml.
    pub root: PathBuf,
    /// Where cargo builds, `target` unless it was told otherwise.
    pub target: PathBuf,
    /// Our crates.
    pub packages: Vec<Package>,
}

/// One of our crates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The names of its normal dependencies, ours and others'; tests and build scripts may use what they like.
    pub dependencies: Vec<String>,
    /// The root files of its libraries and binaries.
    pub roots: Vec<PathBuf>,
}

impl Workspace {
    /// Asks cargo.
    pub fn load() -> Result<Workspace> {
        let text = process::read(process::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
        let metadata: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        Workspace::parse(&metadata).context("cargo metadata is not of the expected form (format version 1)")
    }

    fn parse(metadata: &Value) -> Option<Workspace> {
        Some(Workspace {
            root: metadata["workspace_root"].as_str()?.into(),
            target: metadata["target_directory"].as_str()?.into(),
            packages: metadata["packages"].as_array()?.iter().map(Package::parse).collect::<Option<_>>()?,
        })
    }
}

impl Package {
    fn parse(package: &Value) -> Option<Package> {
        let mut parsed = Package { name: package["name"].as_str()?.into(), ..Package::default() };
        for dependency in package["dependencies"].as_array()? {
            if dependency["kind"].is_null() {
                parsed.dependencies.push(dependency["name"].as_str()?.into());
            }
        }
        for target in package["targets"].as_array()? {
            if matches!(target["kind"][0].as_str()?, "lib" | "bin") {
                parsed.roots.push(target["src_path"].as_str()?.into());
            }
        }
        Some(parsed)
    }
}
