use super::*;
use proptest::prelude::*;

/// The bucket by its definition, with powers instead of roots: 2^i < value^8 <= 2^(i+1), in integers of any length.
fn naive(value: u64) -> i32 {
    let mut product = vec![1u64];
    for _ in 0..8 {
        let mut carry = 0u128;
        for word in &mut product {
            let next = u128::from(*word) * u128::from(value) + carry;
            *word = next as u64;
            carry = next >> 64;
        }
        product.push(carry as u64);
    }
    let top = product.iter().rposition(|word| *word != 0).unwrap();
    let floor = top as i32 * 64 + product[top].ilog2() as i32;
    let is_power = product.iter().map(|word| word.count_ones()).sum::<u32>() == 1;
    if is_power { floor - 1 } else { floor }
}

fn check(values: &[u64], expected: &[(i32, u64)]) {
    let mut histogram = ExponentialHistogram::default();
    values.iter().for_each(|value| record(&mut histogram, *value));
    assert_eq!(histogram.0.into_iter().collect::<Vec<_>>(), expected, "{values:?}");
}

#[test]
fn upper_ends_belong_to_their_bucket() {
    check(&[1], &[(-1, 1)]);
    check(&[2], &[(7, 1)]);
    check(&[1024], &[(79, 1)]);
    check(&[1025], &[(80, 1)]);
    check(&[1 << 63], &[(503, 1)]);
    check(&[u64::MAX], &[(511, 1)]);
}

#[test]
fn nothing_counts_as_one_microsecond() {
    check(&[0, 1, 0], &[(-1, 3)]);
}

#[test]
fn every_small_value_is_where_its_definition_says() {
    (1..=70_000).for_each(|value| assert_eq!(bucket(value), naive(value), "{value}"));
}

proptest! {
    #[test]
    fn every_value_is_where_its_definition_says(value in 1u64.., shift in 0u32..64) {
        let value = (value >> shift).max(1);
        prop_assert_eq!(bucket(value), naive(value));
    }

    #[test]
    fn values_beside_an_eighth_fall_on_their_sides(eighth in 0usize..7, octave in 40u32..64) {
        let value = EIGHTHS[eighth] >> (63 - octave);
        prop_assert_eq!(bucket(value), naive(value));
        prop_assert_eq!(bucket(value + 1), naive(value + 1));
    }
}
