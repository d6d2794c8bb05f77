//! How long one connection may wait for its peer while it writes, and how long it may do nothing at all.
//!
//! HTTP/1.1's heads and every body have bounds of their own. What is left to a peer that wants to hold a connection is not to
//! read what it asked for, and, by HTTP/2, to ask for nothing and answer pings.

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};

/// For any byte of what waits to be written: a reader that takes none for so long is gone, or wants us to wait.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// A stream whose writes fail when nothing could be written for [`WRITE_LIMIT`].
pub(super) struct Patient<S> {
    stream: S,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> Patient<S> {
    pub(super) fn new(stream: S) -> Patient<S> {
        Patient { stream, waits: None }
    }

    fn within<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(WRITE_LIMIT)));
        waits.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.within(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.within(context, |stream, context| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.within(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.within(context, |stream, context| stream.poll_shutdown(context))
    }
}

/// How many requests of a connection are under way, from their heads to the ends of their answers.
#[derive(Clone)]
pub(super) struct Busy(Arc<watch::Sender<usize>>);

/// One of them.
pub(super) struct Request(Busy);

impl Busy {
    pub(super) fn new() -> Busy {
        Busy(Arc::new(watch::Sender::new(0)))
    }

    pub(super) fn begin(&self) -> Request {
        self.0.send_modify(|requests| *requests += 1);
        Request(self.clone())
    }

    /// Done when there was no request for so long.
    pub(super) async fn idle(&self, limit: Duration) {
        let mut requests = self.0.subscribe();
        loop {
            // It cannot end while this one is there.
            let _ = requests.wait_for(|requests| *requests == 0).await;
            if timeout(limit, requests.wait_for(|requests| *requests > 0)).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.send_modify(|requests| *requests -= 1);
    }
}

impl Request {
    /// It is under way until its answer is.
    pub(super) fn answered(self, response: Response) -> Response {
        response.map(|body| Body::new(Answer { body, _request: self }))
    }
}

struct Answer {
    body: Body,
    _request: Request,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_waited_for_so_long_and_no_longer() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut stream = Patient::new(ours);
        stream.write_all(&[0; 64]).await.unwrap();
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(WRITE_LIMIT - Duration::from_secs(1)).await;
                theirs.read_exact(&mut [0; 1]).await.unwrap();
            }
            theirs
        });
        // Slow, but it reads.
        stream.write_all(&[0; 10]).await.unwrap();
        let _theirs = slow.await.unwrap();
        let error = stream.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_between_answers_alone() {
        let (busy, limit) = (Busy::new(), Duration::from_secs(20));
        let ends_within = async |time: Duration| timeout(time, busy.idle(limit)).await.is_ok();
        assert!(!ends_within(limit - Duration::from_millis(1)).await && ends_within(limit).await);
        let (one, other) = (busy.begin(), busy.begin());
        assert!(!ends_within(10 * limit).await);
        drop(one);
        let response = other.answered(Response::new(Body::from("an answer")));
        assert!(!ends_within(10 * limit).await);
        drop(response);
        assert!(ends_within(limit).await);
    }
}
