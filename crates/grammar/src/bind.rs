//! From a form to a constraint on the next answer of a conversation.

use crate::alphabet::Alphabet;
use crate::error::GrammarError;
use crate::form::{Form, Thought};
use packllm_engine::backend::Vocab;
use packllm_engine::pack::Conversation;
use std::sync::{Arc, Mutex, PoisonError};

/// Prepared alphabets, which conversations share. Each is made when it is first used.
#[derive(Debug, Default)]
pub struct Grammars {
    bytes: Mutex<Option<Alphabet>>,
    /// That of the tokens used last.
    tokens: Mutex<Option<(Arc<Vocab>, Alphabet)>>,
}

impl Grammars {
    /// The next answer of a conversation has this form, or any: to be called after every prompt is
    /// read, as only then the alphabet is certain. `begun` is the part of the answer that is there
    /// already, `opening` what the prompt begins it with
    /// ([`Read::opening`](packllm_engine::pack::Read::opening)).
    ///
    /// # Errors
    /// As [`Form::over`]; [`GrammarError::Begun`].
    pub fn constrain(
        &self,
        conversation: &mut Conversation,
        form: Option<&Form>,
        begun: &str,
        opening: &str,
    ) -> Result<(), GrammarError> {
        let Some(form) = form else {
            conversation.lockstep.constrain(None);
            return Ok(());
        };
        let thought = match opening {
            "" if conversation.may_think() => Thought::May,
            "" => Thought::None,
            _ => Thought::Open,
        };
        let alphabet = match conversation.lockstep.tokens() {
            None => self.bytes()?,
            Some(vocab) => self.tokens(vocab)?,
        };
        let mut constraint = form.over(&alphabet, thought)?;
        if !constraint.begin(begun) {
            return Err(GrammarError::Begun);
        }
        conversation.lockstep.constrain(Some(Box::new(constraint)));
        Ok(())
    }

    /// Whether there can be answers of this form at all.
    ///
    /// # Errors
    /// As [`Form::over`].
    pub fn check(&self, form: &Form) -> Result<(), GrammarError> {
        form.over(&self.bytes()?, Thought::None).map(|_| ())
    }

    fn bytes(&self) -> Result<Alphabet, GrammarError> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alphabet) = &*bytes {
            return Ok(alphabet.clone());
        }
        Ok(bytes.insert(Alphabet::bytes()?).clone())
    }

    fn tokens(&self, vocab: &Arc<Vocab>) -> Result<Alphabet, GrammarError> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, alphabet)) = tokens.as_ref().filter(|(of, _)| Arc::ptr_eq(of, vocab)) {
            return Ok(alphabet.clone());
        }
        let made = Alphabet::tokens(vocab)?;
        *tokens = Some((Arc::clone(vocab), made.clone()));
        Ok(made)
    }
}
