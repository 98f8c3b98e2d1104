//! Who takes part in the next answer, where that is known before anything is read.

use super::Conversation;
use crate::chat::{Message, Role};
use crate::engine::{EngineError, ScoreRequest};
use crate::vocab::Alphabet;
use crate::weight::{Method, Outlook};

/// Bytes of what people wrote that say what it is about.
const LOOKED_AT: usize = 1000;

impl Conversation {
    /// What can be expected of the answer to these messages, if it is known what members are good at.
    /// Where some members have a chat template, those that have none are left out.
    #[must_use]
    pub fn outlook(&self, messages: &[Message]) -> Option<Outlook> {
        let n = self.lockstep.members().len();
        let rivals = self.templates.rivals();
        let mut outlook = match &self.standings {
            Some(standings) => standings.outlook(&asked(messages)),
            // One is left, and needs no standing.
            None if rivals.len() == 1 && n > 1 => Outlook {
                answers: vec![0.0; n],
                questions: vec![0.0; n],
                subject: Vec::new(),
            },
            None => return None,
        };
        for k in (0..n).filter(|k| !rivals.contains(k)) {
            outlook.answers[k] = f64::INFINITY;
        }
        Some(outlook)
    }

    /// Lets all members take part again, whoever rested before.
    pub(super) fn gather(&mut self) -> Result<(), EngineError> {
        if self.lockstep.someone_rests() {
            self.fuse_by(self.lockstep.fusion().clone())?;
        }
        Ok(())
    }

    /// Members that are known to be far behind the best at what is asked rest: they read nothing,
    /// and cost nothing. Where one is left it answers as if it were loaded alone. Returns what is
    /// still to be measured.
    pub(super) fn cast(
        &mut self,
        messages: &[Message],
        request: ScoreRequest,
    ) -> Result<ScoreRequest, EngineError> {
        let weighs = self.lockstep.fusion().method == Method::Auto;
        let mapped = self.lockstep.alphabet() == Alphabet::Mapped;
        let outlook = self.outlook(messages).filter(|_| weighs && !mapped);
        if outlook.is_none() {
            self.lockstep.expect(None);
            return Ok(request);
        }
        self.gather()?;
        self.lockstep.expect(outlook);
        // A prompt cache is of all members.
        if self.prompt_cache.is_some() {
            return Ok(request);
        }
        let lambda = self.lockstep.foresee()?;
        let cast: Vec<usize> = (0..lambda.len()).filter(|&k| lambda[k] > 0.0).collect();
        match cast[..] {
            [k] => {
                self.lockstep.solo(k)?;
                return Ok(ScoreRequest::NOTHING);
            }
            _ => self
                .lockstep
                .rest(lambda.iter().map(|&w| w == 0.0).collect()),
        }
        // Losses shift what is known; distributions are not needed.
        Ok(ScoreRequest {
            rows: false,
            ..request
        })
    }
}

/// The end of what people wrote.
fn asked(messages: &[Message]) -> String {
    let mut asked = Vec::new();
    let mut bytes = 0;
    for message in messages.iter().rev().filter(|m| m.role == Role::User) {
        asked.push(message.content.as_str());
        bytes += message.content.len();
        if bytes >= LOOKED_AT {
            break;
        }
    }
    asked.reverse();
    asked.join("\n")
}
