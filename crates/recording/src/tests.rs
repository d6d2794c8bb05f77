use crate::format::HEAD_LEN;
use crate::*;
use model::{Protocol, UnixMillis};
use otlp::Signal;
use proptest::prelude::*;

const FREE: Bounds = Bounds { max_bytes: u64::MAX, max_ms: u64::MAX };

fn header(bounds: Bounds) -> Header {
    Header { started: UnixMillis(1_790_000_000_000), redaction: Some([7; 32]), bounds }
}

fn frame(offset_us: u64, body: &[u8]) -> Frame {
    let (signal, protocol, attempt) = (Signal::Traces, Protocol::Grpc, Attempt::First);
    Frame { offset_us, signal, protocol, attempt, body: body.to_vec() }
}

/// A body that no compression makes smaller, in its own second.
fn noise(seed: u64) -> Frame {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    frame(seed * 1_000_000, &std::iter::repeat_with(next).take(1_000).collect::<Vec<u8>>())
}

fn written(frames: &[Frame], bounds: Bounds) -> (Vec<u8>, Totals) {
    let mut writer = Writer::new(Vec::new(), header(bounds)).unwrap();
    for frame in frames {
        writer.push(frame).unwrap();
    }
    writer.finish().unwrap()
}

/// The frames up to where it ends, and why it ends there; `Ok` if it is whole.
fn read(bytes: &[u8]) -> (Vec<Frame>, Result<Totals, ReadError>) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut frames = Vec::new();
    for next in reader.by_ref() {
        match next {
            Ok(frame) => frames.push(frame),
            Err(error) => return (frames, Err(error)),
        }
    }
    (frames, Ok(reader.totals().expect("nothing follows a whole recording or an error alone")))
}

fn check(frames: &[Frame], bounds: Bounds, dropped: u64) {
    let (bytes, totals) = written(frames, bounds);
    assert!(bytes.len() as u64 <= bounds.max_bytes, "{} bytes", bytes.len());
    let kept = frames.len() - dropped as usize;
    let (found, end) = read(&bytes);
    assert_eq!(end.unwrap(), totals);
    assert_eq!((totals.frames, totals.dropped_frames), (kept as u64, dropped));
    assert_eq!(found, frames[..kept]);
}

#[test]
fn golden_bytes() {
    let frames = [
        frame(0, b"first"),
        Frame { signal: Signal::Logs, protocol: Protocol::Http, attempt: Attempt::Again, ..frame(1_500, b"second") },
        // It came before the other, on another connection.
        Frame { signal: Signal::Metrics, attempt: Attempt::Unknown, ..frame(1_400, b"") },
    ];
    let (bytes, _) = written(&frames, Bounds { max_bytes: 1 << 20, max_ms: 60_000 });
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "7664677265630001006c50c4a0010000", // vdgrec, version 1, when it began
        "01",
        "0707070707070707070707070707070707070707070707070707070707070707",
        "000010000000000060ea000000000000", // its bounds
    ];
    assert_eq!(&hex[..2 * HEAD_LEN], expected.concat());
    // zstd stores what is too short to compress as it is: the frames can be seen.
    let block = "0008056669727374b81716067365636f6e64c7010100";
    assert!(hex.contains(block), "{hex}");
    let end = ["02", "0300000000000000", "0b00000000000000", "dc05000000000000", &"00".repeat(16)].concat();
    assert!(hex[..hex.len() - 64].ends_with(&end), "{hex}");
    check(&frames, Bounds { max_bytes: 1 << 20, max_ms: 60_000 }, 0);
}

#[test]
fn what_is_beyond_the_bounds_is_dropped_and_counted() {
    let frames: Vec<Frame> = (0..100).map(noise).collect();
    check(&frames, FREE, 0);
    check(&frames, Bounds { max_bytes: u64::MAX, max_ms: 49_000 }, 50);
    check(&frames, Bounds { max_bytes: 50_000, max_ms: u64::MAX }, 51);
    check(&frames, Bounds { max_bytes: 200, max_ms: u64::MAX }, 100);
    let mut writer = Writer::new(Vec::new(), header(FREE)).unwrap();
    let large = frame(0, &vec![0; MAX_BODY_BYTES + 1]);
    assert_eq!(writer.push(&large).unwrap(), Pushed::Dropped(Bound::Body));
}

#[test]
fn a_recording_that_was_cut_off_is_read_up_to_there_and_told_apart() {
    let frames: Vec<Frame> = (0..2_000).map(|n| frame(n, &n.to_le_bytes().repeat(50))).collect();
    let (whole, _) = written(&frames, FREE);
    assert_eq!(read(&whole).0.len(), 2_000);
    for length in (HEAD_LEN..whole.len()).step_by(whole.len() / 97) {
        let (found, end) = read(&whole[..length]);
        assert_eq!(found[..], frames[..found.len()]);
        assert!(matches!(end, Err(ReadError::CutOff { frames }) if frames == found.len() as u64), "{length}: {end:?}");
    }
    let (_, end) = read(&[&whole[..], b"x"].concat());
    assert!(matches!(end, Err(ReadError::Damaged { frames: 2_000, .. })), "{end:?}");
}

#[test]
fn a_changed_byte_is_found() {
    let frames: Vec<Frame> = (0..20).map(|n| frame(n, b"a body that is the same each time")).collect();
    let (whole, _) = written(&frames, FREE);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let (_, end) = read(&changed);
        assert!(end.is_err(), "byte {at}");
    }
}

#[test]
fn what_is_flushed_survives_the_writer() {
    let mut writer = Writer::new(Vec::new(), header(FREE)).unwrap();
    writer.push(&frame(1, b"kept")).unwrap();
    writer.flush().unwrap();
    writer.push(&frame(2, b"lost")).unwrap();
    let bytes = {
        let mut bytes = Vec::new();
        let mut tee = Writer::new(&mut bytes, header(FREE)).unwrap();
        tee.push(&frame(1, b"kept")).unwrap();
        tee.flush().unwrap();
        tee.push(&frame(2, b"lost")).unwrap();
        drop(tee);
        bytes
    };
    let (found, end) = read(&bytes);
    assert_eq!(found, [frame(1, b"kept")]);
    assert!(matches!(end, Err(ReadError::CutOff { frames: 1 })), "{end:?}");
}

#[test]
fn who_records_cannot_read_and_who_has_the_identity_can() {
    let identity = age::x25519::Identity::generate();
    let text = format!("# created: today\n{}\n", age::secrecy::ExposeSecret::expose_secret(&identity.to_string()));
    let frames: Vec<Frame> = (0..500).map(noise).collect();
    let sealed = seal(&identity.to_public().to_string(), Vec::new()).unwrap();
    let mut writer = Writer::new(sealed, header(FREE)).unwrap();
    for frame in &frames {
        writer.push(frame).unwrap();
    }
    let file = writer.finish().unwrap().0.finish().unwrap();
    assert!(!file.windows(6).any(|bytes| bytes == b"vdgrec"));
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut open(&text, &file[..]).unwrap(), &mut plain).unwrap();
    assert_eq!(read(&plain).0, frames);

    let mut cut = Reader::new(open(&text, &file[..file.len() - 20]).unwrap()).unwrap();
    let found: Vec<_> = cut.by_ref().collect();
    assert!(found.len() > 100 && found.last().unwrap().is_err() && cut.totals().is_none(), "{}", found.len());

    let other = age::x25519::Identity::generate().to_string();
    let other = age::secrecy::ExposeSecret::expose_secret(&other).to_owned();
    assert!(matches!(open(&other, &file[..]), Err(SealError::Open(_))));
    assert!(matches!(open("# no key", &file[..]), Err(SealError::Identity)));
    assert!(matches!(seal("age1nobody", Vec::new()), Err(SealError::Recipient)));
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let signal = prop::sample::select(&Signal::ALL[..]);
    let protocol = prop::sample::select(&[Protocol::Grpc, Protocol::Http][..]);
    let attempt = prop::sample::select(&[Attempt::Unknown, Attempt::First, Attempt::Again][..]);
    (any::<u64>(), signal, protocol, attempt, prop::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(offset_us, signal, protocol, attempt, body)| Frame { offset_us, signal, protocol, attempt, body })
}

proptest! {
    #[test]
    fn what_is_written_is_read(frames in prop::collection::vec(any_frame(), 0..20)) {
        check(&frames, FREE, 0);
    }

    /// Any bytes behind a good head: an error, never a panic.
    #[test]
    fn hostile_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (whole, _) = written(&[], FREE);
        let (_, end) = read(&[&whole[..HEAD_LEN], &bytes].concat());
        prop_assert!(end.is_err());
    }
}

#[test]
fn what_never_got_to_the_writer_stands_in_the_totals() {
    let mut writer = Writer::new(Vec::new(), header(FREE)).unwrap();
    writer.push(&frame(1, b"kept")).unwrap();
    writer.count_dropped(2, 30);
    let (bytes, totals) = writer.finish().unwrap();
    assert_eq!((totals.frames, totals.dropped_frames, totals.dropped_bytes), (1, 2, 30));
    assert_eq!(read(&bytes).1.unwrap(), totals);
}
