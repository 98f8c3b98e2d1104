//! One question, decided by every contestant from one evaluation of the members.
//!
//! With `x` the bytes of an option (after the prompt) and `q` the contestant's distribution, its
//! score is Σ ln q(x_i | x_<i), divided by what [`Score`] says; the option with the highest score
//! is picked, the first of equals. A member by itself counts its own losses; a mixture has weights
//! λ from the evidence of the question's text, members under the drop threshold at 0 as in an answer.
//!
//! In a mapped alphabet `x` are tokens of the reference: a member's own row is what it gives
//! through its map, and the reference is chosen for each question ([`Judge::maps`]). The text is
//! then read twice: by each member in its own tokens, to choose, and in the reference's.

use super::contestant::{Contestant, ContestantKind};
use super::follow::goes_on;
use super::layout::Sheet;
use packllm_engine::engine::{
    Ending, EngineError, Fusion, Lockstep, Maps, Prompt, ScoreRequest, Spent,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::{Evidence, Method, Mixture, Outlook, WeightError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an option's log-probability is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Score {
    /// Its bytes.
    #[default]
    Mean,
    /// Nothing.
    Sum,
    /// Its tokens: a member's own, for a mixture those of its heaviest member.
    Token,
}

/// What the contestants made of a question, one entry a contestant where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The option picked.
    pub picked: Vec<usize>,
    /// Scores of the options, in nats over the measure asked for.
    pub scores: Vec<Vec<f64>>,
    /// The weights that led to the pick; empty for a member.
    pub lambda: Vec<Vec<f64>>,
    /// Time: for a member inside its model, for a mixture the evaluation of all members and its
    /// own. Where questions are decided at the same time, its share: of the time inside a model by
    /// the tokens of each batch, else in equal parts.
    pub seconds: Vec<f64>,
    /// Tokens evaluated, member by member.
    pub tokens: Vec<usize>,
    /// Time of everything, the replay not counted; its share likewise, so that the times of all
    /// questions add up to that of the run.
    pub total_seconds: f64,
    /// Time of the same evaluations once more and nothing else, if that was asked for.
    pub replay_seconds: Option<f64>,
}

/// Two scores are nearly equal if they differ by less than this part of the better one. Batches of
/// another shape change a score of quantised models by 0.3% in the median, and the distance of two
/// by less than this in 99 of 100 questions. Of 1,600 picks 7 differed, none of them at 1% or more.
pub const NEAR_TIE: f64 = 0.05;

/// Losses and whole distributions.
const EVERYTHING: ScoreRequest = ScoreRequest {
    scores: true,
    rows: true,
    full: false,
};

/// Decides questions.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Who takes part.
    pub contestants: Vec<Contestant>,
    /// How members are fused; the contestants' methods take the place of its own.
    pub fusion: Fusion,
    /// How options are compared.
    pub score: Score,
    /// Scores as the published scorer does. Weights are derived for every option anew, from the
    /// question and that option, and `opt` gives ties to the newcomer. That scorer also ignores the
    /// end-of-text label; here only tokens of text are ever scored.
    pub per_option: bool,
    /// Mapped alphabet: choose the reference for every question anew, by the lowest loss on its
    /// text. None: it is chosen already, or it is another alphabet.
    pub maps: Option<Arc<Maps>>,
    /// Evaluate everything once more afterwards, to tell what that alone takes. Only where nobody
    /// else uses the members.
    pub replay: bool,
}

/// What all members predicted for a question and its options.
pub(super) struct Predictions {
    pub question: Evidence,
    /// What can be expected of such text, if that is known.
    pub outlook: Option<Outlook>,
    pub options: Vec<Evidence>,
}

impl Judge {
    /// Every member and the mixtures of `methods`.
    #[must_use]
    pub fn new(members: &[String], methods: Vec<(String, Method)>, fusion: Fusion) -> Judge {
        let member = |(k, name): (usize, &String)| Contestant {
            name: name.clone(),
            kind: ContestantKind::Member(k),
        };
        let mixture = |(name, method)| Contestant {
            name,
            kind: ContestantKind::Mixture(method),
        };
        let members = members.iter().enumerate().map(member);
        Judge {
            contestants: members.chain(methods.into_iter().map(mixture)).collect(),
            fusion,
            score: Score::default(),
            per_option: false,
            maps: None,
            replay: false,
        }
    }

    /// Checks that the question with its longest option fits every member. Nothing is evaluated.
    ///
    /// # Errors
    /// [`EngineError::TooLong`], which says by how much.
    pub fn check(&self, engine: &mut Lockstep, sheet: &Sheet) -> Result<(), EngineError> {
        // A token spells at least a byte; only the start token spells none.
        if sheet.bytes() < engine.smallest_context() as usize {
            return Ok(());
        }
        let long = |engine: &mut Lockstep| -> Result<(), EngineError> {
            for option in 0..sheet.options.len() {
                engine.prepare(everyone(engine, &sheet.prompt_with(option)))?;
            }
            if sheet.options.len() == 1 && engine.alphabet() == Alphabet::Bytes {
                // The text is followed as an answer is made, which takes room beside it.
                engine.prepare(vec![goes_on(sheet); engine.members().len()])?;
            }
            Ok(())
        };
        let Some(maps) = &self.maps else {
            return long(engine);
        };
        // Each may become the reference, and its tokens are then read by all.
        for (reference, maps) in maps.iter().enumerate() {
            engine.refer_to(reference, maps)?;
            long(engine)?;
        }
        Ok(())
    }

    /// Evaluates a question once and lets every contestant pick.
    ///
    /// # Errors
    /// From the engine, as [`Lockstep::prepare`], [`Lockstep::read`] and
    /// [`Lockstep::read_continuations`]; [`EngineError::Unreadable`].
    pub fn decide(&self, engine: &mut Lockstep, sheet: &Sheet) -> Result<Verdict, EngineError> {
        self.decide_among(1, engine, sheet)
    }

    /// As [`Judge::decide`], where so many questions are decided at the same time.
    ///
    /// # Errors
    /// As [`Judge::decide`].
    pub fn decide_among(
        &self,
        at_once: u32,
        engine: &mut Lockstep,
        sheet: &Sheet,
    ) -> Result<Verdict, EngineError> {
        if self.replay {
            engine.engine().start_recording()?;
        }
        let start = Instant::now();
        let before = engine.spent()?;
        let reading = self.read(engine, sheet)?;
        let mixtures: Vec<Mixture<'_>> = reading
            .options
            .iter()
            .map(|option| self.fusion.mixture(option))
            .collect::<Result<_, WeightError>>()?;
        let shared = start.elapsed();
        let spent = spent_since(engine, &before)?;
        let mut verdict = Verdict {
            picked: Vec::new(),
            scores: Vec::new(),
            lambda: Vec::new(),
            seconds: Vec::new(),
            tokens: spent.iter().map(|s| s.tokens).collect(),
            total_seconds: 0.0,
            replay_seconds: None,
        };
        for contestant in &self.contestants {
            let began = Instant::now();
            let (scores, mut lambda, time) = match &contestant.kind {
                ContestantKind::Member(k) | ContestantKind::Again(k, _) => {
                    let scores = reading.options.iter().map(|o| self.alone(o, *k)).collect();
                    (scores, Vec::new(), spent[*k].time)
                }
                ContestantKind::Mixture(_) | ContestantKind::Among(_) => {
                    let (scores, lambda) = self.mixed(&contestant.kind, &reading, &mixtures)?;
                    (scores, lambda, (shared + began.elapsed()) / at_once)
                }
            };
            let picked = first_best(&scores);
            let of_pick = if self.per_option { picked } else { 0 };
            let lambda = lambda.drain(..).nth(of_pick);
            verdict.picked.push(picked);
            verdict.scores.push(scores);
            verdict.lambda.push(lambda.unwrap_or_default());
            verdict.seconds.push(seconds(time));
        }
        verdict.total_seconds = seconds(start.elapsed() / at_once);
        if self.replay {
            // A question begins by cutting the caches, and so does its replay: they end alike.
            let recording = engine.engine().stop_recording()?;
            verdict.replay_seconds = Some(seconds(engine.engine().replay(&recording)?));
        }
        Ok(verdict)
    }

    pub(super) fn read(
        &self,
        engine: &mut Lockstep,
        sheet: &Sheet,
    ) -> Result<Predictions, EngineError> {
        let question = self.read_evidence(engine, sheet.prompt())?;
        let outlook = engine.text_outlook(&question);
        let options = engine.read_continuations(&sheet.options, EVERYTHING)?;
        Ok(Predictions {
            question,
            outlook,
            options,
        })
    }

    /// All members read a prompt. Returns what they predicted for its evidence.
    pub(super) fn read_evidence(
        &self,
        engine: &mut Lockstep,
        prompt: Prompt,
    ) -> Result<Evidence, EngineError> {
        let prompts = vec![prompt; engine.members().len()];
        if let Some(maps) = &self.maps {
            engine.refer_by_loss(prompts.clone(), maps)?;
        }
        let prepared = engine.prepare(prompts)?;
        for (member, lost) in engine.members().iter().zip(&prepared.lost) {
            if let Some(&byte) = lost.first() {
                let member = member.name.clone();
                return Err(EngineError::Unreadable { member, byte });
            }
        }
        engine.forget_evidence();
        engine.read(EVERYTHING)?;
        engine.evidence()
    }

    /// A member's score of an option.
    fn alone(&self, option: &Evidence, k: usize) -> f64 {
        let nats = option.nats_per_byte(k) * option.bytes as f64;
        -nats / self.measure(option, k)
    }

    /// A mixture's scores of the options, and its weights: one set, or one an option.
    fn mixed(
        &self,
        kind: &ContestantKind,
        reading: &Predictions,
        mixtures: &[Mixture<'_>],
    ) -> Result<(Vec<f64>, Vec<Vec<f64>>), WeightError> {
        let lambdas: Vec<Vec<f64>> = if self.per_option {
            let joined = reading.options.iter().map(|o| reading.question.joined(o));
            joined
                .map(|evidence| self.lambda(kind, &evidence, reading.outlook.as_ref()))
                .collect::<Result<_, _>>()?
        } else {
            vec![self.lambda(kind, &reading.question, reading.outlook.as_ref())?]
        };
        let mut scores = Vec::with_capacity(mixtures.len());
        for ((option, mixture), lambda) in reading
            .options
            .iter()
            .zip(mixtures)
            .zip(lambdas.iter().cycle())
        {
            let bits = mixture.bits_per_byte(lambda)? * option.bytes as f64;
            let lead = first_best(lambda);
            scores.push(-bits * std::f64::consts::LN_2 / self.measure(option, lead));
        }
        Ok((scores, lambdas))
    }

    /// What the log-probability of an option is divided by.
    fn measure(&self, option: &Evidence, lead: usize) -> f64 {
        match self.score {
            Score::Mean => option.bytes as f64,
            Score::Sum => 1.0,
            Score::Token => option.members[lead].tokens.max(1) as f64,
        }
    }
}

/// The same prompt for every member.
fn everyone(engine: &Lockstep, prompt: &Prompt) -> Vec<Prompt> {
    debug_assert_eq!(prompt.ending, Ending::Closed);
    vec![prompt.clone(); engine.members().len()]
}

/// What each member has spent since then.
pub(super) fn spent_since(engine: &Lockstep, before: &[Spent]) -> Result<Vec<Spent>, EngineError> {
    let after = engine.spent()?.into_iter();
    Ok(after
        .zip(before)
        .map(|(after, &before)| after - before)
        .collect())
}

/// Index of the largest, the first of equals.
pub(super) fn first_best(values: &[f64]) -> usize {
    let best = (0..values.len())
        .rev()
        .max_by(|&a, &b| values[a].total_cmp(&values[b]));
    best.unwrap_or(0)
}

/// Whether the two best scores differ by less than [`NEAR_TIE`] of the best.
#[must_use]
pub fn is_near_tie(scores: &[f64]) -> bool {
    let best = first_best(scores);
    let second = (0..scores.len()).filter(|&i| i != best);
    let second = second.map(|i| scores[i]).fold(f64::NEG_INFINITY, f64::max);
    scores
        .get(best)
        .is_some_and(|best| best - second < NEAR_TIE * best.abs())
}

pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
