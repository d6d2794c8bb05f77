//! Bodies that are sent: the client's own bytes with a prefix before and trailers behind, and nothing copied.

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A prefix, a message and trailers, each sent as its own frame; empty ones are not sent.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    prefix: Bytes,
    message: Bytes,
    trailers: Option<HeaderMap>,
}

impl Frames {
    /// A body of HTTP.
    pub(crate) fn plain(message: Bytes) -> Frames {
        Frames { message, ..Frames::default() }
    }

    /// The one message of a unary gRPC call.
    pub(crate) fn grpc(compressed: bool, message: Bytes) -> Frames {
        let length = u32::try_from(message.len()).expect("a message is below max_message_bytes, which is below 4 GiB");
        Frames { prefix: Bytes::copy_from_slice(&otlp::grpc::prefix(compressed, length)), message, trailers: None }
    }

    /// The one message of a unary gRPC response.
    pub(crate) fn grpc_response(message: Bytes, trailers: HeaderMap) -> Frames {
        Frames { trailers: Some(trailers), ..Frames::grpc(false, message) }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        for data in [&mut this.prefix, &mut this.message] {
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(data)))));
            }
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_empty() && self.message.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.prefix.len() + self.message.len()) as u64)
    }
}
