//! Answers that may not say everything.

use crate::rig::*;
use crate::toy_grammar::ToyGrammar;
use packllm_engine::backend::Vocab;
use packllm_engine::constraint::{Constraint, ConstraintError, Mask};
use packllm_engine::engine::{Answer, Drafter, EngineError, Finish, Lockstep};
use packllm_engine::vocab::Alphabet;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

const PIECES: &[&[u8]] = &[
    b"{", b"}", b":", b"{na", b"n", b"a", b"m", b"e", b"me", b"age", b"g", b"1", b"2", b"12",
    b"7}", b" ", b"me:",
];

/// The same bytes in other tokens.
const MOVED: &[&[u8]] = &[
    b"a", b"ag", b"e:", b"n", b"m", b"e", b"{", b"{a", b"}", b":", b"g", b"1", b"2", b"21", b" ",
    b"7",
];

const KEYS: [&str; 2] = ["name", "age"];

/// A pack whose answers follow the toy grammar, and the batches of its first member.
fn constrained(seed: u64, alphabet: Alphabet) -> (Lockstep, Arc<Mutex<Vec<usize>>>) {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let first = Fake::new(PIECES, seed).with_hook(Box::new(move |_, batch| {
        seen.lock().unwrap().push(batch.len());
        Ok(())
    }));
    let second = match alphabet {
        Alphabet::Bytes => Fake::new(MOVED, seed ^ 1),
        _ => Fake::new(PIECES, seed ^ 1),
    };
    let mut engine = pack(vec![first, second], alphabet);
    let grammar = grammar(alphabet, &engine.members()[0].vocab);
    engine.constrain(Some(Box::new(grammar)));
    (engine, batches)
}

fn grammar(alphabet: Alphabet, vocab: &Arc<Vocab>) -> ToyGrammar {
    match alphabet {
        Alphabet::Bytes => ToyGrammar::bytes(&KEYS),
        _ => ToyGrammar::tokens(&KEYS, vocab),
    }
}

/// Says what an earlier answer said.
struct Echo {
    text: Vec<u8>,
    said: usize,
}

impl Drafter for Echo {
    fn begin(&mut self, _: &[u8]) {
        self.said = 0;
    }

    fn push(&mut self, _: u8) {
        self.said += 1;
    }

    fn propose(&mut self, ahead: &mut Vec<u8>) -> usize {
        ahead.extend_from_slice(self.text.get(self.said..).unwrap_or_default());
        ahead.len()
    }
}

fn said(engine: &mut Lockstep, seed: u64) -> Answer {
    let mut generation = greedy(30);
    (generation.sampling.temperature, generation.sampling.seed) = (1.5, seed);
    generation.sampling.top_k = 0;
    generation.attribution = true;
    ask(engine, "name 12", &generation)
}

fn in_grammar(text: &str) -> bool {
    let body = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let pair = body.and_then(|body| body.split_once(':'));
    pair.is_some_and(|(key, digits)| {
        KEYS.contains(&key) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_finished_answer_is_in_the_grammar_whatever_the_members_and_drafts_say(
        seed in 0u64..1000, tokens in any::<bool>(), wrong in "[{}:a-n12]{0,12}",
    ) {
        let alphabet = if tokens { Alphabet::Tokens } else { Alphabet::Bytes };
        let (mut engine, _) = constrained(seed, alphabet);
        let answer = said(&mut engine, seed);
        if answer.finish == Finish::Stop {
            prop_assert!(in_grammar(&answer.text), "{:?}", answer.text);
        }
        // Drafts change nothing: right ones, and those that the grammar does not allow.
        for text in [answer.text.clone(), format!("{}{wrong}", &answer.text[..1]), wrong] {
            let (mut engine, _) = constrained(seed, alphabet);
            engine.draft_with(Some(Box::new(Echo { text: text.into_bytes(), said: 0 })));
            prop_assert_eq!(&said(&mut engine, seed).text, &answer.text);
        }
    }
}

#[test]
fn the_conversation_is_usable_afterwards_and_constraints_go() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let (mut engine, _) = constrained(3, alphabet);
        let first = said(&mut engine, 3).text;
        assert_eq!(said(&mut engine, 3).text, first);
        engine.constrain(None);
        let free = said(&mut engine, 3).text;
        assert!(!in_grammar(&free), "{free:?}");
    }
}

#[test]
fn what_is_forced_is_evaluated_in_one_batch_and_nobody_argues_for_it() {
    // One key: after `{` six bytes are forced.
    let (mut engine, batches) = constrained(5, Alphabet::Bytes);
    engine.constrain(Some(Box::new(ToyGrammar::bytes(&["magenta"]))));
    let mut generation = greedy(30);
    generation.attribution = true;
    read(&mut engine, "name 12");
    batches.lock().unwrap().clear();
    let mut contributions = Vec::new();
    let answer = engine.answer(&generation, &mut |event| match event {
        packllm_engine::engine::Event::Text(_, of) => contributions.extend_from_slice(of),
        other => panic!("{other:?}"),
    });
    let answer = answer.unwrap();
    assert!(answer.text.starts_with("{magenta:"), "{:?}", answer.text);
    assert_eq!(contributions.len(), 2 * answer.text.len());
    assert!(contributions[..2 * 9].iter().all(|&c| c == 0.0));
    let longest = batches.lock().unwrap().iter().copied().max();
    assert!(longest >= Some(4), "{longest:?}");
    assert_eq!(answer.drafted.proposed, 0);
}

/// Allows nothing after the first symbols.
struct Stuck(usize);

impl Constraint for Stuck {
    fn alphabet_size(&self) -> usize {
        packllm_engine::vocab::SYMBOLS
    }

    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError> {
        if self.0 == 0 {
            allowed.clear();
        }
        allowed.remove(packllm_engine::vocab::END);
        Ok(())
    }

    fn advance(&mut self, symbol: usize) -> Result<(), ConstraintError> {
        let left = self.0.checked_sub(1);
        self.0 = left.ok_or(ConstraintError::NotAllowed { symbol })?;
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(false)
    }

    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError> {
        self.0 += symbols;
        Ok(())
    }

    fn forced(&mut self, _: &mut Vec<usize>) -> Result<(), ConstraintError> {
        Ok(())
    }

    fn fork(&self) -> Box<dyn Constraint> {
        Box::new(Self(self.0))
    }
}

#[test]
fn where_nothing_may_come_and_the_text_may_not_end_there_is_an_error() {
    let (mut engine, _) = constrained(2, Alphabet::Bytes);
    engine.constrain(Some(Box::new(Stuck(3))));
    read(&mut engine, "name 12");
    let mut text = String::new();
    let result = engine.answer(&greedy(30), &mut |event| text.push_str(text_of(event)));
    assert!(
        matches!(result, Err(EngineError::Constraint(_))),
        "{result:?}"
    );
    assert_eq!(text.len(), 3);
    engine.constrain(None);
    assert_eq!(
        ask(&mut engine, "name 12", &greedy(8)).finish,
        Finish::Length
    );
}

#[test]
fn a_constraint_over_another_alphabet_is_refused() {
    let (mut engine, _) = constrained(2, Alphabet::Tokens);
    engine.constrain(Some(Box::new(ToyGrammar::bytes(&KEYS))));
    read(&mut engine, "name 12");
    let error = engine.answer(&greedy(30), &mut |_| {}).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("257 symbols") && text.contains("alphabet has 19"),
        "{text}"
    );
}

/// Lets the text end after so many symbols, and not before.
#[derive(Clone)]
struct AtLeast(usize);

impl Constraint for AtLeast {
    fn alphabet_size(&self) -> usize {
        packllm_engine::vocab::SYMBOLS
    }

    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError> {
        if self.0 > 0 {
            allowed.remove(packllm_engine::vocab::END);
        }
        Ok(())
    }

    fn advance(&mut self, _: usize) -> Result<(), ConstraintError> {
        self.0 = self.0.saturating_sub(1);
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(self.0 == 0)
    }

    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError> {
        self.0 += symbols;
        Ok(())
    }

    fn forced(&mut self, _: &mut Vec<usize>) -> Result<(), ConstraintError> {
        Ok(())
    }

    fn fork(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

#[test]
fn an_answer_that_goes_in_circles_ends_where_its_constraint_lets_it() {
    for least in [0, 100, 500, 777] {
        let mut engine = pack(
            vec![Fake::without_end(&[b"It is so. "], 5)],
            Alphabet::Bytes,
        );
        engine.constrain(Some(Box::new(AtLeast(least))));
        let answer = ask(&mut engine, "It is so. ", &greedy(1000));
        assert_eq!(answer.finish, Finish::Repetition);
        assert_eq!(answer.text.len(), least.max(3 * 10 + 300));
    }
}
