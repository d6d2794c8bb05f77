//! The request as it is put together: spans by resource and scope.

use super::LegacyError;
use crate::wire::{put_bytes_field, put_key, put_varint, varint_len};
use std::collections::BTreeMap;

/// A resource of [`Groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ResourceId(usize);

/// The spans of a request, encoded, by resource and scope. Beyond the limit nothing more is kept.
pub(super) struct Groups {
    limit: usize,
    /// Bytes of everything in here.
    size: usize,
    full: bool,
    /// Which resource has these bytes. A resource is looked up once, not for each span: a batch of many spans may have
    /// one that is as large as all of them.
    resources: BTreeMap<Vec<u8>, ResourceId>,
    /// The fields `spans` of each scope.
    spans: BTreeMap<(ResourceId, Vec<u8>), Vec<u8>>,
}

impl Groups {
    pub fn new(limit: usize) -> Groups {
        Groups { limit, size: 0, full: false, resources: BTreeMap::new(), spans: BTreeMap::new() }
    }

    /// The resource (a `Resource`'s bytes) of spans that are added next, of one at least.
    pub fn resource(&mut self, resource: Vec<u8>) -> ResourceId {
        let next = ResourceId(self.resources.len());
        if self.full {
            return next;
        }
        let length = resource.len();
        let id = *self.resources.entry(resource).or_insert(next);
        if id == next {
            self.grow(length);
        }
        id
    }

    /// Adds a span (a `Span`'s bytes) of a scope (an `InstrumentationScope`'s bytes).
    pub fn add(&mut self, resource: ResourceId, scope: Vec<u8>, span: &[u8]) {
        self.grow(span.len() + scope.len());
        if !self.full {
            put_bytes_field(self.spans.entry((resource, scope)).or_default(), 2, span);
        }
    }

    fn grow(&mut self, length: usize) {
        self.size = self.size.saturating_add(length);
        self.full |= self.size > self.limit;
    }

    /// Whether the limit was passed: what follows is not kept.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Says that a part was too large, and was left out.
    pub fn overflow(&mut self) {
        self.full = true;
    }

    /// The `ExportTraceServiceRequest`: resources in the order in which they came.
    pub fn into_request(self) -> Result<Vec<u8>, LegacyError> {
        let too_large = LegacyError::TooLarge { limit: self.limit };
        if self.full {
            return Err(too_large);
        }
        let mut resources: Vec<(ResourceId, Vec<u8>)> =
            self.resources.into_iter().map(|(resource, id)| (id, resource)).collect();
        resources.sort_unstable();
        let mut spans = self.spans.into_iter().peekable();
        let mut request = Vec::with_capacity(self.size);
        for (id, resource) in resources {
            let mut resource_spans = Vec::new();
            if !resource.is_empty() {
                put_bytes_field(&mut resource_spans, 1, &resource);
            }
            while let Some(((_, scope), spans)) = spans.next_if(|((of, _), _)| *of == id) {
                put_scope_spans(&mut resource_spans, &scope, &spans);
            }
            put_bytes_field(&mut request, 1, &resource_spans);
        }
        if request.len() > self.limit { Err(too_large) } else { Ok(request) }
    }
}

fn put_scope_spans(resource_spans: &mut Vec<u8>, scope: &[u8], spans: &[u8]) {
    let scope_length = if scope.is_empty() { 0 } else { 1 + varint_len(scope.len() as u64) + scope.len() };
    put_key(resource_spans, 2, 2);
    put_varint(resource_spans, (scope_length + spans.len()) as u64);
    if !scope.is_empty() {
        put_bytes_field(resource_spans, 1, scope);
    }
    resource_spans.extend_from_slice(spans);
}
