//! What the pack's time could buy instead: the best member answers again and again.

use super::ask::{Asked, Outcomes};
use super::output::Output;
use super::plan::{Laid, Paper};
use super::report::answered;
use anyhow::Result;
use packllm_engine::pack::Conversation;
use packllm_eval::grade::{last_number, likeness};
use packllm_eval::{Ask, Contestant, ContestantKind, Outcome, Section};

/// Fewest answers among which one can be like the others.
const LEAST: u32 = 3;
/// Most answers where the sizes of the files decide.
const MOST: u32 = 9;

/// One member that answers many times.
pub struct Again<'a> {
    asked: &'a Asked<'a>,
    member: usize,
    count: u32,
}

impl<'a> Again<'a> {
    /// The member that was best on the questions for development, if a short answer or a number was
    /// asked for. It answers as often as its file goes into those of the pack, which is about what
    /// the pack's time would pay for, or as often as was asked for.
    pub fn new(asked: &'a Asked<'a>, outcomes: &Outcomes, sizes: &[u64]) -> Result<Option<Self>> {
        let any = asked
            .exams
            .iter()
            .flat_map(|exam| &exam.questions)
            .any(asks);
        if !any || sizes.len() < 2 || asked.args.again == Some(0) {
            return Ok(None);
        }
        let contestants = &asked.judge.contestants;
        let answered = answered(asked.args, asked.exams, outcomes);
        let best = Section::mean(&answered, contestants).best;
        let Some(member) = contestants.iter().position(|c| c.name == best) else {
            return Ok(None);
        };
        let (all, own) = (sizes.iter().sum::<u64>(), sizes[member].max(1));
        let affordable = u32::try_from(all.div_ceil(own)).unwrap_or(MOST);
        let count = asked.args.again.unwrap_or(affordable.clamp(LEAST, MOST));
        Ok(Some(Self {
            asked,
            member,
            count,
        }))
    }

    /// Its row in the tables.
    pub fn contestant(&self) -> Contestant {
        let name = &self.asked.judge.contestants[self.member].name;
        Contestant {
            name: format!("{name} ×{}", self.count),
            kind: ContestantKind::Again(self.member, self.count),
        }
    }

    /// It answers every question that is not in the journal.
    pub fn answer(
        &self,
        conversations: &mut [Conversation],
        output: &mut Output,
        outcomes: &mut Outcomes,
    ) -> Result<()> {
        let open = |task: usize, outcomes: &Outcomes| -> Vec<&'a Laid> {
            let questions = self.asked.exams[task].questions.iter();
            let answered =
                |q: &Laid| matches!(outcomes.first(task, q.line), Some(Outcome::Answered(_)));
            let open = questions.filter(|&q| asks(q) && answered(q));
            open.filter(|q| outcomes.again(task, q.line).is_none())
                .collect()
        };
        let mut tasks = 0..self.asked.exams.len();
        let all = tasks.clone().map(|task| open(task, outcomes).len()).sum();
        let bar = self.asked.bar(all, 0);
        let decide = |at_once: u32, conversation: &mut Conversation, question: &Laid| {
            let Paper::Script(script) = &question.paper else {
                return Ok(Ok(Outcome::Skipped("nothing is generated".into())));
            };
            let alike: &dyn Fn(&str, &str) -> f64 = match question.ask {
                Ask::Number { .. } => &same_number,
                _ => &likeness,
            };
            let (judge, count) = (self.asked.judge, self.count as usize);
            let reply =
                judge.answer_again(at_once, conversation, script, self.member, count, alike)?;
            Ok(Ok(Outcome::Again(reply)))
        };
        let done = tasks.try_for_each(|task| {
            let open = open(task, outcomes);
            self.asked
                .put(task, &open, &decide, conversations, &bar, output, outcomes)
        });
        bar.finish_and_clear();
        if done.is_err() {
            output.say_kept(self.asked.app);
        }
        done
    }
}

/// Whether several answers to a question can be compared.
fn asks(question: &Laid) -> bool {
    matches!(question.ask, Ask::Short { .. } | Ask::Number { .. })
}

fn same_number(a: &str, b: &str) -> f64 {
    let number = last_number(a);
    f64::from(u8::from(number.is_some() && number == last_number(b)))
}
