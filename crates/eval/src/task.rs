//! Task files: JSON lines of `{"query": text, "choices": [text…], "gold": index}`.
//!
//! Lines are checked one by one, so that a fault is named by file and line. Other keys of an object
//! are ignored, and so are lines of nothing but white space.

use packllm_engine::digest::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// A question with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What is asked; not blank.
    pub query: String,
    /// At least two, none of them blank.
    pub choices: Vec<String>,
    /// Index of the right one.
    pub gold: usize,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A line as it is written.
#[derive(Deserialize)]
struct Record {
    query: String,
    choices: Vec<String>,
    gold: i64,
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
            match question(line, text) {
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

/// The question in a line, or what is wrong with it.
fn question(line: usize, bytes: &[u8]) -> Result<Question, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        format!(
            "not valid UTF-8 at byte {} of the line",
            e.valid_up_to() + 1
        )
    })?;
    let Record {
        query,
        choices,
        gold,
    } = serde_json::from_str(text).map_err(|e| explain(&e))?;
    if query.trim().is_empty() {
        return Err("the query is empty".into());
    }
    if choices.len() < 2 {
        let n = choices.len();
        return Err(format!("at least two choices are needed, and there is {n}"));
    }
    if let Some(i) = choices.iter().position(|c| c.trim().is_empty()) {
        return Err(format!("choice {i} (counted from 0) is empty"));
    }
    match usize::try_from(gold) {
        Ok(gold) if gold < choices.len() => Ok(Question {
            line,
            query,
            choices,
            gold,
        }),
        _ => Err(format!(
            "gold is {gold}, and the choices are numbered 0 to {}",
            choices.len() - 1
        )),
    }
}

/// serde_json counts lines within the text it was given, which is one line.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!(
        "{what} (column {}); a line is {{\"query\": text, \"choices\": [text, …], \"gold\": index}}",
        error.column()
    )
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
        assert_eq!((first.line, first.gold, &*first.query), (1, 1, "q"));
        assert_eq!((second.line, second.choices.len()), (4, 3));
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
