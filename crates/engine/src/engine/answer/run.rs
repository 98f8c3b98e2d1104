//! One answer, symbol by symbol.

use super::allowed::Allowed;
use super::predicted::Recorder;
use super::symbols::Symbols;
use super::{AnswerOptions, Event, Finish};
use crate::engine::attribution::Attributor;
use crate::engine::draft::Drafting;
use crate::engine::runtime::{MemberRuntime, Standing};
use crate::engine::{EngineError, Lockstep};
use crate::mix::{self, Mixer};
use crate::sample::{Repetition, Sampler, StopStrings, Utf8Stream};
use crate::thought::{self, Splitter};
use crate::vocab::Alphabet;
use crate::weight::{Adaptive, Method};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// About how many bytes a token has, for the window of the repetition penalty.
const BYTES_PER_TOKEN: usize = 4;

/// Cells of context that stay free for forks: tokens.
fn margin(context: u32) -> usize {
    (context as usize / 16).min(24)
}

/// What goes to the members next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsent {
    Nothing,
    /// That the answer begins.
    Start,
    Symbol(usize),
}

/// The state of one answer.
pub(super) struct Run {
    /// Members that take part, ascending.
    pub active: Vec<usize>,
    /// Members that were lost on the way, with what was said of it.
    pub lost: Vec<(usize, String)>,
    /// Which members decide when it ends.
    ending_members: Vec<bool>,
    /// The member with the largest weight at the start.
    pub lead: usize,
    /// The member whose tokens are counted.
    pub counting: usize,
    limit: usize,
    /// Bytes that so many tokens can spell at most: a member counts none of a text that it cannot
    /// spell.
    most_bytes: usize,
    mixer: Mixer,
    pub lambda: Vec<f64>,
    /// Where the weights follow the answer.
    follower: Option<Follower>,
    sampler: Sampler,
    stops: StopStrings,
    /// Where loops end the answer.
    repetition: Option<Repetition>,
    /// What each member predicts: ln p by symbol; empty for the dropped.
    rows: Vec<Vec<f64>>,
    pub standings: Vec<Standing>,
    mixed: Vec<f64>,
    symbols: Symbols,
    allowed: Allowed,
    /// What has to be said next, the first of it last.
    forced: Vec<usize>,
    stream: Utf8Stream,
    pub text: String,
    piece: String,
    /// What each member contributed to the text taken last.
    released: Vec<f64>,
    /// What the members were not told yet.
    unsent: Unsent,
    pub mix_time: Duration,
    pub steps: usize,
    /// Steps at which the lead found another symbol likelier; only if attribution is asked for.
    pub overruled: usize,
    /// Sums of the weights of all steps.
    pub weights: Vec<f64>,
    /// Only if attribution is asked for.
    attributor: Option<Attributor>,
    /// Only if predictions are asked for.
    pub recorder: Option<Recorder>,
    /// The stop string that ended it.
    pub stopped_by: Option<usize>,
}

impl Run {
    pub fn new(engine: &Lockstep, generation: &AnswerOptions) -> Result<Self, EngineError> {
        let n = engine.members().len();
        let active: Vec<usize> = (0..n).filter(|&k| engine.is_active(k)).collect();
        let lead = (0..n)
            .rev()
            .max_by(|&a, &b| engine.lambda[a].total_cmp(&engine.lambda[b]))
            .unwrap_or(0);
        let limit = generation.limit.unwrap_or(usize::MAX);
        let symbols = engine.symbols();
        let alphabet = symbols.alphabet()?;
        let sampling = generation.sampling.clone();
        let repetition = sampling.repeat_stop.then(Repetition::default);
        let sampler = match engine.alphabet {
            Alphabet::Tokens | Alphabet::Mapped => Sampler::tokens(sampling)?,
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
            lost: Vec::new(),
            ending_members: engine.ending_members.clone(),
            lead,
            counting: lead,
            limit,
            most_bytes: most_bytes(engine, limit, lead),
            lambda: engine.lambda.clone(),
            follower: Follower::of(engine, &alphabet)?,
            mixed: vec![0.0; alphabet.size()],
            mixer: engine.fusion.mixer(alphabet)?,
            sampler,
            stops: StopStrings::new(stops)?,
            repetition,
            rows: vec![Vec::new(); n],
            standings: vec![Standing::default(); n],
            allowed: engine.allowed()?,
            forced: Vec::new(),
            symbols,
            stream: Utf8Stream::new(),
            text: String::new(),
            piece: String::new(),
            released: Vec::new(),
            unsent: Unsent::Start,
            mix_time: Duration::ZERO,
            steps: 0,
            overruled: 0,
            weights: vec![0.0; n],
            attributor: generation.attribution.then(|| Attributor::new(n)),
            recorder: None,
            stopped_by: None,
        })
    }

    /// Counts tokens of member `k`, if it takes part.
    pub fn count_by(&mut self, engine: &Lockstep, k: usize) {
        if self.active.contains(&k) {
            self.counting = k;
            self.most_bytes = most_bytes(engine, self.limit, k);
        }
    }

    /// Goes on until there is more text, or to the end: why that came.
    pub fn go_on(
        &mut self,
        engine: &Lockstep,
        drafting: &mut Drafting,
    ) -> Result<Option<Finish>, EngineError> {
        while self.piece.is_empty() {
            match std::mem::replace(&mut self.unsent, Unsent::Nothing) {
                Unsent::Nothing => {}
                Unsent::Start if self.limit == 0 => return Ok(Some(Finish::Length)),
                Unsent::Start => self.step(engine, None)?,
                Unsent::Symbol(symbol) => {
                    self.draft(engine, drafting, symbol)?;
                    self.step(engine, Some(symbol as u32))?;
                    if let Some(finish) = self.cut(engine)? {
                        return Ok(Some(finish));
                    }
                }
            }
            if engine.cancelled() {
                return Ok(Some(Finish::Cancelled));
            }
            let Some(symbol) = self.next_symbol()? else {
                return Ok(Some(Finish::Stop));
            };
            if self.say(symbol)? {
                return Ok(Some(Finish::Stop));
            }
            self.unsent = Unsent::Symbol(symbol);
        }
        Ok(None)
    }

    /// Why the answer ends here, whatever would come next.
    fn cut(&mut self, engine: &Lockstep) -> Result<Option<Finish>, EngineError> {
        let long = self.over_limit() || self.out_of_context(engine);
        if self.allowed.is_boundary()? && long {
            return Ok(Some(Finish::Length));
        }
        let repeats = self.repetition.as_ref().is_some_and(Repetition::is_loop);
        let ends = repeats && self.allowed.may_end()?;
        Ok(ends.then_some(Finish::Repetition))
    }

    /// Lets every active member evaluate what is expected after `symbol`, if anything is.
    fn draft(
        &mut self,
        engine: &Lockstep,
        drafting: &mut Drafting,
        symbol: usize,
    ) -> Result<(), EngineError> {
        let (mut one, vocab) = ([0], Arc::clone(&self.symbols.vocab));
        let said = self.symbols.bytes(&vocab, symbol, &mut one);
        let Self {
            symbols, allowed, ..
        } = self;
        let draft = match self.forced.is_empty() {
            true => drafting.grow(symbol as u32, said, &mut |ahead| {
                if !allowed.is_constrained() {
                    return Ok(ahead.len());
                }
                let drafted = symbols.split(ahead);
                let permitted = allowed.permitted(&drafted)?;
                Ok(symbols.spell(&drafted[..permitted]).len())
            })?,
            false => {
                let forced: Vec<usize> = self.forced.iter().rev().copied().collect();
                drafting.force(symbol as u32, said, &symbols.spell(&forced))
            }
        };
        if let Some(draft) = draft {
            let prefetched = engine.some(&self.active, |_| {
                let draft = draft.clone();
                async move |runtime: &mut MemberRuntime| runtime.prefetch(&draft).await
            });
            self.outlive(engine, prefetched.map(drop))?;
        }
        Ok(())
    }

    /// Sends the symbol, if there is one yet, to every active member, which then predicts the next.
    fn step(&mut self, engine: &Lockstep, symbol: Option<u32>) -> Result<(), EngineError> {
        let stepped = engine.step(&self.active, symbol, &mut self.rows, &mut self.standings);
        self.outlive(engine, stepped)
    }

    /// Where that is wished, the others go on without a member that was lost, with its weight. One
    /// that failed beside it has no row either.
    fn outlive(
        &mut self,
        engine: &Lockstep,
        done: Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let Err(error) = &done else {
            return done;
        };
        let Some(lost) = engine.lost_by(error).filter(|_| engine.fusion.outlive) else {
            return done;
        };
        let stays = |k: &usize| *k != lost && !self.rows[*k].is_empty();
        let (left, gone): (Vec<usize>, Vec<usize>) = self.active.iter().partition(|k| stays(k));
        let weight: f64 = left.iter().map(|&k| self.lambda[k]).sum();
        let heaviest = |&&a: &&usize, &&b: &&usize| self.lambda[a].total_cmp(&self.lambda[b]);
        let Some(&lead) = left.iter().max_by(heaviest).filter(|_| weight > 0.0) else {
            return done;
        };
        let ends = |k: usize| left.contains(&k);
        let can_end = left.iter().any(|&k| self.ending_members[k]);
        for k in 0..self.lambda.len() {
            self.lambda[k] = if ends(k) {
                self.lambda[k] / weight
            } else {
                0.0
            };
            let may_end = self.ending_members[k] || !can_end && engine.members()[k].has_end();
            self.ending_members[k] = ends(k) && may_end;
        }
        for k in gone {
            self.rows[k].clear();
            self.lost.push((k, error.to_string()));
            if self.counting == k {
                self.count_by(engine, lead);
            }
        }
        self.lead = lead;
        self.follower = None;
        self.active = left;
        Ok(())
    }

    /// The next symbol: what has to come, else what is drawn. None for the end.
    fn next_symbol(&mut self) -> Result<Option<usize>, EngineError> {
        if self.forced.is_empty() && self.allowed.is_constrained() {
            self.allowed.forced(&mut self.forced)?;
            self.forced.reverse();
        }
        let Some(forced) = self.forced.pop() else {
            return self.pick();
        };
        if let Some(attributor) = &mut self.attributor {
            // Nobody argued for it.
            let none = attributor.symbol();
            none.clear();
            none.resize(self.weights.len(), 0.0);
        }
        // It had to come.
        self.record(&[], forced);
        self.count_step();
        Ok(Some(forced))
    }

    fn count_step(&mut self) {
        for (sum, weight) in self.weights.iter_mut().zip(&self.lambda) {
            *sum += weight;
        }
        self.steps += 1;
    }

    /// The symbol that is drawn; None for END, or if nothing is possible.
    fn pick(&mut self) -> Result<Option<usize>, EngineError> {
        let start = Instant::now();
        self.mixer.mix(
            &self.rows,
            &self.lambda,
            &self.ending_members,
            &mut self.mixed,
        )?;
        self.count_step();
        // The sampler overwrites it.
        let is_kept = self.attributor.is_some() || self.recorder.is_some();
        let mixed = is_kept.then(|| self.mixed.clone());
        let allowed = self.allowed.next()?;
        let picked = self.sampler.pick(&mut self.mixed, |s| allowed.contains(s));
        if picked.is_none() {
            self.allowed.end()?;
        }
        if let (Some(_), Some(symbol)) = (&self.attributor, picked) {
            let row = &self.rows[self.lead];
            self.overruled += usize::from(row.iter().any(|&p| p > row[symbol]));
        }
        let said = picked.filter(|&s| !self.symbols.is_end(s));
        if let (Some(mixed), Some(symbol)) = (mixed, said) {
            self.attribute(&mixed, symbol)?;
            self.record(&mixed, symbol);
        }
        let follower = self.follower.as_mut().filter(|f| !f.said.is_open());
        if let (Some(follower), Some(symbol)) = (follower, picked) {
            follower
                .weights
                .see(&self.rows, &follower.alphabet, symbol)?;
            self.lambda.copy_from_slice(follower.weights.lambda());
        }
        self.mix_time += start.elapsed();
        Ok(said)
    }

    /// Measures what each member contributed to the symbol.
    fn attribute(&mut self, mixed: &[f64], symbol: usize) -> Result<(), EngineError> {
        if let Some(attributor) = &mut self.attributor {
            let (lambda, ending_members, out) =
                (&self.lambda, &self.ending_members, attributor.symbol());
            self.mixer
                .contributions(&self.rows, lambda, ending_members, mixed, symbol, out)?;
        }
        Ok(())
    }

    /// Keeps how likely the symbol was, where that is asked for.
    fn record(&mut self, mixed: &[f64], symbol: usize) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        let symbols = &self.symbols;
        let bytes = |s: usize| (!symbols.is_end(s)).then(|| symbols.spell(&[s]));
        match mixed {
            [] => recorder.force(symbols.spell(&[symbol])),
            mixed => recorder.say(mixed, symbol, bytes),
        }
    }

    /// Adds the symbol to the text. True if a stop string ends it.
    fn say(&mut self, symbol: usize) -> Result<bool, EngineError> {
        self.allowed.advance(symbol)?;
        self.sampler.accept(symbol);
        let mut bytes = [0];
        let vocab = Arc::clone(&self.symbols.vocab);
        let bytes = self.symbols.bytes(&vocab, symbol, &mut bytes);
        if let Some(attributor) = &mut self.attributor {
            attributor.say(bytes.len());
        }
        let from = self.piece.len();
        for &byte in bytes {
            let fed = self.stops.push(byte);
            self.stopped_by = fed.matched;
            self.stream.push(fed.released, &mut self.piece);
            if self.stopped_by.is_some() {
                return Ok(true);
            }
        }
        if let Some(repetition) = &mut self.repetition {
            repetition.push(&self.piece[from..]);
        }
        Ok(false)
    }

    /// Whether there is text that was not taken.
    pub fn has_text(&self) -> bool {
        !self.piece.is_empty()
    }

    /// The text since it was last taken, if there is more.
    pub fn take(&mut self) -> Option<Event<'_>> {
        if self.piece.is_empty() {
            return None;
        }
        let attributor = self.attributor.as_mut();
        let released = attributor.map(|a| a.release(self.piece.len()));
        self.released = released.unwrap_or_default();
        if let Some(recorder) = &mut self.recorder {
            recorder.release(self.piece.len());
        }
        if let Some(follower) = &mut self.follower {
            follower.hear(&self.piece);
        }
        let from = self.text.len();
        self.text.push_str(&self.piece);
        self.piece.clear();
        Some(Event::Text(&self.text[from..], &self.released))
    }

    /// Releases what was held back for a stop string that did not come. A character that was begun
    /// and never finished is left out.
    pub fn flush(&mut self) {
        let held = self.stops.finish();
        self.stream.push(&held, &mut self.piece);
    }

    fn over_limit(&self) -> bool {
        let Standing { tokens, whole, .. } = self.standings[self.counting];
        let tokens = tokens as usize;
        let said = self.text.len() + self.piece.len();
        tokens > self.limit || (whole && tokens >= self.limit) || said > self.most_bytes
    }

    fn out_of_context(&self, engine: &Lockstep) -> bool {
        self.active.iter().any(|&k| {
            let context = engine.members()[k].limits.context;
            let used = engine.prompt_tokens[k] + self.standings[k].tokens as usize;
            used + margin(context) >= context as usize
        })
    }
}

/// Bytes that so many tokens of member `k` can spell at most.
fn most_bytes(engine: &Lockstep, limit: usize, k: usize) -> usize {
    limit.saturating_mul(engine.engine.sorted[k].longest())
}

/// Weights that learn from what is said.
struct Follower {
    weights: Adaptive,
    alphabet: mix::SymbolSet,
    /// Splits the answer so far: nothing is learnt from a thought.
    said: Splitter,
}

impl Follower {
    fn of(engine: &Lockstep, alphabet: &mix::SymbolSet) -> Result<Option<Self>, EngineError> {
        if !engine.fusion.follow_answer || engine.fusion.method != Method::Adaptive {
            return Ok(None);
        }
        let weights = Adaptive::new(engine.lambda.clone(), &engine.fusion.weighing(alphabet))?;
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
