use super::*;
use proptest::prelude::*;

fn plain_params() -> Params {
    Params {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        ..Params::default()
    }
}

/// Probabilities after all filters, by definition; by symbol.
fn plain(p: &[f64], params: &Params) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&s| p[s] > 0.0).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
    if params.top_k > 0 {
        order.truncate(params.top_k);
    }
    let total: f64 = order.iter().map(|&s| p[s]).sum();
    let mut sum = 0.0;
    let enough = |&s: &usize| {
        sum += p[s] / total;
        sum >= params.top_p
    };
    if params.top_p < 1.0
        && let Some(last) = order.iter().position(enough)
    {
        order.truncate(last + 1);
    }
    order.retain(|&s| p[s] >= params.min_p * p[order_best(p)]);
    let mut q = vec![0.0; p.len()];
    order
        .iter()
        .for_each(|&s| q[s] = p[s].powf(1.0 / params.temperature));
    let total: f64 = q.iter().sum();
    q.iter().map(|q| q / total).collect()
}

fn order_best(p: &[f64]) -> usize {
    (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap()
}

fn ln(p: &[f64]) -> Vec<f64> {
    p.iter().map(|p| p.ln()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn frequencies_are_those_of_the_definition(
        weights in prop::collection::vec(0.01..1.0f64, 8),
        temperature in 0.3..2.0f64,
        top_k in 0..9usize,
        top_p in 0.2..1.1f64,
        min_p in 0.0..0.5f64,
        seed in any::<u64>(),
    ) {
        let params = Params { temperature, top_k, top_p: top_p.min(1.0), min_p, seed, ..plain_params() };
        let total: f64 = weights.iter().sum();
        let p: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let expected = plain(&p, &params);
        let mut sampler = Sampler::tokens(params).unwrap();
        let draws = 4000;
        let mut seen = [0u32; 8];
        for _ in 0..draws {
            seen[sampler.pick(&mut ln(&p), |_| true).unwrap()] += 1;
        }
        for (seen, p) in seen.iter().zip(expected) {
            let expected = p * f64::from(draws);
            // Bernstein's bound: a binomial count is farther off with a probability below
            // 2·exp(−25), 3e-11.
            let bound = 25.0 / 3.0 + ((25.0f64 / 3.0).powi(2) + 50.0 * expected * (1.0 - p)).sqrt();
            prop_assert!((f64::from(*seen) - expected).abs() <= bound, "{seen} {expected}");
            prop_assert!(p > 0.0 || *seen == 0);
        }
    }
}

#[test]
fn greedy_takes_the_first_of_the_likeliest() {
    for temperature in [0.0, -1.0] {
        let params = Params {
            temperature,
            ..Params::default()
        };
        let mut sampler = Sampler::tokens(params).unwrap();
        let p = [0.1, 0.3, 0.3, 0.3];
        assert_eq!(sampler.pick(&mut ln(&p), |_| true), Some(1));
        assert_eq!(sampler.pick(&mut ln(&p), |s| s != 1), Some(2));
    }
}

#[test]
fn nothing_allowed_is_none() {
    let mut sampler = Sampler::bytes(Params::default(), 0).unwrap();
    assert_eq!(sampler.pick(&mut [0.0, -1.0], |_| false), None);
    assert_eq!(
        sampler.pick(&mut [f64::NEG_INFINITY, f64::NAN, f64::INFINITY], |_| true),
        None
    );
    assert_eq!(sampler.pick(&mut [], |_| true), None);
    assert_eq!(
        sampler.pick(&mut [f64::NEG_INFINITY, -900.0], |_| true),
        Some(1)
    );
}

#[test]
fn the_mask_comes_before_the_filters() {
    let params = Params {
        top_k: 1,
        ..plain_params()
    };
    let mut sampler = Sampler::tokens(params).unwrap();
    assert_eq!(
        sampler.pick(&mut ln(&[0.9, 0.04, 0.06]), |s| s != 0),
        Some(2)
    );
}

#[test]
fn a_seed_repeats() {
    let run = |seed: u64| -> Vec<usize> {
        let mut sampler = Sampler::tokens(Params {
            seed,
            ..plain_params()
        })
        .unwrap();
        (0..24)
            .filter_map(|_| sampler.pick(&mut ln(&[0.25; 4]), |_| true))
            .collect()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    // The stream itself is part of what a seed promises.
    assert_eq!(run(42)[..12], [0, 0, 3, 2, 3, 1, 0, 2, 3, 1, 0, 3]);
}

#[test]
fn a_penalty_divides_the_probability() {
    let params = Params {
        repeat_penalty: 4.0,
        ..plain_params()
    };
    let mut sampler = Sampler::tokens(params).unwrap();
    sampler.accept(0);
    let mut log_q = ln(&[0.6, 0.4]);
    sampler.pick(&mut log_q, |_| true);
    assert!((log_q[0].exp() - 0.15).abs() < 1e-12 && (log_q[1].exp() - 0.4).abs() < 1e-12);
}

#[test]
fn parameters_out_of_range_are_named() {
    let fails = |params: Params| params.validate().unwrap_err().to_string();
    let base = Params::default;
    assert!(base().validate().is_ok());
    assert!(
        fails(Params {
            temperature: f64::NAN,
            ..base()
        })
        .contains("the temperature")
    );
    assert!(
        fails(Params {
            top_p: 1.5,
            ..base()
        })
        .contains("top-p")
    );
    assert!(
        fails(Params {
            top_p: f64::NAN,
            ..base()
        })
        .contains("top-p")
    );
    assert!(
        fails(Params {
            min_p: -0.1,
            ..base()
        })
        .contains("min-p")
    );
    assert!(
        fails(Params {
            repeat_penalty: 0.0,
            ..base()
        })
        .contains("the repetition penalty")
    );
    assert!(
        Sampler::tokens(Params {
            top_p: 2.0,
            ..base()
        })
        .is_err()
    );
}
