//! `exact` and what it is made of.

use super::*;
use crate::weight::curve::Curve;
use crate::weight::simplex::{Model, minimise};

/// F(λ) in nats per byte, from its definition.
fn objective(evidence: &Evidence, lambda: &[f64], options: &Options) -> f64 {
    let bits = mixture_bits_per_byte(lambda, evidence, options.mix, options.floor).unwrap();
    let strength = options.prior_bytes / evidence.bytes as f64;
    let mut prior = options.prior.clone();
    if prior.is_empty() {
        prior = weights(&Method::Sim, evidence, options).unwrap().lambda;
    }
    let total: f64 = prior.iter().sum();
    let parts = prior.iter().zip(lambda).map(|(p, l)| match p {
        _ if strength == 0.0 => 0.0,
        0.0 => 0.0,
        p => p / total * (p / total / l).ln(),
    });
    bits * std::f64::consts::LN_2 + strength * parts.sum::<f64>()
}

/// All weights of `members` that are multiples of 1 / `steps`.
fn grid(members: usize, steps: usize) -> Vec<Vec<f64>> {
    let mut points = vec![vec![]];
    for k in 0..members {
        let mut longer = Vec::new();
        for point in points {
            let left = steps - point.iter().sum::<usize>();
            let range = if k + 1 == members {
                left..=left
            } else {
                0..=left
            };
            longer.extend(range.map(|x| [point.clone(), vec![x]].concat()));
        }
        points = longer;
    }
    let share = |x: usize| x as f64 / steps as f64;
    let shares = |point: Vec<usize>| point.into_iter().map(share).collect();
    points.into_iter().map(shares).collect()
}

fn options(members: usize) -> impl Strategy<Value = Options> {
    let bytes = prop_oneof![Just(0.0), 0.01..100.0f64];
    let prior = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(prop_oneof![1 => Just(0.0), 5 => 0.1..3.0f64], members),
    ];
    let prior = prior.prop_filter("a weight", |p| p.is_empty() || p.iter().sum::<f64>() > 0.0);
    (mixes(), bytes, prior).prop_map(|(mix, prior_bytes, prior)| Options {
        prior_bytes,
        prior,
        ..bare(mix)
    })
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![evidence(2), evidence(3)]
}

/// A point inside the simplex.
fn inside(members: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.05..1.0f64, members).prop_map(|mut lambda| {
        normalise(&mut lambda);
        lambda
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_curve_is_that_of_the_loss(evidence in evidence(3), lambda in inside(3), mix in mixes()) {
        let mixture = Mixture::new(&evidence, mix, FLOOR).unwrap();
        let curve = Curve::of(&mixture, &lambda);
        prop_assert!((curve.value - mixture.nats_per_byte_of(&lambda)).abs() < 1e-12);
        let step = 1e-5;
        for (from, to) in [(0, 1), (1, 2), (2, 0)] {
            let moved = |by: f64| {
                let mut moved = lambda.clone();
                moved[from] -= by;
                moved[to] += by;
                moved
            };
            let loss = |by| mixture.nats_per_byte_of(&moved(by));
            let slope = curve.gradient[to] - curve.gradient[from];
            let measured = (loss(step) - loss(-step)) / (2.0 * step);
            prop_assert!((slope - measured).abs() < 1e-6 * (1.0 + slope.abs()), "{slope} {measured}");
            if !Curve::is_convex(&mixture) {
                // The Hessian leaves a part out.
                continue;
            }
            let (ahead, behind) = (Curve::of(&mixture, &moved(step)), Curve::of(&mixture, &moved(-step)));
            for k in 0..3 {
                // Gradients count up to what all members have in common.
                let turn = |c: &Curve| c.gradient[k] - c.gradient[0];
                let measured = (turn(&ahead) - turn(&behind)) / (2.0 * step);
                let h = |k: usize, l: usize| curve.hessian[3 * k + l];
                let expected = h(k, to) - h(k, from) - h(0, to) + h(0, from);
                prop_assert!((expected - measured).abs() < 1e-5 * (1.0 + expected.abs()), "{expected} {measured}");
            }
        }
    }

    #[test]
    fn a_step_is_the_least_of_its_model(
        factor in prop::collection::vec(-3.0..3.0f64, 9),
        gradient in prop::collection::vec(-1.0..1.0f64, 3),
        barrier in prop::collection::vec(prop_oneof![Just(0.0), 1e-6..1.0f64], 3),
        centre in inside(3),
    ) {
        // Rank 2, as identical members would make it.
        let entry = |k: usize, l: usize| (0..2).map(|j| factor[3 * j + k] * factor[3 * j + l]).sum();
        let hessian: Vec<f64> = (0..9).map(|at| entry(at / 3, at % 3)).collect();
        let model = Model { centre: &centre, gradient: &gradient, hessian: &hessian, barrier: &barrier };
        let least = minimise(&model);
        prop_assert!((least.iter().sum::<f64>() - 1.0).abs() < 1e-12 && least.iter().all(|x| *x >= 0.0));
        let value = model.change(&least);
        for point in grid(3, 50) {
            let there = model.change(&point);
            prop_assert!(value <= there + 1e-9, "{least:?} {value}, {point:?} {there}");
        }
    }

    #[test]
    fn nothing_on_a_fine_grid_is_better(
        (evidence, options) in prop_oneof![
            (evidence(2), options(2)),
            (evidence(3), options(3)),
        ],
    ) {
        let weights = weights(&Method::Exact, &evidence, &options).unwrap();
        prop_assert!((weights.lambda.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // Where the problem is not convex, a minimum is promised, not the least of all.
        if !weights.certificate.unwrap().convex {
            return Ok(());
        }
        let found = objective(&evidence, &weights.lambda, &options);
        let members = evidence.members.len();
        for point in grid(members, if members == 2 { 400 } else { 40 }) {
            let there = objective(&evidence, &point, &options);
            prop_assert!(found <= there + 1e-9, "{weights:?} {found}, {point:?} {there}");
        }
    }

    #[test]
    fn never_worse_on_the_evidence_than_opt_or_any_member(evidence in any_evidence(), mix in mixes()) {
        let bits = |method: &Method| {
            let lambda = weights(method, &evidence, &bare(mix)).unwrap().lambda;
            plain_loss(&evidence, &lambda, mix)
        };
        let exact = bits(&Method::Exact);
        prop_assert!(exact <= bits(&Method::Opt) + 1e-12);
        for k in 0..evidence.members.len() {
            let alone: Vec<f64> = (0..evidence.members.len()).map(|l| f64::from(u8::from(k == l))).collect();
            prop_assert!(exact <= plain_loss(&evidence, &alone, mix) + 1e-12);
        }
    }

    #[test]
    fn the_gap_is_what_it_says(evidence in evidence(3), mix in mixes(), prior_bytes in 1.0..50.0f64, other in inside(3)) {
        let options = Options { prior_bytes, prior: vec![1.0; 3], ..bare(mix) };
        let found = weights(&Method::Exact, &evidence, &options).unwrap();
        let certificate = found.certificate.unwrap();
        prop_assert!((0.0..=TOLERANCE).contains(&certificate.gap), "{certificate:?}");
        // The slope towards every corner, measured. The prior keeps λ inside, so that both sides
        // exist.
        let step = 1e-5;
        for k in 0..3 {
            let towards = |by: f64| -> Vec<f64> {
                let corner = |l| f64::from(u8::from(k == l));
                (0..3).map(|l| found.lambda[l] + by * (corner(l) - found.lambda[l])).collect()
            };
            let at = |by| objective(&evidence, &towards(by), &options);
            let rise = (at(step) - at(-step)) / (2.0 * step);
            prop_assert!(-rise <= certificate.gap + 1e-6, "{rise} {certificate:?}");
        }
        if certificate.convex {
            let least = objective(&evidence, &found.lambda, &options) - certificate.gap;
            prop_assert!(objective(&evidence, &other, &options) >= least - 1e-12);
        }
    }

    #[test]
    fn a_strong_prior_wins_and_a_weak_one_does_not(evidence in evidence(3), mix in mixes()) {
        let with = |prior_bytes: f64| {
            let prior = vec![1.0, 2.0, 5.0];
            let options = Options { prior_bytes, prior, ..bare(mix) };
            weights(&Method::Exact, &evidence, &options).unwrap().lambda
        };
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        prop_assert!(near(&with(1e7), &[0.125, 0.25, 0.625]));
        let bits = |lambda: &[f64]| mixture_bits_per_byte(lambda, &evidence, mix, FLOOR).unwrap();
        // At a corner the loss may jump, and a prior keeps away from corners.
        let free = with(0.0);
        let mixture = Mixture::new(&evidence, mix, FLOOR).unwrap();
        if Curve::is_convex(&mixture) && free.iter().all(|x| *x > 0.0) {
            prop_assert!(bits(&with(1e-6)) < bits(&free) + 1e-3);
        }
    }

    #[test]
    fn sparse_rows_are_weighed_like_dense_ones(evidence in evidence(3), options in options(3), keep in 0..SIZE) {
        let (sparse, spread) = sparsify(&evidence, keep);
        let lambda = |evidence: &Evidence| weights(&Method::Exact, evidence, &options).unwrap().lambda;
        let value = |evidence: &Evidence| objective(&spread, &lambda(evidence), &options);
        prop_assert!((value(&sparse) - value(&spread)).abs() < 1e-5);
    }
}

/// Evidence in bytes: at every position member k gives x the probability `p[k]` of it and spreads
/// the rest.
fn simple(p: &[&[f64]]) -> Evidence {
    let n = p[0].len();
    let member = |p: &&[f64]| {
        let row = |p: f64| (0..257).map(move |s| if s == 97 { p } else { (1.0 - p) / 256.0 });
        let rows = p.iter().flat_map(|&p| row(p).map(|p| p.ln() as f32));
        MemberEvidence {
            tokens: n,
            can_end: false,
            nats: p.iter().map(|p| -p.ln() as f32).collect(),
            rows: Rows::Dense(rows.collect()),
        }
    };
    Evidence {
        alphabet: SymbolSet::bytes(),
        bytes: n,
        symbols: vec![97; n],
        members: p.iter().map(member).collect(),
    }
}

#[test]
fn without_evidence_the_prior_is_all() {
    let nothing = simple(&[&[], &[]]);
    let options = Options {
        prior: vec![3.0, 1.0],
        ..Options::default()
    };
    let derived = weights(&Method::Exact, &nothing, &options).unwrap();
    assert_eq!(
        (derived.lambda, derived.no_evidence, derived.certificate),
        (vec![0.75, 0.25], true, None)
    );
}

#[test]
fn one_member_and_identical_members() {
    for mix in [Mix::Log, Mix::Linear] {
        for prior_bytes in [0.0, 10.0] {
            let options = Options {
                prior_bytes,
                ..bare(mix)
            };
            let one = weights(&Method::Exact, &simple(&[&[0.3, 0.9]]), &options).unwrap();
            assert_eq!(one.lambda, [1.0]);
            let same = simple(&[&[0.3, 0.9], &[0.3, 0.9], &[0.3, 0.9]]);
            let same = weights(&Method::Exact, &same, &options).unwrap();
            assert!(same.certificate.unwrap().gap <= TOLERANCE);
            assert!(same.lambda.iter().all(|x| (x - 1.0 / 3.0).abs() < 1e-6));
        }
    }
}

#[test]
fn a_member_that_rules_the_text_out() {
    // The first is never wrong by much, the second excludes what comes, once or always.
    for mix in [Mix::Log, Mix::Linear] {
        let once = simple(&[&[0.5, 0.5, 0.5], &[0.99, 0.0, 0.99]]);
        let derived = weights(&Method::Exact, &once, &bare(mix)).unwrap();
        assert!(derived.certificate.unwrap().gap <= TOLERANCE);
        let loss = |lambda: &[f64]| plain_bytes(&once, lambda, mix);
        for point in grid(2, 1000) {
            assert!(loss(&derived.lambda) <= loss(&point) + 1e-9, "{point:?}");
        }
        let always = simple(&[&[0.5, 0.5], &[0.0, 0.0]]);
        let derived = weights(&Method::Exact, &always, &bare(mix)).unwrap();
        assert_eq!(derived.lambda, [1.0, 0.0]);
        // Impossible to all: every λ costs the same infinity, and there is an answer all the same.
        let hopeless = simple(&[&[0.0, 0.5], &[0.0, 0.9]]);
        let derived = weights(&Method::Exact, &hopeless, &bare(mix)).unwrap();
        assert!(derived.lambda.iter().all(|x| x.is_finite()));
        assert!((derived.lambda.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

fn plain_bytes(evidence: &Evidence, lambda: &[f64], mix: Mix) -> f64 {
    mixture_bits_per_byte(lambda, evidence, mix, FLOOR).unwrap()
}

#[test]
fn bad_priors_are_errors() {
    let evidence = simple(&[&[0.5], &[0.25]]);
    let derive = |prior_bytes, prior: &[f64]| {
        let options = Options {
            prior_bytes,
            prior: prior.to_vec(),
            ..Options::default()
        };
        weights(&Method::Exact, &evidence, &options).unwrap_err()
    };
    assert_eq!(derive(-1.0, &[]), WeightError::PriorBytes(-1.0));
    assert_eq!(
        derive(f64::INFINITY, &[]),
        WeightError::PriorBytes(f64::INFINITY)
    );
    assert_eq!(derive(1.0, &[0.0, 0.0]), WeightError::Prior);
    assert_eq!(derive(1.0, &[f64::NAN, 1.0]), WeightError::Prior);
    let count = WeightError::Count {
        expected: 2,
        actual: 3,
    };
    assert_eq!(derive(1.0, &[1.0, 1.0, 1.0]), count);
}
