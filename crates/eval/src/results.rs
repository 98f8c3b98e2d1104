//! Marks → a row for every contestant, task by task and over all of them.

use super::contestant::{Contestant, ContestantKind};
use super::layout::shuffle;
use super::marks::{Mark, Said};
use super::statistics::{Accuracy, Difference, paired};
use packllm_engine::weight::Method;

/// A task's questions that were decided.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answered {
    /// The task's name.
    pub name: String,
    /// For each question in order, a mark for each contestant. The last contestants may have none.
    pub marks: Vec<Vec<Mark>>,
    /// For each question, whether the best member is chosen by it. It is then compared on the
    /// others.
    pub development: Vec<bool>,
    /// Questions and lines that were left out.
    pub skipped: usize,
}

/// Draws the questions by which the best member is chosen: `share` of them, rounded down.
#[must_use]
pub fn development(questions: usize, share: f64, seed: u64) -> Vec<bool> {
    let count = (questions as f64 * share) as usize;
    let mut chosen: Vec<bool> = (0..questions).map(|i| i < count).collect();
    shuffle(&mut chosen, seed);
    chosen
}

/// What a contestant said, over all questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Texts {
    /// Texts that ended by themselves.
    pub ended: Accuracy,
    /// Right answers that say nothing else.
    pub exact: Accuracy,
    /// Mean length in bytes.
    pub bytes: f64,
    /// Mean length in tokens.
    pub tokens: f64,
    /// Tokens a second, reading not counted.
    pub tokens_per_second: f64,
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
    /// Their share; over several tasks with equal weight, the mean of theirs.
    pub share: f64,
    /// Its standard error.
    pub error: Option<f64>,
    /// Its questions whose two best options are [nearly equal](super::is_near_tie).
    pub near_ties: usize,
    /// Where texts are generated.
    pub texts: Option<Texts>,
    /// Share of the questions that a mixture answers with a second member above a tenth.
    pub fused: f64,
    /// Share of the symbols that its leading member alone would not have picked; None where no
    /// symbols are picked.
    pub overruled: Option<f64>,
    /// Time over all questions, as in [`Verdict::seconds`](super::Verdict::seconds).
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
    /// The member with most right answers on the questions for development, the first of equals;
    /// without such questions on all of them: chosen after the fact, it is a little better than the
    /// member that one would have chosen before.
    pub best: String,
    /// Questions by which it was chosen and on which it is not compared.
    pub development: usize,
    /// One row a contestant that has marks for all questions.
    pub rows: Vec<Row>,
}

/// How tasks are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Average {
    /// Their questions as one list.
    Questions,
    /// Each task counts alike.
    Tasks,
}

impl Section {
    /// Counts one task.
    #[must_use]
    pub fn of(task: &Answered, contestants: &[Contestant]) -> Section {
        let tasks = std::slice::from_ref(task);
        Counting::new(tasks, Average::Questions, contestants).section(&task.name)
    }

    /// Counts the questions of all tasks as one list.
    #[must_use]
    pub fn pooled(tasks: &[Answered], contestants: &[Contestant]) -> Section {
        Counting::new(tasks, Average::Questions, contestants).section("pooled")
    }

    /// The mean of the tasks that have questions, whatever their lengths.
    #[must_use]
    pub fn mean(tasks: &[Answered], contestants: &[Contestant]) -> Section {
        Counting::new(tasks, Average::Tasks, contestants).section("mean of tasks")
    }
}

/// A section that is being counted.
struct Counting<'a> {
    tasks: &'a [Answered],
    contestants: &'a [Contestant],
    /// The questions that are averaged, then those averages.
    strata: Vec<Vec<Entry<'a>>>,
}

/// A question's marks, and whether it is one for development.
type Entry<'a> = (&'a [Mark], bool);

impl<'a> Counting<'a> {
    fn new(tasks: &'a [Answered], average: Average, contestants: &'a [Contestant]) -> Self {
        let of = |task: &'a Answered| -> Vec<Entry<'a>> {
            let development = task
                .development
                .iter()
                .copied()
                .chain(std::iter::repeat(false));
            task.marks
                .iter()
                .map(Vec::as_slice)
                .zip(development)
                .collect()
        };
        let by_task = tasks.iter().map(of);
        let mut strata: Vec<Vec<Entry<'a>>> = match average {
            Average::Tasks => by_task.collect(),
            Average::Questions => vec![by_task.flatten().collect()],
        };
        strata.retain(|entries| !entries.is_empty());
        Counting {
            tasks,
            contestants,
            strata,
        }
    }

    fn section(&self, name: &str) -> Section {
        let development = self
            .entries()
            .filter(|(_, development)| *development)
            .count();
        let best = self.best(development > 0);
        let is_uniform = |c: &Contestant| c.kind == ContestantKind::Mixture(Method::Uniform);
        let complete = |c: &usize| self.entries().all(|(marks, _)| *c < marks.len());
        let uniform = self
            .contestants
            .iter()
            .position(is_uniform)
            .filter(complete);
        let rows = (0..self.contestants.len()).filter(complete);
        Section {
            name: name.to_owned(),
            questions: self.entries().count(),
            skipped: self.tasks.iter().map(|t| t.skipped).sum(),
            best: best.map_or(String::new(), |c| self.contestants[c].name.clone()),
            development,
            rows: rows.map(|c| self.row(c, best, uniform)).collect(),
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.strata.iter().flatten()
    }

    fn is_member(&self, c: usize) -> bool {
        matches!(self.contestants[c].kind, ContestantKind::Member(_))
    }

    /// The member with the best share of right answers, the first of equals.
    fn best(&self, by_development: bool) -> Option<usize> {
        let share = |c: usize| -> f64 {
            let right = |entries: &Vec<Entry<'a>>| {
                let counted = entries.iter().filter(|(_, d)| *d || !by_development);
                let counted: Vec<bool> = counted.map(|(marks, _)| marks[c].right).collect();
                Accuracy::of(&counted).value()
            };
            self.strata.iter().map(right).sum()
        };
        (0..self.contestants.len())
            .rev()
            .filter(|&c| self.is_member(c))
            .max_by(|&a, &b| share(a).total_cmp(&share(b)))
    }

    fn row(&self, c: usize, best: Option<usize>, uniform: Option<usize>) -> Row {
        let marks: Vec<&Mark> = self.entries().map(|(marks, _)| &marks[c]).collect();
        let by_stratum = self.right(c, false);
        let accuracies: Vec<Accuracy> =
            by_stratum.iter().map(|right| Accuracy::of(right)).collect();
        let n = accuracies.len().max(1) as f64;
        let errors: Option<Vec<f64>> = accuracies.iter().map(|a| a.standard_error()).collect();
        let error = |errors: Vec<f64>| errors.iter().map(|e| e * e).sum::<f64>().sqrt() / n;
        let steps: usize = marks.iter().map(|m| m.steps).sum();
        let overruled: usize = marks.iter().map(|m| m.overruled).sum();
        Row {
            name: self.contestants[c].name.clone(),
            member: self.is_member(c),
            accuracy: Accuracy::of(&by_stratum.concat()),
            share: accuracies.iter().map(|a| a.value()).sum::<f64>() / n,
            error: errors.filter(|e| !e.is_empty()).map(error),
            near_ties: marks.iter().filter(|m| m.near_tie).count(),
            texts: texts(&marks),
            fused: Accuracy::of(&marks.iter().map(|m| m.is_fused()).collect::<Vec<_>>()).value(),
            overruled: (steps > 0).then(|| overruled as f64 / steps as f64),
            seconds: marks.iter().map(|m| m.seconds).sum(),
            vs_best: self.versus(c, best, true),
            vs_uniform: self.versus(c, uniform, false),
        }
    }

    /// What was right, stratum by stratum; without the questions for development if `held_out`.
    fn right(&self, c: usize, held_out: bool) -> Vec<Vec<bool>> {
        let right = |entries: &Vec<Entry<'a>>| {
            let counted = entries
                .iter()
                .filter(|(_, development)| !(held_out && *development));
            counted.map(|(marks, _)| marks[c].right).collect()
        };
        self.strata.iter().map(right).collect()
    }

    fn versus(&self, c: usize, other: Option<usize>, held_out: bool) -> Option<Difference> {
        let other = other.filter(|&other| other != c)?;
        let (a, b) = (self.right(c, held_out), self.right(other, held_out));
        let a: Vec<&[bool]> = a.iter().map(Vec::as_slice).collect();
        let b: Vec<&[bool]> = b.iter().map(Vec::as_slice).collect();
        paired(&a, &b)
    }
}

/// What was said, if anything was.
fn texts(marks: &[&Mark]) -> Option<Texts> {
    let said: Vec<(Said, bool)> = marks
        .iter()
        .filter_map(|m| Some((m.said?, m.exact)))
        .collect();
    if said.is_empty() {
        return None;
    }
    let n = said.len() as f64;
    let count = |what: &dyn Fn(&(Said, bool)) -> bool| {
        Accuracy::of(&said.iter().map(what).collect::<Vec<bool>>())
    };
    let tokens: usize = said.iter().map(|(said, _)| said.tokens).sum();
    let seconds: f64 = said.iter().map(|(said, _)| said.seconds).sum();
    Some(Texts {
        ended: count(&|(said, _)| said.ended),
        exact: count(&|(_, exact)| *exact),
        bytes: said.iter().map(|(said, _)| said.bytes).sum::<usize>() as f64 / n,
        tokens: tokens as f64 / n,
        tokens_per_second: tokens as f64 / seconds.max(1e-9),
    })
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

    /// What three contestants got right.
    fn marks(right: [u8; 3]) -> Vec<Mark> {
        let mark = |(right, seconds): (u8, f64)| Mark {
            right: right == 1,
            seconds,
            ..Mark::default()
        };
        right.into_iter().zip([1.0, 2.0, 4.0]).map(mark).collect()
    }

    fn task(name: &str, right: &[[u8; 3]], development: &[u8], skipped: usize) -> Answered {
        Answered {
            name: name.into(),
            marks: right.iter().map(|&right| marks(right)).collect(),
            development: development.iter().map(|&d| d == 1).collect(),
            skipped,
        }
    }

    #[test]
    fn rows_count_and_compare_with_the_best_member_of_the_section() {
        let first = task("x", &[[1, 0, 1], [1, 0, 1], [0, 1, 1]], &[], 1);
        let second = task("y", &[[0, 1, 0], [0, 1, 1], [0, 1, 1], [1, 1, 1]], &[], 2);
        let section = Section::of(&first, &contestants());
        let facts = (section.questions, section.skipped, &*section.best);
        assert_eq!(facts, (3, 1, "a"));
        let uniform = &section.rows[2];
        assert_eq!((uniform.accuracy.right, uniform.seconds), (3, 12.0));
        let vs_best = uniform.vs_best.unwrap();
        assert!((vs_best.mean - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((vs_best.won, vs_best.lost, vs_best.p), (1, 0, 1.0));
        assert_eq!((uniform.vs_uniform, section.rows[0].vs_best), (None, None));
        assert!((section.rows[1].vs_best.unwrap().mean + 1.0 / 3.0).abs() < 1e-12);
        // Over both tasks another member is the best.
        let tasks = [first, second];
        let pooled = Section::pooled(&tasks, &contestants());
        let facts = (pooled.questions, pooled.skipped, &*pooled.best);
        assert_eq!(facts, (7, 3, "b"));
        let right: Vec<usize> = pooled.rows.iter().map(|r| r.accuracy.right).collect();
        assert_eq!(right, [3, 5, 6]);
        assert!((pooled.rows[2].vs_best.unwrap().mean - 1.0 / 7.0).abs() < 1e-12);
        // Each task counts alike in the mean: (3/3 + 3/4) / 2 against (1/3 + 4/4) / 2.
        let mean = Section::mean(&tasks, &contestants());
        assert_eq!(&*mean.best, "b");
        assert!((mean.rows[2].share - 0.875).abs() < 1e-12);
        assert!((mean.rows[2].vs_best.unwrap().mean - 5.0 / 24.0).abs() < 1e-12);
    }

    #[test]
    fn the_best_member_is_chosen_by_questions_on_which_it_is_not_compared() {
        let right = [[0, 1, 0], [0, 1, 0], [1, 0, 1], [1, 0, 1], [1, 0, 0]];
        let hindsight = Section::of(&task("x", &right, &[], 0), &contestants());
        assert_eq!(&*hindsight.best, "a");
        let section = Section::of(&task("x", &right, &[1, 1, 0, 0, 0], 0), &contestants());
        assert_eq!((&*section.best, section.development), ("b", 2));
        assert!((section.rows[2].vs_best.unwrap().mean - 2.0 / 3.0).abs() < 1e-12);
        // Accuracies are over all questions.
        assert_eq!(section.rows[2].accuracy.questions, 5);
    }

    #[test]
    fn the_draw_takes_its_share_and_is_the_same_again() {
        let drawn = development(101, 0.3, 7);
        assert_eq!(drawn.iter().filter(|&&d| d).count(), 30);
        assert_eq!(drawn, development(101, 0.3, 7));
        assert_ne!(drawn, development(101, 0.3, 8));
        assert!(!development(3, 0.3, 0).contains(&true));
    }

    #[test]
    fn texts_are_counted_and_a_contestant_without_marks_has_no_row() {
        let said = |ended, tokens| {
            Some(Said {
                ended,
                bytes: 4 * tokens,
                tokens,
                seconds: 0.5,
            })
        };
        let mut task = task("x", &[[1, 0, 1], [1, 0, 1]], &[], 0);
        for (i, marks) in task.marks.iter_mut().enumerate() {
            marks.truncate(2);
            marks[0].said = said(i == 0, 10 + 10 * i);
            (marks[0].steps, marks[0].overruled, marks[0].exact) = (10, i, i == 1);
        }
        let section = Section::of(&task, &contestants());
        assert_eq!(section.rows.len(), 2);
        let (row, texts) = (&section.rows[0], section.rows[0].texts.unwrap());
        assert_eq!((texts.ended.right, texts.exact.right), (1, 1));
        assert_eq!(
            (texts.bytes, texts.tokens, texts.tokens_per_second),
            (60.0, 15.0, 30.0)
        );
        assert_eq!((row.overruled, section.rows[1].texts), (Some(0.05), None));
    }
}
