//! The vocabulary that the others are mapped to, a member's or one without a model.

use super::error::EngineError;
use super::tokenized::{Prefix, TokenizedPrompt, read};
use crate::backend::tokenizer_json::TokenizerJson;
use crate::backend::{Token, Vocab};
use crate::prompt::Prompt;
use crate::vocab::sorted::SortedVocab;
use crate::vocab::speller;
use std::sync::Arc;

/// The vocabulary that is the alphabet.
#[derive(Clone)]
pub(super) enum Reference {
    Member(usize),
    Outside(Outside),
}

/// A vocabulary without a model. It has no template: in a chat all read what the first member's
/// template writes.
#[derive(Clone)]
pub(super) struct Outside {
    tokenizer: Arc<TokenizerJson>,
    sorted: Arc<SortedVocab>,
}

impl Outside {
    /// With a tokenizer of its own.
    pub fn new(tokenizer: Arc<TokenizerJson>) -> Self {
        let sorted = Arc::new(SortedVocab::new(tokenizer.vocab()));
        Self { tokenizer, sorted }
    }

    pub fn vocab(&self) -> &Arc<Vocab> {
        self.tokenizer.vocab()
    }

    /// The first prompt in its tokens; none are reused.
    ///
    /// # Errors
    /// [`EngineError::Reference`].
    pub fn read(&self, prompts: &[Prompt]) -> Result<TokenizedPrompt, EngineError> {
        let prompt = prompts.first().cloned().unwrap_or_default();
        let mut tokenizer = &*self.tokenizer;
        let nothing = Prefix::default();
        read(&mut tokenizer, &self.sorted, &prompt, &nothing).map_err(EngineError::Reference)
    }

    /// Tokens of texts that may come next.
    ///
    /// # Errors
    /// [`EngineError::Reference`]; [`EngineError::UnreadableByReference`].
    pub fn spell(&self, texts: &[String]) -> Result<Vec<Vec<Token>>, EngineError> {
        let mut tokenizer = &*self.tokenizer;
        let spell = |text: &String| {
            let spelt = speller::plain(&mut tokenizer, &self.sorted, text);
            let spelt = spelt.map_err(EngineError::Reference)?;
            match spelt.lost.first() {
                Some(&byte) => Err(EngineError::UnreadableByReference { byte }),
                None => Ok(spelt.tokens),
            }
        };
        texts.iter().map(spell).collect()
    }
}
