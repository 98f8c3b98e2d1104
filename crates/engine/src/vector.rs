//! Loops over whole vocabularies, compiled for the vector instructions of several processors; the
//! version is chosen at run time.

/// f32 or f64.
pub(crate) trait Real: Copy + PartialOrd + Into<f64> + std::ops::Sub<Output = Self> {
    const NEG_INFINITY: Self;
    const NAN: Self;

    fn is_nan(self) -> bool;

    /// exp(x) for x ≤ 0, free of branches, so that it vectorises.
    fn exp_nonpositive(self) -> Self;
}

impl Real for f32 {
    const NEG_INFINITY: f32 = f32::NEG_INFINITY;
    const NAN: f32 = f32::NAN;

    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }

    /// Relative error under 2e-7, 0 below −87: 2^n·exp(r) with |r| ≤ ln 2 / 2 and a polynomial
    /// (Cephes' `expf` coefficients).
    #[inline(always)]
    fn exp_nonpositive(self) -> f32 {
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        // ln 2 in two parts, so that n·ln 2 is subtracted without rounding.
        const LN2_HI: f32 = 0.693_359_4;
        const LN2_LO: f32 = -2.121_944_4e-4;
        // Adding and subtracting 1.5·2^23 rounds to an integer.
        const ROUND: f32 = 12_582_912.0;
        let clamped = if self < -87.0 { -87.0 } else { self };
        let rounded = clamped * LOG2_E + ROUND;
        let n = rounded - ROUND;
        let r = (clamped - n * LN2_HI) - n * LN2_LO;
        let mut p = 1.987_569_1e-4;
        p = p * r + 1.398_199_9e-3;
        p = p * r + 8.333_452e-3;
        p = p * r + 4.166_579_6e-2;
        p = p * r + 1.666_666_5e-1;
        p = p * r + 0.5;
        let y = p * (r * r) + r + 1.0;
        // The low bits of `rounded` are n in two's complement; n is in −126..=0, so that n + 127 is
        // a valid exponent, and the shift drops the rest. (`as i32` saturates, which does not
        // vectorise.)
        let scaled = y * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
        if self < -87.0 { 0.0 } else { scaled }
    }
}

impl Real for f64 {
    const NEG_INFINITY: f64 = f64::NEG_INFINITY;
    const NAN: f64 = f64::NAN;

    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }

    /// Relative error under 1e-15, 0 below −708: as for f32, with the Taylor polynomial of degree
    /// 12.
    #[inline(always)]
    fn exp_nonpositive(self) -> f64 {
        const LN2_HI: f64 = 6.931_471_803_691_238e-1;
        const LN2_LO: f64 = 1.908_214_929_270_588e-10;
        const ROUND: f64 = 6_755_399_441_055_744.0;
        /// 1/12!, 1/11!, …, 1/2!
        const INVERSE_FACTORIALS: [f64; 11] = [
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
        ];
        let clamped = if self < -708.0 { -708.0 } else { self };
        let rounded = clamped * std::f64::consts::LOG2_E + ROUND;
        let n = rounded - ROUND;
        let r = (clamped - n * LN2_HI) - n * LN2_LO;
        let mut p = INVERSE_FACTORIALS[0];
        for coefficient in &INVERSE_FACTORIALS[1..] {
            p = p * r + coefficient;
        }
        let y = p * (r * r) + r + 1.0;
        let scaled = y * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
        if self < -708.0 { 0.0 } else { scaled }
    }
}

/// The maximum; NaN if any element is, −∞ of none.
pub(crate) fn maximum<T: Real>(values: &[T]) -> T {
    pulp::Arch::new().dispatch(Maximum(values))
}

// Structs instead of closures: as a closure, even one that is always inlined, `add_lifted` took 1.6
// times as long (`cargo bench`, mix/log).
struct Maximum<'a, T>(&'a [T]);

impl<T: Real> pulp::WithSimd for Maximum<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> T {
        // Independent partial results, several vectors' worth: one operation need not wait for the
        // last.
        const LANES: usize = 32;
        let mut max = [T::NEG_INFINITY; LANES];
        let mut any_nan = [false; LANES];
        let chunks = self.0.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for i in 0..LANES {
                max[i] = if chunk[i] > max[i] { chunk[i] } else { max[i] };
                any_nan[i] |= chunk[i].is_nan();
            }
        }
        // Apart from the lanes, which a loop over fewer of them would put into memory.
        let larger = |a: T, &b: &T| if b > a { b } else { a };
        let rest_max = rest.iter().fold(T::NEG_INFINITY, larger);
        if any_nan.contains(&true) || rest.iter().any(|v| v.is_nan()) {
            return T::NAN;
        }
        max.iter().fold(rest_max, larger)
    }
}

/// `out[i] = exp(values[i] − max)`, where no value is above `max`.
pub(crate) fn exponentials(values: &[f32], max: f32, out: &mut [f32]) {
    pulp::Arch::new().dispatch(Exponentials { values, max, out });
}

struct Exponentials<'a> {
    values: &'a [f32],
    max: f32,
    out: &'a mut [f32],
}

impl pulp::WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (e, &value) in self.out.iter_mut().zip(self.values) {
            *e = (value - self.max).exp_nonpositive();
        }
    }
}

/// `Σ exp(values[i] − max)`, where no value is above `max`; added up in f64.
pub(crate) fn sum_of_exponentials<T: Real>(values: &[T], max: T) -> f64 {
    pulp::Arch::new().dispatch(SumOfExponentials { values, max })
}

struct SumOfExponentials<'a, T> {
    values: &'a [T],
    max: T,
}

impl<T: Real> pulp::WithSimd for SumOfExponentials<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        const LANES: usize = 16;
        let mut sums = [0.0f64; LANES];
        let chunks = self.values.chunks_exact(LANES);
        let rest = chunks.remainder().iter();
        for chunk in chunks {
            for i in 0..LANES {
                sums[i] += (chunk[i] - self.max).exp_nonpositive().into();
            }
        }
        let rest = rest.map(|&value| (value - self.max).exp_nonpositive().into());
        sums.iter().sum::<f64>() + rest.sum::<f64>()
    }
}

/// `max(x, bottom)`, except that NaN stays NaN (`f64::max` would hide it).
#[inline(always)]
pub(crate) fn lift(x: f64, bottom: f64) -> f64 {
    if x < bottom { bottom } else { x }
}

/// `sums[i] += weight · lift(values[i] − shift, bottom)`.
pub(crate) fn add_lifted(sums: &mut [f64], values: &[f64], weight: f64, shift: f64, bottom: f64) {
    pulp::Arch::new().dispatch(AddLifted {
        sums,
        values,
        weight,
        shift,
        bottom,
    });
}

struct AddLifted<'a> {
    sums: &'a mut [f64],
    values: &'a [f64],
    weight: f64,
    shift: f64,
    bottom: f64,
}

impl pulp::WithSimd for AddLifted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (sum, &value) in self.sums.iter_mut().zip(self.values) {
            *sum += self.weight * lift(value - self.shift, self.bottom);
        }
    }
}

/// `sums[i] += weight · exp(values[i] − shift)`, where no value is above `shift` but by rounding.
pub(crate) fn add_exponentials(sums: &mut [f64], values: &[f64], weight: f64, shift: f64) {
    pulp::Arch::new().dispatch(AddExponentials {
        sums,
        values,
        weight,
        shift,
    });
}

struct AddExponentials<'a> {
    sums: &'a mut [f64],
    values: &'a [f64],
    weight: f64,
    shift: f64,
}

impl pulp::WithSimd for AddExponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (sum, &value) in self.sums.iter_mut().zip(self.values) {
            *sum += self.weight * (value - self.shift).exp_nonpositive();
        }
    }
}

/// `−Σ p ln p` of `p_i = exp(values[i] − shift)`, where a value above `shift` counts as `shift`.
pub(crate) fn entropy(values: &[f64], shift: f64) -> f64 {
    pulp::Arch::new().dispatch(Entropy { values, shift })
}

struct Entropy<'a> {
    values: &'a [f64],
    shift: f64,
}

impl pulp::WithSimd for Entropy<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        const LANES: usize = 16;
        // Far below what matters, so that an impossible symbol costs no 0 · ∞.
        const BOTTOM: f64 = -800.0;
        let cost = |value: f64| {
            let ln_p = lift(value - self.shift, BOTTOM);
            let ln_p = if ln_p > 0.0 { 0.0 } else { ln_p };
            -ln_p * ln_p.exp_nonpositive()
        };
        let mut sums = [0.0f64; LANES];
        let chunks = self.values.chunks_exact(LANES);
        let rest = chunks.remainder().iter();
        for chunk in chunks {
            for i in 0..LANES {
                sums[i] += cost(chunk[i]);
            }
        }
        sums.iter().sum::<f64>() + rest.map(|&value| cost(value)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exponentials_are_close_to_the_exact_ones() {
        let mut worst = [0.0f64; 2];
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            worst[0] = worst[0].max((f64::from(x.exp_nonpositive()) - exact).abs() / exact);
            let x = -f64::from(i) * 8e-4 - 1e-5;
            worst[1] = worst[1].max((x.exp_nonpositive() - x.exp()).abs() / x.exp());
        }
        assert!(
            worst[0] < 2e-7 && worst[1] < 1e-15,
            "relative errors {worst:?}"
        );
        assert_eq!(
            ((-88.0f32).exp_nonpositive(), (-709.0f64).exp_nonpositive()),
            (0.0, 0.0)
        );
        assert_eq!(f32::NEG_INFINITY.exp_nonpositive(), 0.0);
        assert_eq!(f64::NEG_INFINITY.exp_nonpositive(), 0.0);
        assert_eq!(
            (0.0f32.exp_nonpositive(), 0.0f64.exp_nonpositive()),
            (1.0, 1.0)
        );
        assert!(f64::NAN.exp_nonpositive().is_nan());
    }

    #[test]
    fn a_maximum_with_nan_is_nan() {
        let mut v = vec![1.0f32; 100];
        v[37] = 5.0;
        assert_eq!(maximum(&v), 5.0);
        v[99] = f32::NAN;
        assert!(maximum(&v).is_nan());
        v[99] = 0.0;
        v[8] = f32::NAN;
        assert!(maximum(&v).is_nan());
        assert_eq!(maximum::<f64>(&[]), f64::NEG_INFINITY);
    }

    #[test]
    fn what_is_impossible_has_no_entropy() {
        assert_eq!(entropy(&[f64::NEG_INFINITY, 0.0, 1e-12], 0.0), 0.0);
        assert_eq!(entropy(&[], 0.0), 0.0);
        assert!(entropy(&[0.0, f64::NAN], 0.0).is_nan());
    }

    proptest! {
        #[test]
        fn the_loops_are_those_of_their_definitions(
            values in prop::collection::vec(-800.0..0.0f64, 0..200),
            weight in 0.0..2.0f64, bottom in -700.0..0.0f64,
        ) {
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(maximum(&values), max);
            let exact: f64 = values.iter().map(|v| (v - max).exp()).sum();
            prop_assert!((sum_of_exponentials(&values, max) - exact).abs() <= 1e-14 * exact);
            let mut sums = vec![0.5; values.len()];
            add_lifted(&mut sums, &values, weight, 1.0, bottom);
            for (sum, value) in sums.iter().zip(&values) {
                prop_assert!((sum - (0.5 + weight * (value - 1.0).max(bottom))).abs() < 1e-9);
            }
            let plain = |v: &f64| -(v - max) * (v - max).exp();
            let exact: f64 = values.iter().map(plain).sum();
            prop_assert!((entropy(&values, max) - exact).abs() <= 1e-13 * (1.0 + exact));
            sums.fill(0.5);
            add_exponentials(&mut sums, &values, weight, 1.0);
            for (sum, value) in sums.iter().zip(&values) {
                prop_assert!((sum - (0.5 + weight * (value - 1.0).exp())).abs() < 1e-14);
            }
        }
    }
}
