//! A connection to an endpoint, whose errors say what the other side said.

use crate::words::io_words;
use rustls::pki_types::CertificateDer;
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
pub struct ClientStream {
    stream: TlsStream<TcpStream>,
    /// What a write failed with, while what the other side said last is still to be read.
    failed: Option<io::Error>,
}

impl ClientStream {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> ClientStream {
        ClientStream { stream, failed: None }
    }

    /// The certificate that the other side showed, and that was verified.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let shown = self.stream.get_ref().1.peer_certificates()?.first()?;
        Some(shown.clone().into_owned())
    }

    /// Writes, or says why that is no longer possible.
    fn writing<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TlsStream<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let error = match self.failed.take() {
            Some(error) => error,
            None => match write(Pin::new(&mut self.stream), context) {
                Poll::Ready(Err(error)) if is_closed(&error) => error,
                Poll::Ready(written) => return Poll::Ready(written.map_err(named)),
                Poll::Pending => return Poll::Pending,
            },
        };
        // A closed socket is readable: to its end, to its error, or to the alert that came before them. Data before an
        // alert is lost, as it is for whoever stops at the failed write.
        match Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut [0; 1024])) {
            Poll::Ready(Err(said)) if is_rustls(&said) => Poll::Ready(Err(named(said))),
            Poll::Ready(_) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.failed = Some(error);
                Poll::Pending
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn is_rustls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn named(error: io::Error) -> io::Error {
    if is_rustls(&error) { io::Error::new(error.kind(), io_words(&error)) } else { error }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into).map_err(named)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
