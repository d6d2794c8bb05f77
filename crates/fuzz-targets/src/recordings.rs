//! The target `recordings`: recorded traffic, whole, cut off or damaged.

use recording::{Bounds, Header, Reader, Writer};

/// Words with two numbers, and a reason of the system's.
const MAX_WORDS: usize = 400;

/// What is read is bounded by what there is; a whole recording is the same when it is written and read again; what ends
/// before its end says so in short words, once.
pub(crate) fn run(bytes: &[u8]) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return held(&error.to_string()),
    };
    let (mut frames, mut failed) = (Vec::new(), false);
    for next in reader.by_ref() {
        assert!(!failed, "nothing follows an error");
        match next {
            Ok(frame) => frames.push(frame),
            Err(error) => {
                held(&error.to_string());
                failed = true;
            }
        }
    }
    let Some(totals) = reader.totals() else {
        assert!(failed, "a recording that is not whole has an error");
        return;
    };
    assert!(!failed);
    assert_eq!(totals.frames, frames.len() as u64);
    let bounds = Bounds { max_bytes: u64::MAX, max_ms: u64::MAX };
    let header = Header { bounds, ..reader.header().clone() };
    let mut writer = Writer::new(Vec::new(), header).expect("a vector takes everything");
    for frame in &frames {
        writer.push(frame).expect("a vector takes everything");
    }
    let (again, _) = writer.finish().expect("a vector takes everything");
    let again: Vec<_> = Reader::new(&again[..]).expect("it was just written").map(Result::ok).collect();
    assert!(again.into_iter().eq(frames.into_iter().map(Some)));
}

fn held(words: &str) {
    assert!(!words.is_empty() && words.len() < MAX_WORDS, "{} bytes", words.len());
    assert!(!words.contains(char::is_control), "{words:?}");
}
