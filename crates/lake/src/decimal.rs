//! Floats that are decimals, such as 20.53: kept as an integer and a scale, found again bit by bit. What does not live
//! here: where they are kept. ALP (Afroozeh and Boncz, 2023) rests on the same observation.

/// The largest scale that is tried: 10^12 is exact as a float, as all powers up to 10^22 are.
pub(crate) const SCALE_MAX: u8 = 12;

const POWERS: [f64; SCALE_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// Below this the addition of `ROUND` rounds to the nearest integer, and every integer is exact.
const INTEGER_MAX: f64 = (1u64 << 51) as f64;
/// 1.5 × 2^52: adding and subtracting it leaves the nearest integer, faster than `round`.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 10^scale.
pub(crate) fn power(scale: u8) -> f64 {
    POWERS.get(usize::from(scale)).copied().unwrap_or(f64::NAN)
}

/// The integer that, divided by 10^scale, is this float to the last bit; none if there is no such.
pub(crate) fn scaled(value: f64, scale: u8) -> Option<i64> {
    let power = power(scale);
    let rounded = value * power;
    if rounded.abs() >= INTEGER_MAX {
        return None;
    }
    let integer = ((rounded + ROUND) - ROUND) as i64;
    // -0.0 and NaN fail here: their bits are not those of a quotient.
    ((integer as f64 / power).to_bits() == value.to_bits()).then_some(integer)
}

/// The float of a scaled integer.
pub(crate) fn value(scaled: i64, scale: u8) -> f64 {
    scaled as f64 / power(scale)
}

/// The smallest scale, not below `least`, with which this float is a decimal.
pub(crate) fn scale_of(value: f64, least: u8) -> Option<u8> {
    (least..=SCALE_MAX).find(|scale| scaled(value, *scale).is_some())
}

/// The smallest scale with which all of these floats, or nearly all, are decimals. None where too many are not:
/// then they are better kept as they are.
pub(crate) fn common_scale(values: impl Iterator<Item = f64>) -> Option<u8> {
    let (mut scale, mut seen, mut failed) = (0u8, 0u32, 0u32);
    for value in values {
        seen += 1;
        if scaled(value, scale).is_some() {
            continue;
        }
        match scale_of(value, scale + 1) {
            Some(larger) => scale = larger,
            None => {
                failed += 1;
                if failed > 8 && failed * 8 > seen {
                    return None;
                }
            }
        }
    }
    (failed * 8 <= seen).then_some(scale)
}

#[cfg(test)]
mod tests;
