//! Several conversations at once, against replays of their batches and against one alone.
//!
//! Every conversation has a thread and a text of its own. They ask all at once, for the time to the
//! first byte; then, from the beginning, all read at once, and then all answer at once. What the
//! members evaluated for that is replayed: the same batches, each beginning once those have ended
//! that its conversations had waited for. Which batches are shared is chance, so every run is
//! replayed itself.

use super::{generation, median, read};
use crate::app::App;
use crate::cli::BenchArgs;
use crate::command::run::milliseconds;
use anyhow::Result;
use packllm_engine::engine::{
    AnswerOptions, Engine, EngineError, Finish, Lockstep, Recording, ScoreRequest,
};
use packllm_engine::pack::{Conversation, Pack};
use serde_json::{Value, json};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// How often the cost of a batch is measured for every pair.
const BATCHES: usize = 5;

/// What conversations at once do; rates, times and costs are medians over the pairs.
pub struct Conversations {
    pub count: usize,
    /// Of all answers together.
    pub tokens_per_second: f64,
    /// Of one conversation alone.
    pub one: f64,
    /// Of a replay.
    pub replay: f64,
    /// Of the answers.
    pub overhead: f64,
    pub prompt_overhead: f64,
    /// From asking to the first text, when all ask at once.
    pub first_byte: Duration,
    /// Of the answers; each of the following has a number a member.
    pub batches: Vec<f64>,
    /// Those of them that hold tokens of several conversations.
    pub shared_batches: Vec<f64>,
    /// Time of a batch with a token of each conversation over that of one with a single token.
    pub batch_cost: Vec<f64>,
    /// How often a conversation left the KV cache, in all runs.
    pub evictions: Vec<u64>,
}

impl Conversations {
    /// Its part of `--json`.
    pub fn document(&self) -> Value {
        json!({
            "count": self.count,
            "tokens_per_second": self.tokens_per_second,
            "one": self.one,
            "replay": self.replay,
            "overhead": self.overhead,
            "prompt_overhead": self.prompt_overhead,
            "first_byte_ms": milliseconds(self.first_byte),
            "batches": self.batches,
            "shared_batches": self.shared_batches,
            "batch_cost": self.batch_cost,
            "evictions": self.evictions,
        })
    }
}

/// Everything that is measured again for every pair.
#[derive(Default)]
struct Samples {
    together: Vec<f64>,
    one: Vec<f64>,
    replay: Vec<f64>,
    overhead: Vec<f64>,
    prompt_overhead: Vec<f64>,
    first_byte: Vec<f64>,
    batches: Vec<Vec<f64>>,
    shared_batches: Vec<Vec<f64>>,
    batch_cost: Vec<Vec<f64>>,
}

/// None where no number of conversations is asked for.
pub fn measure(
    app: &App,
    args: &BenchArgs,
    pack: &Pack,
    prompt: &str,
    request: ScoreRequest,
) -> Result<Option<Conversations>> {
    let Some(count) = args.conversations else {
        return Ok(None);
    };
    let open = (0..count).map(|_| pack.conversation(Arc::clone(&app.cancel)));
    let mut run = Run {
        engine: Arc::clone(pack.engine()),
        conversations: open.collect::<Result<_, _>>()?,
        texts: texts(prompt, count),
        request,
        options: generation(args.predict),
    };
    let evicted = |engine: &Engine| -> Result<Vec<u64>> {
        let occupancy = engine.occupancy()?.into_iter();
        Ok(occupancy.map(|member| member.evictions).collect())
    };
    let before = evicted(&run.engine)?;
    let mut samples = Samples::default();
    let template = "conversations {bar:30} {pos}/{len} pairs, {eta} left";
    let bar = app.bar(args.pairs as u64, template);
    for pair in 0..args.pairs {
        run.pair(pair, &mut samples)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let after = evicted(&run.engine)?.into_iter();
    Ok(Some(Conversations {
        count,
        tokens_per_second: median(samples.together),
        one: median(samples.one),
        replay: median(samples.replay),
        overhead: median(samples.overhead),
        prompt_overhead: median(samples.prompt_overhead),
        first_byte: Duration::from_secs_f64(median(samples.first_byte)),
        batches: medians(&samples.batches),
        shared_batches: medians(&samples.shared_batches),
        batch_cost: medians(&samples.batch_cost),
        evictions: after.zip(before).map(|(a, b)| a - b).collect(),
    }))
}

/// As many texts of the same words: each begins at another one.
fn texts(prompt: &str, count: usize) -> Vec<String> {
    let words: Vec<&str> = prompt.split_inclusive(char::is_whitespace).collect();
    let turned = (0..count).map(|i| {
        let (last, first) = words.split_at(i * words.len() / count);
        let text = [first, last].concat().concat();
        text.trim_end().to_owned()
    });
    turned.collect()
}

/// Medians over the pairs, member by member.
fn medians(pairs: &[Vec<f64>]) -> Vec<f64> {
    let members = pairs.first().map_or(0, Vec::len);
    let of_member = |k: usize| median(pairs.iter().map(|pair| pair[k]).collect());
    (0..members).map(of_member).collect()
}

/// Times of a replay.
struct Again {
    prompts: Duration,
    answers: Duration,
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(1e-9)
}

fn over(time: Duration, replay: Duration) -> f64 {
    time.as_secs_f64() / replay.as_secs_f64().max(1e-9) - 1.0
}

fn numbers(counts: Vec<usize>) -> Vec<f64> {
    counts.into_iter().map(|n| n as f64).collect()
}

struct Run {
    engine: Arc<Engine>,
    conversations: Vec<Conversation>,
    texts: Vec<String>,
    request: ScoreRequest,
    options: AnswerOptions,
}

impl Run {
    /// All at once, their replay, and one alone.
    fn pair(&mut self, number: usize, samples: &mut Samples) -> Result<()> {
        let alone = |run: &mut Self| run.alone(number % run.texts.len());
        // One alone comes before the others and after them, in turns.
        let ahead = (number % 2 == 1).then(|| alone(self)).transpose()?;
        samples.first_byte.push(median(self.ask()?));
        self.engine.start_recording()?;
        let read = self.read()?;
        let prompts = self.engine.stop_recording()?;
        self.engine.start_recording()?;
        let (tokens, time) = self.answer()?;
        let answers = self.engine.stop_recording()?;
        self.clear()?;
        let again = self.replay(&prompts, &answers)?;
        samples.batch_cost.extend(self.batch_costs(&prompts)?);
        let one = ahead.map_or_else(|| alone(self), Ok)?;
        samples.one.push(one);
        samples.together.push(rate(tokens, time));
        samples.replay.push(rate(tokens, again.answers));
        samples.overhead.push(over(time, again.answers));
        samples.prompt_overhead.push(over(read, again.prompts));
        samples.batches.push(numbers(answers.batches()));
        samples
            .shared_batches
            .push(numbers(answers.shared_batches()));
        Ok(())
    }

    /// All ask at once: seconds to the first text of each. Nothing of it stays.
    fn ask(&mut self) -> Result<Vec<f64>> {
        let (texts, request) = (&self.texts, self.request);
        let first = AnswerOptions {
            limit: Some(1),
            ..self.options.clone()
        };
        let (waited, _) = at_once(&mut self.conversations, |i, lockstep| {
            let start = Instant::now();
            read(lockstep, &texts[i], request)?;
            lockstep.generate(&first)?.next()?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        self.clear()?;
        Ok(waited)
    }

    /// All read at once.
    fn read(&mut self) -> Result<Duration> {
        let (texts, request) = (&self.texts, self.request);
        let (_, time) = at_once(&mut self.conversations, |i, lockstep| {
            read(lockstep, &texts[i], request)
        })?;
        Ok(time)
    }

    /// All answer at once: tokens of all together.
    fn answer(&mut self) -> Result<(usize, Duration)> {
        let options = &self.options;
        let (tokens, time) = at_once(&mut self.conversations, |_, lockstep| {
            let answer = lockstep.answer(options, &mut |_| {})?;
            match answer.finish {
                Finish::Cancelled => Err(EngineError::Cancelled.into()),
                _ => Ok(answer.tokens),
            }
        })?;
        Ok((tokens.into_iter().sum(), time))
    }

    /// Evaluates the same batches again.
    fn replay(&self, prompts: &Recording, answers: &Recording) -> Result<Again> {
        let again = Again {
            prompts: self.engine.replay(prompts)?,
            answers: self.engine.replay(answers)?,
        };
        self.engine.end_replay()?;
        Ok(again)
    }

    /// What a batch of all conversations costs, several times.
    fn batch_costs(&self, prompts: &Recording) -> Result<Vec<Vec<f64>>> {
        self.engine.replay(prompts)?;
        let costs = (0..BATCHES).map(|_| Ok(self.engine.batch_cost(prompts)?));
        let costs = costs.collect::<Result<_>>()?;
        self.engine.end_replay()?;
        Ok(costs)
    }

    /// Tokens a second of one conversation while the others have nothing in the caches.
    fn alone(&mut self, i: usize) -> Result<f64> {
        let lockstep = &mut self.conversations[i].lockstep;
        read(lockstep, &self.texts[i], self.request)?;
        let start = Instant::now();
        let answer = lockstep.answer(&self.options, &mut |_| {})?;
        let time = start.elapsed();
        lockstep.clear()?;
        Ok(rate(answer.tokens, time))
    }

    fn clear(&mut self) -> Result<()> {
        let mut conversations = self.conversations.iter_mut();
        conversations.try_for_each(|c| Ok(c.lockstep.clear()?))
    }
}

/// Lets all conversations do something at once, each on a thread of its own. Returns what came of
/// it, and the time from the first beginning to the last end.
fn at_once<T: Send>(
    conversations: &mut [Conversation],
    work: impl Fn(usize, &mut Lockstep) -> Result<T> + Sync,
) -> Result<(Vec<T>, Duration)> {
    let (work, ready) = (&work, &Barrier::new(conversations.len()));
    let done: Vec<Result<(Instant, T, Instant)>> = std::thread::scope(|scope| {
        let threads = conversations
            .iter_mut()
            .enumerate()
            .map(|(i, conversation)| {
                scope.spawn(move || {
                    ready.wait();
                    let start = Instant::now();
                    let done = work(i, &mut conversation.lockstep)?;
                    Ok((start, done, Instant::now()))
                })
            });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        let joined =
            joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect()
    });
    let mut results = Vec::new();
    let (mut first, mut last) = (None, None);
    for done in done {
        let (start, result, end) = done?;
        first = first.min(Some(start)).or(Some(start));
        last = last.max(Some(end));
        results.push(result);
    }
    let time = last
        .zip(first)
        .map_or(Duration::ZERO, |(end, start)| end - start);
    Ok((results, time))
}
