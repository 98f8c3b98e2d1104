//! Members are measured on the probe.

use super::{Conversation, Pack, PackError};
use crate::chat::Message;
use crate::chat::speaker::plain_text;
use crate::competence::{Competence, Frame, Loss, Pair, Standings, pairs};
use crate::engine::{Ending, Place, Prompt, ScoreRequest};
use chrono::NaiveDateTime;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Conversation {
    /// Knows from now on what the pack does of its members.
    pub fn learn_from(&mut self, pack: &Pack) {
        self.standings.clone_from(&pack.standings);
        self.lockstep.know_text(pack.at_text.clone());
    }
}

/// A pair as a member reads it, and where its question and answer are.
struct Probe {
    prompts: Vec<Prompt>,
    question: Range<Place>,
    answer: Range<Place>,
}

impl Pack {
    /// Conversations that are opened from now on know what the members are good at.
    pub fn know(&mut self, frame: Frame, standings: Standings) {
        let standings = Some(Arc::new(standings));
        match frame {
            Frame::Chat => self.standings = standings,
            Frame::Plain => self.at_text = standings,
        }
    }

    /// Whether it is known what the members are good at.
    #[must_use]
    pub fn knows(&self, frame: Frame) -> bool {
        match frame {
            Frame::Chat => self.standings.is_some(),
            Frame::Plain => self.at_text.is_some(),
        }
    }

    /// Which members' competence decides: in plain text all; in chats those with a chat template, if
    /// there are several, or all if none has one.
    #[must_use]
    pub fn rivals(&self, frame: Frame) -> Vec<usize> {
        match frame {
            Frame::Chat => self.templates.rivals(),
            Frame::Plain => (0..self.engine.members().len()).collect(),
        }
    }

    /// Measures member `k` on the probe, in its own template and its own tokens; the others do
    /// nothing. `told` is called with the number of pairs read.
    ///
    /// # Errors
    /// A template that fails; from the member, [`Cancelled`](crate::engine::EngineError::Cancelled)
    /// among them.
    pub fn measure(
        &self,
        k: usize,
        frame: Frame,
        now: NaiveDateTime,
        cancel: &Arc<AtomicBool>,
        told: &mut dyn FnMut(usize),
    ) -> Result<Competence, PackError> {
        let mut lockstep = self.engine.lockstep(Arc::clone(cancel))?;
        lockstep.configure(self.fusion.clone(), self.templates.can_end().to_vec())?;
        lockstep.solo(k)?;
        let request = ScoreRequest {
            scores: true,
            ..ScoreRequest::NOTHING
        };
        let mut competence = Competence::default();
        for (i, pair) in pairs().iter().enumerate() {
            let probe = match frame {
                Frame::Chat => self.as_chat(pair, k, now)?,
                Frame::Plain => self.as_text(pair),
            };
            lockstep.forget_evidence();
            lockstep.prepare(probe.prompts)?;
            lockstep.read(request)?;
            let loss = |places| {
                let (nats, bytes) = lockstep.loss_in(k, places);
                Loss { nats, bytes }
            };
            competence.questions.push(loss(&probe.question));
            competence.answers.push(loss(&probe.answer));
            told(i + 1);
        }
        Ok(competence)
    }

    fn as_chat(&self, pair: &Pair, k: usize, now: NaiveDateTime) -> Result<Probe, PackError> {
        let messages = [
            Message::user(pair.question.as_str()),
            Message::assistant(pair.answer.as_str()),
        ];
        let reading = self.templates.speakers.read_answered(&messages, now)?;
        let mut prompts = reading.prompts;
        if let Some((_, plain)) = reading.apart.into_iter().find(|(j, _)| *j == k) {
            prompts[k] = plain;
        }
        let message = |message| Place { message, offset: 0 };
        Ok(Probe {
            prompts,
            question: message(0)..message(1),
            answer: message(1)..message(2),
        })
    }

    fn as_text(&self, pair: &Pair) -> Probe {
        let (before, answer) = pair.plain();
        let text = before.clone() + &answer;
        let begin = Place::default();
        Probe {
            prompts: plain_text(&text, self.engine.members().len(), Ending::Closed),
            question: begin..begin.plus(before.len()),
            answer: begin.plus(before.len())..begin.plus(text.len()),
        }
    }
}
