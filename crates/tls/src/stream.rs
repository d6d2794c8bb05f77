//! A connection to an endpoint, whose errors say what the other side said.

use crate::words::io_words;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection to an endpoint.
///
/// In TLS 1.3 the handshake is over for a client before the server has looked at its certificate. So the refusal comes
/// while HTTP is written already, and whoever only writes sees a broken pipe. Here a failed write looks for what the other
/// side said last.
#[derive(Debug)]
pub struct ClientStream(pub(crate) TlsStream<TcpStream>);

impl ClientStream {
    fn why(&mut self, context: &mut Context<'_>, error: io::Error) -> io::Error {
        // What follows an alert is not read, and what is read before one is lost with the connection.
        let mut room = [0; 1024];
        match Pin::new(&mut self.0).poll_read(context, &mut ReadBuf::new(&mut room)) {
            Poll::Ready(Err(said)) if said.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => named(said),
            Poll::Ready(_) | Poll::Pending => named(error),
        }
    }
}

fn named(error: io::Error) -> io::Error {
    match error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        true => io::Error::new(error.kind(), io_words(&error)),
        false => error,
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into).map_err(named)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(context, bytes);
        written.map_err(|error| self.why(context, error))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write_vectored(context, slices);
        written.map_err(|error| self.why(context, error))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.0).poll_flush(context);
        flushed.map_err(|error| self.why(context, error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
