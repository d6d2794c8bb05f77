//! A small file system of its own for the data folder, which can be filled.

use crate::process;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room for some hundred ledgers of a run, and filled within milliseconds.
const SIZE: &str = "size=64m,mode=700";

/// What the ballast is written in; then single bytes, to the last one.
const CHUNK_BYTES: usize = 64 << 10;

/// A tmpfs that goes when this is dropped.
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one in a new folder. For root only.
    pub fn mount(path: &Path) -> Result<Disk> {
        fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
        process::read(Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(path))?;
        Ok(Disk { path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves no byte free.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.ballast()).context("cannot make the ballast")?;
        for length in [CHUNK_BYTES, 1] {
            // It ends where the disk does.
            while ballast.write_all(&vec![0; length]).is_ok() {}
        }
        Ok(())
    }

    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("cannot remove the ballast")
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: it goes when the last file is closed.
        if let Err(error) = process::read(Command::new("umount").arg("--lazy").arg(&self.path)) {
            eprintln!("cannot unmount {}: {error:#}", self.path.display());
        }
    }
}
