//! Generation: mix, pick, advance, until the answer ends.

use super::attribution::Attributor;
use super::draft::{Drafted, Drafting};
use super::seat::Standing;
use super::worker::{Command, Reply};
use super::{Engine, EngineError, Spent};
use crate::backend::{BackendError, TokenKind, Vocab};
use crate::chat::thought::{self, Splitter};
use crate::mix::{self, Mixer};
use crate::sample::{Params, Sampler, StopStrings, Utf8State, Utf8Stream};
use crate::vocab::{Alphabet, END};
use crate::weight::{Adaptive, Method};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// Most tokens, counted by the member that leads at the start; None: until the end.
    pub limit: Option<usize>,
    /// How to sample.
    pub sampling: Params,
    /// Text that ends the answer and is not part of it.
    pub stops: Vec<String>,
    /// Whether to find out who argued for what.
    pub attribution: bool,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The members ended it, or a stop string.
    Stop,
    /// The limit of tokens, or a full context.
    Length,
    /// The cancel flag.
    Cancelled,
}

impl Finish {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
        }
    }
}

/// What happens while an answer is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// More of the answer: whole characters. Where attribution is asked for, what every member
    /// [contributed](Mixer::contributions) to each of its bytes, in nats: the first byte's members, the second
    /// byte's, … The bytes of a token have equal parts.
    Text(&'a str, &'a [f64]),
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its text, as it was reported.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the leading member that spell it.
    pub tokens: usize,
    /// Tokens by which each member spells it; 0 for one that took no part.
    pub member_tokens: Vec<usize>,
    /// Mean over the bytes of the share of each member's prediction that came from a prior instead of
    /// an evaluation, weighted by the members' weights.
    pub skipped_mass: f64,
    /// What each member spent on it, the prompt not counted.
    pub spent: Vec<Spent>,
    /// Time from the first prediction to the last symbol.
    pub time: Duration,
    /// Time spent mixing and sampling.
    pub mix_time: Duration,
    /// Symbols picked.
    pub steps: usize,
    /// The members' weights while it was made: the mean over its symbols.
    pub mean_weights: Vec<f64>,
    /// How good the drafts were.
    pub drafted: Drafted,
}

/// Cells of context that stay free for forks: tokens.
fn margin(context: u32) -> usize {
    (context as usize / 16).min(24)
}

impl Engine {
    /// Generates after the prompts that were [read](Engine::read), with the weights of
    /// [`Engine::weigh`]. `sink` is given the text as it is made. What was said stays in the members'
    /// caches, so that a next prompt that contains it is not evaluated again.
    ///
    /// A raised cancel flag ends the answer and is lowered again.
    ///
    /// # Errors
    /// From a member, or for settings out of range. What was reported before stays valid.
    pub fn answer(
        &mut self,
        generation: &Generation,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<Answer, EngineError> {
        let mut run = Run::new(self, generation)?;
        let before = self.spent()?;
        let start = Instant::now();
        let mut drafting = Drafting::new(self.drafter.take(), &self.prompt_text);
        let result = run.generate(self, &mut drafting, sink);
        let drafted = drafting.drafted;
        self.drafter = drafting.finish();
        let finish = match result {
            Err(EngineError::Cancelled) => Finish::Cancelled,
            // The margin is there to prevent it; if it comes to that, the answer is cut, not lost.
            Err(EngineError::Member {
                source: BackendError::ContextFull { .. },
                ..
            }) => Finish::Length,
            other => other?,
        };
        let time = start.elapsed();
        run.flush(sink);
        self.cancel.store(false, Ordering::Relaxed);
        let active = run.active.clone();
        let committed = self.some(&active, |_| Command::Commit)?;
        let spent = self
            .spent()?
            .into_iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let mut member_tokens = vec![0; self.members.len()];
        for (&k, reply) in active.iter().zip(committed) {
            if let Reply::Committed(n) = reply {
                member_tokens[k] = n;
            }
        }
        let skipped = active
            .iter()
            .map(|&k| self.lambda[k] * run.standings[k].skipped_mass)
            .sum();
        self.lambda.clone_from(&run.lambda);
        Ok(Answer {
            skipped_mass: skipped,
            text: run.text,
            finish,
            tokens: member_tokens[run.lead],
            member_tokens,
            spent,
            time,
            mix_time: run.mix_time,
            steps: run.steps,
            mean_weights: mean(run.weights, run.steps),
            drafted,
        })
    }
}

fn mean(sums: Vec<f64>, n: usize) -> Vec<f64> {
    sums.into_iter().map(|sum| sum / n.max(1) as f64).collect()
}

/// The state of one answer.
struct Run {
    /// Members that take part, ascending.
    active: Vec<usize>,
    /// The member whose tokens are counted.
    lead: usize,
    limit: usize,
    mixer: Mixer,
    lambda: Vec<f64>,
    /// Where the weights follow the answer.
    follower: Option<Follower>,
    sampler: Sampler,
    stops: StopStrings,
    /// What each member predicts: ln p by symbol; empty for the dropped.
    rows: Vec<Vec<f64>>,
    standings: Vec<Standing>,
    mixed: Vec<f64>,
    symbols: Symbols,
    stream: Utf8Stream,
    text: String,
    piece: String,
    mix_time: Duration,
    steps: usize,
    /// Sums of the weights of all steps.
    weights: Vec<f64>,
    /// Where it is asked for.
    attributor: Option<Attributor>,
}

impl Run {
    fn new(engine: &Engine, generation: &Generation) -> Result<Self, EngineError> {
        let n = engine.members.len();
        let active: Vec<usize> = (0..n).filter(|&k| engine.is_active(k)).collect();
        let lead = (0..n)
            .rev()
            .max_by(|&a, &b| engine.lambda[a].total_cmp(&engine.lambda[b]))
            .unwrap_or(0);
        let symbols = Symbols::new(engine.alphabet, engine.shared_vocab());
        let alphabet = symbols.alphabet()?;
        let sampling = generation.sampling.clone();
        let sampler = match engine.alphabet {
            Alphabet::Tokens | Alphabet::Mined => Sampler::tokens(sampling)?,
            Alphabet::Bytes => {
                let window = sampling.repeat_last_n.saturating_mul(BYTES_PER_TOKEN);
                Sampler::bytes(sampling, window)?
            }
        };
        let stops = generation
            .stops
            .iter()
            .map(|s| s.as_bytes().to_vec())
            .collect();
        Ok(Self {
            active,
            lead,
            limit: generation.limit.unwrap_or(usize::MAX),
            lambda: engine.lambda.clone(),
            follower: Follower::of(engine, &alphabet)?,
            mixed: vec![0.0; alphabet.size()],
            mixer: Mixer::new(engine.fusion.mix, engine.fusion.floor, alphabet)?,
            sampler,
            stops: StopStrings::new(stops)?,
            rows: vec![Vec::new(); n],
            standings: vec![Standing::default(); n],
            symbols,
            stream: Utf8Stream::new(),
            text: String::new(),
            piece: String::new(),
            mix_time: Duration::ZERO,
            steps: 0,
            weights: vec![0.0; n],
            attributor: generation.attribution.then(|| Attributor::new(n)),
        })
    }

    fn generate(
        &mut self,
        engine: &Engine,
        drafting: &mut Drafting,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<Finish, EngineError> {
        if self.limit == 0 {
            return Ok(Finish::Length);
        }
        self.exchange(engine, Command::Predict)?;
        loop {
            if engine.cancelled() {
                return Ok(Finish::Cancelled);
            }
            let Some(symbol) = self.pick(engine)? else {
                return Ok(Finish::Stop);
            };
            if self.say(symbol, sink) {
                return Ok(Finish::Stop);
            }
            self.draft(engine, drafting, symbol)?;
            self.exchange(engine, |row| Command::Advance(symbol as u32, row))?;
            if self.symbols.utf8.is_boundary() && (self.over_limit() || self.out_of_context(engine))
            {
                return Ok(Finish::Length);
            }
        }
    }

    /// Lets every active member evaluate what is expected after `symbol`, if anything is.
    fn draft(
        &self,
        engine: &Engine,
        drafting: &mut Drafting,
        symbol: usize,
    ) -> Result<(), EngineError> {
        let mut one = [0];
        let bytes = self.symbols.bytes(&self.symbols.vocab, symbol, &mut one);
        if let Some(draft) = drafting.grow(symbol as u32, bytes) {
            engine.some(&self.active, |_| Command::Draft(draft.clone()))?;
        }
        Ok(())
    }

    /// Sends every active member a command with its row to be filled, and takes the rows back.
    fn exchange(
        &mut self,
        engine: &Engine,
        command: impl Fn(Vec<f64>) -> Command,
    ) -> Result<(), EngineError> {
        let rows = &mut self.rows;
        let replies = engine.some(&self.active, |k| command(std::mem::take(&mut rows[k])))?;
        for (&k, reply) in self.active.iter().zip(replies) {
            if let Reply::Predicted(row, standing) = reply {
                self.rows[k] = row;
                self.standings[k] = standing;
            }
        }
        Ok(())
    }

    /// The next symbol; None for END, or if nothing is possible.
    fn pick(&mut self, engine: &Engine) -> Result<Option<usize>, EngineError> {
        let start = Instant::now();
        self.mixer
            .mix(&self.rows, &self.lambda, &engine.enders, &mut self.mixed)?;
        for (sum, weight) in self.weights.iter_mut().zip(&self.lambda) {
            *sum += weight;
        }
        // The sampler overwrites it.
        let mixed = self.attributor.as_ref().map(|_| self.mixed.clone());
        let symbols = &self.symbols;
        let picked = self.sampler.pick(&mut self.mixed, |s| symbols.allows(s));
        let said = picked.filter(|&s| !symbols.is_end(s));
        if let (Some(mixed), Some(symbol)) = (mixed, said) {
            self.attribute(engine, &mixed, symbol)?;
        }
        let follower = self.follower.as_mut().filter(|f| !f.said.is_open());
        if let (Some(follower), Some(symbol)) = (follower, picked) {
            follower
                .weights
                .see(&self.rows, &follower.alphabet, symbol)?;
            self.lambda.copy_from_slice(follower.weights.lambda());
        }
        self.mix_time += start.elapsed();
        self.steps += 1;
        Ok(said)
    }

    /// Finds out who argued for the symbol.
    fn attribute(
        &mut self,
        engine: &Engine,
        mixed: &[f64],
        symbol: usize,
    ) -> Result<(), EngineError> {
        if let Some(attributor) = &mut self.attributor {
            let (lambda, enders, out) = (&self.lambda, &engine.enders, attributor.symbol());
            self.mixer
                .contributions(&self.rows, lambda, enders, mixed, symbol, out)?;
        }
        Ok(())
    }

    /// Takes the symbol into the text. True if a stop string ends it.
    fn say(&mut self, symbol: usize, sink: &mut dyn FnMut(Event<'_>)) -> bool {
        self.sampler.accept(symbol);
        let mut bytes = [0];
        let vocab = Arc::clone(&self.symbols.vocab);
        let bytes = self.symbols.bytes(&vocab, symbol, &mut bytes);
        if let Some(attributor) = &mut self.attributor {
            attributor.say(bytes.len());
        }
        for &byte in bytes {
            self.symbols.utf8.push(byte);
            let fed = self.stops.push(byte);
            let matched = fed.matched.is_some();
            self.stream.push(fed.released, &mut self.piece);
            if matched {
                self.emit(sink);
                return true;
            }
        }
        self.emit(sink);
        false
    }

    fn emit(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if !self.piece.is_empty() {
            let attributor = self.attributor.as_mut();
            let contributions = attributor.map(|a| a.release(self.piece.len()));
            sink(Event::Text(&self.piece, &contributions.unwrap_or_default()));
            if let Some(follower) = &mut self.follower {
                follower.hear(&self.piece);
            }
            self.text.push_str(&self.piece);
            self.piece.clear();
        }
    }

    /// Releases what was held back for a stop string that did not come. A character that was begun
    /// and never finished is left out.
    fn flush(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let held = self.stops.finish();
        self.stream.push(&held, &mut self.piece);
        self.emit(sink);
    }

    fn over_limit(&self) -> bool {
        let Standing { tokens, whole, .. } = self.standings[self.lead];
        let tokens = tokens as usize;
        tokens > self.limit || (whole && tokens >= self.limit)
    }

    fn out_of_context(&self, engine: &Engine) -> bool {
        self.active.iter().any(|&k| {
            let context = engine.members[k].limits.context;
            let used = engine.prompt_tokens[k] + self.standings[k].tokens as usize;
            used + margin(context) >= context as usize
        })
    }
}

/// Weights that learn from what is said.
struct Follower {
    weights: Adaptive,
    alphabet: mix::Alphabet,
    /// Of the answer so far: nothing is learnt from a thought.
    said: Splitter,
}

impl Follower {
    fn of(engine: &Engine, alphabet: &mix::Alphabet) -> Result<Option<Self>, EngineError> {
        if !engine.fusion.follow_answer || engine.fusion.method != Method::Adaptive {
            return Ok(None);
        }
        let weights = Adaptive::new(engine.lambda.clone(), &engine.fusion.weighing())?;
        let mut follower = Self {
            weights,
            alphabet: alphabet.clone(),
            said: Splitter::default(),
        };
        let prompt = String::from_utf8_lossy(&engine.prompt_text);
        follower.hear(thought::opening(&prompt));
        Ok(Some(follower))
    }

    fn hear(&mut self, text: &str) {
        self.said.push(text, &mut |_, _| {});
    }
}

/// About how many bytes a token has, for the window of the repetition penalty.
const BYTES_PER_TOKEN: usize = 4;

/// What the symbols of the alphabet mean, and which may come next.
struct Symbols {
    alphabet: Alphabet,
    vocab: Arc<Vocab>,
    utf8: Utf8State,
    /// Tokens that keep a text valid that ends between two characters.
    starts_well: Vec<bool>,
}

impl Symbols {
    fn new(alphabet: Alphabet, vocab: &Arc<Vocab>) -> Self {
        let starts_well = match alphabet {
            Alphabet::Bytes => Vec::new(),
            Alphabet::Tokens | Alphabet::Mined => (0..vocab.len() as u32)
                .map(|t| keeps_utf8(Utf8State::new(), vocab.piece(t)))
                .collect(),
        };
        Self {
            alphabet,
            vocab: Arc::clone(vocab),
            utf8: Utf8State::new(),
            starts_well,
        }
    }

    fn alphabet(&self) -> Result<mix::Alphabet, EngineError> {
        Ok(match self.alphabet {
            Alphabet::Bytes => mix::Alphabet::bytes(),
            Alphabet::Tokens | Alphabet::Mined => {
                let ends = self.vocab.ends().map(|t| t as usize).collect();
                mix::Alphabet::tokens(self.vocab.len(), ends)?
            }
        })
    }

    fn is_end(&self, symbol: usize) -> bool {
        match self.alphabet {
            Alphabet::Bytes => symbol == END,
            Alphabet::Tokens | Alphabet::Mined => self.vocab.kind(symbol as u32) == TokenKind::End,
        }
    }

    /// Whether the symbol keeps the text valid UTF-8; END only between characters.
    fn allows(&self, symbol: usize) -> bool {
        if self.alphabet == Alphabet::Bytes {
            return self.utf8.allows_symbol(symbol);
        }
        if self.is_end(symbol) || self.utf8.is_boundary() {
            return self.utf8.is_boundary() && (self.is_end(symbol) || self.starts_well[symbol]);
        }
        keeps_utf8(self.utf8, self.vocab.piece(symbol as u32))
    }

    fn bytes<'a>(&self, vocab: &'a Vocab, symbol: usize, one: &'a mut [u8; 1]) -> &'a [u8] {
        match self.alphabet {
            Alphabet::Bytes => {
                one[0] = symbol as u8;
                one
            }
            Alphabet::Tokens | Alphabet::Mined => vocab.piece(symbol as u32),
        }
    }
}

fn keeps_utf8(mut state: Utf8State, bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| state.push(b))
}
