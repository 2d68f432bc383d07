//! Floats as decimals: exact, or not at all.

use super::*;
use proptest::prelude::*;

#[test]
fn only_what_is_exact() {
    let cases = [
        (20.53, 2, Some(2053)),
        (20.53, 1, None),
        (0.1 + 0.2, 12, None),
        (-0.0, 0, None),
        (0.0, 0, Some(0)),
        (f64::NAN, 0, None),
        (f64::INFINITY, 0, None),
        (1e300, 0, None),
        (5e-324, 12, None),
        (-273.15, 2, Some(-27315)),
        (4_503_599_627_370_497.0, 0, None),
    ];
    for (value, scale, expected) in cases {
        assert_eq!(scaled(value, scale), expected, "{value} at {scale}");
    }
}

#[test]
fn a_scale_for_all() {
    assert_eq!(common_scale([1.0, 2.5, 3.25].into_iter()), Some(2));
    assert_eq!(common_scale([1.0, 2.0].into_iter()), Some(0));
    assert_eq!(common_scale((0..100).map(|n| f64::from(n).sin())), None);
    assert_eq!(common_scale(std::iter::empty()), Some(0));
}

proptest! {
    #[test]
    fn what_is_scaled_comes_back(bits in any::<u64>(), integer in any::<i32>(), scale in 0..=SCALE_MAX) {
        for float in [f64::from_bits(bits), f64::from(integer) / power(scale)] {
            if let Some(integer) = scaled(float, scale) {
                prop_assert_eq!(value(integer, scale).to_bits(), float.to_bits());
            }
        }
        prop_assert!(scaled(f64::from(integer) / power(scale), scale).is_some() || scale > 6);
    }
}
