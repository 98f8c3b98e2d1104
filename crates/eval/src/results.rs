//! Verdicts → a row for every contestant, task by task and over all of them.

use super::judge::{Contestant, ContestantKind, Verdict, is_near_tie};
use super::statistics::{Accuracy, Difference, paired};
use packllm_engine::weight::Method;

/// A task's questions that were decided.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answered {
    /// The task's name.
    pub name: String,
    /// The right option and what was made of the question, in order.
    pub verdicts: Vec<(usize, Verdict)>,
    /// Questions and lines that were left out.
    pub skipped: usize,
}

/// How a contestant did on a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Whether it is a member by itself.
    pub member: bool,
    /// Its right answers.
    pub accuracy: Accuracy,
    /// Its questions whose two best options are [nearly equal](is_near_tie).
    pub near_ties: usize,
    /// Time over all questions, as in [`Verdict::seconds`].
    pub seconds: f64,
    /// Paired difference to the best member, of which it is no part itself.
    pub vs_best: Option<Difference>,
    /// Paired difference to the mixture of equal weights.
    pub vs_uniform: Option<Difference>,
}

/// How all did on a task, or on all tasks together.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The task's name.
    pub name: String,
    /// Questions decided.
    pub questions: usize,
    /// Questions left out.
    pub skipped: usize,
    /// The member with most right answers on these very questions, the first of equals. Chosen
    /// after the fact, it is a little better than the member that one would have chosen before.
    pub best: String,
    /// One row a contestant.
    pub rows: Vec<Row>,
}

impl Section {
    /// Counts one task.
    #[must_use]
    pub fn of(task: &Answered, contestants: &[Contestant]) -> Section {
        Section::over(&task.name, std::slice::from_ref(task), contestants)
    }

    /// Counts the questions of all tasks as one list.
    #[must_use]
    pub fn pooled(tasks: &[Answered], contestants: &[Contestant]) -> Section {
        Section::over("pooled", tasks, contestants)
    }

    fn over(name: &str, tasks: &[Answered], contestants: &[Contestant]) -> Section {
        let questions: Vec<&(usize, Verdict)> = tasks.iter().flat_map(|t| &t.verdicts).collect();
        let right = |c: usize| -> Vec<bool> {
            let right = |(gold, verdict): &&(usize, Verdict)| verdict.picked[c] == *gold;
            questions.iter().map(right).collect()
        };
        let right: Vec<Vec<bool>> = (0..contestants.len()).map(right).collect();
        let is_member = |c: usize| matches!(contestants[c].kind, ContestantKind::Member(_));
        let best = (0..contestants.len())
            .rev()
            .filter(|&c| is_member(c))
            .max_by_key(|&c| Accuracy::of(&right[c]).right);
        let is_uniform = |c: &Contestant| c.kind == ContestantKind::Mixture(Method::Uniform);
        let uniform = contestants.iter().position(is_uniform);
        let versus = |c: usize, other: Option<usize>| {
            other
                .filter(|&other| other != c)
                .and_then(|other| paired(&right[c], &right[other]))
        };
        let row = |c: usize| Row {
            name: contestants[c].name.clone(),
            member: is_member(c),
            accuracy: Accuracy::of(&right[c]),
            near_ties: questions
                .iter()
                .filter(|(_, v)| is_near_tie(&v.scores[c]))
                .count(),
            seconds: questions.iter().map(|(_, v)| v.seconds[c]).sum(),
            vs_best: versus(c, best),
            vs_uniform: versus(c, uniform),
        };
        Section {
            name: name.to_owned(),
            questions: questions.len(),
            skipped: tasks.iter().map(|t| t.skipped).sum(),
            best: best.map_or(String::new(), |c| contestants[c].name.clone()),
            rows: (0..contestants.len()).map(row).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestants() -> Vec<Contestant> {
        let contestant = |name: &str, kind| Contestant {
            name: name.into(),
            kind,
        };
        vec![
            contestant("a", ContestantKind::Member(0)),
            contestant("b", ContestantKind::Member(1)),
            contestant("uniform", ContestantKind::Mixture(Method::Uniform)),
        ]
    }

    /// A question whose right answer is 0.
    fn verdict(picked: [usize; 3]) -> (usize, Verdict) {
        let verdict = Verdict {
            picked: picked.into(),
            scores: vec![vec![0.0; 2]; 3],
            lambda: vec![vec![], vec![], vec![0.5, 0.5]],
            seconds: vec![1.0, 2.0, 4.0],
            tokens: vec![5, 5],
            total_seconds: 4.0,
            replay_seconds: None,
        };
        (0, verdict)
    }

    #[test]
    fn rows_count_and_compare_with_the_best_member_of_the_section() {
        let task = |name: &str, picks: &[[usize; 3]], skipped| Answered {
            name: name.into(),
            verdicts: picks.iter().map(|&p| verdict(p)).collect(),
            skipped,
        };
        let first = task("x", &[[0, 1, 0], [0, 1, 0], [1, 0, 0]], 1);
        let second = task("y", &[[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]], 2);
        let section = Section::of(&first, &contestants());
        assert_eq!(
            (section.questions, section.skipped, &*section.best),
            (3, 1, "a")
        );
        let uniform = &section.rows[2];
        assert_eq!((uniform.accuracy.right, uniform.seconds), (3, 12.0));
        assert!((uniform.vs_best.unwrap().mean - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(uniform.vs_uniform, None);
        assert_eq!(section.rows[0].vs_best, None);
        assert!((section.rows[1].vs_best.unwrap().mean + 1.0 / 3.0).abs() < 1e-12);
        // Over both tasks another member is the best.
        let pooled = Section::pooled(&[first, second], &contestants());
        assert_eq!(
            (pooled.questions, pooled.skipped, &*pooled.best),
            (7, 3, "b")
        );
        assert_eq!(
            pooled
                .rows
                .iter()
                .map(|r| r.accuracy.right)
                .collect::<Vec<_>>(),
            [3, 5, 6]
        );
        assert!((pooled.rows[2].vs_best.unwrap().mean - 1.0 / 7.0).abs() < 1e-12);
    }
}
