//! Whether a text that was generated answers a question.
//!
//! Short answers are compared as words: lower case, punctuation apart, English articles left out,
//! commas inside numbers dropped (after the evaluation scripts of SQuAD, Rajpurkar et al. 2016, and
//! TriviaQA, Joshi et al. 2017). A text is right if it contains a right answer as whole words, and
//! exact if it says nothing else.

use super::task::Ask;
use packllm_engine::thought;
use regex::Regex;

/// What a text is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grade {
    /// It answers the question.
    pub right: bool,
    /// It answers the question and says nothing else.
    pub exact: bool,
}

/// Grades a text. Of a text that thinks, only what it says afterwards counts. Options and code are
/// judged elsewhere: to these every text is wrong.
#[must_use]
pub fn grade(ask: &Ask, text: &str) -> Grade {
    let said = thought::answer(text);
    match ask {
        Ask::Short { answers } => {
            let text = words(said);
            let answers: Vec<Vec<String>> = answers.iter().map(|a| words(a)).collect();
            Grade {
                right: answers.iter().any(|answer| contains(&text, answer)),
                exact: answers.contains(&text),
            }
        }
        Ask::Number { answer } => {
            let is_it = |number: f64| (number - answer).abs() <= 1e-6 * answer.abs().max(1.0);
            Grade {
                right: last_number(said).is_some_and(is_it),
                exact: numeral(said.trim()).is_some_and(is_it),
            }
        }
        Ask::Form { pattern, excludes } => {
            let text = said.trim();
            let right =
                matches(pattern, text) && !excludes.as_ref().is_some_and(|e| matches(e, text));
            Grade {
                right,
                exact: right,
            }
        }
        Ask::Choice { .. } | Ask::Last { .. } | Ask::Code { .. } => Grade {
            right: false,
            exact: false,
        },
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

/// The words of a text as they are compared.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.to_lowercase().chars().collect();
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    let mut plain = String::with_capacity(text.len());
    for (i, &c) in chars.iter().enumerate() {
        let inside = i > 0 && digit(i - 1) && digit(i + 1);
        match c {
            ',' if inside && (i + 1..=i + 3).all(digit) && !digit(i + 4) => {}
            '.' if inside => plain.push(c),
            c if c.is_alphanumeric() => plain.push(c),
            _ => plain.push(' '),
        }
    }
    // 100.0 is 100.
    let number =
        |word: &str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let word = |word: &str| match number(word) {
        true => word.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => word.to_owned(),
    };
    let all: Vec<String> = plain.split_whitespace().map(word).collect();
    let is_article = |word: &String| ["a", "an", "the"].contains(&word.as_str());
    // An answer may be an article.
    match all.iter().all(is_article) {
        true => all,
        false => all.into_iter().filter(|word| !is_article(word)).collect(),
    }
}

/// Whether `words` stand in `text` one after the other.
fn contains(text: &[String], words: &[String]) -> bool {
    !words.is_empty() && text.windows(words.len()).any(|window| window == words)
}

/// The last number that a text writes in digits.
#[must_use]
pub fn last_number(text: &str) -> Option<f64> {
    let parts = text.split(|c: char| !(c.is_ascii_digit() || ['.', ',', '-', '−'].contains(&c)));
    let mut numbers = parts.rev().filter_map(|part| {
        // What ends a sentence, joins words or spans a range is no part of the number.
        let part = part.trim_end_matches(['.', ',', '-', '−']);
        let from = part.rfind(|c: char| ['-', '−'].contains(&c)).unwrap_or(0);
        let part = part[from..].trim_start_matches([',', '.']);
        let before = from > 0 && part.len() > 1;
        numeral(if before {
            part.trim_start_matches(['-', '−'])
        } else {
            part
        })
    });
    numbers.next()
}

/// A number alone: `1,250.5`, `-3`.
fn numeral(text: &str) -> Option<f64> {
    let text = text.replace('−', "-").replace(',', "");
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|_| numeric)
}

/// How much two texts have in common, in 0..=1: the harmonic mean of the shares of words that are in
/// the other (F1, as in SQuAD).
#[must_use]
pub fn likeness(a: &str, b: &str) -> f64 {
    let (a, mut b) = (words(a), words(b));
    let total = a.len() + b.len();
    let mut common = 0;
    for word in &a {
        if let Some(at) = b.iter().position(|other| other == word) {
            b.swap_remove(at);
            common += 1;
        }
    }
    match total {
        0 => 1.0,
        n => 2.0 * f64::from(common) / n as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(answers: &[&str], text: &str) -> (bool, bool) {
        let answers = answers.iter().map(|&a| a.to_owned()).collect();
        let grade = grade(&Ask::Short { answers }, text);
        (grade.right, grade.exact)
    }

    #[test]
    fn short_answers_are_whole_words_in_any_dress() {
        let yes = [
            ("The capital of France is **Paris**.", "paris"),
            ("It's the U.S. dollar", "u s dollar"),
            ("1,234 people", "1234"),
            ("The Beatles!", "beatles"),
            ("pH 7.4, about", "7.40"),
            ("It boils at 100.0°C", "100"),
            ("<think>Rome?</think>Paris", "Paris"),
            ("Ödipus", "ödipus"),
        ];
        for (text, answer) in yes {
            assert!(short(&[answer], text).0, "{text}");
        }
        let no = [
            ("Parisian life", "paris"),
            ("<think>Paris</think>Rome", "Paris"),
            ("1,2,3", "12"),
            ("", "paris"),
            ("anything", "the"),
            ("the letter b", "a"),
        ];
        for (text, answer) in no {
            assert!(!short(&[answer], text).0, "{text}");
        }
        assert_eq!(short(&["Rome", "Paris"], " The Paris.\n"), (true, true));
        assert_eq!(short(&["Rome", "Paris"], "Paris, I think"), (true, false));
    }

    #[test]
    fn the_last_number_counts() {
        let cases = [
            ("3 + 4 = 7.", Some(7.0)),
            ("She makes $1,080 a day", Some(1080.0)),
            ("about 0.5, or 12,5", Some(125.0)),
            ("it is -3", Some(-3.0)),
            ("10-15", Some(15.0)),
            ("the answer is 18.0!", Some(18.0)),
            ("#### 72\n", Some(72.0)),
            ("no digits - none.", None),
            ("5 - 2", Some(2.0)),
            ("x=−4", Some(-4.0)),
        ];
        for (text, number) in cases {
            assert_eq!(last_number(text), number, "{text}");
        }
        let number = |text| grade(&Ask::Number { answer: 18.0 }, text);
        assert_eq!(
            number("18"),
            Grade {
                right: true,
                exact: true
            }
        );
        assert_eq!(
            number("It is 18."),
            Grade {
                right: true,
                exact: false
            }
        );
        assert!(!number("18 or 19").right);
    }

    #[test]
    fn a_form_matches_and_excludes() {
        let ask = Ask::Form {
            pattern: "^[A-Z ]+$".into(),
            excludes: Some("NO".into()),
        };
        let right = |text| grade(&ask, text).right;
        assert!(right("  ALL GOOD\n"));
        assert!(!right("All good") && !right("NO GOOD"));
    }

    #[test]
    fn likeness_is_that_of_bags_of_words() {
        assert_eq!(likeness("The Paris", "paris!"), 1.0);
        assert_eq!(likeness("it is paris", "paris"), 0.5);
        assert_eq!(likeness("a b b", "b c"), 0.5);
        assert_eq!(likeness("rome", "paris"), 0.0);
        assert_eq!(likeness("", "."), 1.0);
    }
}
