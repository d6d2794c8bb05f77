//! OTLP/JSON to protobuf: what is written is OTLP that prost takes, is bounded by what was read, and stays the same when
//! it is written as JSON once more by opentelemetry-proto's own code.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::Signal;
use otlp::json::request_to_protobuf;
use prost::Message;
use std::fmt::Debug;

/// `0,` in a list of numbers becomes eight bytes; a list's key, name and brackets are longer than its key and length.
const MAX_GROWTH: usize = 4;

/// The target: the bytes as a request of each signal.
pub(crate) fn run(json: &[u8]) {
    check(Signal::Traces, json, |message: &ExportTraceServiceRequest| serde_json::to_vec(message));
    check(Signal::Metrics, json, |message: &ExportMetricsServiceRequest| serde_json::to_vec(message));
    check(Signal::Logs, json, |message: &ExportLogsServiceRequest| serde_json::to_vec(message));
}

fn check<M: Message + Default + PartialEq + Debug>(
    signal: Signal,
    json: &[u8],
    write: impl Fn(&M) -> serde_json::Result<Vec<u8>>,
) {
    let protobuf = match request_to_protobuf(signal, json) {
        Ok(protobuf) => protobuf,
        Err(error) => {
            // It goes to the client, and into a log.
            let length = error.to_string().len();
            assert!(length < 1_024, "the error has {length} bytes");
            return;
        }
    };
    assert!(protobuf.len() <= MAX_GROWTH * json.len(), "{} bytes of {}", protobuf.len(), json.len());
    let decoded = M::decode(&protobuf[..]).expect("what is written is OTLP");
    // Its code writes what JSON has no number for as null, which is the same as absent.
    let shown = format!("{decoded:?}");
    if shown.contains("NaN") || shown.contains("inf") {
        return;
    }
    let again = write(&decoded).expect("prost's messages are JSON");
    let again = request_to_protobuf(signal, &again).expect("what opentelemetry-proto writes is OTLP/JSON");
    assert_eq!(M::decode(&again[..]).expect("what is written is OTLP"), decoded, "through JSON once more");
}
