//! Writes a small ledger for tests of programs that are not ours to read: `cargo run -p store --example fixture -- DIR`.
//!
//! 600 entries, so that there are full tiles and partial ones, of three levels of the tree. The key is for tests alone. Beside
//! the ledger stand its verifier key, and its checkpoint over the first 300 entries.

use ledger::{KeyName, SignerKey};
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use store::Store;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("expected a folder")?);
    fs::create_dir_all(&dir)?;
    let key = SignerKey::new(KeyName::new("verdigris.example/test")?, &[7; 32]);
    fs::write(dir.join("key.pub"), key.verifier().to_string())?;
    let mut store = Store::create(&dir.join("ledger"), key)?;
    let entry = |index: u64| format!("{{\"index\":{index},\"name\":\"é\"}}").into_bytes();
    store.append(&(0..300).map(entry).collect::<Vec<_>>())?;
    fs::write(dir.join("checkpoint-300"), store.checkpoint())?;
    store.append(&(300..600).map(entry).collect::<Vec<_>>())?;
    store.close()?;
    Ok(())
}
