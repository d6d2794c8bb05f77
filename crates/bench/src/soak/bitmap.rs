//! A set of numbers from 0 on, one bit each: what was acknowledged, what arrived. 1,000,000 spans are 125 KB.

#[derive(Clone, Debug, Default)]
pub struct Bitmap {
    words: Vec<u64>,
    len: u64,
}

impl Bitmap {
    /// Whether it was not there before.
    pub fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += u64::from(new);
        new
    }

    #[cfg(test)]
    pub fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// What is here and not there, in order.
    pub fn without<'a>(&'a self, other: &'a Bitmap) -> impl Iterator<Item = u64> + 'a {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let rest = word & !other.words.get(at).copied().unwrap_or(0);
            (0..64).filter(move |bit| rest >> bit & 1 == 1).map(move |bit| at as u64 * 64 + bit)
        })
    }
}

fn place(number: u64) -> (usize, u64) {
    ((number / 64) as usize, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(ones: &[u64], others: &[u64]) {
        let set = |numbers: &[u64]| {
            let mut bitmap = Bitmap::default();
            let mut expected = BTreeSet::new();
            for number in numbers {
                assert_eq!(bitmap.insert(*number), expected.insert(*number), "{number}");
            }
            assert_eq!(bitmap.len(), expected.len() as u64);
            assert!((0..300).all(|number| bitmap.contains(number) == expected.contains(&number)));
            (bitmap, expected)
        };
        let (one, expected_one) = set(ones);
        let (other, expected_other) = set(others);
        assert!(one.without(&other).eq(expected_one.difference(&expected_other).copied()));
        assert!(other.without(&one).eq(expected_other.difference(&expected_one).copied()));
    }

    #[test]
    fn it_is_a_set() {
        check(&[], &[]);
        check(&[0, 63, 64, 0, 127], &[63]);
        check(&[5, 200, 5], &[0, 1, 2, 3, 4, 5, 64, 128]);
        check(&[299], &[]);
    }
}
