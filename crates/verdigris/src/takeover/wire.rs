//! Messages between two servers: a length of four bytes (little-endian), JSON, and file descriptors beside it.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// The version of these messages.
pub const PROTOCOL: u32 = 1;

/// File descriptors of one message at most, by the kernel (SCM_MAX_FD): the API's socket, and the ports of 125 taps.
pub const MAX_DESCRIPTORS: usize = 253;

/// A socket takes some 100 bytes.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

const READ_BYTES: usize = 4 << 10;

/// What the new process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromNew {
    /// It wants to take over.
    Hello {
        /// The version of the messages that it speaks.
        protocol: u32,
        /// Its version.
        program: String,
    },
    /// It has all that it needs but the ledger.
    Release {
        /// Whether it answers on the API's socket that it was passed.
        keeps_api: bool,
    },
    /// It serves.
    Accepting,
}

/// What the old process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromOld {
    /// Its sockets are beside this: the API's, then these.
    Sockets {
        /// Its version.
        program: String,
        /// Where its API's socket is.
        api: PathBuf,
        /// The ports.
        ports: Vec<PassedPort>,
    },
    /// Its ledger is closed.
    Released {
        /// Whether a file with its pins is beside this.
        pins: bool,
    },
    /// It accepts nothing more.
    Leaving,
    /// It has finished everything.
    Gone,
    /// It goes on, and the new process must not.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A port among the file descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub struct PassedPort {
    /// As [`gateway::PortRole::name`] has it.
    pub name: String,
    /// As [`gateway::Socket::fixed`].
    pub fixed: bool,
}

/// Why nothing was heard.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side has closed the connection.
    #[error("the other process ended")]
    Ended,
    /// Nothing came in time.
    #[error("the other process said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no message of ours.
    #[error("the other process said something that this version does not know: {0}")]
    Message(String),
}

/// A connection between two servers.
pub struct Wire {
    stream: UnixStream,
    read: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Wire {
    /// Over a connection whose other end may be trusted.
    pub fn new(stream: UnixStream) -> Wire {
        Wire { stream, read: Vec::new(), descriptors: Vec::new() }
    }

    /// The process at the other end, if the kernel says which.
    pub fn peer(&self) -> Option<u32> {
        let id = self.stream.peer_cred().ok()?.pid()?;
        u32::try_from(id).ok()
    }

    /// Sends a message with these file descriptors, which stay open here.
    pub async fn send(&mut self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> Result<(), WireError> {
        let json = serde_json::to_vec(message).map_err(|error| WireError::Message(error.to_string()))?;
        if json.len() > MAX_MESSAGE_BYTES || descriptors.len() > MAX_DESCRIPTORS {
            let found = format!("{} bytes and {} file descriptors", json.len(), descriptors.len());
            return Err(WireError::Message(format!("{found} are more than a message can have")));
        }
        let length = u32::try_from(json.len()).expect("it is at most 64 KiB");
        let bytes = [&length.to_le_bytes()[..], &json].concat();
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                let pushed = beside.push(SendAncillaryMessage::ScmRights(descriptors));
                assert!(pushed, "there is room for as many as there can be");
            }
            let sent = sendmsg(&self.stream, &[IoSlice::new(&bytes)], &mut beside, SendFlags::NOSIGNAL);
            sent.map_err(io::Error::from)
        };
        let sent = self.stream.async_io(Interest::WRITABLE, send).await?;
        // The descriptors went with the first byte.
        Ok(self.stream.write_all(&bytes[sent..]).await?)
    }

    /// The next message, with the file descriptors beside it.
    pub async fn receive<T: DeserializeOwned>(&mut self, limit: Duration) -> Result<(T, Vec<OwnedFd>), WireError> {
        let received = tokio::time::timeout(limit, self.next()).await;
        let json = received.map_err(|_| WireError::Silent(limit))??;
        let message = serde_json::from_slice(&json).map_err(|error| WireError::Message(error.to_string()))?;
        Ok((message, std::mem::take(&mut self.descriptors)))
    }

    async fn next(&mut self) -> Result<Vec<u8>, WireError> {
        loop {
            if let Some((length, rest)) = self.read.split_first_chunk() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > MAX_MESSAGE_BYTES {
                    return Err(WireError::Message(format!("a message of {length} bytes")));
                }
                if let Some(json) = rest.get(..length) {
                    let json = json.to_vec();
                    self.read.drain(..size_of::<u32>() + length);
                    return Ok(json);
                }
            }
            let read = self.stream.async_io(Interest::READABLE, || read(self.stream.as_fd())).await?;
            let (bytes, descriptors) = read;
            if bytes.is_empty() {
                return Err(WireError::Ended);
            }
            self.read.extend(bytes);
            self.descriptors.extend(descriptors);
            if self.descriptors.len() > MAX_DESCRIPTORS {
                return Err(WireError::Message("more file descriptors than a message can have".to_owned()));
            }
        }
    }
}

fn read(stream: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; READ_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    if received.flags.contains(ReturnFlags::CTRUNC) {
        // Out of file descriptors, as a rule.
        return Err(Errno::MFILE.into());
    }
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    bytes.truncate(received.bytes);
    Ok((bytes, descriptors))
}

#[cfg(test)]
mod tests;
