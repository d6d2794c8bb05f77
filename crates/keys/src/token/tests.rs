use super::*;

/// What modules give as CKA_EC_POINT.
#[test]
fn a_public_key_is_read_with_and_without_its_der_frame() {
    let raw = [4, 0x20, 7].into_iter().chain([9; 29]).collect::<Vec<u8>>();
    let framed = [&[0x04, 0x20], raw.as_slice()].concat();
    assert_eq!(public_bytes(&raw).map(|bytes| bytes.to_vec()), Some(raw.clone()));
    assert_eq!(public_bytes(&framed).map(|bytes| bytes.to_vec()), Some(raw));
    for other in [&[][..], &[4, 0x20], &[7; 33], &[7; 34], &[4; 57]] {
        assert_eq!(public_bytes(other), None);
    }
}

#[test]
fn a_module_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module.so");
    std::fs::write(&module, "no shared object").unwrap();
    for path in [module, folder.path().join("absent.so")] {
        let at = TokenAt { module: path, token: "ledger".to_owned(), key: "ledger".to_owned() };
        let opened = open(&at, "1234".to_owned().into(), KeyName::new("example.com/log").unwrap());
        assert!(matches!(opened, Err(TokenError::Module { .. })));
    }
}
