//! Constraints on short texts; on all texts against a plain twin in `twin`.

#[path = "../../tests/engine_fake/toy_grammar.rs"]
mod toy_grammar;
mod twin;

use super::*;
use crate::vocab::{END, SYMBOLS};
use toy_grammar::ToyGrammar;

fn mask_of(constraint: &mut dyn Constraint) -> Vec<usize> {
    // Larger than the alphabet: what the alphabet has not is not allowed either.
    let mut mask = Mask::all(constraint.alphabet_size() + 70);
    constraint.allows(&mut mask).unwrap();
    mask.iter().collect()
}

fn say(constraint: &mut dyn Constraint, text: &str) {
    for byte in text.bytes() {
        constraint.advance(usize::from(byte)).unwrap();
    }
}

fn forced(constraint: &mut dyn Constraint) -> String {
    let mut symbols = Vec::new();
    constraint.forced(&mut symbols).unwrap();
    let bytes = symbols.iter().map(|&s| u8::try_from(s).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

#[test]
fn what_a_grammar_forces() {
    let mut toy = ToyGrammar::bytes(&["age", "agent"]);
    assert_eq!(forced(&mut toy), "{age");
    say(&mut toy, "{age");
    assert_eq!(forced(&mut toy), "");
    say(&mut toy, "n");
    assert_eq!(forced(&mut toy), "t:");
    say(&mut toy, "t:1}");
    // END alone is left, and END is not forced.
    assert_eq!(mask_of(&mut toy), [END]);
    assert_eq!(forced(&mut toy), "");
}

#[test]
fn a_draft_is_cut_where_it_leaves_the_grammar() {
    let mut toy = ToyGrammar::bytes(&["age", "agent"]);
    let draft = |text: &'static str| text.bytes().map(usize::from);
    assert_eq!(permitted(&mut toy, draft("{agen:1}")), Ok(5));
    assert_eq!(
        permitted(&mut toy, draft("{age:12}").chain([END, END])),
        Ok(9)
    );
    assert_eq!(permitted(&mut toy, []), Ok(0));
    assert_eq!(
        toy.rollback(1),
        Err(ConstraintError::BeyondBeginning { asked: 1, said: 0 })
    );
}

#[test]
fn several_constraints_narrow_one_mask() {
    let mut both: [Box<dyn Constraint>; 2] = [
        Box::new(ToyGrammar::bytes(&["größe", "€"])),
        Box::new(Utf8::bytes()),
    ];
    let mut mask = Mask::none(SYMBOLS);
    for byte in "{grö".bytes() {
        mask.fill();
        both.iter_mut()
            .for_each(|one| one.allows(&mut mask).unwrap());
        assert!(mask.contains(usize::from(byte)));
        both.iter_mut()
            .for_each(|one| one.advance(usize::from(byte)).unwrap());
    }
    // The ß.
    mask.fill();
    both.iter_mut()
        .for_each(|one| one.allows(&mut mask).unwrap());
    assert_eq!(mask.only(), Some(0xC3));
}

/// Allows a single symbol without end, and fails once the text has `fails_at` symbols.
#[derive(Clone)]
struct Monotone {
    said: usize,
    fails_at: usize,
}

impl Monotone {
    fn fail(&self) -> Result<(), ConstraintError> {
        let failed = self.said == self.fails_at;
        let why = || ConstraintError::Failed("out of breath".into());
        (!failed).then_some(()).ok_or_else(why)
    }
}

impl Constraint for Monotone {
    fn alphabet_size(&self) -> usize {
        SYMBOLS
    }

    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError> {
        allowed.retain(|symbol| symbol == 65);
        self.fail()
    }

    fn advance(&mut self, _: usize) -> Result<(), ConstraintError> {
        self.fail()?;
        self.said += 1;
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(false)
    }

    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError> {
        self.said -= symbols;
        Ok(())
    }

    fn fork(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

#[test]
fn a_forced_run_without_end_is_cut() {
    let mut endless = Monotone {
        said: 3,
        fails_at: usize::MAX,
    };
    let mut symbols = Vec::new();
    endless.forced(&mut symbols).unwrap();
    assert_eq!((symbols.len(), endless.said), (FORCED_AT_MOST, 3));
}

#[test]
fn a_failure_while_looking_ahead_leaves_no_trace() {
    let failed = ConstraintError::Failed("out of breath".into());
    let mut failing = Monotone {
        said: 3,
        fails_at: 5,
    };
    let mut symbols = vec![1, 2];
    assert_eq!(failing.forced(&mut symbols), Err(failed.clone()));
    assert_eq!((symbols, failing.said), (vec![1, 2], 3));
    assert_eq!(permitted(&mut failing, [65; 4]), Err(failed));
    assert_eq!(failing.said, 3);
    assert_eq!(permitted(&mut failing, [65; 2]), Ok(2));
}
