use super::*;

#[test]
fn a_quorum_s_size_is_what_so_many_witnesses_reached() {
    let check = |sizes: &[u64], quorum: usize, expected: Option<u64>| {
        assert_eq!(quorum_size(sizes.to_vec(), quorum), expected, "{sizes:?}, {quorum}");
    };
    check(&[], 1, None);
    check(&[5], 0, None);
    check(&[5], 1, Some(5));
    check(&[5], 2, None);
    check(&[3, 9, 5], 1, Some(9));
    check(&[3, 9, 5], 2, Some(5));
    check(&[3, 9, 5], 3, Some(3));
    check(&[7, 7], 2, Some(7));
}
