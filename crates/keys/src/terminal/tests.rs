use super::*;

fn typed(keys: &[u8]) -> Result<String, String> {
    let line = read_line(&mut &*keys).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(line.to_vec()).unwrap())
}

#[test]
fn keys_are_taken_as_a_terminal_takes_them() {
    for (keys, line) in [
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("\n", ""),
        ("wronk\x7fg\n", "wrong"),
        ("gr\u{fc}n\x08\x08\x08un\n", "gun"),
        ("\x7f\x7fa\n", "a"),
        ("all wrong\x15right\n", "right"),
        ("secret\x04", "secret"),
    ] {
        assert_eq!(typed(keys.as_bytes()).as_deref(), Ok(line), "{keys:?}");
    }
}

#[test]
fn whoever_does_not_want_to_answers_nothing() {
    for keys in ["secret\x03", "\x04", "secret", ""] {
        assert_eq!(typed(keys.as_bytes()), Err("cancelled".to_owned()), "{keys:?}");
    }
    let most = "x".repeat(MAX_SECRET_BYTES);
    assert_eq!(typed(format!("{most}\n").as_bytes()), Ok(most.clone()));
    assert!(typed(format!("{most}x\n").as_bytes()).unwrap_err().contains("more than 1024"));
}
