use super::*;
use crate::weight::{Evidence, MemberEvidence, Method, Options, Rows, weights};
use std::collections::HashMap;

/// Of the models in shipped packs, in each frame.
fn shipped() -> Vec<Vec<Competence>> {
    let text = include_str!("../../../../models/competence.json");
    let all: HashMap<String, HashMap<String, Competence>> = serde_json::from_str(text).unwrap();
    let frames = all.into_values();
    frames
        .map(|models| models.into_values().collect())
        .collect()
}

#[test]
fn eight_pairs_a_domain_none_of_them_twice() {
    assert_eq!(pairs().len(), 8 * DOMAINS.len());
    for (domain, name) in DOMAINS.iter().enumerate() {
        let of = pairs().iter().filter(|pair| pair.domain == domain);
        assert_eq!(of.count(), 8, "{name}");
    }
    let questions: std::collections::HashSet<_> = pairs().iter().map(|p| &p.question).collect();
    assert_eq!(questions.len(), pairs().len());
}

#[test]
fn the_subject_of_a_question() {
    let likeliest = |question: &str| {
        let p = subject(question);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let best = (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        DOMAINS[best]
    };
    assert_eq!(likeliest("Wo liegt eigentlich der Bodensee?"), "german");
    assert_eq!(
        likeliest("Combien de jours y a-t-il dans une semaine ?"),
        "french"
    );
    assert_eq!(likeliest("¿Cuántos días tiene una semana?"), "spanish");
    assert_eq!(
        likeliest("Write a Python function that adds a list"),
        "code"
    );
    assert_eq!(likeliest("How much is 12 times 34?"), "arithmetic");
    // Nothing is said: all are equally likely.
    let nothing = subject("");
    assert!(
        nothing.iter().all(|p| (p - 0.1).abs() < 0.05),
        "{nothing:?}"
    );
    // Only the end of a long text counts, cut between characters.
    assert_eq!(
        likeliest(&format!("{} Wo liegt das?", "ü".repeat(5000))),
        "german"
    );
}

/// One that loses so much on each pair.
fn made_up(loss: impl Fn(usize) -> f64) -> Competence {
    let losses = |scale: f64| {
        let loss = |i: usize| Loss {
            nats: scale * loss(i) * (10 + i) as f64,
            bytes: 10 + i,
        };
        (0..pairs().len()).map(loss).collect()
    };
    Competence {
        questions: losses(2.0),
        answers: losses(1.0),
    }
}

#[test]
fn a_domain_is_shrunk_towards_all_answers() {
    let one = made_up(|_| 1.0);
    let other = made_up(|i| if pairs()[i].domain == 3 { 4.0 } else { 0.5 });
    let standings = Standings::of(&[one.clone(), other.clone()]).unwrap();
    let per_byte = |c: &Competence, domain: Option<usize>| {
        let (mut nats, mut bytes) = (0.0, 0.0);
        for (loss, pair) in c.answers.iter().zip(pairs()) {
            if domain.is_none_or(|d| d == pair.domain) {
                nats += loss.nats;
                bytes += loss.bytes as f64;
            }
        }
        nats / bytes
    };
    let gap = |domain| (per_byte(&one, domain) / per_byte(&other, domain)).ln() / 2.0;
    for d in 0..DOMAINS.len() {
        let expected = 0.2 * gap(None) + 0.8 * gap(Some(d));
        let rho = &standings.answers[d];
        assert!((rho[0] - expected).abs() < 1e-12 && (rho[0] + rho[1]).abs() < 1e-12);
        // Questions are as hard as answers in relation.
        assert!((standings.questions[d][0] - rho[0]).abs() < 1e-12);
    }
    let outlook = standings.outlook("Wo liegt eigentlich der Bodensee?");
    assert!(outlook.answers[0] < 0.0, "the first is better at German");
    assert!(standings.outlook("Which animal barks?").answers[0] > 0.0);
}

#[test]
fn what_is_not_whole_is_no_standing() {
    let whole = made_up(|_| 1.0);
    assert!(whole.is_whole());
    let mut short = whole.clone();
    short.answers.pop();
    let mut empty = whole.clone();
    empty
        .answers
        .iter_mut()
        .for_each(|loss| *loss = Loss::default());
    for bad in [Competence::default(), short, empty] {
        assert!(!bad.is_whole());
        assert_eq!(Standings::of(&[whole.clone(), bad]), None);
    }
    assert_eq!(Standings::of(&[]), None);
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Competence>(&text).unwrap(), whole);
}

/// Leave-one-out: how far ρ of the others is from what one answer shows, squared, mean over answers
/// and pairs of models.
fn error_of(shrinkage: f64, models: &[Competence]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (a, b) in (0..models.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
        for (i, left_out) in pairs().iter().enumerate() {
            let rate = |m: &Competence, keep: &dyn Fn(usize) -> bool| {
                let of = (0..pairs().len())
                    .filter(|&j| keep(j))
                    .map(|j| m.answers[j]);
                let (nats, bytes) = of.fold((0.0, 0.0), |(n, b), loss| {
                    (n + loss.nats, b + loss.bytes as f64)
                });
                nats / bytes
            };
            let gap = |keep: &dyn Fn(usize) -> bool| {
                (rate(&models[a], keep) / rate(&models[b], keep)).ln()
            };
            let all = gap(&|j| j != i);
            let own = gap(&|j| j != i && pairs()[j].domain == left_out.domain);
            let trust = 7.0 / (7.0 + shrinkage);
            let predicted = all + trust * (own - all);
            sum += (gap(&|j| j == i) - predicted).powi(2);
            count += 1.0;
        }
    }
    sum / count
}

#[test]
fn shrunk_domains_predict_a_left_out_answer_best() {
    let frames = shipped();
    assert_eq!(frames.len(), 2);
    for models in frames {
        assert!(models.len() >= 3, "the models of starter, and one of tiny");
        let shrunk = error_of(SHRINKAGE, &models);
        let (domains_alone, all_alone) = (error_of(0.0, &models), error_of(1e12, &models));
        assert!(shrunk < domains_alone, "{shrunk} {domains_alone}");
        assert!(shrunk < all_alone, "{shrunk} {all_alone}");
    }
}

fn evidence(losses: &[f32]) -> Evidence {
    let member = |&nats: &f32| MemberEvidence {
        tokens: 50,
        can_end: true,
        nats: vec![nats; 100],
        rows: Rows::None,
    };
    Evidence {
        alphabet: crate::mix::SymbolSet::bytes(),
        bytes: 100,
        symbols: vec![97; 100],
        members: losses.iter().map(member).collect(),
    }
}

#[test]
fn weights_go_by_what_is_expected_and_shift_with_what_was_read() {
    let outlook = Outlook {
        answers: vec![-0.08, 0.08],
        questions: vec![0.05, -0.05],
        subject: Vec::new(),
    };
    let auto = |outlook: &Outlook, evidence: &Evidence, prior: &[f64]| {
        let options = Options {
            outlook: Some(outlook.clone()),
            prior: prior.to_vec(),
            ..Options::default()
        };
        weights(&Method::Auto, evidence, &options).unwrap().lambda
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut nothing = evidence(&[1.0, 1.0]);
    nothing.bytes = 0;
    nothing.symbols.clear();
    nothing.members.iter_mut().for_each(|m| m.nats.clear());
    let first = auto(&outlook, &nothing, &[]);
    assert!((first[0] - sigmoid(5.0 * 0.16)).abs() < 1e-9, "{first:?}");
    // The first member predicted the question as well as the other: better than it should.
    let read = auto(&outlook, &evidence(&[1.0, 1.0]), &[]);
    let shift = 100.0 / 300.0 * 0.1;
    assert!(
        (read[0] - sigmoid(5.0 * (0.16 + shift))).abs() < 1e-6,
        "{read:?}"
    );
    // A prior of 1:3 takes ln 3 off.
    let prior = auto(&outlook, &nothing, &[1.0, 3.0]);
    assert!(
        (prior[0] - sigmoid(0.8 - 3f64.ln())).abs() < 1e-9,
        "{prior:?}"
    );
    // Far behind is left out.
    let far = Outlook {
        answers: vec![-0.2, 0.2],
        ..outlook.clone()
    };
    assert_eq!(auto(&far, &nothing, &[]), [1.0, 0.0]);
    // A text that is impossible to somebody teaches nothing.
    let impossible = auto(&outlook, &evidence(&[1.0, f32::INFINITY]), &[]);
    assert!((impossible[0] - first[0]).abs() < 1e-12);
    // Without an outlook it is `exact`, which here has nothing to go by.
    let options = Options::default();
    let unknown = weights(&Method::Auto, &nothing, &options).unwrap();
    assert!(unknown.no_evidence);
    assert_eq!(unknown.lambda, [0.5, 0.5]);
    // Of some members alone.
    let third = Outlook {
        answers: vec![-0.1, 5.0, 0.1],
        questions: vec![0.0; 3],
        subject: Vec::new(),
    };
    assert_eq!(third.of(&[0, 2]).answers, [-0.1, 0.1]);
}
