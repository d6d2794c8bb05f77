//! Recording into an exponential histogram with integers alone, so that the same latencies give the same buckets on
//! every machine.

use model::{ExponentialHistogram, OPERATION_BUCKETS};

/// floor(2^(j/8) * 2^63) for j from 1 to 7: where the buckets of scale 3 divide an octave, as 64-bit mantissas. These
/// roots are irrational, so an integer mantissa lies above a root exactly if it is greater than its floor.
const EIGHTHS: [u64; 7] = [
    0x8b95_c1e3_ea8b_d6e6,
    0x9837_f051_8db8_a96f,
    0xa5fe_d6a9_b151_38ea,
    0xb504_f333_f9de_6484,
    0xc567_2a11_5506_dadd,
    0xd744_fcca_d69d_6af4,
    0xeac0_c6e7_dd24_392e,
];

/// Counts one value, in microseconds, in a histogram of scale 3. A value of 0 counts as 1: it is below the clock's
/// resolution, and a logarithmic scale has no place for it.
pub fn record(histogram: &mut ExponentialHistogram, micros: u64) {
    let count = histogram.0.entry(bucket(micros)).or_insert(0);
    *count = count.saturating_add(1);
}

/// Counts one value, in microseconds, in the histogram of a root operation: of scale 2, from 128 us to 33 s.
pub(crate) fn record_of_operation(histogram: &mut ExponentialHistogram, micros: u64) {
    // Two buckets of scale 3 are one of scale 2.
    let coarse = bucket(micros) >> 1;
    let count = histogram.0.entry(coarse.clamp(*OPERATION_BUCKETS.start(), *OPERATION_BUCKETS.end())).or_insert(0);
    *count = count.saturating_add(1);
}

/// The i for which the value lies in (2^(i/8), 2^((i+1)/8)].
fn bucket(micros: u64) -> i32 {
    let value = micros.max(1);
    let octave = value.ilog2();
    let mantissa = value << (63 - octave);
    let below = match mantissa == 1 << 63 {
        // The upper end belongs to a bucket, so a power of two is in the last bucket of the octave below.
        true => -1,
        false => EIGHTHS.iter().take_while(|root| mantissa > **root).count() as i32,
    };
    octave as i32 * 8 + below
}

#[cfg(test)]
mod tests;
