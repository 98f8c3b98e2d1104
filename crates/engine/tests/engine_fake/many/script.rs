//! What a conversation says and does, played on a pack: alone or beside others it has to come out
//! the same.

use crate::rig::*;
use packllm_engine::backend::BackendError;
use packllm_engine::engine::{
    Engine, EngineError, Finish, Fusion, Lockstep, Lookup, Place, Prompt, ScoreRequest, Segment,
};
use packllm_engine::vocab::Alphabet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What all conversations begin with. Those that are open at the same time hold it once.
pub const SYSTEM: &str = "abc ab ca bc";

/// One text, and what is done with the answer.
#[derive(Debug, Clone)]
pub struct Turn {
    pub text: String,
    pub tokens: usize,
    pub deed: Deed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// All of the answer is taken.
    Whole,
    /// It is dropped after so many events.
    Drop(usize),
    /// It is cancelled after so many events.
    Cancel(usize),
    /// Somebody else cancels, after so many microseconds.
    Interrupt(u64),
    /// A fork answers first, and is dropped.
    Fork,
}

/// The turns of one conversation.
#[derive(Debug, Clone)]
pub struct Script {
    pub turns: Vec<Turn>,
    /// Whether its answers are drafted.
    pub drafts: bool,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub text: String,
    /// None: it was dropped, interrupted, or a member failed.
    pub finish: Option<Finish>,
    pub lambda: Vec<f64>,
    /// Of each member, what the evidence so far cost.
    pub nats: Vec<Vec<f32>>,
    /// What a fork said.
    pub aside: Option<Box<Outcome>>,
    /// Whether the conversation had to begin anew after it.
    pub broken: bool,
}

/// Two members of which every text has many segmentations, in bytes; over tokens they are alike.
pub fn fakes(alphabet: Alphabet, context: u32) -> Vec<Fake> {
    let second = match alphabet {
        Alphabet::Bytes => WHOLE,
        _ => NESTED,
    };
    let fakes = [Fake::new(NESTED, 1), Fake::new(second, 2)];
    fakes.map(|fake| fake.with_context(context)).into()
}

/// A conversation with the members of `engine`.
pub fn open(engine: &Arc<Engine>, alphabet: Alphabet) -> Lockstep {
    let mut talk = engine.lockstep(Arc::default()).unwrap();
    let alphabet = Some(alphabet);
    set(
        &mut talk,
        Fusion {
            alphabet,
            ..Fusion::default()
        },
    );
    talk
}

/// Reads texts that follow each other, the first `known` of which it has read before.
pub fn read_texts(talk: &mut Lockstep, texts: &[&str], known: usize) -> Result<(), EngineError> {
    let place = |message| Place { message, offset: 0 };
    let segments = (0..).zip(texts).map(|(i, &text)| match i < known as u32 {
        true => Segment::content(text, place(i)),
        false => Segment::evidence(text, place(i)),
    });
    let prompt = Prompt {
        segments: segments.collect(),
        ..Prompt::default()
    };
    let n = talk.members().len();
    talk.prepare(vec![prompt; n])?;
    let request = ScoreRequest::of(&talk.fusion().method.clone(), n);
    talk.read(request)?;
    talk.weigh()?;
    Ok(())
}

/// A conversation under way.
struct Player<'a> {
    talk: Lockstep,
    /// Texts since it began, or began anew.
    texts: Vec<&'a str>,
    known: usize,
}

/// Plays a script. Where `earlier` is what came of it elsewhere, it begins anew where it had to
/// there, and nobody interrupts it.
pub fn play(talk: Lockstep, script: &Script, earlier: Option<&[Outcome]>) -> Vec<Outcome> {
    let mut player = Player {
        talk,
        texts: vec![SYSTEM],
        known: 0,
    };
    if script.drafts {
        player.talk.draft_with(Some(Box::new(Lookup::default())));
    }
    let turns = script.turns.iter().enumerate();
    let outcomes = turns.map(|(i, turn)| {
        let elsewhere = earlier.map(|earlier| &earlier[i]);
        let mut turn = turn.clone();
        if elsewhere.is_some() && matches!(turn.deed, Deed::Interrupt(_)) {
            turn.deed = Deed::Whole;
        }
        player.texts.push(&script.turns[i].text);
        let mut outcome = player.turn(&turn);
        outcome.broken |= elsewhere.is_some_and(|outcome| outcome.broken);
        if outcome.broken {
            player.begin_anew();
        }
        outcome
    });
    outcomes.collect()
}

impl Player<'_> {
    fn turn(&mut self, turn: &Turn) -> Outcome {
        let cancel = Arc::clone(self.talk.cancel_flag());
        let Deed::Interrupt(after) = turn.deed else {
            return self.answer(turn, &cancel);
        };
        std::thread::scope(|threads| {
            let flag = Arc::clone(&cancel);
            threads.spawn(move || {
                std::thread::sleep(Duration::from_micros(after));
                flag.store(true, Ordering::Relaxed);
            });
            let mut outcome = self.answer(turn, &cancel);
            (outcome.broken, outcome.finish) = (true, None);
            outcome
        })
    }

    fn answer(&mut self, turn: &Turn, cancel: &AtomicBool) -> Outcome {
        let mut outcome = Outcome {
            text: String::new(),
            finish: None,
            lambda: Vec::new(),
            nats: Vec::new(),
            aside: None,
            broken: false,
        };
        match self.try_answer(turn, cancel, &mut outcome) {
            Ok(()) => {}
            Err(EngineError::Cancelled) => outcome.broken = true,
            Err(EngineError::Member {
                source: BackendError::Decode { .. },
                ..
            }) => outcome.broken = true,
            Err(error) => panic!("{error}"),
        }
        outcome
    }

    fn try_answer(
        &mut self,
        turn: &Turn,
        cancel: &AtomicBool,
        outcome: &mut Outcome,
    ) -> Result<(), EngineError> {
        if turn.deed == Deed::Fork {
            let mut aside = Player {
                talk: self.talk.fork(Arc::default())?,
                texts: [&self.texts[..], &["cab"]].concat(),
                known: self.known,
            };
            let asked = Turn {
                text: "cab".into(),
                tokens: 6,
                deed: Deed::Whole,
            };
            let aside = aside.turn(&asked);
            outcome.broken = aside.broken;
            outcome.aside = Some(Box::new(aside));
        }
        read_texts(&mut self.talk, &self.texts, self.known)?;
        self.known = self.texts.len();
        outcome.lambda = self.talk.lambda().to_vec();
        let evidence = self.talk.evidence()?;
        outcome.nats = evidence.members.into_iter().map(|m| m.nats).collect();
        let mut generation = self.talk.generate(&greedy(turn.tokens))?;
        let mut events = 0;
        loop {
            match turn.deed {
                Deed::Drop(after) if after == events => return Ok(()),
                Deed::Cancel(after) if after == events => cancel.store(true, Ordering::Relaxed),
                _ => {}
            }
            let Some(event) = generation.next()? else {
                break;
            };
            outcome.text.push_str(text_of(event));
            events += 1;
        }
        let answer = generation.finish()?;
        assert_eq!(answer.text, outcome.text);
        outcome.finish = Some(answer.finish);
        // It may have ended before it was cancelled.
        cancel.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// As if nothing had been said, nor learnt from it.
    fn begin_anew(&mut self) {
        self.talk.settle();
        self.talk.cancel_flag().store(false, Ordering::Relaxed);
        self.talk.forget_evidence();
        self.talk.clear().unwrap();
        let fusion = self.talk.fusion().clone();
        set(&mut self.talk, fusion);
        self.texts.truncate(1);
        self.known = 0;
    }
}

/// It is what the conversation makes of the script alone, except that what broke off is a part of
/// that.
pub fn check(beside: &[Outcome], alone: &[Outcome]) {
    assert_eq!(beside.len(), alone.len());
    for (beside, alone) in beside.iter().zip(alone) {
        if beside.broken {
            let is_part = alone.text.starts_with(&beside.text);
            assert!(is_part, "{:?} of {:?}", beside.text, alone.text);
        } else {
            assert_eq!(beside, alone);
        }
    }
}
