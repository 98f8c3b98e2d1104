use super::*;
use crate::mix::{Mixer, SymbolSet};
use proptest::prelude::*;

mod adaptive;
mod exact;

const N: usize = 7;
const SIZE: usize = 12;
const FLOOR: f64 = 1e-6;

/// Dense evidence over 12 symbols, two of them END. The first member's losses vary most, so that
/// orders differ.
fn evidence(members: usize) -> impl Strategy<Value = Evidence> {
    let logits = prop::collection::vec(-12.0..2.0f64, members * N * SIZE);
    let symbols = prop::collection::vec(0..(SIZE as u32 - 2), N);
    let can_end = prop::collection::vec(any::<bool>(), members);
    (logits, symbols, can_end).prop_map(move |(logits, symbols, can_end)| {
        let member = |k: usize| {
            let rows = logits[k * N * SIZE..(k + 1) * N * SIZE].chunks(SIZE);
            let ln_p: Vec<f32> = rows
                .flat_map(|row| {
                    let z = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                    row.iter().map(move |x| (x - z) as f32)
                })
                .collect();
            let nats = symbols.iter().enumerate();
            MemberEvidence {
                tokens: 3 + k,
                can_end: can_end[k],
                nats: nats.map(|(i, &x)| -ln_p[i * SIZE + x as usize]).collect(),
                rows: Rows::Dense(ln_p),
            }
        };
        Evidence {
            alphabet: SymbolSet::tokens(SIZE, vec![10, 11]).unwrap(),
            bytes: 20,
            members: (0..members).map(member).collect(),
            symbols,
        }
    })
}

/// Options for one mix, without a prior.
fn bare(mix: Mix) -> Options {
    Options {
        mix,
        floor: FLOOR,
        prior_bytes: 0.0,
        ..Options::default()
    }
}

fn dense(member: &MemberEvidence) -> &[f32] {
    match &member.rows {
        Rows::Dense(rows) => rows,
        _ => panic!("not dense"),
    }
}

fn in_f64(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&ln_p| f64::from(ln_p)).collect()
}

/// The mixture's loss in bits per byte by way of the mixer of generation.
fn plain_loss(evidence: &Evidence, lambda: &[f64], mix: Mix) -> f64 {
    plain_loss_of_the_sure(evidence, lambda, mix, 0.0)
}

fn plain_loss_of_the_sure(evidence: &Evidence, lambda: &[f64], mix: Mix, confidence: f64) -> f64 {
    let mixer = Mixer::new(mix, FLOOR, evidence.alphabet.clone()).unwrap();
    let mut mixer = mixer.with_confidence(confidence);
    let can_end: Vec<bool> = evidence.members.iter().map(|m| m.can_end).collect();
    let mut out = vec![0.0; SIZE];
    let mut loss = 0.0;
    for (i, &x) in evidence.symbols.iter().enumerate() {
        let row = |m| in_f64(&dense(m)[i * SIZE..(i + 1) * SIZE]);
        let rows: Vec<Vec<f64>> = evidence.members.iter().map(row).collect();
        mixer.mix(&rows, lambda, &can_end, &mut out).unwrap();
        loss -= out[x as usize];
    }
    loss / evidence.bytes as f64 / std::f64::consts::LN_2
}

/// Whether each symbol is the likeliest by way of the mixer of generation, END taken as one symbol.
fn plain_likeliest(evidence: &Evidence, lambda: &[f64], mix: Mix) -> Vec<bool> {
    let mut mixer = Mixer::new(mix, FLOOR, evidence.alphabet.clone()).unwrap();
    let can_end: Vec<bool> = evidence.members.iter().map(|m| m.can_end).collect();
    let mut out = vec![0.0; SIZE];
    let of = |(i, &x): (usize, &u32)| {
        let row = |m| in_f64(&dense(m)[i * SIZE..(i + 1) * SIZE]);
        let rows: Vec<Vec<f64>> = evidence.members.iter().map(row).collect();
        mixer.mix(&rows, lambda, &can_end, &mut out).unwrap();
        let end = (out[10].exp() + out[11].exp()).ln();
        let text = out[..10].iter().copied().fold(end, f64::max);
        out[x as usize] >= text - 1e-9
    };
    evidence.symbols.iter().enumerate().map(of).collect()
}

/// The same texts, each symbol the likeliest of its row in member 0 where `greedy` says so.
fn say_greedily(mut evidence: Evidence, greedy: &[bool]) -> Evidence {
    for (i, _) in greedy.iter().enumerate().filter(|(_, greedy)| **greedy) {
        let row = &dense(&evidence.members[0])[i * SIZE..i * SIZE + 10];
        let best = (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        evidence.symbols[i] = best as u32;
        for member in &mut evidence.members {
            member.nats[i] = -dense(member)[i * SIZE + best];
        }
    }
    evidence
}

proptest! {
    #[test]
    fn the_likeliest_symbols_are_those_that_generation_would_pick(
        evidence in evidence(3),
        greedy in prop::collection::vec(any::<bool>(), N),
        lambda in prop::collection::vec(0.05..1.0f64, 3),
        alone in any::<bool>(),
        mix in mixes(),
    ) {
        let evidence = say_greedily(evidence, &greedy);
        let lambda = if alone { vec![1.0, 0.0, 0.0] } else { lambda };
        let total: f64 = lambda.iter().sum();
        let shares: Vec<f64> = lambda.iter().map(|w| w / total).collect();
        let mixture = Mixture::new(&evidence, mix, FLOOR).unwrap();
        prop_assert_eq!(mixture.likeliest(&lambda).unwrap(), plain_likeliest(&evidence, &shares, mix));
    }
}

/// The greedy search, asking the plain loss at every grid point.
fn plain_opt(evidence: &Evidence, mix: Mix) -> Vec<f64> {
    let members = evidence.members.len();
    let mut order: Vec<usize> = (0..members).collect();
    order.sort_by(|&a, &b| {
        evidence
            .nats_per_byte(a)
            .total_cmp(&evidence.nats_per_byte(b))
    });
    let mut lambda = vec![0.0; members];
    lambda[order[0]] = 1.0;
    for &next in &order[1..] {
        let mut best = (plain_loss(evidence, &lambda, mix), lambda.clone());
        for j in (0..20).rev() {
            let share = f64::from(j) / 20.0;
            let mut trial: Vec<f64> = lambda.iter().map(|w| w * share).collect();
            trial[next] = 1.0 - share;
            let loss = plain_loss(evidence, &trial, mix);
            // What `opt` takes for rounding, in bits.
            if loss < best.0 - 1e-12 / std::f64::consts::LN_2 {
                best = (loss, trial);
            }
        }
        lambda = best.1;
    }
    lambda
}

/// Each row's `keep` likeliest symbols and a remainder; and the same spread out again, dense.
fn sparsify(evidence: &Evidence, keep: usize) -> (Evidence, Evidence) {
    let (mut sparse, mut spread) = (evidence.clone(), evidence.clone());
    for (k, member) in evidence.members.iter().enumerate() {
        let mut rows = SparseRows::new();
        let mut flat = Vec::new();
        for (row, &x) in dense(member).chunks(SIZE).zip(&evidence.symbols) {
            let mut top: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            top.sort_by(|a, b| b.1.total_cmp(&a.1));
            let rest = top.split_off(keep);
            let p = |part: &[(u32, f32)]| part.iter().map(|e| f64::from(e.1).exp()).sum::<f64>();
            rows.push(&top, (x, row[x as usize]), p(&rest));
            let unlisted: Vec<(u32, f32)> = rest.into_iter().filter(|e| e.0 != x).collect();
            let each = (p(&unlisted) / unlisted.len() as f64).ln() as f32;
            let mut row = row.to_vec();
            unlisted.iter().for_each(|e| row[e.0 as usize] = each);
            flat.extend(row);
        }
        sparse.members[k].rows = Rows::Sparse(rows);
        spread.members[k].rows = Rows::Dense(flat);
    }
    (sparse, spread)
}

fn lambda(members: usize) -> impl Strategy<Value = Vec<f64>> {
    let weight = prop_oneof![1 => Just(0.0), 3 => 0.01..1.0f64];
    prop::collection::vec(weight, members).prop_filter("a weight", |w| w.iter().sum::<f64>() > 0.0)
}

fn mixes() -> impl Strategy<Value = Mix> {
    prop_oneof![Just(Mix::Log), Just(Mix::Linear)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn loss_is_that_of_the_mixer(evidence in evidence(3), lambda in lambda(3), mix in mixes()) {
        let fast = mixture_bits_per_byte(&lambda, &evidence, mix, FLOOR).unwrap();
        let slow = plain_loss(&evidence, &lambda, mix);
        // Apart from the rounding of f32 rows.
        prop_assert!((fast - slow).abs() < 1e-6, "{fast} {slow}");
    }

    #[test]
    fn the_sure_count_for_more_as_in_the_mixer(
        evidence in evidence(3),
        lambda in lambda(3),
        mix in mixes(),
        keep in 0..SIZE,
        confidence in 0.0..4.0f64,
    ) {
        let sure = |evidence: &Evidence| {
            let mixture = Mixture::new(evidence, mix, FLOOR).unwrap();
            mixture.with_confidence(confidence).bits_per_byte(&lambda).unwrap()
        };
        let (sparse, spread) = sparsify(&evidence, keep);
        for (fast, of) in [(sure(&evidence), &evidence), (sure(&sparse), &spread)] {
            let slow = plain_loss_of_the_sure(of, &lambda, mix, confidence);
            prop_assert!((fast - slow).abs() < 1e-5, "{fast} {slow}");
        }
    }

    #[test]
    fn sparse_rows_lose_what_they_say(
        evidence in evidence(3),
        lambda in lambda(3),
        mix in mixes(),
        keep in 0..SIZE,
    ) {
        let (sparse, spread) = sparsify(&evidence, keep);
        let a = mixture_bits_per_byte(&lambda, &sparse, mix, FLOOR).unwrap();
        let b = plain_loss(&spread, &lambda, mix);
        prop_assert!((a - b).abs() < 1e-5, "{a} {b}");
        let opt = weights(&Method::Opt, &sparse, &bare(mix)).unwrap().lambda;
        let twin = plain_opt(&spread, mix);
        let (a, b) = (plain_loss(&spread, &opt, mix), plain_loss(&spread, &twin, mix));
        prop_assert!((a - b).abs() < 1e-4, "{opt:?} {twin:?}");
    }

    #[test]
    fn opt_is_the_plain_search(evidence in evidence(4), mix in mixes()) {
        let fast = weights(&Method::Opt, &evidence, &bare(mix)).unwrap().lambda;
        let slow = plain_opt(&evidence, mix);
        prop_assert!((fast.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(fast.iter().zip(&slow).all(|(a, b)| (a - b).abs() < 1e-9), "{fast:?} {slow:?}");
        let top1 = weights(&Method::Top1, &evidence, &bare(mix)).unwrap().lambda;
        prop_assert!(plain_loss(&evidence, &fast, mix) <= plain_loss(&evidence, &top1, mix) + 1e-9);
    }

    #[test]
    fn order_of_members_is_immaterial(evidence in evidence(3), mix in mixes()) {
        let mut turned = evidence.clone();
        turned.members.rotate_left(1);
        let options = Options { tau: 0.7, ..bare(mix) };
        for method in [Method::Uniform, Method::Top1, Method::Sim, Method::Opt] {
            let mut a = weights(&method, &evidence, &options).unwrap().lambda;
            let b = weights(&method, &turned, &options).unwrap().lambda;
            a.rotate_left(1);
            prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9), "{method}");
        }
    }

    #[test]
    fn sim_follows_the_losses(evidence in evidence(4), tau in 0.01..10.0f64) {
        let lambda = weights(&Method::Sim, &evidence, &Options { tau, ..bare(Mix::Log) }).unwrap().lambda;
        prop_assert!((lambda.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for a in 0..4 {
            for b in 0..4 {
                if evidence.nats_per_byte(a) < evidence.nats_per_byte(b) {
                    prop_assert!(lambda[a] >= lambda[b]);
                }
            }
        }
        let c = (20.0 / 3.0 + 20.0 / 4.0 + 20.0 / 5.0 + 20.0 / 6.0) / 4.0;
        let gap = evidence.nats_per_byte(1) - evidence.nats_per_byte(0);
        if lambda[0] > 1e-9 && lambda[1] > 1e-9 {
            prop_assert!(((lambda[0] / lambda[1]).ln() - c * gap / tau).abs() < 1e-6);
        }
    }

    #[test]
    fn drop_keeps_the_best(lambda in lambda(5), drop in 0.0..1.2f64, keep in 0..6usize) {
        let total: f64 = lambda.iter().sum();
        let lambda: Vec<f64> = lambda.iter().map(|w| w / total).collect();
        let kept: Vec<bool> = (0..5).map(|k| k == keep).collect();
        let after = apply_drop(&lambda, drop, &kept);
        prop_assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let most = lambda.iter().copied().fold(0.0, f64::max);
        for k in 0..5 {
            let stays = lambda[k] >= drop || k == keep || lambda[k] == most;
            prop_assert!(after[k] == 0.0 || stays);
            prop_assert!(after[k] > 0.0 || lambda[k] < drop.max(1e-9) || !stays);
        }
    }
}

/// Members that each gave the losses in `nats` for a text of 4 bytes.
fn losses(nats: &[[f32; 4]]) -> Evidence {
    let member = |nats: &[f32; 4]| MemberEvidence {
        tokens: 2,
        can_end: false,
        nats: nats.to_vec(),
        rows: Rows::None,
    };
    Evidence {
        alphabet: SymbolSet::bytes(),
        bytes: 4,
        symbols: vec![97; 4],
        members: nats.iter().map(member).collect(),
    }
}

fn derive(method: Method, evidence: &Evidence) -> Result<Weights, WeightError> {
    weights(&method, evidence, &bare(Mix::Log))
}

#[test]
fn losses_and_simple_methods() {
    let evidence = losses(&[[1.0; 4], [0.5, 0.5, 1.5, 0.5], [f32::INFINITY; 4]]);
    assert_eq!(evidence.nats_per_byte(1), 0.75);
    assert!((evidence.bits_per_byte(0) - 1.0 / 2f64.ln()).abs() < 1e-12);
    assert!((evidence.token_perplexity(0) - 2f64.exp()).abs() < 1e-12);
    assert_eq!(
        derive(Method::Top1, &evidence).unwrap().lambda,
        [0.0, 1.0, 0.0]
    );
    let sim = derive(Method::Sim, &evidence).unwrap().lambda;
    assert!((sim[0] / sim[1] - (-0.5f64).exp()).abs() < 1e-12 && sim[2] == 0.0);
    let hopeless = losses(&[[f32::INFINITY; 4]; 2]);
    assert_eq!(derive(Method::Sim, &hopeless).unwrap().lambda, [0.5, 0.5]);
}

#[test]
fn empty_evidence_is_uniform_and_says_so() {
    let mut evidence = losses(&[[1.0; 4]; 2]);
    evidence.bytes = 0;
    evidence.symbols.clear();
    evidence.members.iter_mut().for_each(|m| m.nats.clear());
    for method in [
        Method::Top1,
        Method::Sim,
        Method::Opt,
        Method::Exact,
        Method::Adaptive,
    ] {
        let derived = derive(method, &evidence).unwrap();
        assert_eq!(
            (derived.lambda, derived.no_evidence),
            (vec![0.5, 0.5], true)
        );
    }
    let given = Method::parse("a=1", &["a", "b"]).unwrap();
    let derived = derive(given, &evidence).unwrap();
    assert_eq!(
        (derived.lambda, derived.no_evidence),
        (vec![1.0, 0.0], false)
    );
}

#[test]
fn bad_evidence_is_an_error() {
    assert_eq!(
        derive(Method::Uniform, &losses(&[])),
        Err(WeightError::NoMembers)
    );
    let nan = losses(&[[0.0; 4], [0.0, f32::NAN, 0.0, 0.0]]);
    let expected = WeightError::NotAProbability {
        member: 1,
        index: 1,
    };
    assert_eq!(derive(Method::Sim, &nan), Err(expected));
    let fine = losses(&[[0.0; 4]; 2]);
    assert_eq!(
        derive(Method::Opt, &fine),
        Err(WeightError::NoRows { member: 0 })
    );
    let options = Options {
        tau: 0.0,
        ..bare(Mix::Log)
    };
    let tau = weights(&Method::Sim, &fine, &options);
    assert_eq!(tau, Err(WeightError::Tau(0.0)));
    let mut end = fine.clone();
    end.symbols[2] = 256;
    assert_eq!(
        derive(Method::Sim, &end),
        Err(WeightError::NotText {
            index: 2,
            symbol: 256
        })
    );
    let mut short = fine;
    short.members[0].rows = Rows::Dense(vec![0.0; 5]);
    assert!(matches!(
        derive(Method::Opt, &short),
        Err(WeightError::Length { .. })
    ));
}

#[test]
fn identical_members_keep_the_first() {
    let ln_p: Vec<f32> = (0..4 * 257)
        .map(|i| -(1.0 + (i % 257) as f32).ln() - 1.82)
        .collect();
    let mut evidence = losses(&[[-ln_p[97]; 4]; 3]);
    evidence
        .members
        .iter_mut()
        .for_each(|m| m.rows = Rows::Dense(ln_p.clone()));
    assert_eq!(
        derive(Method::Opt, &evidence).unwrap().lambda,
        [1.0, 0.0, 0.0]
    );
}

#[test]
fn methods_parse_and_show() {
    let names = ["smollm2", "gemma", "a=b"];
    for text in [
        "uniform",
        "top1",
        "sim",
        "opt",
        "exact",
        "adaptive",
        "smollm2=0.75,gemma=0.25",
        "a=b=1",
    ] {
        let method = Method::parse(text, &names).unwrap();
        assert_eq!(method.to_string(), text);
    }
    let Method::Given(given) = Method::parse(" gemma = 3 , smollm2=1", &names).unwrap() else {
        panic!("not given weights");
    };
    assert_eq!(
        given.iter().map(|(_, w)| *w).collect::<Vec<_>>(),
        [0.25, 0.75, 0.0]
    );
}

#[test]
fn bad_methods_name_the_fault() {
    let names = ["smollm2", "gemma"];
    let message = |text: &str| Method::parse(text, &names).unwrap_err().to_string();
    assert_eq!(
        message("unifrom"),
        "unknown method \"unifrom\"; did you mean \"uniform\"?"
    );
    assert_eq!(
        message("smolm=1"),
        "no member is named \"smolm\"; did you mean \"smollm2\"?"
    );
    assert_eq!(
        message("gemma=1,gemma=2"),
        "member \"gemma\" is given twice"
    );
    assert_eq!(message("gemma=1,"), "\"\" is not of the form name=weight");
    for value in ["-0.5", "NaN", "inf", "", "x"] {
        let expected = format!("the weight of \"gemma\" must be a number ≥ 0, not \"{value}\"");
        assert_eq!(message(&format!("gemma={value}")), expected);
    }
    assert_eq!(
        message("gemma=0"),
        "the weights must have a positive, finite sum"
    );
}

proptest! {
    #[test]
    fn a_tie_is_the_mixs_or_if_asked_for_the_newcomers(one in evidence(1)) {
        // Two members that say the same: every λ is as good.
        let twins = Evidence { members: vec![one.members[0].clone(); 2], ..one };
        for mix in [Mix::Log, Mix::Linear] {
            let lambda = |ties_to_newcomer| {
                let options = Options { ties_to_newcomer, floor: 1e-30, ..bare(mix) };
                weights(&Method::Opt, &twins, &options).unwrap().lambda
            };
            prop_assert_eq!(lambda(false), [1.0, 0.0]);
            prop_assert_eq!(lambda(true), [0.0, 1.0]);
        }
    }
}
