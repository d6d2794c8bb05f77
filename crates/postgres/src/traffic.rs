//! Bytes on the wire, counted and bounded below TLS: the driver itself takes messages of any length.

use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What went over one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// From the server.
    pub received: u64,
    /// To the server.
    pub sent: u64,
}

impl Bytes {
    pub(crate) fn to_json(self) -> Value {
        json!({"received": self.received, "sent": self.sent})
    }
}

/// The counters of one connection.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
    /// What may have been received in all before the connection is given up.
    ceiling: AtomicU64,
}

impl Traffic {
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes { received: self.received.load(Ordering::Relaxed), sent: self.sent.load(Ordering::Relaxed) }
    }

    /// Whether more came than was allowed.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.received.load(Ordering::Relaxed) > self.ceiling.load(Ordering::Relaxed)
    }

    /// So many bytes may come from now on.
    pub(crate) fn allow(&self, bytes: u64) {
        let received = self.received.load(Ordering::Relaxed);
        self.ceiling.store(received.saturating_add(bytes), Ordering::Relaxed);
    }
}

/// A socket.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A socket whose bytes are counted.
pub(crate) struct Counted {
    pub(crate) socket: Box<dyn Socket>,
    pub(crate) traffic: Arc<Traffic>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, into);
        let new = (into.filled().len() - before) as u64;
        let all = self.traffic.received.fetch_add(new, Ordering::Relaxed) + new;
        if all > self.traffic.ceiling.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::other("more bytes came than may come")));
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            self.traffic.sent.fetch_add(*written as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
