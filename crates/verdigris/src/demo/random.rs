//! Numbers that look random and are the same for the same seed.

/// SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014): the same seed gives the
/// same numbers on every machine. Not for secrets.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64 { state: seed }
    }

    /// The `n`-th of many independent sequences of one seed.
    pub fn nth(seed: u64, n: u64) -> SplitMix64 {
        // One step first, so that neighbours in `n` do not start at neighbouring states.
        let mut outer = SplitMix64::new(seed ^ n.wrapping_mul(0xd1b5_4a32_d192_ed03));
        SplitMix64::new(outer.next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// 0 to `bound - 1`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0.0 up to, not including, 1.0.
    pub fn share(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in this share of calls: never at 0.0, always at 1.0.
    pub fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }
}
