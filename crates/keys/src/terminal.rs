//! Asks whoever sits at the terminal, and shows nothing of what is typed.

use crate::MAX_SECRET_BYTES;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use zeroize::Zeroizing;

/// Standard input may be a pipe, and standard output a file: the terminal itself is asked.
const TERMINAL: &str = "/dev/tty";

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];
const CLEAR: u8 = 0x15;

/// Why nothing was typed.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// There is none.
    #[error("there is no terminal: name a file instead")]
    None(#[source] io::Error),
    /// It failed.
    #[error("the terminal failed")]
    Failed(#[from] io::Error),
    /// Whoever sits there did not want to.
    #[error("cancelled")]
    Cancelled,
    /// It never ended.
    #[error("more than {MAX_SECRET_BYTES} bytes were typed")]
    TooLong,
}

/// Puts the terminal back as it was.
struct Quiet<'terminal> {
    terminal: &'terminal File,
    before: Termios,
}

impl Quiet<'_> {
    fn make(terminal: &File) -> io::Result<Quiet<'_>> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        // Without signals, so that an interrupt does not leave a terminal behind that shows nothing.
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Now, &quiet)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
        let _ = (&mut &*self.terminal).write_all(b"\n");
    }
}

/// What is typed up to the end of the line, without it.
pub(crate) fn ask(question: &str) -> Result<Zeroizing<Vec<u8>>, TerminalError> {
    let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL).map_err(TerminalError::None)?;
    (&mut &terminal).write_all(question.as_bytes())?;
    let _quiet = Quiet::make(&terminal)?;
    read_line(&mut &terminal)
}

/// Reads key by key, as the terminal would line by line.
fn read_line(terminal: &mut impl Read) -> Result<Zeroizing<Vec<u8>>, TerminalError> {
    // It never grows, so no copy of it stays behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
    let mut key = Zeroizing::new([0]);
    loop {
        match terminal.read(&mut *key) {
            Ok(0) => return Err(TerminalError::Cancelled),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        match key[0] {
            b'\n' | b'\r' => return Ok(line),
            END if !line.is_empty() => return Ok(line),
            END | INTERRUPT => return Err(TerminalError::Cancelled),
            CLEAR => line.clear(),
            key if BACKSPACE.contains(&key) => {
                // A letter can have several bytes (UTF-8), the first of which is no continuation.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            _ if line.len() == MAX_SECRET_BYTES => return Err(TerminalError::TooLong),
            key => line.push(key),
        }
    }
}

#[cfg(test)]
mod tests;
