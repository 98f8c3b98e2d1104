use super::*;
use proptest::prelude::*;

/// The module's definition, word for word, in probabilities.
fn plain(
    mix: Mix,
    floor: f64,
    confidence: f64,
    alphabet: &SymbolSet,
    p: &[Vec<f64>],
    lambda: &[f64],
    can_end: &[bool],
) -> Vec<f64> {
    let combine = |weights: &[f64], columns: &[Vec<f64>]| -> Vec<f64> {
        let alone = weights.iter().filter(|w| **w > 0.0).count() == 1;
        let n = columns[0].len();
        let mut q = vec![0.0; n];
        for s in 0..n {
            let terms = weights.iter().zip(columns).filter(|(w, _)| **w > 0.0);
            q[s] = match mix {
                Mix::Linear => terms.map(|(w, p)| w * p[s]).sum(),
                Mix::Log if alone => terms.map(|(_, p)| p[s]).sum(),
                Mix::Log => terms.map(|(w, p)| p[s].max(floor).powf(*w)).product(),
            };
        }
        let z: f64 = q.iter().sum();
        q.iter().map(|q| q / z).collect()
    };
    let others: Vec<usize> = (0..alphabet.size())
        .filter(|&s| !alphabet.is_end(s))
        .collect();
    let mass = |p: &[f64], of: &[usize]| of.iter().map(|&s| p[s]).sum::<f64>();
    let ends = |k: usize| can_end[k] && !alphabet.ends().is_empty();
    let voters: Vec<usize> = (0..p.len()).filter(|&k| ends(k)).collect();
    let total: f64 = voters.iter().map(|&k| lambda[k]).sum();
    let shares: Vec<f64> = voters
        .iter()
        .map(|&k| {
            if total > 0.0 {
                lambda[k] / total
            } else {
                1.0 / voters.len() as f64
            }
        })
        .collect();
    let two_way = |&k: &usize| vec![mass(&p[k], alphabet.ends()), mass(&p[k], &others)];
    // END and its complement, which a subtraction from 1 would lose where END is all but certain.
    let pooled = if voters.is_empty() {
        vec![0.0, 1.0]
    } else {
        combine(&shares, &voters.iter().map(two_way).collect::<Vec<_>>())
    };
    let (end, onward) = (pooled[0], pooled[1]);
    let conditional = |p: &Vec<f64>| -> Vec<f64> {
        let z = mass(p, &others);
        let uniform = 1.0 / others.len() as f64;
        others
            .iter()
            .map(|&s| if z > 0.0 { p[s] / z } else { uniform })
            .collect()
    };
    let conditional: Vec<Vec<f64>> = p.iter().map(conditional).collect();
    let entropy = |p: &Vec<f64>| -> f64 {
        let some = p.iter().filter(|p| **p > 0.0);
        some.map(|p| -p * p.ln()).sum()
    };
    let entropies: Vec<f64> = conditional.iter().map(entropy).collect();
    let heard = (0..p.len()).filter(|&k| lambda[k] > 0.0);
    let surest = heard.map(|k| entropies[k]).fold(f64::INFINITY, f64::min);
    let sure = |k: usize| (-confidence * (entropies[k] - surest)).max(-20.0).exp();
    let omega: Vec<f64> = (0..p.len()).map(|k| lambda[k] * sure(k)).collect();
    let total: f64 = omega.iter().sum();
    let omega: Vec<f64> = omega.iter().map(|w| w / total).collect();
    let go_on = combine(&omega, &conditional);

    let mut q = vec![0.0; alphabet.size()];
    for (&s, p) in others.iter().zip(go_on) {
        q[s] = onward * p;
    }
    for &s in alphabet.ends() {
        let part = |(&k, share): (&usize, &f64)| share * p[k][s] / mass(&p[k], alphabet.ends());
        q[s] = end * voters.iter().zip(&shares).map(part).sum::<f64>();
    }
    q
}

fn ln(p: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row = |p: &Vec<f64>| p.iter().map(|p| p.ln()).collect();
    p.iter().map(row).collect()
}

fn run(
    mix: Mix,
    alphabet: &SymbolSet,
    p: &[Vec<f64>],
    lambda: &[f64],
    can_end: &[bool],
) -> Result<Vec<f64>, MixError> {
    sure(0.0, mix, alphabet, p, lambda, can_end)
}

fn sure(
    confidence: f64,
    mix: Mix,
    alphabet: &SymbolSet,
    p: &[Vec<f64>],
    lambda: &[f64],
    can_end: &[bool],
) -> Result<Vec<f64>, MixError> {
    let mixer = Mixer::new(mix, DEFAULT_FLOOR, alphabet.clone())?;
    let mut mixer = mixer.with_confidence(confidence);
    let mut out = vec![f64::NAN; alphabet.size()];
    mixer.mix(&ln(p), lambda, can_end, &mut out)?;
    Ok(out.iter().map(|q| q.exp()).collect())
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12)
}

/// Distributions over `n` symbols: exponentials of wide logits, so that some are tiny.
fn distributions(members: usize, n: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    let row = prop::collection::vec(-30.0..3.0f64, n).prop_map(|logits| {
        let p: Vec<f64> = logits.iter().map(|x| x.exp()).collect();
        let z: f64 = p.iter().sum();
        p.iter().map(|p| p / z).collect()
    });
    prop::collection::vec(row, members)
}

fn simplex(members: usize) -> impl Strategy<Value = Vec<f64>> {
    let weight = prop_oneof![1 => Just(0.0), 4 => 0.01..1.0f64];
    prop::collection::vec(weight, members)
        .prop_filter("a weight", |w| w.iter().sum::<f64>() > 0.0)
        .prop_map(|w| {
            let z: f64 = w.iter().sum();
            w.iter().map(|w| w / z).collect()
        })
}

fn confidences() -> impl Strategy<Value = f64> {
    prop_oneof![1 => Just(0.0), 3 => 0.1..8.0f64]
}

fn mixes() -> impl Strategy<Value = Mix> {
    prop_oneof![Just(Mix::Log), Just(Mix::Linear)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn equals_the_definition(
        mix in mixes(),
        confidence in confidences(),
        p in distributions(4, 9),
        lambda in simplex(4),
        can_end in prop::collection::vec(any::<bool>(), 4),
        ends in prop::collection::vec(0..9usize, 0..4),
    ) {
        let alphabet = SymbolSet::tokens(9, ends).unwrap();
        let fast = sure(confidence, mix, &alphabet, &p, &lambda, &can_end).unwrap();
        let slow = plain(mix, DEFAULT_FLOOR, confidence, &alphabet, &p, &lambda, &can_end);
        prop_assert!(close(&fast, &slow), "{fast:?}\n{slow:?}");
        prop_assert!((fast.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        if !can_end.contains(&true) {
            prop_assert!(alphabet.ends().iter().all(|&s| fast[s] == 0.0));
        }
    }

    /// Against the definition of the module without the member.
    #[test]
    fn contributions_are_against_the_others_alone(
        mix in mixes(),
        // Where one has nearly all say, what the others said is a difference of nearly equal numbers.
        confidence in 0.0..3.0f64,
        p in distributions(4, 9),
        lambda in simplex(4),
        can_end in prop::collection::vec(any::<bool>(), 4),
        ends in prop::collection::vec(0..9usize, 0..4),
        symbol in 0..9usize,
    ) {
        let alphabet = SymbolSet::tokens(9, ends).unwrap();
        prop_assume!(!alphabet.is_end(symbol));
        let mixer = Mixer::new(mix, DEFAULT_FLOOR, alphabet.clone()).unwrap();
        let mut mixer = mixer.with_confidence(confidence);
        let (rows, mut mixed, mut fast) = (ln(&p), vec![0.0; 9], Vec::new());
        mixer.mix(&rows, &lambda, &can_end, &mut mixed).unwrap();
        mixer.contributions(&rows, &lambda, &can_end, &mixed, symbol, &mut fast).unwrap();
        let said = |members: &[usize]| {
            let pick = |k: &usize| (p[*k].clone(), (lambda[*k], can_end[*k]));
            let (p, rest): (Vec<_>, Vec<_>) = members.iter().map(pick).unzip();
            let (lambda, can_end): (Vec<f64>, Vec<bool>) = rest.into_iter().unzip();
            let total: f64 = lambda.iter().sum();
            let lambda: Vec<f64> = lambda.iter().map(|w| w / total).collect();
            plain(mix, DEFAULT_FLOOR, confidence, &alphabet, &p, &lambda, &can_end)[symbol].ln()
        };
        for k in 0..4 {
            let others: Vec<usize> = (0..4).filter(|&j| j != k).collect();
            let slow = match lambda[k] {
                0.0 => 0.0,
                1.0 => f64::INFINITY,
                _ => said(&[0, 1, 2, 3]) - said(&others),
            };
            let equal = fast[k] == slow || (fast[k] - slow).abs() <= 1e-9 * (1.0 + slow.abs());
            prop_assert!(equal, "{k}: {} {slow}", fast[k]);
        }
    }

    /// The surer a member is, the more of its weight it has.
    #[test]
    fn confidence_moves_the_mixture_to_the_surest(lambda in 0.05..0.95f64, more in 0.1..3.0f64) {
        let sure: Vec<f64> = [0.97, 0.01, 0.01, 0.01].to_vec();
        let p = vec![sure, vec![0.25; 4]];
        let alphabet = SymbolSet::tokens(4, vec![]).unwrap();
        let first = |confidence| {
            let q = super::tests::sure(confidence, Mix::Linear, &alphabet, &p, &[lambda, 1.0 - lambda], &[true; 2]);
            q.unwrap()[0]
        };
        prop_assert!(first(more) > first(0.0) && first(2.0 * more) > first(more));
    }

    #[test]
    fn one_member_is_itself(mix in mixes(), p in distributions(1, SYMBOLS)) {
        let q = run(mix, &SymbolSet::bytes(), &p, &[1.0], &[true]).unwrap();
        prop_assert!(close(&q, &p[0]));
        let tokens = SymbolSet::tokens(SYMBOLS, vec![3, 200, 77]).unwrap();
        let q = run(mix, &tokens, &p, &[1.0], &[true]).unwrap();
        prop_assert!(close(&q, &p[0]));
    }

    #[test]
    fn identical_members_change_nothing(
        mix in mixes(),
        p in distributions(1, SYMBOLS),
        lambda in simplex(3),
    ) {
        let same = vec![p[0].clone(); 3];
        let q = run(mix, &SymbolSet::bytes(), &same, &lambda, &[true; 3]).unwrap();
        // The floor lifts what is under it: up to 257 floors of mass.
        let gap = q.iter().zip(&p[0]).map(|(q, p)| (q - p).abs()).fold(0.0, f64::max);
        prop_assert!(gap <= 257.0 * DEFAULT_FLOOR);
    }

    #[test]
    fn order_of_members_is_immaterial(
        mix in mixes(),
        p in distributions(3, SYMBOLS),
        lambda in simplex(3),
    ) {
        let ends = [true, false, true];
        let q = run(mix, &SymbolSet::bytes(), &p, &lambda, &ends).unwrap();
        let turned = |i: usize| (i + 1) % 3;
        let p2: Vec<_> = (0..3).map(|i| p[turned(i)].clone()).collect();
        let lambda2: Vec<_> = (0..3).map(|i| lambda[turned(i)]).collect();
        let ends2: Vec<_> = (0..3).map(|i| ends[turned(i)]).collect();
        let q2 = run(mix, &SymbolSet::bytes(), &p2, &lambda2, &ends2).unwrap();
        prop_assert!(close(&q, &q2));
    }

    #[test]
    fn log_mixing_averages_logits(
        logits in prop::collection::vec(prop::collection::vec(-4.0..4.0f64, 12), 3),
        lambda in simplex(3),
    ) {
        let softmax = |x: &[f64]| -> Vec<f64> {
            let z: f64 = x.iter().map(|x| x.exp()).sum();
            x.iter().map(|x| x.exp() / z).collect()
        };
        let p: Vec<_> = logits.iter().map(|x| softmax(x)).collect();
        let alphabet = SymbolSet::tokens(12, vec![]).unwrap();
        let q = run(Mix::Log, &alphabet, &p, &lambda, &[true; 3]).unwrap();
        let mean: Vec<f64> = (0..12)
            .map(|s| lambda.iter().zip(&logits).map(|(w, x)| w * x[s]).sum())
            .collect();
        prop_assert!(close(&q, &softmax(&mean)));
    }
}

fn certain(symbol: usize) -> Vec<f64> {
    let mut p = vec![0.0; SYMBOLS];
    p[symbol] = 1.0;
    p
}

#[test]
fn certain_members_never_break_the_sum() {
    let alphabet = SymbolSet::bytes();
    let symbols = [65, 66, END];
    for mix in [Mix::Log, Mix::Linear] {
        for floor in [0.0, DEFAULT_FLOOR] {
            for a in symbols {
                for b in symbols {
                    for can_end in [[true, true], [true, false], [false, false]] {
                        let rows = ln(&[certain(a), certain(b)]);
                        let mut out = [0.0; SYMBOLS];
                        let mut mixer = Mixer::new(mix, floor, alphabet.clone()).unwrap();
                        mixer.mix(&rows, &[0.5, 0.5], &can_end, &mut out).unwrap();
                        let sum: f64 = out.iter().map(|q| q.exp()).sum();
                        assert!((sum - 1.0).abs() < 1e-12, "{mix} {a} {b} {sum}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_only_one_can_say_is_its_own() {
    let alphabet = SymbolSet::bytes();
    let argued = |mix, rows: &[Vec<f64>], lambda: &[f64]| {
        let mut mixer = Mixer::new(mix, DEFAULT_FLOOR, alphabet.clone()).unwrap();
        let (mut mixed, mut out) = (vec![0.0; SYMBOLS], Vec::new());
        let can_end = vec![true; rows.len()];
        mixer.mix(rows, lambda, &can_end, &mut mixed).unwrap();
        mixer
            .contributions(rows, lambda, &can_end, &mixed, 65, &mut out)
            .unwrap();
        out
    };
    let mut even = vec![0.0; SYMBOLS];
    (even[65], even[66]) = (0.5, 0.5);
    for mix in [Mix::Log, Mix::Linear] {
        let rows = ln(&[certain(65), certain(66)]);
        assert_eq!(argued(mix, &rows, &[0.5, 0.5])[0], f64::INFINITY);
        assert_eq!(argued(mix, &rows[..1], &[1.0]), [f64::INFINITY]);
        let absent = [ln(&[even.clone()]).remove(0), Vec::new()];
        assert_eq!(argued(mix, &absent, &[1.0, 0.0]), [f64::INFINITY, 0.0]);
        // Twice the probability is one bit between two.
        let rows = ln(&[certain(65), even.clone()]);
        let two = argued(mix, &rows, &[0.5, 0.5]);
        assert!((two[0] - two[1] - 2f64.ln()).abs() < 1e-9, "{mix} {two:?}");
        // A member that says the same as the others contributes nothing.
        let same = argued(mix, &ln(&vec![even.clone(); 3]), &[0.2, 0.3, 0.5]);
        assert!(same.iter().all(|c| c.abs() < 1e-8), "{mix} {same:?}");
    }
}

#[test]
fn only_members_that_can_end_decide_about_it() {
    let alphabet = SymbolSet::tokens(3, vec![2]).unwrap();
    let p = [vec![0.5, 0.1, 0.4], vec![0.1, 0.9, 0.0]];
    let q = run(Mix::Linear, &alphabet, &p, &[0.5, 0.5], &[true, false]).unwrap();
    assert!((q[2] - 0.4).abs() < 1e-12);
    // A present ending member of weight 0 decides where no other can.
    let q = run(Mix::Linear, &alphabet, &p, &[0.0, 1.0], &[true, false]).unwrap();
    assert!(close(&q, &[0.06, 0.54, 0.4]));
}

#[test]
fn members_may_be_absent() {
    let rows: Vec<Vec<f64>> = vec![
        vec![(0.25f64).ln(), (0.75f64).ln(), f64::NEG_INFINITY],
        vec![],
    ];
    let alphabet = SymbolSet::tokens(3, vec![2]).unwrap();
    let mut mixer = Mixer::new(Mix::Log, 0.0, alphabet).unwrap();
    let mut out = [0.0; 3];
    mixer
        .mix(&rows, &[1.0, 0.0], &[true, true], &mut out)
        .unwrap();
    assert!((out[0].exp() - 0.25).abs() < 1e-12 && out[2] == f64::NEG_INFINITY);
    let missing = mixer.mix(&rows, &[0.5, 0.5], &[true, true], &mut out);
    assert!(matches!(
        missing,
        Err(MixError::Length {
            member: Some(1),
            ..
        })
    ));
}

#[test]
fn bad_input_is_an_error() {
    assert_eq!("log".parse(), Ok(Mix::Log));
    assert!("lin".parse::<Mix>().is_err());
    assert!(Mixer::new(Mix::Log, f64::NAN, SymbolSet::bytes()).is_err());
    assert!(SymbolSet::tokens(2, vec![0, 1]).is_err());
    assert!(SymbolSet::tokens(2, vec![2]).is_err());
    let alphabet = SymbolSet::tokens(3, vec![2]).unwrap();
    for mix in [Mix::Log, Mix::Linear] {
        let mut mixer = Mixer::new(mix, 0.1, alphabet.clone()).unwrap();
        let mut run = |row: [f64; 3], weight: f64| {
            mixer.mix(&[row, [-1.0; 3]], &[weight, 1.0], &[true; 2], &mut [0.0; 3])
        };
        for spot in 0..3 {
            let mut row = [-1.0; 3];
            row[spot] = f64::NAN;
            assert_eq!(run(row, 1.0), Err(MixError::NotANumber { member: 0 }));
        }
        assert!(run([f64::INFINITY, 0.0, 0.0], 1.0).is_err());
        for weight in [f64::NAN, -0.1, f64::INFINITY] {
            assert!(matches!(
                run([-1.0; 3], weight),
                Err(MixError::Weight { member: 0, .. })
            ));
        }
        assert_eq!(
            mixer.mix(&[[f64::NEG_INFINITY; 3]], &[1.0], &[false], &mut [0.0; 3]),
            Err(MixError::NotADistribution)
        );
        assert_eq!(
            mixer.mix(&[[-1.0; 3]], &[0.0], &[false], &mut [0.0; 3]),
            Err(MixError::NoMember)
        );
    }
}
