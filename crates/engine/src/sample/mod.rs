//! From the mixed distribution to the next symbol.
//!
//! Sampling happens after mixing, never before, on the shared alphabet and in llama.cpp's order:
//! repetition penalty, top-k, top-p, min-p, temperature, draw. Symbols that the caller does not
//! allow (bytes that would break UTF-8, END inside a character) leave before all of that.
//!
//! The draw uses PCG-64 seeded by [`Params::seed`], one 64-bit output a draw: the same parameters
//! and distributions give the same symbols on every machine whose `exp` rounds alike.

mod filter;
mod penalty;
mod repetition;
mod stop;
mod utf8;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use thiserror::Error;

pub(crate) use filter::{Candidate, likeliest};
pub use penalty::MIN_REPEAT;
use penalty::Penalty;
pub use repetition::Repetition;
pub use stop::{Fed, StopError, StopStrings};
pub use utf8::{Utf8State, Utf8Stream};

/// How to sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Divides log-probabilities before the draw; 0 or less takes the likeliest symbol.
    pub temperature: f64,
    /// Keep this many of the likeliest symbols; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of likeliest symbols whose mass reaches this; 1 keeps all.
    pub top_p: f64,
    /// Keep symbols with at least this fraction of the likeliest one's probability; 0 keeps all.
    pub min_p: f64,
    /// Divides the probability of what would repeat; 1 is off.
    pub repeat_penalty: f64,
    /// How many of the last tokens the penalty looks at; 0 is off.
    pub repeat_last_n: usize,
    /// Whether an answer ends where it [goes in circles](Repetition).
    pub repeat_stop: bool,
    /// Seed of the draw.
    pub seed: u64,
}

impl Default for Params {
    /// llama.cpp's defaults, except that nothing is penalised and loops end, and seed 0.
    fn default() -> Self {
        Params {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            repeat_stop: true,
            seed: 0,
        }
    }
}

/// A sampling parameter out of range, and its value.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ParamError {
    /// [`Params::temperature`] is NaN or infinite.
    #[error("the temperature must be a finite number (0 takes the likeliest symbol), not {0}")]
    Temperature(f64),
    /// [`Params::top_p`] is no probability.
    #[error("top-p must be from 0 to 1 (1 is off), not {0}")]
    TopP(f64),
    /// [`Params::min_p`] is no probability.
    #[error("min-p must be from 0 to 1 (0 is off), not {0}")]
    MinP(f64),
    /// [`Params::repeat_penalty`] cannot divide a probability.
    #[error("the repetition penalty must be a finite number above 0 (1 is off), not {0}")]
    RepeatPenalty(f64),
}

impl Params {
    /// Checks all ranges.
    ///
    /// # Errors
    /// The first parameter that is out of range.
    pub fn validate(&self) -> Result<(), ParamError> {
        if !self.temperature.is_finite() {
            return Err(ParamError::Temperature(self.temperature));
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return Err(ParamError::TopP(self.top_p));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(ParamError::MinP(self.min_p));
        }
        if !(self.repeat_penalty > 0.0 && self.repeat_penalty.is_finite()) {
            return Err(ParamError::RepeatPenalty(self.repeat_penalty));
        }
        Ok(())
    }
}

/// Picks one symbol after another.
#[derive(Debug, Clone)]
pub struct Sampler {
    params: Params,
    penalty: Penalty,
    rng: Pcg64,
    /// Scratch: the symbols that may still be drawn.
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// A sampler over bytes and END. The repetition penalty looks at the last `window` bytes, which
    /// should be about [`Params::repeat_last_n`] tokens' worth.
    ///
    /// # Errors
    /// A parameter out of range.
    pub fn bytes(params: Params, window: usize) -> Result<Self, ParamError> {
        params.validate()?;
        let window = if params.repeat_last_n == 0 { 0 } else { window };
        let penalty = Penalty::bytes(params.repeat_penalty, window);
        Ok(Sampler::new(params, penalty))
    }

    /// A sampler over the tokens of a vocabulary.
    ///
    /// # Errors
    /// A parameter out of range.
    pub fn tokens(params: Params) -> Result<Self, ParamError> {
        params.validate()?;
        let penalty = Penalty::tokens(params.repeat_penalty, params.repeat_last_n);
        Ok(Sampler::new(params, penalty))
    }

    fn new(params: Params, penalty: Penalty) -> Self {
        Sampler {
            rng: Pcg64::seed_from_u64(params.seed),
            params,
            penalty,
            candidates: Vec::new(),
        }
    }

    /// The parameters given.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Tells the repetition penalty that `symbol` is now part of the text: every symbol picked, and
    /// the prompt's if it is to count.
    pub fn accept(&mut self, symbol: usize) {
        self.penalty.accept(symbol);
    }

    /// Picks a symbol by its ln-probabilities, which need not be normalised; `allowed` is asked
    /// once a symbol at most. None if no allowed symbol is possible.
    ///
    /// Penalties are applied to `log_q` in place. Entries that are not finite are impossible.
    /// Nothing is allocated after the first call.
    pub fn pick(&mut self, log_q: &mut [f64], allowed: impl Fn(usize) -> bool) -> Option<usize> {
        self.penalty.apply(log_q);
        let candidates = &mut self.candidates;
        let params = &self.params;
        if params.temperature <= 0.0 {
            likeliest(log_q, 1, allowed, candidates);
            return candidates.first().map(|best| best.symbol);
        }
        let kept = if params.top_k == 0 {
            log_q.len()
        } else {
            params.top_k
        };
        likeliest(log_q, kept, allowed, candidates);
        filter::top_p(candidates, params.top_p);
        filter::min_p(candidates, params.min_p);
        filter::draw(candidates, params.temperature, unit(&mut self.rng))
    }
}

/// A number in `0..1` of 53 random bits.
fn unit(rng: &mut Pcg64) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
