//! What goes out compressed, and that a body which came in the right form is not compressed again.

use crate::upstream::Upstream;
use crate::*;
use gateway::Outcome;
use model::Compression;
use otlp::compression::{compress, gzip};

fn asking(mut table: RouteTable, blue: Compression, green: Compression) -> RouteTable {
    let asked = PerEnvironment { blue, green };
    for environment in Environment::BOTH {
        if let Some(upstream) = &mut table.upstreams[environment] {
            upstream.transport.compression = asked[environment];
        }
    }
    table
}

#[tokio::test]
async fn each_environment_gets_the_compression_that_it_asks_for() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for compression in Compression::ALL {
            let blue = Upstream::start(protocol).await;
            let table = asking(table(&blue, None, 0), compression, Compression::None);
            let fixture = Fixture::start(table).await;
            // The second one is compressed beside the runtime's threads, the third is empty.
            let large = request((0..2_000).map(|span| (1, span)));
            assert!(large.len() > 64 << 10);
            for message in [request([(1, 2)]), large, Bytes::new()] {
                let outcome = fixture.client(protocol).export(Signal::Traces, message.clone()).await;
                assert_eq!(outcome, Outcome::TAKEN);
                assert_eq!(blue.messages().last(), Some(&message));
                let expected = (compression, Bytes::from(compress(compression, &message)));
                assert_eq!(blue.packed().last(), Some(&expected), "{protocol:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_came_in_the_right_form_goes_on_as_it_is() {
    let message = request([(1, 2)]);
    // Not what our own compressor makes of it.
    let theirs = Bytes::from([gzip(&message[..10]), gzip(&message[10..])].concat());
    for (to, from) in [(Protocol::Grpc, GRPC), (Protocol::Grpc, PROTOBUF), (Protocol::Http, GRPC)] {
        let blue = Upstream::start(to).await;
        let fixture = Fixture::start(asking(table(&blue, None, 0), Compression::Gzip, Compression::None)).await;
        let got = match from {
            GRPC => post_traces(&fixture, &[GRPC, ("grpc-encoding", "gzip")], framed(true, &theirs)).await,
            _ => post_traces(&fixture, &[from, GZIP], theirs.clone()).await,
        };
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(blue.packed(), [(Compression::Gzip, theirs.clone())]);
        assert_eq!(blue.messages().last(), Some(&message));
        // In another form, it is not.
        let got = post_traces(&fixture, &[PROTOBUF, ZSTD], compress(Compression::Zstd, &message)).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(blue.packed().last(), Some(&(Compression::Gzip, gzip(&message).into())));
    }
}

#[tokio::test]
async fn parts_and_copies_are_compressed_for_whom_they_go_to() {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Http).await);
    let table = asking(table(&blue, Some(&green), 5_000), Compression::None, Compression::Zstd);
    let (below, above) = traces_below(5_000, 1);
    let message = request([(below[0], 1), (above[0], 2)]);
    let mirrored = RouteTable { weight: BasisPoints::ZERO, mirror: true, ..table.clone() };
    let fixture = Fixture::start(table).await;
    let got = post_traces(&fixture, &[PROTOBUF, GZIP], gzip(&message)).await;
    assert_eq!(got.status, 200, "{got:?}");
    let forms = |upstream: &Upstream| upstream.packed().iter().map(|(form, _)| *form).collect::<Vec<_>>();
    assert_eq!((forms(&blue), forms(&green)), (vec![Compression::None], vec![Compression::Zstd]));
    assert_eq!(spans_of(&green.messages()).into_keys().collect::<Vec<_>>(), [(trace_id(below[0]), 1)]);

    let fixture = Fixture::start(mirrored).await;
    let packed = compress(Compression::Zstd, &message);
    let got = post_traces(&fixture, &[PROTOBUF, ZSTD], packed.clone()).await;
    assert_eq!(got.status, 200, "{got:?}");
    green.arrived(2).await;
    assert_eq!(blue.packed().last(), Some(&(Compression::None, message)));
    assert_eq!(green.packed().last(), Some(&(Compression::Zstd, packed.into())), "the copy as it came");
}
