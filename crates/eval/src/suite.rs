//! Questions of our own in ten domains, a hundred each: for who has no data to measure a pack on.
//!
//! They were written for this program, before anything was tuned by them. Every answer can be
//! checked by a rule and does not change with time. The first thirty of each domain have its mix of
//! topics and difficulties.

use super::task::Task;
use std::path::PathBuf;

/// Which questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// The first thirty of each domain.
    Quick,
    /// All of them.
    Full,
}

/// Questions of each domain in [`Suite::Quick`].
const QUICK: usize = 30;

/// Every domain's name and questions.
const DOMAINS: [(&str, &str); 10] = [
    ("facts", include_str!("../suites/facts.jsonl")),
    ("arithmetic", include_str!("../suites/arithmetic.jsonl")),
    ("code", include_str!("../suites/code.jsonl")),
    ("german", include_str!("../suites/german.jsonl")),
    ("french", include_str!("../suites/french.jsonl")),
    ("spanish", include_str!("../suites/spanish.jsonl")),
    ("instructions", include_str!("../suites/instructions.jsonl")),
    ("science", include_str!("../suites/science.jsonl")),
    ("reading", include_str!("../suites/reading.jsonl")),
    ("everyday", include_str!("../suites/everyday.jsonl")),
];

impl Suite {
    /// The tasks, at most `limit` questions of each.
    #[must_use]
    pub fn tasks(self, limit: Option<usize>) -> Vec<Task> {
        let most = match self {
            Suite::Quick => Some(QUICK),
            Suite::Full => None,
        };
        let most = limit.into_iter().chain(most).min();
        let task = |(name, text): (&str, &str)| Task {
            name: name.to_owned(),
            // No file of the user's has this name.
            ..Task::parse(
                &PathBuf::from(format!("suite:{name}")),
                text.as_bytes(),
                most,
            )
        };
        DOMAINS.into_iter().map(task).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::{grade, words};
    use crate::task::Ask;
    use std::collections::HashMap;

    #[test]
    fn a_hundred_questions_a_domain_and_thirty_to_be_quick() {
        let full = Suite::Full.tasks(None);
        assert_eq!(full.len(), 10);
        for task in &full {
            assert_eq!(task.faults, [], "{}", task.name);
            assert_eq!(task.questions.len(), 100, "{}", task.name);
            assert!(task.questions.iter().all(|q| q.ask.is_generated()));
        }
        let quick = Suite::Quick.tasks(Some(40));
        assert!(
            quick
                .iter()
                .zip(&full)
                .all(|(q, f)| q.questions == f.questions[..30])
        );
        assert_eq!(Suite::Full.tasks(Some(7))[3].questions.len(), 7);
    }

    #[test]
    fn no_question_is_asked_twice() {
        let mut seen: HashMap<Vec<String>, String> = HashMap::new();
        for task in Suite::Full.tasks(None) {
            for question in task.questions {
                let place = format!("{}:{}", task.name, question.line);
                let other = seen.insert(words(&question.query), place.clone());
                assert_eq!(other, None, "{place}");
            }
        }
    }

    #[test]
    fn an_answer_answers_its_question_and_the_question_does_not() {
        for task in Suite::Full.tasks(None) {
            for question in &task.questions {
                let place = format!("{}:{}", task.name, question.line);
                match &question.ask {
                    Ask::Short { answers } => {
                        for answer in answers {
                            assert!(grade(&question.ask, answer).exact, "{place}: {answer}");
                        }
                        // A passage holds its answer.
                        let repeated = grade(&question.ask, &question.query).right;
                        assert!(task.name == "reading" || !repeated, "{place}");
                    }
                    Ask::Number { answer } => {
                        assert!(
                            grade(&question.ask, &format!("It is {answer}.")).right,
                            "{place}"
                        );
                    }
                    ask => assert!(!grade(ask, &question.query).right, "{place}"),
                }
            }
        }
    }
}
