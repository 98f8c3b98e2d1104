//! Questions as plain text.
//!
//! A question followed by one of its options is `query + separator + choice`; the separator is a
//! space, or nothing if white space is there already, unless one is given. Examples come before it,
//! each followed by an empty line. White space at the end of what precedes a choice is read with
//! the choice: tokenizers join a space to the word after it, and a text that stops after a space is
//! unlike any that a model has seen. So an option's score covers that white space and the choice.

use super::task::{Ask, Question};
use packllm_engine::engine::{Ending, Place, Prompt, Segment, Start};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// What comes after each example.
pub(super) const AFTER_SHOT: &str = "\n\n";

/// How a question is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Between query and choice; None: a space, unless white space is there already.
    pub separator: Option<String>,
}

/// A question as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The examples, which only condition.
    pub shots: String,
    /// The question's text, from which the weights are derived.
    pub query: String,
    /// What of the separator belongs to no option: only conditions.
    pub bridge: String,
    /// What may come next, one a choice.
    pub options: Vec<String>,
}

impl Layout {
    /// Lays a question out after its examples.
    #[must_use]
    pub fn sheet(&self, question: &Question, shots: &Shots) -> Sheet {
        let query = &question.query;
        let given = self.separator.as_deref().unwrap_or_default();
        let whole = format!("{query}{given}");
        let head = whole.trim_end();
        let tail = &whole[head.len()..];
        let end = query.len().min(head.len());
        let option = |choice: &String| {
            let space = self.space(query, choice);
            format!("{tail}{space}{choice}")
        };
        let choices = match &question.ask {
            Ask::Choice { choices, .. } => choices.as_slice(),
            Ask::Last { continuation } => std::slice::from_ref(continuation),
            _ => &[],
        };
        Sheet {
            shots: shots.before(self, question),
            query: query[..end].to_owned(),
            bridge: head[end..].to_owned(),
            options: choices.iter().map(option).collect(),
        }
    }

    /// A question with its answer.
    pub(super) fn solved(&self, query: &str, answer: &str) -> String {
        let separator = match &self.separator {
            Some(given) => given,
            None => self.space(query, answer),
        };
        format!("{query}{separator}{answer}")
    }

    /// The space that is put between a query and a choice.
    fn space(&self, query: &str, choice: &str) -> &'static str {
        let there = query.ends_with(char::is_whitespace) || choice.starts_with(char::is_whitespace);
        if self.separator.is_some() || there {
            ""
        } else {
            " "
        }
    }
}

impl Sheet {
    /// The prompt in front of the options.
    #[must_use]
    pub fn prompt(&self) -> Prompt {
        plain_prompt(&self.shots, &self.query, &self.bridge, Ending::Closed)
    }

    /// Prompt and one option as one text that is only counted.
    #[must_use]
    pub fn prompt_with(&self, option: usize) -> Prompt {
        let mut prompt = self.prompt();
        let text = self.options.get(option).map_or("", String::as_str);
        prompt
            .segments
            .push(Segment::content(text, Place::default()));
        prompt
    }

    /// Length of the prompt and the longest option: bytes. No tokenizer makes more tokens of it,
    /// but for the start token.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let option = self.options.iter().map(String::len).max().unwrap_or(0);
        self.shots.len() + self.query.len() + self.bridge.len() + option
    }
}

/// Examples, a question and what comes after it as plain text. The question alone is evidence;
/// places of the others are never compared.
pub(super) fn plain_prompt(shots: &str, query: &str, bridge: &str, ending: Ending) -> Prompt {
    let query = Segment::evidence(query, Place::default());
    let plain = |text: &str| {
        let segment = Segment::content(text, Place::default());
        Some(segment).filter(|s| !s.text.is_empty())
    };
    let segments = plain(shots).into_iter().chain([query]);
    Prompt {
        start: Start::Text,
        segments: segments.chain(plain(bridge)).collect(),
        ending,
    }
}

/// Examples to choose from, in the order in which they are taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shots {
    count: usize,
    pool: Vec<Question>,
}

/// Too few examples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} examples were asked for, and there are {found} beside the question in line {line}"
)]
pub struct ShotsError {
    /// Examples asked for.
    pub wanted: usize,
    /// Examples that are not the question itself.
    pub found: usize,
    /// The question's line.
    pub line: usize,
}

impl Shots {
    /// Draws the order of the examples by `seed`. The first `count` serve all questions, so that
    /// members read them once; a question that is one of them gets the next in order instead.
    #[must_use]
    pub fn draw(mut pool: Vec<Question>, count: usize, seed: u64) -> Shots {
        pool.retain(|question| question.ask.solution().is_some());
        shuffle(&mut pool, seed);
        Shots { count, pool }
    }

    /// That there are enough examples for a question.
    ///
    /// # Errors
    /// There are not.
    pub fn check(&self, question: &Question) -> Result<(), ShotsError> {
        let found = self.others(question).count();
        if found >= self.count {
            return Ok(());
        }
        Err(ShotsError {
            wanted: self.count,
            found,
            line: question.line,
        })
    }

    fn before(&self, layout: &Layout, question: &Question) -> String {
        let solved = |(shot, answer): (&Question, String)| layout.solved(&shot.query, &answer);
        let shots = self.of(question).map(solved);
        shots.map(|solved| solved + AFTER_SHOT).collect()
    }

    /// The examples of a question, with their answers.
    pub(super) fn of<'a>(
        &'a self,
        question: &'a Question,
    ) -> impl Iterator<Item = (&'a Question, String)> {
        let shots = self.others(question).take(self.count);
        shots.filter_map(|shot| Some((shot, shot.ask.solution()?)))
    }

    /// Examples that are not the question, whichever file or line it stands in.
    fn others<'a>(&'a self, question: &'a Question) -> impl Iterator<Item = &'a Question> {
        let same = |q: &&Question| q.query == question.query;
        self.pool.iter().filter(move |q| !same(q))
    }
}

/// Shuffles by `seed` (Durstenfeld 1964).
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut rng = Pcg64::seed_from_u64(seed);
    for i in (1..items.len()).rev() {
        let j = below(&mut rng, i as u64 + 1) as usize;
        items.swap(i, j);
    }
}

/// A number in 0..n, all alike (Lemire 2019, "Fast random integer generation in an interval").
pub(super) fn below(rng: &mut Pcg64, n: u64) -> u64 {
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(n);
        if wide as u64 >= n.wrapping_neg() % n {
            return (wide >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn question(query: &str, choices: &[&str], gold: usize) -> Question {
        Question {
            line: 1,
            query: query.into(),
            ask: Ask::Choice {
                choices: choices.iter().map(|c| (*c).to_owned()).collect(),
                gold,
            },
        }
    }

    fn lay(separator: Option<&str>, query: &str, choices: &[&str]) -> Sheet {
        let separator = separator.map(str::to_owned);
        Layout { separator }.sheet(&question(query, choices, 0), &Shots::default())
    }

    #[test]
    fn a_space_comes_between_unless_white_space_is_there() {
        assert_eq!(lay(None, "q?", &["a", " b"]).options, [" a", " b"]);
        let sheet = lay(None, "q? ", &["a", "\tb"]);
        assert_eq!((&*sheet.query, &*sheet.bridge), ("q?", ""));
        assert_eq!(sheet.options, [" a", " \tb"]);
    }

    #[test]
    fn the_end_of_a_separator_goes_with_the_option() {
        let sheet = lay(Some("\nAnswer: "), "q?", &["a"]);
        assert_eq!((&*sheet.query, &*sheet.bridge), ("q?", "\nAnswer:"));
        assert_eq!(sheet.options, [" a"]);
        let sheet = lay(Some(""), "wa", &["ter", "gon"]);
        assert_eq!((&*sheet.query, &*sheet.bridge), ("wa", ""));
        assert_eq!(sheet.options, ["ter", "gon"]);
        let sheet = lay(Some("->"), "q \n", &["a"]);
        assert_eq!((&*sheet.query, &*sheet.bridge), ("q \n", "->"));
    }

    proptest! {
        #[test]
        fn the_parts_spell_query_separator_and_choice(
            query in "[a ]{0,4}[b]", tail in "[ \n]{0,2}",
            separator in prop::option::of("[ :\n]{0,3}"),
            choices in prop::collection::vec("[ ]{0,1}[c]{1,3}", 2..5),
        ) {
            let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
            let question = question(&format!("{query}{tail}"), &choices, 0);
            let layout = Layout { separator };
            let sheet = layout.sheet(&question, &Shots::default());
            for (choice, option) in choices.iter().zip(&sheet.options) {
                let solved = layout.solved(&question.query, choice);
                prop_assert_eq!(format!("{}{}{option}", sheet.query, sheet.bridge), solved);
            }
            prop_assert!(!sheet.query.is_empty());
            let before = format!("{}{}", sheet.query, sheet.bridge);
            prop_assert_eq!(before.trim_end(), &before);
        }
    }

    #[test]
    fn the_question_alone_is_evidence() {
        let pool = vec![question("other", &["x", "y"], 1)];
        let shots = Shots::draw(pool, 1, 0);
        let layout = Layout {
            separator: Some(" = ".into()),
        };
        let sheet = layout.sheet(&question("this", &["a", "b"], 0), &shots);
        assert_eq!(sheet.shots, "other = y\n\n");
        let segments = sheet.prompt().segments;
        let scored: Vec<(&str, bool)> = segments
            .iter()
            .map(|s| (s.text.as_str(), s.scored == (0..s.text.len())))
            .collect();
        assert_eq!(
            scored,
            [("other = y\n\n", false), ("this", true), (" =", false)]
        );
        assert_eq!(sheet.options, [" a", " b"]);
    }

    #[test]
    fn examples_are_shared_drawn_by_the_seed_and_never_the_question() {
        let names: Vec<String> = (0..30).map(|i| format!("q{i}")).collect();
        let pool: Vec<Question> = names.iter().map(|q| question(q, &["x", "y"], 0)).collect();
        let layout = Layout::default();
        let shots = Shots::draw(pool.clone(), 5, 7);
        assert_eq!(shots, Shots::draw(pool.clone(), 5, 7));
        assert_ne!(shots, Shots::draw(pool.clone(), 5, 8));
        let usual = shots.before(&layout, &question("new", &["x", "y"], 0));
        let mut replaced = 0;
        for question in &pool {
            let before = shots.before(&layout, question);
            assert_eq!(before.matches("\n\n").count(), 5);
            assert!(!format!("\n{before}").contains(&format!("\n{} ", question.query)));
            replaced += usize::from(before != usual);
        }
        assert_eq!(replaced, 5);
    }

    #[test]
    fn every_order_is_as_likely() {
        let pool: Vec<Question> = ["a", "b", "c"].map(|q| question(q, &["x", "y"], 0)).into();
        let mut first = [0; 3];
        for seed in 0..3000 {
            let drawn = Shots::draw(pool.clone(), 1, seed);
            first[(drawn.pool[0].query.as_bytes()[0] - b'a') as usize] += 1;
        }
        // Five standard deviations of a binomial count.
        assert!(first.iter().all(|n| (870..1130).contains(n)), "{first:?}");
    }

    #[test]
    fn too_few_examples_are_an_error() {
        let pool = vec![question("a", &["x", "y"], 0), question("b", &["x", "y"], 0)];
        let shots = Shots::draw(pool, 2, 0);
        assert!(shots.check(&question("c", &["x", "y"], 0)).is_ok());
        let error = shots.check(&question("a", &["x", "y"], 0)).unwrap_err();
        assert_eq!((error.wanted, error.found), (2, 1));
    }
}
