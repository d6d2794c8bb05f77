use super::*;
use proptest::prelude::*;

fn check_tile(level: u8, index: u64, width: u16, path: &str) {
    let tile = Tile { level, index, width };
    assert_eq!(tile.to_string(), path);
    assert_eq!(path.parse(), Ok(tile));
}

#[test]
fn paths_are_those_of_the_specification() {
    check_tile(0, 1_234_067, 256, "tile/0/x001/x234/067");
    check_tile(0, 0, 256, "tile/0/000");
    check_tile(1, 17, 5, "tile/1/017.p/5");
    check_tile(63, 999, 255, "tile/63/999.p/255");
    check_tile(2, 1000, 1, "tile/2/x001/000.p/1");
    let bundle = Bundle { index: 273_000, width: 112 };
    assert_eq!(bundle.to_string(), "tile/entries/x273/000.p/112");
    assert_eq!("tile/entries/x273/000.p/112".parse(), Ok(bundle));
}

#[test]
fn paths_in_any_other_form_are_refused() {
    for path in [
        "",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000.p/+5",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/../checkpoint",
        "tile/0/x99/x999/x999/x999/x999/x999/999",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/entries/000",
        "/tile/0/000",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
    for path in ["tile/0/000", "tile/entries", "tile/entries/", "tile/entries/x000/001", "tile/entries/000.p/256"] {
        assert!(path.parse::<Bundle>().is_err(), "{path}");
    }
}

/// The specification's examples: trees of 70,000 and of 256 leaves.
#[test]
fn widths_are_those_of_the_specification() {
    let partial = |size| (0..LEVELS).filter_map(|level| Tile::partial(level, size)).collect::<Vec<_>>();
    assert_eq!(Tile::full_count(0, 70_000), 273);
    assert_eq!(Tile::full_count(1, 70_000), 1);
    assert_eq!(
        partial(70_000),
        [
            Tile { level: 0, index: 273, width: 112 },
            Tile { level: 1, index: 1, width: 17 },
            Tile { level: 2, index: 0, width: 1 }
        ]
    );
    assert_eq!(partial(256), [Tile { level: 1, index: 0, width: 1 }]);
    assert_eq!(partial(0), []);
    assert_eq!(Bundle::holding(255, 257), Some(Bundle { index: 0, width: 256 }));
    assert_eq!(Bundle::holding(256, 257), Some(Bundle { index: 1, width: 1 }));
    assert_eq!(Bundle::holding(257, 257), None);
    assert_eq!(Tile::holding(7, 254, u64::MAX), Some(Tile { level: 7, index: 0, width: 255 }));
    assert_eq!(Tile::holding(7, 255, u64::MAX), None);
    assert_eq!(Tile::holding(8, 0, u64::MAX), None);
}

#[test]
fn bundles_have_lengths_of_two_bytes_the_highest_first() {
    let mut bundle = Vec::new();
    for entry in [b"ab".as_slice(), b"", &[9; 258]] {
        encode_entry(&mut bundle, entry).unwrap();
    }
    assert_eq!(bundle[..8], [0, 2, b'a', b'b', 0, 0, 1, 2]);
    assert_eq!(bundle.len(), 8 + 258);
    assert_eq!(decode_bundle(&bundle, 3).unwrap(), [b"ab".as_slice(), b"", &[9; 258]]);
    assert_eq!(decode_bundle(&bundle, 2), Err(BundleError::Long { width: 2, extra: 260 }));
    assert_eq!(decode_bundle(&bundle, 4), Err(BundleError::Short { entry: 3, missing: 2 }));
    assert_eq!(decode_bundle(&bundle[..200], 3), Err(BundleError::Short { entry: 2, missing: 66 }));
    assert_eq!(encode_entry(&mut bundle, &[0; 65_536]), Err(EntryTooLong { length: 65_536 }));
    assert_eq!(encode_entry(&mut bundle, &[0; 65_535]), Ok(()));
}

proptest! {
    #[test]
    fn a_path_reads_back(level in 0u8..64, index: u64, width in 1u16..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        let bundle = Bundle { index, width };
        prop_assert_eq!(bundle.to_string().parse(), Ok(bundle));
    }

    #[test]
    fn any_path_is_read_or_refused(path in "tile/[0-9]{1,3}/[x0-9/.p]{0,40}") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn any_bytes_are_a_bundle_or_refused(bytes: Vec<u8>, width in 1u16..=256) {
        if let Ok(entries) = decode_bundle(&bytes, width) {
            let mut again = Vec::new();
            entries.iter().for_each(|entry| encode_entry(&mut again, entry).unwrap());
            prop_assert_eq!(again, bytes);
        }
    }
}
