//! Who wins where the pack and its best member disagree: the questions themselves.

use super::ask::Outcomes;
use super::plan::{Exam, Laid};
use packllm_eval::{Contestant, Outcome, Section};

/// Most questions that are shown of a task.
const SHOWN: usize = 12;
/// Characters that are shown of a text.
const WIDTH: usize = 90;

/// A question that one of two has right.
pub struct Disagreement {
    pub line: usize,
    pub query: String,
    /// Whether the mixture has it right.
    pub won: bool,
    /// What the mixture said, and what the member.
    pub said: [String; 2],
}

/// The disagreements of a task.
pub struct Disagreements {
    pub task: String,
    /// Names of the mixture and the member.
    pub names: [String; 2],
    /// Those that are shown, in order.
    pub shown: Vec<Disagreement>,
    /// How many there are.
    pub all: usize,
}

/// Task by task, where a mixture and the best member disagree in what they say. Tasks without such
/// questions are left out.
pub fn disagreements(
    mixture: &str,
    contestants: &[Contestant],
    exams: &[Exam],
    outcomes: &Outcomes,
    sections: &[Section],
) -> Vec<Disagreements> {
    let index = |name: &str| contestants.iter().position(|c| c.name == name);
    let of = |(task, (exam, section)): (usize, (&Exam, &Section))| {
        let (ours, theirs) = (index(mixture)?, index(&section.best)?);
        let questions = exam.questions.iter();
        let all: Vec<Disagreement> = questions
            .filter_map(|question| {
                disagreement(question, outcomes.first(task, question.line)?, ours, theirs)
            })
            .collect();
        (!all.is_empty()).then(|| Disagreements {
            task: exam.name.clone(),
            names: [mixture.to_owned(), section.best.clone()],
            all: all.len(),
            shown: all.into_iter().take(SHOWN).collect(),
        })
    };
    exams
        .iter()
        .zip(sections)
        .enumerate()
        .filter_map(of)
        .collect()
}

fn disagreement(
    question: &Laid,
    outcome: &Outcome,
    ours: usize,
    theirs: usize,
) -> Option<Disagreement> {
    let Outcome::Answered(answers) = outcome else {
        return None;
    };
    let (ours, theirs) = (answers.replies.get(ours)?, answers.replies.get(theirs)?);
    let won = ours.mark(&question.ask).right;
    (won != theirs.mark(&question.ask).right).then(|| Disagreement {
        line: question.line,
        query: shorten(&question.query),
        won,
        said: [shorten(&ours.text), shorten(&theirs.text)],
    })
}

/// The beginning of a text, in one line.
fn shorten(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
