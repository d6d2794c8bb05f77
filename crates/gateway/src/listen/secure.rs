//! TLS at a port: handshakes within bounds, and certificates that are looked at every second.

use super::{Listener, PREFACE};
use crate::stats::{Counters, add};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tls::{AcceptError, Alpn, FileError, Look, Names, Server, ServerFiles, ServerStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, timeout_at};

/// From the accepted connection to the end of its handshake, waiting for a turn included: two round trips and 2 ms of
/// computing, even from the other side of the earth and with lost packets.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes of one pair of ports at once: at 33 KiB each (half a ClientHello of 16 KiB among them), 9 MiB; at 1.3 ms of
/// computing each (mutual, P-256), all of them take a third of a second of one core. More wait for their turn, so that
/// traffic is not held up when all clients come at once.
const MAX_HANDSHAKES: usize = 256;

/// The first byte of a TLS client: a record of the handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The TLS of one pair of ports.
pub(crate) struct Secure {
    server: Server,
    turns: Semaphore,
}

/// A connection whose handshake is over.
pub(crate) struct Opened {
    pub(crate) stream: Replayed,
    pub(crate) http2: bool,
    /// Whom the client's certificate names, if it showed one.
    pub(crate) certificate: Option<Names>,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secure").field(self.server.files()).finish()
    }
}

impl Secure {
    /// The TLS that one of these listeners has with the same files, or else a new one, whose files are looked at from now
    /// on.
    pub(crate) fn shared<'l>(
        files: &ServerFiles,
        listeners: impl Iterator<Item = &'l Listener>,
    ) -> Result<Arc<Secure>, FileError> {
        let mut open = listeners.filter_map(|listener| listener.secure.as_ref());
        if let Some(secure) = open.find(|secure| secure.files() == files) {
            return Ok(Arc::clone(secure));
        }
        let server = Server::open(files.clone())?;
        let secure = Arc::new(Secure { server, turns: Semaphore::new(MAX_HANDSHAKES) });
        tokio::spawn(renew(Arc::downgrade(&secure)));
        Ok(secure)
    }

    /// Shakes hands, and finds out which HTTP is spoken. A handshake that fails is counted, and costs nothing more.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        header_timeout: Duration,
        counters: &Counters,
    ) -> Option<Opened> {
        let peer = stream.peer_addr().ok();
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let mut first = [0];
        // Who says nothing, as health checks do, takes no turn and is no failure.
        match timeout_at(deadline, stream.peek(&mut first)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) | Err(_) => return None,
        }
        let shaken = timeout_at(deadline, self.handshake(stream, first)).await;
        let within = || AcceptError::Failed(format!("not done within {} s", HANDSHAKE_TIMEOUT.as_secs()));
        let stream = match shaken.unwrap_or_else(|_| Err(within())) {
            Ok(stream) => stream,
            Err(error) => {
                add(&counters.handshakes_failed, 1);
                tracing::debug!(?peer, %error, "TLS handshake failed");
                match error {
                    AcceptError::NotLetIn(reason) => counters.not_let_in(peer.map(|peer| peer.ip()), reason),
                    AcceptError::Failed(_) => {}
                }
                return None;
            }
        };
        tokio::time::timeout(header_timeout, Opened::find(stream)).await.ok()?.ok()
    }

    /// The files that it shows, and lets clients in by.
    pub(crate) fn files(&self) -> &ServerFiles {
        self.server.files()
    }

    async fn handshake(&self, stream: TcpStream, first: [u8; 1]) -> Result<ServerStream<TcpStream>, AcceptError> {
        if first != [HANDSHAKE_RECORD] {
            let words = format!("the client does not speak TLS: its first byte is '{}'", first.escape_ascii());
            return Err(AcceptError::Failed(words));
        }
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        self.server.accept(stream).await
    }
}

impl Opened {
    /// What was agreed on counts; where nothing was, the first bytes. HTTP/2's preface is waited for here in any case, for
    /// hyper would wait for it without a timeout.
    async fn find(mut stream: ServerStream<TcpStream>) -> io::Result<Opened> {
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let mut first = [0; PREFACE.len()];
        let mut length = 0;
        if agreed.as_deref() != Some(Alpn::Http1.name()) {
            while length < first.len() && first[..length] == PREFACE[..length] {
                match stream.read(&mut first[length..]).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => length += read,
                }
            }
        }
        let http2 = agreed.is_some_and(|agreed| agreed == Alpn::Http2.name()) || first == *PREFACE;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(Names::of);
        Ok(Opened { stream: Replayed { first, from: 0, to: length, stream }, http2, certificate })
    }
}

/// Looks at the files for as long as a port uses them. What changed is logged, with its file.
async fn renew(secure: Weak<Secure>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(secure) = secure.upgrade() else { return };
        let looked = Arc::clone(&secure);
        let look = tokio::task::spawn_blocking(move || looked.server.look()).await;
        let cert = secure.server.files().cert.display();
        match look {
            Ok(Look::Same) | Err(_) => {}
            Ok(Look::Loaded) => tracing::info!(%cert, "TLS files changed: new connections get this certificate"),
            Ok(Look::Kept(error)) => {
                tracing::warn!(%error, %cert, "TLS files cannot be used: new connections get the certificate before");
            }
        }
    }
}

/// A connection whose first bytes were read, and are read again.
pub(crate) struct Replayed {
    first: [u8; PREFACE.len()],
    from: usize,
    to: usize,
    stream: ServerStream<TcpStream>,
}

impl AsyncRead for Replayed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.from == self.to {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let some = (self.to - self.from).min(into.remaining());
        into.put_slice(&self.first[self.from..self.from + some]);
        self.from += some;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
