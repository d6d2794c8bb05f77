use super::*;
use proptest::prelude::*;

fn check(body: &[u8], expected: Result<Frame, FrameError>) {
    assert_eq!(parse_unary(body), expected, "{body:?}");
}

#[test]
fn a_unary_body_is_exactly_one_message() {
    check(&[0, 0, 0, 0, 0], Ok(Frame { compressed: false, message: 5..5 }));
    check(&[1, 0, 0, 0, 2, 8, 9], Ok(Frame { compressed: true, message: 5..7 }));
    check(&[], Err(FrameError::Short { found: 0, expected: 5 }));
    check(&[0, 0, 0, 0], Err(FrameError::Short { found: 4, expected: 5 }));
    check(&[0, 0, 0, 1, 0, 7], Err(FrameError::Short { found: 6, expected: 261 }));
    check(&[0, 255, 255, 255, 255], Err(FrameError::Short { found: 5, expected: 4_294_967_300 }));
    check(&[0, 0, 0, 0, 1, 7, 0, 0], Err(FrameError::Trailing { extra: 2 }));
    check(&[2, 0, 0, 0, 0], Err(FrameError::Flag(2)));
}

proptest! {
    #[test]
    fn what_is_framed_is_found(compressed: bool, message: Vec<u8>) {
        let body = [&prefix(compressed, message.len() as u32)[..], &message].concat();
        let frame = parse_unary(&body).expect("one message");
        prop_assert_eq!(frame.compressed, compressed);
        prop_assert_eq!(&body[frame.message], &message[..]);
    }

    #[test]
    fn hostile_bytes_never_panic(body: Vec<u8>) {
        let _ = parse_unary(&body);
    }
}
