use std::collections::BTreeMap;

/// SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014) and what is drawn with it. Its
/// seed is an argument, so that the same seed gives the same traffic on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Expected events from which on a binomial number is drawn by rejection: below it, jumping from event to event is
/// cheaper, and the rejection's bounds do not hold.
const EVENTS_TO_REJECT: f64 = 10.0;

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The stream of one of many runs of a seed. Streams of neighbouring runs do not follow each other.
    pub fn of_run(seed: u64, run: u64) -> Random {
        let mut mixed = Random(seed ^ run.wrapping_mul(0xA076_1D64_78BD_642F));
        Random(mixed.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Above 0.0, at most 1.0.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// How many of `n` happen at a chance of `p`.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        match p {
            p if p <= 0.0 || n == 0 => 0,
            p if p >= 1.0 => n,
            p if p > 0.5 => n - self.binomial(n, 1.0 - p),
            p if n as f64 * p >= EVENTS_TO_REJECT => self.binomial_by_rejection(n as f64, p) as u64,
            p => self.binomial_by_jumping(n, p),
        }
    }

    /// From one event to the next: the distances are geometric.
    fn binomial_by_jumping(&mut self, n: u64, p: f64) -> u64 {
        let (mut happened, mut position, log_miss) = (0, 0.0, libm::log1p(-p));
        loop {
            position += (libm::log(self.unit()) / log_miss).floor() + 1.0;
            if position > n as f64 {
                return happened;
            }
            happened += 1;
        }
    }

    /// Hörmann, *The generation of binomial random variates* (1993), algorithm BTRS: p at most 0.5, n p at least 10.
    /// About 1.15 turns a number on average.
    fn binomial_by_rejection(&mut self, n: f64, p: f64) -> f64 {
        let deviation = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * deviation;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let box_height = 0.92 - 4.2 / b;
        let odds = p / (1.0 - p);
        let alpha = (2.83 + 5.1 / b) * deviation;
        let mode = ((n + 1.0) * p).floor();
        loop {
            let (u, v) = (self.unit() - 0.5, self.unit());
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + n * p + 0.5).floor();
            if us >= 0.07 && v <= box_height {
                return k;
            }
            if us <= 0.0 || !(0.0..=n).contains(&k) {
                continue;
            }
            let log_v = libm::log(v * alpha / (a / (us * us) + b));
            let log_ratio = (mode + 0.5) * libm::log((mode + 1.0) / (odds * (n - mode + 1.0)))
                + (n + 1.0) * libm::log((n - mode + 1.0) / (n - k + 1.0))
                + (k + 0.5) * libm::log(odds * (n - k + 1.0) / (k + 1.0))
                + stirling_tail(mode)
                + stirling_tail(n - mode)
                - stirling_tail(k)
                - stirling_tail(n - k);
            if log_v <= log_ratio {
                return k;
            }
        }
    }

    /// How many of `n` values fall into each of the buckets, given their chances, which add up to 1.0 or a little less.
    pub fn multinomial(&mut self, n: u64, chances: &[(i32, f64)]) -> BTreeMap<i32, u64> {
        let (mut left, mut chance_left) = (n, 1.0);
        let mut buckets = BTreeMap::new();
        for (bucket, chance) in chances {
            if left == 0 {
                break;
            }
            let here = self.binomial(left, (chance / f64::max(chance_left, 1e-12)).min(1.0));
            if here > 0 {
                buckets.insert(*bucket, here);
            }
            left -= here;
            chance_left -= chance;
        }
        buckets
    }
}

/// What Stirling's formula for ln k! leaves out: ln k! - [ln(2 pi)/2 + (k + 1/2) ln(k + 1) - (k + 1)].
fn stirling_tail(k: f64) -> f64 {
    const SMALL: [f64; 10] = [
        0.081_061_466_795_327_3,
        0.041_340_695_955_409_3,
        0.027_677_925_684_998_3,
        0.020_790_672_103_765_1,
        0.016_644_691_189_821_2,
        0.013_876_128_823_070_7,
        0.011_896_709_945_891_8,
        0.010_411_265_261_972_1,
        0.009_255_462_182_712_73,
        0.008_330_563_433_362_87,
    ];
    if k < SMALL.len() as f64 {
        return SMALL[k as usize];
    }
    let next = k + 1.0;
    let square = next * next;
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1_260.0 / square) / square) / next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pearson's statistic of 40,000 draws against the exact probabilities, cells of fewer than 10 together.
    fn pearson(n: u64, p: f64) -> (f64, f64) {
        let (draws, mut random) = (40_000u64, Random::new(n));
        let mut counts = vec![0u64; n as usize + 1];
        (0..draws).for_each(|_| counts[random.binomial(n, p) as usize] += 1);
        let log_factorial = |k: u64| (1..=k).map(|i| libm::log(i as f64)).sum::<f64>();
        let (mut statistic, mut cells) = (0.0, 0.0);
        let (mut expected, mut found) = (0.0, 0.0);
        for (k, count) in (0..).zip(&counts) {
            let log_chance = log_factorial(n) - log_factorial(k) - log_factorial(n - k)
                + k as f64 * libm::log(p)
                + (n - k) as f64 * libm::log1p(-p);
            expected += draws as f64 * libm::exp(log_chance);
            found += *count as f64;
            if expected >= 10.0 {
                statistic += (found - expected) * (found - expected) / expected;
                (cells, expected, found) = (cells + 1.0, 0.0, 0.0);
            }
        }
        (statistic, cells)
    }

    #[test]
    fn binomial_numbers_have_the_binomial_distribution() {
        for (n, p) in [(12, 0.3), (30, 0.5), (600, 0.01), (100, 0.5), (300, 0.9), (600, 0.04), (2_000, 0.25)] {
            let (statistic, cells) = pearson(n, p);
            // Chi-square's mean is its degrees of freedom, its variance twice that; four deviations up.
            assert!(statistic < cells + 4.0 * (2.0 * cells).sqrt(), "{n} at {p}: {statistic:.1} over {cells} cells");
        }
    }

    #[test]
    fn extremes_are_exact_and_large_numbers_take_no_longer() {
        let mut random = Random::new(1);
        assert_eq!([random.binomial(10, 0.0), random.binomial(10, 1.0), random.binomial(0, 0.5)], [0, 10, 0]);
        let many = random.binomial(1_000_000_000_000, 0.25) as f64;
        // One deviation is 433,013.
        assert!((many - 2.5e11).abs() < 3e6, "{many}");
        let buckets = random.multinomial(1_000, &[(1, 0.25), (2, 0.5), (3, 0.25)]);
        assert_eq!(buckets.values().sum::<u64>(), 1_000);
    }
}
