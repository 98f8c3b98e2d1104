//! Drafts change what is evaluated together, and nothing else.

use crate::rig::*;
use packllm_engine::backend::{BatchToken, Limits};
use packllm_engine::engine::{Answer, AnswerOptions, Drafter, Finish, Fusion, Lockstep, Lookup};
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::cover::Budget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Drafts of a text that is known beforehand.
#[derive(Clone)]
struct Oracle {
    text: Vec<u8>,
    said: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Right,
    /// The first byte is wrong.
    Wrong,
    /// Right for some bytes, of any length, and sometimes nothing.
    Random(u32),
}

impl Oracle {
    fn boxed(text: &str, kind: Kind) -> Option<Box<dyn Drafter>> {
        let text = text.as_bytes().to_vec();
        Some(Box::new(Self {
            text,
            said: 0,
            kind,
        }))
    }
}

impl Drafter for Oracle {
    fn begin(&mut self, _: &[u8]) {
        self.said = 0;
    }

    fn push(&mut self, _: u8) {
        self.said += 1;
    }

    fn propose(&mut self, ahead: &mut Vec<u8>) -> usize {
        let rest = self.text.get(self.said..).unwrap_or_default();
        ahead.extend_from_slice(&rest[..rest.len().min(24)]);
        match &mut self.kind {
            Kind::Right => {}
            Kind::Wrong => {
                if let Some(first) = ahead.first_mut() {
                    *first = if *first == b'a' { b'b' } else { b'a' };
                }
            }
            Kind::Random(state) => {
                let mut draw = |n: usize| {
                    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (*state >> 16) as usize % n.max(1)
                };
                let (cut, wrong) = (draw(ahead.len() + 1), draw(2 * ahead.len()));
                ahead.truncate(cut);
                if let Some(byte) = ahead.get_mut(wrong) {
                    *byte = b'c';
                }
                return draw(ahead.len() + 1);
            }
        }
        ahead.len()
    }
}

/// A way to be fused, and what there is room for.
#[derive(Debug, Clone, Copy)]
struct Case {
    alphabet: Alphabet,
    budget: Budget,
    sequences: u32,
    context: u32,
    batch: u32,
}

const WIDE: Case = Case {
    alphabet: Alphabet::Bytes,
    budget: Budget {
        epsilon: 0.03,
        hypotheses: 8,
    },
    sequences: 19,
    context: 4096,
    batch: 512,
};

fn cases() -> Vec<Case> {
    let few = |epsilon, hypotheses| Case {
        budget: Budget {
            epsilon,
            hypotheses,
        },
        sequences: 2 * hypotheses as u32 + 2,
        ..WIDE
    };
    let exact = Budget {
        epsilon: 0.0,
        hypotheses: 8,
    };
    vec![
        WIDE,
        few(0.03, 1),
        few(0.001, 2),
        few(0.2, 8),
        Case {
            budget: exact,
            sequences: 5000,
            ..WIDE
        },
        Case { batch: 3, ..WIDE },
        Case {
            context: 64,
            ..WIDE
        },
        Case {
            alphabet: Alphabet::Tokens,
            sequences: 2,
            ..WIDE
        },
        Case {
            alphabet: Alphabet::Tokens,
            sequences: 2,
            context: 48,
            ..WIDE
        },
        Case {
            alphabet: Alphabet::Tokens,
            sequences: 2,
            batch: 3,
            ..WIDE
        },
    ]
}

fn engine(case: Case, seed: u64) -> Lockstep {
    let make = |pieces, seed| {
        let mut fake = Fake::new(pieces, seed).with_spread(2.0);
        fake.options.limits = Limits {
            context: case.context,
            batch: case.batch,
            outputs: 64,
            sequences: case.sequences,
        };
        fake
    };
    let other = match case.alphabet {
        Alphabet::Tokens => NESTED,
        _ => MOVED,
    };
    let mut engine = load(vec![make(NESTED, seed), make(other, seed + 100)]);
    let fusion = Fusion {
        alphabet: Some(case.alphabet),
        budget: case.budget,
        ..uniform()
    };
    set(&mut engine, fusion);
    engine
}

/// The letters of [`NESTED`] cut elsewhere.
const MOVED: &[&[u8]] = &[b" ", b"c", b"b", b"a", b"a b", b"bca", b"cc", b"b a"];

fn drawn(limit: usize, temperature: f64, seed: u64) -> AnswerOptions {
    AnswerOptions {
        sampling: Params {
            temperature,
            seed,
            ..Params::default()
        },
        ..greedy(limit)
    }
}

/// An answer and one to what follows it: all that must not depend on drafts.
fn two_turns(engine: &mut Lockstep, generation: &AnswerOptions) -> (Vec<Answer>, Vec<usize>) {
    let first = ask(engine, "ab ca", generation);
    let prompt = format!("ab ca{} a", first.text);
    let prompts = packllm_engine::chat::speaker::plain_text(
        &prompt,
        2,
        packllm_engine::engine::Ending::Continue,
    );
    let Ok(prepared) = engine.prepare(prompts) else {
        // The context is full.
        return (vec![first], Vec::new());
    };
    engine
        .read(engine.score_request_for(&engine.fusion().method.clone()))
        .unwrap();
    engine.weigh().unwrap();
    let second = answer(engine, generation);
    (vec![first, second], prepared.new_tokens)
}

fn said(answers: &[Answer]) -> Vec<(&str, Finish, usize, u64)> {
    let of = |a: &Answer| (a.finish, a.tokens, a.skipped_mass.to_bits());
    answers
        .iter()
        .map(|a| (a.text.as_str(), of(a).0, of(a).1, of(a).2))
        .collect()
}

fn decodes(answer: &Answer) -> usize {
    answer.spent.iter().map(|s| s.decodes).sum()
}

#[test]
fn any_draft_leaves_the_text_as_it_is() {
    let mut saved = 0isize;
    for (case, seed) in cases()
        .into_iter()
        .flat_map(|c| (0..6).map(move |s| (c, s)))
    {
        // A long text has more paths than there are sequences.
        let limit = if case.budget.exact() { 4 } else { 40 };
        for generation in [greedy(limit), drawn(limit, 1.0, seed)] {
            let (want, new_tokens) = two_turns(&mut engine(case, seed), &generation);
            for kind in [Kind::Right, Kind::Wrong, Kind::Random(seed as u32)] {
                let mut drafting = engine(case, seed);
                drafting.draft_with(Oracle::boxed(&want[0].text, kind));
                let (got, new) = two_turns(&mut drafting, &generation);
                let context = format!("{case:?}, seed {seed}, {kind:?}");
                assert_eq!(said(&got), said(&want), "{context}");
                assert_eq!(new, new_tokens, "{context}");
                let drafted = got[0].drafted;
                match kind {
                    Kind::Right => assert_eq!(drafted.accepted, drafted.proposed, "{context}"),
                    Kind::Wrong => assert_eq!(drafted.accepted, 0, "{context}"),
                    Kind::Random(_) => assert!(drafted.accepted <= drafted.proposed),
                }
                if kind == Kind::Right {
                    saved += decodes(&want[0]) as isize - decodes(&got[0]) as isize;
                }
            }
        }
    }
    assert!(saved > 500, "{saved} batches saved");
}

#[test]
fn a_right_draft_is_evaluated_in_one_batch() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        // One segmentation a text, so that every row wanted is one of the draft's.
        let make = || pack(vec![Fake::without_end(LETTERS, 4)], alphabet);
        let want = ask(&mut make(), "a b", &greedy(25));
        let mut drafting = make();
        drafting.draft_with(Oracle::boxed(&want.text, Kind::Right));
        let got = ask(&mut drafting, "a b", &greedy(25));
        assert_eq!(got.text, want.text);
        assert_eq!((want.spent[0].tokens, want.spent[0].decodes), (25, 25));
        // 24 bytes are drafted after the first; the last is not trusted to end a token.
        let spent = got.spent[0];
        assert!(
            spent.decodes <= 4 && spent.tokens <= 26,
            "{alphabet:?}: {spent:?}"
        );
    }
}

#[test]
fn what_repeats_is_looked_up() {
    // Logits so far apart that the text soon runs in a loop; drafts come from it.
    let mut saved = 0;
    for seed in 0..20 {
        let make = || {
            let fake = Fake::without_end(&[b"abcdefgh", b"ijklmnop"], seed);
            pack(vec![fake], Alphabet::Bytes)
        };
        let prompt = "abcdefghijklmnop".repeat(3);
        let want = ask(&mut make(), &prompt, &greedy(60));
        let mut drafting = make();
        drafting.draft_with(Some(Box::new(Lookup::default())));
        let got = ask(&mut drafting, &prompt, &greedy(60));
        assert_eq!(
            said(std::slice::from_ref(&got)),
            said(std::slice::from_ref(&want))
        );
        saved += got.drafted.accepted;
    }
    assert!(saved > 100, "{saved} bytes");
}

#[test]
fn a_stop_string_in_the_middle_of_a_draft_ends_the_answer() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let make = || pack(vec![Fake::without_end(NESTED, 3)], alphabet);
        let full = ask(&mut make(), "ab c", &greedy(12)).text;
        for end in 2..full.len() {
            let stop = &full[end - 2..end];
            let generation = AnswerOptions {
                stops: vec![stop.into()],
                ..greedy(12)
            };
            let (mut plain, mut drafting) = (make(), make());
            drafting.draft_with(Oracle::boxed(&full, Kind::Right));
            for _ in 0..2 {
                let want = ask(&mut plain, "ab c", &generation);
                let got = ask(&mut drafting, "ab c", &generation);
                assert_eq!(want.finish, Finish::Stop);
                assert_eq!(said(&[got]), said(&[want]), "{stop:?}");
            }
        }
    }
}

#[test]
fn an_answer_cancelled_in_the_middle_of_a_draft_leaves_the_member_usable() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let want = ask(
            &mut pack(vec![Fake::without_end(NESTED, 3)], alphabet),
            "ab c",
            &greedy(20),
        );
        let mut cancelled = 0;
        for cancelled_at in 1..8 {
            let cancel = Arc::new(AtomicBool::new(false));
            let count = Arc::new(AtomicUsize::new(0));
            let (flag, counted) = (Arc::clone(&cancel), Arc::clone(&count));
            let hook = move |_: usize, _: &[BatchToken]| {
                if counted.fetch_add(1, Ordering::Relaxed) + 1 == cancelled_at {
                    flag.store(true, Ordering::Relaxed);
                }
                Ok(())
            };
            let fake = Fake::without_end(NESTED, 3).with_hook(Box::new(hook));
            let mut engine = try_load(specs(vec![fake]), &cancel).unwrap();
            let fusion = Fusion {
                alphabet: Some(alphabet),
                ..uniform()
            };
            set(&mut engine, fusion);
            engine.draft_with(Oracle::boxed(&want.text, Kind::Right));
            count.store(100, Ordering::Relaxed);
            read(&mut engine, "ab c");
            count.store(0, Ordering::Relaxed);
            let first = answer(&mut engine, &greedy(20));
            assert!(want.text.starts_with(&first.text));
            cancelled += usize::from(first.finish == Finish::Cancelled);
            engine.clear().unwrap();
            let second = ask(&mut engine, "ab c", &greedy(20));
            // What the fallback model learnt of the first answer stays: the skipped mass may
            // differ.
            assert_eq!(
                (&second.text, second.finish, second.tokens),
                (&want.text, want.finish, want.tokens),
                "at {cancelled_at}"
            );
        }
        assert!(cancelled > 1, "{alphabet:?}: {cancelled} cancelled");
    }
}
