//! Members are measured on the probe.

use super::{Conversation, Pack, PackError};
use crate::chat::Message;
use crate::competence::{Competence, Loss, Standings, pairs};
use crate::engine::ScoreRequest;
use chrono::NaiveDateTime;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Conversation {
    /// Knows from now on what the pack does of its members.
    pub fn learn_from(&mut self, pack: &Pack) {
        self.standings.clone_from(&pack.standings);
    }
}

impl Pack {
    /// Conversations that are opened from now on know what the members are good at.
    pub fn know(&mut self, standings: Standings) {
        self.standings = Some(Arc::new(standings));
    }

    /// Whether it is known what the members are good at.
    #[must_use]
    pub fn knows(&self) -> bool {
        self.standings.is_some()
    }

    /// Which members' competence decides about chats: those with a chat template, if there are
    /// several; all if none has one.
    #[must_use]
    pub fn rivals(&self) -> Vec<usize> {
        self.templates.rivals()
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
            let messages = [
                Message::user(pair.question.as_str()),
                Message::assistant(pair.answer.as_str()),
            ];
            let reading = self.templates.speakers.read_answered(&messages, now)?;
            let mut prompts = reading.prompts;
            if let Some((_, plain)) = reading.apart.into_iter().find(|(j, _)| *j == k) {
                prompts[k] = plain;
            }
            lockstep.forget_evidence();
            lockstep.prepare(prompts)?;
            lockstep.read(request)?;
            let loss = |message| {
                let (nats, bytes) = lockstep.loss_of(k, message);
                Loss { nats, bytes }
            };
            competence.questions.push(loss(0));
            competence.answers.push(loss(1));
            told(i + 1);
        }
        Ok(competence)
    }
}
