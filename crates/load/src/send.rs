//! One target: its connections, and requests over them. A request is sent once; only one that a connection gave back
//! unsent goes over another.

mod endpoint;
mod link;
mod stream;

#[cfg(test)]
pub(crate) use endpoint::Dial;
pub(crate) use endpoint::Endpoint;
pub(crate) use link::{Http2Link, Link};

use crate::source::Request;
use crate::targets::Checked;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use http_body_util::Full;
use model::{Compression, Protocol};
use otlp::compression::compress;
use otlp::grpc::{PREFIX_LEN, prefix};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// How requests to a target look.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) protocol: Protocol,
    compression: Compression,
    endpoint: Endpoint,
    headers: HeaderMap,
}

impl Form {
    pub(crate) fn new(checked: &Checked) -> Form {
        let Checked { target, endpoint, headers } = checked;
        let mut headers = headers.clone();
        let (media_type, encoding) = match target.protocol {
            Protocol::Grpc => ("application/grpc", GRPC_ENCODING),
            Protocol::Http => ("application/x-protobuf", CONTENT_ENCODING),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let compression = target.transport.compression;
        if !compression.is_none() {
            headers.insert(encoding, HeaderValue::from_static(compression.encoding()));
        }
        match target.protocol {
            Protocol::Grpc => headers.insert(TE, HeaderValue::from_static("trailers")),
            Protocol::Http => headers.insert(HOST, endpoint.authority.clone()),
        };
        Form { protocol: target.protocol, compression, endpoint: endpoint.clone(), headers }
    }

    /// The bytes of the body, which are made before it is due. Without compression nothing is copied.
    pub(crate) fn body(&self, framed: &Bytes) -> Bytes {
        match (self.protocol, self.compression) {
            (Protocol::Grpc, Compression::None) => framed.clone(),
            (Protocol::Http, Compression::None) => framed.slice(PREFIX_LEN..),
            (Protocol::Http, compression) => compress(compression, &framed[PREFIX_LEN..]).into(),
            (Protocol::Grpc, compression) => {
                let message = compress(compression, &framed[PREFIX_LEN..]);
                let length = u32::try_from(message.len()).expect("a body is far below 4 GiB");
                [&prefix(true, length)[..], &message].concat().into()
            }
        }
    }

    /// Whether another form's bodies are the same.
    pub(crate) fn has_bodies_of(&self, other: &Form) -> bool {
        self.protocol == other.protocol && self.compression == other.compression
    }

    pub(crate) fn request(&self, request: &Request, body: Bytes) -> http::Request<Full<Bytes>> {
        let mut made = http::Request::new(Full::new(body));
        *made.method_mut() = Method::POST;
        *made.headers_mut() = self.headers.clone();
        match self.protocol {
            Protocol::Grpc => {
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(self.endpoint.scheme());
                parts.authority = Some(self.endpoint.uri_authority.clone());
                parts.path_and_query = Some(PathAndQuery::from_static(request.signal.grpc_path()));
                *made.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are a URL");
                *made.version_mut() = Version::HTTP_2;
            }
            Protocol::Http => *made.uri_mut() = Uri::from_static(request.signal.http_path()),
        }
        made
    }
}
