//! What a resource is known by: its attributes, in whatever order they were written.

use crate::wire::{Fields, Malformed, Value};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// A hash of the resource of a `ResourceMetrics` or `ResourceLogs`: the sum of its attributes' hashes, so that their order
/// does not matter. The same attributes encoded by two SDKs give the same hash. It is not keyed: what it is compared
/// with, or hashed by, is the caller's.
///
/// Fails if the framing of the envelope is broken. A resource that is broken inside counts as one without attributes: it
/// is passed on as it is.
pub(crate) fn resource_id(mut envelope: Fields<'_>) -> Result<[u8; 16], Malformed> {
    let mut sum = 0u128;
    while let Some(field) = envelope.read()? {
        if let (1, Some(resource)) = (field.number, field.fields()) {
            sum = sum.wrapping_add(attributes_sum(resource).unwrap_or_default());
        }
    }
    Ok(sum.to_be_bytes())
}

fn attributes_sum(mut resource: Fields<'_>) -> Result<u128, Malformed> {
    let mut sum = 0u128;
    while let Some(attribute) = resource.read()? {
        if let (1, Value::Bytes(key_value)) = (attribute.number, attribute.value) {
            let mut hasher = SipHasher13::new();
            hasher.write(key_value);
            sum = sum.wrapping_add(hasher.finish128().as_u128());
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    fn id(attributes: &[(&str, &str)], schema: &str) -> [u8; 16] {
        let attribute = |(key, value): &(&str, &str)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue { value: Some(Any::StringValue((*value).to_owned())) }),
            ..KeyValue::default()
        };
        let attributes = attributes.iter().map(attribute).collect();
        let metrics = ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            schema_url: schema.to_owned(),
            ..ResourceMetrics::default()
        };
        resource_id(Fields::of(&metrics.encode_to_vec())).unwrap()
    }

    #[test]
    fn the_order_of_attributes_does_not_matter_and_nothing_else_than_them() {
        let one = id(&[("service.name", "shop"), ("host.name", "a")], "");
        assert_eq!(one, id(&[("host.name", "a"), ("service.name", "shop")], "https://schema"));
        assert_ne!(one, id(&[("service.name", "shop"), ("host.name", "b")], ""));
        assert_ne!(one, id(&[("service.name", "shop")], ""));
    }
}
