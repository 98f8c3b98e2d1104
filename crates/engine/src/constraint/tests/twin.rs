//! Constraints against a plain twin, which keeps what was said and judges whole texts.

use super::mask_of;
use super::toy_grammar::ToyGrammar;
use crate::backend::{Special, TokenKind, Vocab, VocabBuilder};
use crate::constraint::*;
use crate::vocab::{END, SYMBOLS};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::Arc;

const KEYS: [&str; 4] = ["age", "agent", "größe", "n"];

/// Pieces of which vocabularies are made: whole, broken and overlong UTF-8, and the toy grammar's.
const PIECES: [&[u8]; 32] = [
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
    b"0",
    b"9",
    b"42}",
    b"7}",
    b"}}",
    b"gr\xC3",
    b"\xB6",
    b"\xB6\xC3",
    b"\x9Fe",
    b"\xE2",
    b"\x82",
    b"\x82\xAC",
    b"\xE0",
    b"\xA0\x80",
    b"\xED\x9F",
    b"\xF0",
    b"\x90\x80\x80",
    b"\xF4\x8F",
    b"\xC0\x80",
];

/// Whether a text, which has control tokens or not, is the beginning of a text of the set, and
/// whether it is one of them.
type Judge = fn(&[u8], bool) -> (bool, bool);

fn utf8(text: &[u8], _: bool) -> (bool, bool) {
    match std::str::from_utf8(text) {
        Ok(_) => (true, true),
        Err(e) => (e.error_len().is_none(), false),
    }
}

fn toy(text: &[u8], control: bool) -> (bool, bool) {
    let of_key = |key: &str| {
        let head = format!("{{{key}:").into_bytes();
        let Some(rest) = text.strip_prefix(head.as_slice()) else {
            return (head.starts_with(text), false);
        };
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let closed = digits > 0 && &rest[digits..] == b"}";
        (digits == rest.len() || closed, closed)
    };
    let of_keys = KEYS.map(of_key);
    let any = |which: fn(&(bool, bool)) -> bool| !control && of_keys.iter().any(which);
    (any(|of| of.0), any(|of| of.1))
}

/// A constraint without an idea: it judges the whole text anew for every symbol.
struct Plain {
    judge: Judge,
    vocab: Option<Arc<Vocab>>,
    said: Vec<usize>,
}

impl Plain {
    fn size(&self) -> usize {
        self.vocab.as_ref().map_or(SYMBOLS, |vocab| vocab.len())
    }

    fn kind(&self, symbol: usize) -> TokenKind {
        match &self.vocab {
            Some(vocab) => vocab.kind(symbol as u32),
            None if symbol == END => TokenKind::End,
            None => TokenKind::Text,
        }
    }

    fn judged(&self, symbols: &[usize]) -> (bool, bool) {
        let mut text = Vec::new();
        let mut control = false;
        for &symbol in symbols {
            control |= self.kind(symbol) == TokenKind::Control;
            match &self.vocab {
                Some(vocab) => text.extend_from_slice(vocab.piece(symbol as u32)),
                None => text.push(symbol as u8),
            }
        }
        (self.judge)(&text, control)
    }

    fn ended(&self) -> bool {
        let last = self.said.last();
        last.is_some_and(|&symbol| self.kind(symbol) == TokenKind::End)
    }

    fn may_end(&self) -> bool {
        self.ended() || self.judged(&self.said).1
    }

    fn allows(&self, symbol: usize) -> bool {
        if self.ended() || symbol >= self.size() {
            return false;
        }
        if self.kind(symbol) == TokenKind::End {
            return self.may_end();
        }
        let mut said = self.said.clone();
        said.push(symbol);
        self.judged(&said).0
    }

    fn allowed(&self) -> Vec<usize> {
        (0..self.size()).filter(|&s| self.allows(s)).collect()
    }

    /// Allowed symbols, one of them for each of `choices`, and `last` behind them.
    fn draft(&mut self, choices: &[Index], last: usize) -> Vec<usize> {
        let before = self.said.len();
        for choice in choices {
            let allowed = self.allowed();
            if !allowed.is_empty() {
                self.said.push(*choice.get(&allowed));
            }
        }
        let mut draft = self.said.split_off(before);
        draft.push(last);
        draft
    }

    fn permitted(&mut self, draft: &[usize]) -> usize {
        let before = self.said.len();
        for &symbol in draft {
            if !self.allows(symbol) {
                break;
            }
            self.said.push(symbol);
        }
        let permitted = self.said.len() - before;
        self.said.truncate(before);
        permitted
    }

    fn forced(&mut self, limit: usize) -> Vec<usize> {
        let before = self.said.len();
        while self.said.len() - before < limit && !self.may_end() {
            let [only] = self.allowed()[..] else { break };
            self.said.push(only);
        }
        self.said.split_off(before)
    }
}

/// What is done to a constraint.
#[derive(Debug, Clone)]
enum Step {
    /// One of the allowed symbols comes, if there is one.
    Say(Index),
    /// Any symbol comes, allowed or not, perhaps one that the alphabet has not.
    Try(Index),
    Rollback(usize),
    /// A fork goes on; the original is led astray first.
    Fork,
    /// A draft of allowed symbols, and any symbol behind them.
    Permitted(Vec<Index>, Index),
    Forced(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<Index>().prop_map(Step::Say),
        2 => any::<Index>().prop_map(Step::Try),
        2 => (0..6usize).prop_map(Step::Rollback),
        1 => Just(Step::Fork),
        2 => (prop::collection::vec(any::<Index>(), 0..4), any::<Index>())
            .prop_map(|(draft, last)| Step::Permitted(draft, last)),
        2 => (0..9usize).prop_map(Step::Forced),
    ];
    prop::collection::vec(step, 0..40)
}

/// Some of the pieces, a control token, one without bytes, one that is no UTF-8, and END tokens.
fn vocabularies() -> impl Strategy<Value = Arc<Vocab>> {
    (
        prop::sample::subsequence(&PIECES[..], 1..=PIECES.len()),
        0..3usize,
    )
        .prop_map(|(pieces, ends)| {
            let mut builder = VocabBuilder::default();
            pieces
                .iter()
                .for_each(|piece| builder.push(piece, TokenKind::Text));
            builder.push(b"<unk>", TokenKind::Control);
            builder.push(b"", TokenKind::Text);
            builder.push(b"\xFF", TokenKind::Control);
            (0..ends).for_each(|_| builder.push(b"\x82", TokenKind::End));
            Arc::new(builder.build(Special::default()))
        })
}

/// Whether the constraint says the same as its twin.
fn agree(constraint: &mut dyn Constraint, plain: &Plain) -> Result<(), TestCaseError> {
    prop_assert_eq!(mask_of(constraint), plain.allowed());
    prop_assert_eq!(constraint.may_end().unwrap(), plain.may_end());
    let (asked, said) = (plain.said.len() + 1, plain.said.len());
    let beyond = Err(ConstraintError::BeyondBeginning { asked, said });
    prop_assert_eq!(constraint.rollback(asked), beyond);
    Ok(())
}

fn follow(
    mut constraint: Box<dyn Constraint>,
    mut plain: Plain,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(constraint.alphabet_size(), plain.size());
    agree(&mut *constraint, &plain)?;
    for step in steps {
        match step {
            Step::Say(index) => {
                let allowed = plain.allowed();
                if !allowed.is_empty() {
                    let symbol = *index.get(&allowed);
                    prop_assert_eq!(constraint.advance(symbol), Ok(()));
                    plain.said.push(symbol);
                }
            }
            Step::Try(index) => {
                let symbol = index.index(plain.size() + 9);
                let allowed = plain.allows(symbol);
                let outcome = allowed.then_some(());
                let outcome = outcome.ok_or(ConstraintError::NotAllowed { symbol });
                prop_assert_eq!(constraint.advance(symbol), outcome);
                plain.said.extend(allowed.then_some(symbol));
            }
            Step::Rollback(n) => {
                let n = n.min(plain.said.len());
                constraint.rollback(n).unwrap();
                plain.said.truncate(plain.said.len() - n);
            }
            Step::Fork => {
                let fork = constraint.fork();
                constraint.rollback(plain.said.len()).unwrap();
                if let Some(&symbol) = mask_of(&mut *constraint).first() {
                    constraint.advance(symbol).unwrap();
                }
                constraint = fork;
            }
            Step::Permitted(draft, last) => {
                let draft = plain.draft(&draft, last.index(plain.size() + 9));
                let said = permitted(&mut *constraint, draft.iter().copied());
                prop_assert_eq!(said.unwrap(), plain.permitted(&draft));
            }
            Step::Forced(limit) => {
                let mut mask = Mask::none(constraint.alphabet_size());
                let mut forced = vec![7];
                forced_by_mask(&mut *constraint, &mut mask, limit, &mut forced).unwrap();
                prop_assert_eq!(&forced[1..], plain.forced(limit));
                forced.truncate(1);
                constraint.forced(&mut forced).unwrap();
                prop_assert_eq!(&forced[1..], plain.forced(FORCED_AT_MOST));
            }
        }
        agree(&mut *constraint, &plain)?;
    }
    Ok(())
}

fn plain(judge: Judge, vocab: Option<&Arc<Vocab>>) -> Plain {
    Plain {
        judge,
        vocab: vocab.cloned(),
        said: Vec::new(),
    }
}

proptest! {
    #[test]
    fn utf8_over_bytes_is_its_plain_twin(steps in steps()) {
        follow(Box::new(Utf8::bytes()), plain(utf8, None), steps)?;
    }

    #[test]
    fn utf8_over_tokens_is_its_plain_twin(vocab in vocabularies(), steps in steps()) {
        follow(Box::new(Utf8::tokens(&vocab)), plain(utf8, Some(&vocab)), steps)?;
    }

    #[test]
    fn the_toy_grammar_over_bytes_is_its_plain_twin(steps in steps()) {
        follow(Box::new(ToyGrammar::bytes(&KEYS)), plain(toy, None), steps)?;
    }

    #[test]
    fn the_toy_grammar_over_tokens_is_its_plain_twin(vocab in vocabularies(), steps in steps()) {
        follow(Box::new(ToyGrammar::tokens(&KEYS, &vocab)), plain(toy, Some(&vocab)), steps)?;
    }
}
