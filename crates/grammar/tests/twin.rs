//! A grammar read by the parser against the same one written by hand, symbol by symbol.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

#[path = "../../engine/tests/engine_fake/toy_grammar.rs"]
mod toy_grammar;

use packllm_engine::backend::{Special, TokenKind, Vocab, VocabBuilder};
use packllm_engine::constraint::{Constraint, ConstraintError, Mask, permitted};
use packllm_grammar::{Alphabet, Form, Thought};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::{Arc, LazyLock};
use toy_grammar::ToyGrammar;

const KEYS: [&str; 4] = ["age", "agent", "größe", "n"];
const LARK: &str = r#"start: "{" KEY ":" DIGITS "}"
KEY: "age" | "agent" | "größe" | "n"
DIGITS: /[0-9]+/
"#;

/// Pieces of which vocabularies are made. Those that end what is forced can also go on.
const PIECES: [&[u8]; 18] = [
    b"{",
    b"}",
    b":",
    b"{a",
    b"ag",
    b"age",
    b"nt",
    b"nt:",
    b"e:1",
    b"a",
    b"g",
    b"e",
    b"n",
    b"4",
    b"42}",
    b"gr\xC3",
    b"\xB6\xC3",
    b"\x9Fe",
];

fn vocab(pieces: &[&[u8]]) -> Arc<Vocab> {
    let mut builder = VocabBuilder::default();
    for piece in pieces {
        builder.push(piece, TokenKind::Text);
    }
    builder.push(b"<unk>", TokenKind::Control);
    builder.push(b"{", TokenKind::Control);
    builder.push(b"<e>", TokenKind::End);
    builder.push(b"{", TokenKind::Text);
    builder.push(b"</s>", TokenKind::End);
    Arc::new(builder.build(Special::default()))
}

fn mask_of(constraint: &mut dyn Constraint) -> Vec<usize> {
    let mut mask = Mask::all(constraint.alphabet_size() + 70);
    constraint.allows(&mut mask).unwrap();
    mask.iter().collect()
}

#[derive(Debug, Clone)]
enum Step {
    Say(Index),
    Try(Index),
    Rollback(usize),
    Fork,
    Permitted(Vec<Index>),
    Forced,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<Index>().prop_map(Step::Say),
        2 => any::<Index>().prop_map(Step::Try),
        2 => (0..6usize).prop_map(Step::Rollback),
        1 => Just(Step::Fork),
        2 => prop::collection::vec(any::<Index>(), 0..4).prop_map(Step::Permitted),
        2 => Just(Step::Forced),
    ];
    prop::collection::vec(step, 0..40)
}

fn forced(constraint: &mut dyn Constraint) -> Vec<usize> {
    let mut symbols = vec![7];
    constraint.forced(&mut symbols).unwrap();
    symbols
}

/// Follows both; `agree` says whether they allow the same.
fn follow(
    mut ours: Box<dyn Constraint>,
    mut twin: Box<dyn Constraint>,
    steps: Vec<Step>,
    agree: fn(&[usize], &[usize], &mut dyn Constraint) -> bool,
) -> Result<(), TestCaseError> {
    let mut said = 0;
    for step in steps {
        let allowed = mask_of(&mut *ours);
        let theirs = mask_of(&mut *twin);
        prop_assert!(
            agree(&allowed, &theirs, &mut *twin),
            "{:?} and {:?}",
            allowed,
            theirs
        );
        prop_assert_eq!(ours.may_end(), twin.may_end());
        let asked = said + 1;
        let beyond = Err(ConstraintError::BeyondBeginning { asked, said });
        prop_assert_eq!(ours.rollback(asked), beyond);
        match step {
            Step::Say(index) if !allowed.is_empty() => {
                let symbol = *index.get(&allowed);
                prop_assert_eq!(ours.advance(symbol), Ok(()));
                prop_assert_eq!(twin.advance(symbol), Ok(()));
                said += 1;
            }
            Step::Say(_) => {}
            Step::Try(index) => {
                let symbol = index.index(ours.alphabet_size() + 9);
                match allowed.contains(&symbol) {
                    true => {
                        prop_assert_eq!(ours.advance(symbol), Ok(()));
                        prop_assert_eq!(twin.advance(symbol), Ok(()));
                        said += 1;
                    }
                    false => {
                        let refused = Err(ConstraintError::NotAllowed { symbol });
                        prop_assert_eq!(ours.advance(symbol), refused);
                    }
                }
            }
            Step::Rollback(n) => {
                let n = n.min(said);
                ours.rollback(n).unwrap();
                twin.rollback(n).unwrap();
                said -= n;
            }
            Step::Fork => {
                let fork = ours.fork();
                ours.rollback(said).unwrap();
                let first = mask_of(&mut *ours)[0];
                ours.advance(first).unwrap();
                ours = fork;
            }
            Step::Permitted(choices) => {
                let size = ours.alphabet_size();
                let draft: Vec<usize> = choices.iter().map(|choice| choice.index(size)).collect();
                let mut walk = 0;
                for &symbol in &draft {
                    if !mask_of(&mut *ours).contains(&symbol) {
                        break;
                    }
                    ours.advance(symbol).unwrap();
                    walk += 1;
                }
                ours.rollback(walk).unwrap();
                prop_assert_eq!(permitted(&mut *ours, draft), Ok(walk));
            }
            Step::Forced => {
                let symbols = forced(&mut *ours);
                for (i, &symbol) in symbols[1..].iter().enumerate() {
                    prop_assert!(!ours.may_end().unwrap());
                    prop_assert_eq!(mask_of(&mut *ours), [symbol], "{}", i);
                    ours.advance(symbol).unwrap();
                }
                ours.rollback(symbols.len() - 1).unwrap();
            }
        }
    }
    Ok(())
}

static BYTES: LazyLock<Alphabet> = LazyLock::new(|| Alphabet::bytes().unwrap());

/// Tokens that spell what is forced are one of those that could.
fn narrower(ours: &[usize], theirs: &[usize], _: &mut dyn Constraint) -> bool {
    let some = ours.iter().all(|symbol| theirs.contains(symbol));
    some && (ours.is_empty() == theirs.is_empty())
}

proptest! {
    #[test]
    fn over_bytes_it_is_its_twin(steps in steps()) {
        let ours = Form::Lark(LARK.into()).over(&BYTES, Thought::None).unwrap();
        let twin = ToyGrammar::bytes(&KEYS);
        follow(Box::new(ours), Box::new(twin), steps, |ours, theirs, _| ours == theirs)?;
    }

    #[test]
    fn over_tokens_it_allows_what_its_twin_allows(
        some in prop::sample::subsequence(&PIECES[5..], 0..=13), steps in steps(),
    ) {
        let pieces = [&PIECES[..5], &[b"n", b":", b"7", b"}"], &some[..]].concat();
        let vocab = vocab(&pieces);
        let alphabet = Alphabet::tokens(&vocab).unwrap();
        let ours = Form::Lark(LARK.replace("\"age\" | \"agent\" | \"größe\" | ", ""));
        let ours = ours.over(&alphabet, Thought::None).unwrap();
        let twin = ToyGrammar::tokens(&["n"], &vocab);
        follow(Box::new(ours), Box::new(twin), steps, narrower)?;
    }
}

#[test]
fn what_is_forced_over_bytes() {
    let mut ours = Form::Lark(LARK.into()).over(&BYTES, Thought::None).unwrap();
    assert_eq!(forced(&mut ours)[1..], [usize::from(b'{')]);
    for byte in "{agen".bytes() {
        ours.advance(byte.into()).unwrap();
    }
    assert_eq!(forced(&mut ours)[1..], b"t:".map(usize::from));
}

#[test]
fn what_is_forced_over_tokens_is_spelled_by_the_longest() {
    let vocab = vocab(&[
        b"\"", b"{", b"{\"", b"na", b"name", b"\":", b":", b" ", b" t", b"true", b"false", b"}",
    ]);
    let alphabet = Alphabet::tokens(&vocab).unwrap();
    let schema = r#"{"type":"object","properties":{"name":{"type":"boolean"}},"required":["name"],"additionalProperties":false}"#;
    let mut ours = Form::schema(schema)
        .unwrap()
        .over(&alphabet, Thought::None)
        .unwrap();
    // The space could also begin ` t`, which is a choice.
    assert_eq!(forced(&mut ours)[1..], [2, 4, 5]);
    for symbol in [2, 4, 5] {
        ours.advance(symbol).unwrap();
    }
    assert_eq!(mask_of(&mut ours), [7, 8]);
}
