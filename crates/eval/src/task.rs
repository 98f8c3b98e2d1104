//! Task files: a question a line, as a JSON object. Its fields say what kind it is, see [`Ask`].
//!
//! Lines are checked one by one, so that a fault is named by file and line. Other keys of an object
//! are ignored, and so are lines of nothing but white space.

mod fields;

use packllm_engine::digest::hex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What is asked, or the text that is to be continued; not blank.
    pub query: String,
    /// What it asks for.
    pub ask: Ask,
}

/// What a question asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// One of several options: `query`, `choices` and `gold`.
    Choice {
        /// At least two, none of them blank.
        choices: Vec<String>,
        /// Index of the right one.
        gold: usize,
    },
    /// The words that come next: `context` and `continuation`, as in LAMBADA.
    Last {
        /// What comes next; not blank.
        continuation: String,
    },
    /// A few words: `query`, `answer` and, if there are other right answers, `aliases`.
    Short {
        /// All right answers, the one of examples first.
        answers: Vec<String>,
    },
    /// A number: `question` and `answer`, as in GSM8K.
    Number {
        /// The right one.
        answer: f64,
    },
    /// A text of a certain form: `query`, `pattern` and, if need be, `excludes`.
    Form {
        /// A regular expression that the text has to match.
        pattern: String,
        /// One that it must not match.
        excludes: Option<String>,
    },
    /// The rest of a Python function: `prompt`, `test` and `entry_point`, as in HumanEval.
    Code {
        /// What defines `check(candidate)`, which fails unless the function is right.
        test: String,
        /// The function's name.
        entry_point: String,
    },
}

impl Ask {
    /// Whether it is answered with a text that has to be generated.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        !matches!(self, Ask::Choice { .. } | Ask::Last { .. })
    }

    /// The answer that stands after a question in an example; None for questions that are never
    /// examples.
    #[must_use]
    pub fn solution(&self) -> Option<String> {
        match self {
            Ask::Choice { choices, gold } => choices.get(*gold).cloned(),
            Ask::Last { continuation } => Some(continuation.clone()),
            Ask::Short { answers } => answers.first().cloned(),
            Ask::Number { answer } => Some(answer.to_string()),
            Ask::Form { .. } | Ask::Code { .. } => None,
        }
    }
}

/// A line that is no question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// The questions of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The file's name without its extension.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its questions, in order.
    pub questions: Vec<Question>,
    /// Lines that are no questions.
    pub faults: Vec<Fault>,
    /// sha256 of the file, in hexadecimal.
    pub digest: String,
}

/// Why a task file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It could not be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It holds no question.
    #[error("{}: no questions in it", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

impl Task {
    /// Reads the first `limit` questions of a file (None: all), and every fault before the last of
    /// them.
    ///
    /// # Errors
    /// A file that cannot be read, or without a single question or fault.
    pub fn read(file: &Path, limit: Option<usize>) -> Result<Task, TaskError> {
        let bytes = std::fs::read(file).map_err(|source| TaskError::Read {
            file: file.to_owned(),
            source,
        })?;
        let task = Task::parse(file, &bytes, limit);
        if task.questions.is_empty() && task.faults.is_empty() {
            let file = task.file;
            return Err(TaskError::Empty { file });
        }
        Ok(task)
    }

    /// As [`Task::read`], from the file's content.
    #[must_use]
    pub fn parse(file: &Path, bytes: &[u8], limit: Option<usize>) -> Task {
        let name = file.file_stem().unwrap_or(file.as_os_str());
        let mut task = Task {
            name: name.to_string_lossy().into_owned(),
            file: file.to_owned(),
            questions: Vec::new(),
            faults: Vec::new(),
            digest: hex(Sha256::new_with_prefix(bytes)),
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (line, text) in (1..).zip(bytes.split(|&b| b == b'\n')) {
            if limit.is_some_and(|limit| task.questions.len() >= limit) {
                break;
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match fields::question(line, text) {
                Ok(question) => task.questions.push(question),
                Err(what) => task.faults.push(Fault {
                    file: file.to_owned(),
                    line,
                    what,
                }),
            }
        }
        task
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Task {
        Task::parse(Path::new("dir/quiz.jsonl"), text.as_bytes(), None)
    }

    #[test]
    fn questions_are_read_with_their_lines() {
        let task = parse(
            "\u{feff}{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 1, \"topic\": 3}\r\n\n  \n\
             {\"gold\": 0, \"choices\": [\"x\", \"y\", \"z\"], \"query\": \"é\"}",
        );
        assert_eq!(task.name, "quiz");
        assert_eq!(task.faults, []);
        let [first, second] = &task.questions[..] else {
            panic!("{task:?}")
        };
        assert_eq!((first.line, &*first.query), (1, "q"));
        let choices = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(first.ask, Ask::Choice { choices, gold: 1 });
        assert_eq!(
            (second.line, second.ask.solution().as_deref()),
            (4, Some("x"))
        );
    }

    #[test]
    fn the_fields_tell_what_is_asked_for() {
        let ask = |line: &str| {
            let task = parse(line);
            assert_eq!(task.faults, [], "{line}");
            task.questions[0].clone()
        };
        let short = ask(r#"{"query": "q", "answer": "a", "aliases": ["b", "a"]}"#);
        let answers = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(short.ask, Ask::Short { answers });
        let last = ask(r#"{"context": "It was", "continuation": "he"}"#);
        assert_eq!((&*last.query, last.ask.is_generated()), ("It was", false));
        let number = ask(r#"{"question": "1 + 1?", "answer": 2}"#);
        assert_eq!(number.ask, Ask::Number { answer: 2.0 });
        assert_eq!(number.ask.solution().unwrap(), "2");
        let form = ask(r#"{"query": "q", "pattern": "^a", "excludes": "b"}"#);
        let (pattern, excludes) = ("^a".to_owned(), Some("b".to_owned()));
        assert_eq!(form.ask, Ask::Form { pattern, excludes });
        let code = ask(r#"{"task_id": 1, "prompt": "def f():", "test": "t", "entry_point": "f"}"#);
        assert!(code.ask.is_generated() && code.ask.solution().is_none());
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let good = r#"{"query": "q", "choices": ["a", "b"], "gold": 1}"#;
        let faults = [
            (r#"{"query": "q", "choices": ["a", "b"]"#, "EOF"),
            (
                r#"{"query": "q", "choices": ["a", "b"]}"#,
                "missing field `gold`",
            ),
            (
                r#"{"choices": ["a", "b"], "gold": 0}"#,
                "missing field `query`",
            ),
            (
                r#"{"query": "q", "choices": ["a", 7], "gold": 0}"#,
                "invalid type: integer `7`",
            ),
            (
                r#"{"query": "q", "choices": ["a", "b"], "gold": 0.5}"#,
                "invalid type",
            ),
            (
                r#"{"query": "q", "choices": ["a", "b"], "gold": 2}"#,
                "numbered 0 to 1",
            ),
            (
                r#"{"query": "q", "choices": ["a", "b"], "gold": -1}"#,
                "gold is -1",
            ),
            (
                r#"{"query": "q", "choices": ["a"], "gold": 0}"#,
                "at least two choices",
            ),
            (
                r#"{"query": "q", "choices": [], "gold": 0}"#,
                "at least two choices",
            ),
            (
                r#"{"query": "q", "choices": ["a", " "], "gold": 0}"#,
                "choice 1 (counted from 0) is empty",
            ),
            (
                r#"{"query": "\n", "choices": ["a", "b"], "gold": 0}"#,
                "the query is empty",
            ),
            (r#"{"query": "q"}"#, "no field says what it asks for"),
            (r#"{"query": "q", "answer": " "}"#, "the answer is empty"),
            (r#"{"query": "q", "answer": "%"}"#, "nothing to compare"),
            (
                r#"{"question": "q", "answer": "4"}"#,
                "invalid type: string",
            ),
            (
                r#"{"context": "", "continuation": "x"}"#,
                "the context is empty",
            ),
            (r#"{"query": "q", "pattern": "(" }"#, "pattern: "),
            (
                r#"{"prompt": "def f():", "test": "t", "entry_point": "f(); g"}"#,
                "entry_point is no name",
            ),
            ("[1, 2]", "invalid type"),
            ("hello", "expected value"),
        ];
        for (line, what) in faults {
            let task = parse(&format!("{good}\n{line}\n{good}\n"));
            assert_eq!(task.questions.len(), 2, "{line}");
            let [fault] = &task.faults[..] else {
                panic!("{line}: {:?}", task.faults)
            };
            assert_eq!(fault.line, 2, "{line}");
            let text = fault.to_string();
            assert!(text.starts_with("dir/quiz.jsonl:2: "), "{text}");
            assert!(text.contains(what), "{text}");
            assert!(!text.contains('\n') && !text.contains("line 1"), "{text}");
        }
    }

    #[test]
    fn invalid_utf8_is_a_fault() {
        let task = Task::parse(Path::new("q.jsonl"), b"{\"query\": \"\xff\"}\n", None);
        assert!(task.faults[0].what.contains("byte 12"), "{task:?}");
    }

    #[test]
    fn a_limit_counts_questions_and_looks_no_further() {
        let good = r#"{"query": "q", "choices": ["a", "b"], "gold": 1}"#;
        let text = format!("{good}\nbad\n{good}\nbad\nbad\n");
        let task = Task::parse(Path::new("q.jsonl"), text.as_bytes(), Some(2));
        assert_eq!((task.questions.len(), task.faults.len()), (2, 1));
    }
}
