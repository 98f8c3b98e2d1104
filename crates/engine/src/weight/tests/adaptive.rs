//! Weights that follow the text.

use super::*;

fn options(mix: Mix, rate: f64) -> Options {
    Options { rate, ..bare(mix) }
}

fn rows(evidence: &Evidence, i: usize) -> Vec<&[f32]> {
    let row = |m| &dense(m)[i * SIZE..(i + 1) * SIZE];
    evidence.members.iter().map(row).collect()
}

/// λ_k·exp(η ∂_k), clipped and renormalised, with the slope (less the mean one) measured on the
/// loss itself, in which nobody can end.
fn plain_step(evidence: &Evidence, i: usize, lambda: &[f64], mix: Mix, rate: f64) -> Vec<f64> {
    let mut one = evidence.clone();
    one.bytes = 1;
    one.symbols = vec![evidence.symbols[i]];
    for (member, row) in one.members.iter_mut().zip(rows(evidence, i)) {
        member.can_end = false;
        member.nats = vec![member.nats[i]];
        member.rows = Rows::Dense(row.to_vec());
    }
    let mixture = Mixture::new(&one, mix, FLOOR).unwrap();
    let step = 1e-6;
    let slope = |k: usize| {
        let loss = |by: f64| {
            let mut moved = lambda.to_vec();
            moved[k] += by;
            mixture.nats_per_byte_of(&moved)
        };
        (loss(-step) - loss(step)) / (2.0 * step)
    };
    let slopes: Vec<f64> = (0..lambda.len()).map(slope).collect();
    let mean: f64 = slopes.iter().zip(lambda).map(|(s, w)| s * w).sum();
    let slope = |k: usize| (slopes[k] - mean).clamp(-3.0, 3.0);
    let mut after: Vec<f64> = (0..lambda.len())
        .map(|k| lambda[k] * (rate * slope(k)).exp())
        .collect();
    normalise(&mut after);
    after
}

fn start() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.2..1.0f64, 3).prop_map(|mut lambda| {
        normalise(&mut lambda);
        lambda
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_step_follows_the_slope_of_the_loss(evidence in evidence(3), lambda in start(), mix in mixes()) {
        let mut adaptive = Adaptive::new(lambda.clone(), &options(mix, 0.1)).unwrap();
        adaptive.see(&rows(&evidence, 0), &evidence.alphabet, evidence.symbols[0] as usize).unwrap();
        let plain = plain_step(&evidence, 0, &lambda, mix, 0.1);
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
        prop_assert!(adaptive.lambda().iter().zip(&plain).all(near), "{:?} {plain:?}", adaptive.lambda());
    }

    #[test]
    fn evidence_is_followed_as_symbols_are_seen(
        evidence in evidence(3), lambda in start(), mix in mixes(), rate in 0.0..1.0f64,
    ) {
        let options = options(mix, rate);
        let course = follow(lambda.clone(), &evidence, &options).unwrap();
        let mut live = Adaptive::new(lambda, &options).unwrap();
        let mut mixer = Mixer::new(mix, FLOOR, evidence.alphabet.clone()).unwrap();
        let can_end: Vec<bool> = evidence.members.iter().map(|m| m.can_end).collect();
        let mut q = vec![0.0; SIZE];
        for (i, &x) in evidence.symbols.iter().enumerate() {
            let rows = rows(&evidence, i);
            // What was predicted before the symbol is seen, as generation mixes it.
            let exact: Vec<Vec<f64>> = rows.iter().map(|row| in_f64(row)).collect();
            mixer.mix(&exact, live.lambda(), &can_end, &mut q).unwrap();
            prop_assert!((course.nats[i] + q[x as usize]).abs() < 1e-5);
            live.see(&rows, &evidence.alphabet, x as usize).unwrap();
            prop_assert!((live.lambda().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(live.lambda().iter().all(|w| *w > 0.0));
        }
        prop_assert!(live.lambda().iter().zip(&course.lambda).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn at_rate_0_nothing_is_learnt(evidence in evidence(3), lambda in start(), mix in mixes()) {
        let course = follow(lambda.clone(), &evidence, &options(mix, 0.0)).unwrap();
        prop_assert!(course.lambda.iter().zip(&lambda).all(|(a, b)| (a - b).abs() < 1e-12));
        let bits = course.nats.iter().sum::<f64>() / evidence.bytes as f64 / std::f64::consts::LN_2;
        prop_assert!((bits - mixture_bits_per_byte(&lambda, &evidence, mix, FLOOR).unwrap()).abs() < 1e-9);
    }
}

/// Rows over the bytes in which member k gives `p[k]` to the letter a.
fn letter_a(p: &[f64]) -> Vec<Vec<f32>> {
    let row = |p: f64| (0..257).map(move |s| if s == 97 { p } else { (1.0 - p) / 256.0 });
    p.iter()
        .map(|&p| row(p).map(|p| p.ln() as f32).collect())
        .collect()
}

#[test]
fn a_change_of_subject_brings_a_member_back() {
    let bytes = SymbolSet::bytes();
    for mix in [Mix::Log, Mix::Linear] {
        let mut adaptive = Adaptive::new(vec![0.5, 0.5], &options(mix, 0.05)).unwrap();
        let mut see = |p: &[f64], times: usize| {
            let rows = letter_a(p);
            (0..times).for_each(|_| adaptive.see(&rows, &bytes, 97).unwrap());
            adaptive.lambda().to_vec()
        };
        let first = see(&[0.9, 0.1], 2000);
        // Its weight is small, but not 0.
        assert!(first[1] < 0.03 && first[1] > 0.005, "{mix} {first:?}");
        let second = see(&[0.1, 0.9], 300);
        assert!(second[1] > 0.9, "{mix} {second:?}");
    }
}

#[test]
fn the_absent_and_the_end_teach_nothing() {
    let bytes = SymbolSet::bytes();
    let mut adaptive = Adaptive::new(vec![0.2, 0.3, 0.5], &options(Mix::Log, 0.1)).unwrap();
    adaptive
        .see(&letter_a(&[0.9, 0.1, 0.5]), &bytes, crate::mix::END)
        .unwrap();
    assert_eq!(adaptive.lambda(), [0.2, 0.3, 0.5]);
    let mut rows = letter_a(&[0.9, 0.1, 0.5]);
    rows[1].clear();
    adaptive.see(&rows, &bytes, 97).unwrap();
    let lambda = adaptive.lambda();
    assert_eq!(lambda[1], 0.3);
    assert!(lambda[0] > 0.2 && (lambda.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    // No present member has any weight: nothing to share out.
    let mut idle = Adaptive::new(vec![0.0, 1.0, 0.0], &options(Mix::Log, 0.1)).unwrap();
    idle.see(&rows, &bytes, 97).unwrap();
    assert_eq!(idle.lambda(), [0.0, 1.0, 0.0]);
    let count = WeightError::Count {
        expected: 2,
        actual: 3,
    };
    assert_eq!(idle.see(&rows[..2], &bytes, 97), Err(count));
    let rate = Adaptive::new(vec![1.0], &options(Mix::Log, -0.1)).unwrap_err();
    assert_eq!(rate, WeightError::Rate(-0.1));
}

#[test]
fn one_surprise_does_not_overturn_the_weights() {
    // A probability of 0 is a slope of ln(floor), clipped.
    let mut adaptive = Adaptive::new(vec![0.5, 0.5], &options(Mix::Log, 0.05)).unwrap();
    adaptive
        .see(&letter_a(&[0.5, 0.0]), &SymbolSet::bytes(), 97)
        .unwrap();
    let odds = adaptive.lambda()[0] / adaptive.lambda()[1];
    assert!(odds > 1.0 && odds <= (2.0f64 * 3.0 * 0.05).exp(), "{odds}");
}
