//! The constraint: a parser that follows the text.

use crate::alphabet::Alphabet;
use llguidance::Matcher;
use packllm_engine::constraint::{
    Constraint, ConstraintError, FORCED_AT_MOST, Mask, forced_by_mask,
};

/// Texts of a [`Form`](crate::Form), and where this one is.
#[derive(Clone)]
pub struct Structured {
    alphabet: Alphabet,
    matcher: Matcher,
    /// Number of symbols so far.
    said: usize,
    /// Whether the last of them was an END, which the parser is not told.
    ended: bool,
    /// What may come next; it holds if `is_known`.
    next: Mask,
    is_known: bool,
}

fn failed(error: impl std::fmt::Display) -> ConstraintError {
    let error = error.to_string();
    ConstraintError::Failed(error.lines().next().unwrap_or_default().to_owned())
}

impl Structured {
    pub(crate) fn new(alphabet: Alphabet, matcher: Matcher) -> Self {
        Self {
            next: Mask::none(alphabet.size()),
            alphabet,
            matcher,
            said: 0,
            ended: false,
            is_known: false,
        }
    }

    /// The text begins with this. False, and the constraint is of no use, if it may not.
    pub(crate) fn begin(&mut self, text: &str) -> bool {
        let words = self.alphabet.trie().greedy_tokenize(text.as_bytes());
        self.is_known = false;
        let said = self.matcher.try_consume_tokens(&words);
        said.is_ok_and(|said| said == words.len())
    }

    /// Finds out what may come next.
    fn look(&mut self) -> Result<&Mask, ConstraintError> {
        if !self.is_known {
            self.next.clear();
            if !self.ended {
                self.find_next()?;
            }
            self.is_known = true;
        }
        Ok(&self.next)
    }

    fn find_next(&mut self) -> Result<(), ConstraintError> {
        if self.may_end()? {
            for &end in self.alphabet.ends() {
                self.next.insert(end);
            }
        }
        if self.matcher.is_stopped() {
            return Ok(());
        }
        let forced = self.forced_bytes()?;
        if self.alphabet.is_bytes()
            && let Some(&byte) = forced.first()
        {
            self.next.insert(usize::from(byte));
            return Ok(());
        }
        let spelling = self.spelling(&forced);
        if let Some(Spelling {
            word,
            is_certain: true,
        }) = spelling
        {
            self.allow_word(word);
            return Ok(());
        }
        let words = self.matcher.compute_mask().map_err(failed)?;
        let trie = self.alphabet.trie();
        let reaches_beyond = |word| trie.token_len(word) > forced.len();
        match spelling {
            // No token spells what is forced together with something behind it.
            Some(Spelling { word, .. }) if !words.iter().any(reaches_beyond) => {
                self.allow_word(word);
            }
            _ => self.allow_words(&words),
        }
        Ok(())
    }

    /// What has to come next, if the text may not end before.
    fn forced_bytes(&mut self) -> Result<Vec<u8>, ConstraintError> {
        let forced = self.matcher.compute_ff_bytes();
        match self.matcher.get_error() {
            Some(error) => Err(failed(error)),
            None => Ok(forced),
        }
    }

    /// The token that spells the most of what is forced: many would do, and which of them comes
    /// says nothing.
    fn spelling(&self, forced: &[u8]) -> Option<Spelling> {
        if forced.is_empty() {
            return None;
        }
        let trie = self.alphabet.trie();
        let (word, bytes) = trie.prefix_token_id(forced);
        (bytes > 0).then(|| Spelling {
            word,
            is_certain: !trie.has_extensions(forced),
        })
    }

    fn allow_word(&mut self, word: u32) {
        self.next.insert(word as usize);
        self.allow_doubles();
    }

    fn allow_words(&mut self, words: &toktrie::SimpleVob) {
        let (next, alphabet) = (&mut self.next, &self.alphabet);
        words.iter_set_entries(|word| {
            if alphabet.word(word).is_some() {
                next.insert(word);
            }
        });
        self.allow_doubles();
    }

    /// Symbols that spell the same are allowed alike.
    fn allow_doubles(&mut self) {
        for &(symbol, other) in self.alphabet.doubles() {
            if self.next.contains(other) {
                self.next.insert(symbol);
            }
        }
    }

    /// Whether a symbol may come next, without finding out what else may, if that is quicker.
    fn may_come(&mut self, symbol: usize) -> Result<bool, ConstraintError> {
        match self.alphabet.word(symbol) {
            Some(word) if !self.is_known && self.alphabet.is_bytes() => {
                let fits = self.matcher.validate_tokens(&[word]).map_err(failed)?;
                Ok(!self.ended && fits == 1)
            }
            _ => Ok(self.look()?.contains(symbol)),
        }
    }
}

/// A token for what is forced.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    word: u32,
    /// Whether no token begins with all that is forced and goes on.
    is_certain: bool,
}

impl Constraint for Structured {
    fn alphabet_size(&self) -> usize {
        self.alphabet.size()
    }

    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError> {
        allowed.intersect(self.look()?);
        Ok(())
    }

    fn advance(&mut self, symbol: usize) -> Result<(), ConstraintError> {
        if !self.may_come(symbol)? {
            return Err(ConstraintError::NotAllowed { symbol });
        }
        match self.alphabet.word(symbol) {
            Some(word) => self.matcher.consume_token(word).map_err(failed)?,
            None => self.ended = true,
        }
        self.said += 1;
        self.is_known = false;
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        if self.ended {
            return Ok(true);
        }
        self.matcher.is_accepting().map_err(failed)
    }

    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError> {
        if symbols == 0 {
            return Ok(());
        }
        let Some(said) = self.said.checked_sub(symbols) else {
            let (asked, said) = (symbols, self.said);
            return Err(ConstraintError::BeyondBeginning { asked, said });
        };
        let words = symbols - usize::from(self.ended);
        self.matcher.rollback(words).map_err(failed)?;
        (self.said, self.ended, self.is_known) = (said, false, false);
        Ok(())
    }

    fn forced(&mut self, symbols: &mut Vec<usize>) -> Result<(), ConstraintError> {
        if self.alphabet.is_bytes() {
            if !self.ended && !self.matcher.is_stopped() {
                let bytes = self.forced_bytes()?;
                symbols.extend(bytes.into_iter().take(FORCED_AT_MOST).map(usize::from));
            }
            return Ok(());
        }
        let mut mask = Mask::none(self.alphabet_size());
        forced_by_mask(self, &mut mask, FORCED_AT_MOST, symbols)
    }

    fn fork(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}
