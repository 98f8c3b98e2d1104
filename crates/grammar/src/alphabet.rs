//! What answers are spelled with, as the parser sees it: words in a trie.

use crate::error::GrammarError;
use llguidance::ParserFactory;
use llguidance::earley::SlicedBiasComputer;
use packllm_engine::backend::{TokenKind, Vocab};
use packllm_engine::vocab::{END, SYMBOLS};
use std::collections::HashMap;
use std::sync::Arc;
use toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

/// The word of an END, which no text contains: 0xFF is in no UTF-8.
const END_WORD: &[u8] = b"\xFF<|end|>";

/// An alphabet, prepared for grammars. Cheap to clone.
#[derive(Clone)]
pub struct Alphabet(Arc<Inner>);

struct Inner {
    factory: ParserFactory,
    env: TokEnv,
    /// What each symbol is to the parser; None for what may not come in a structured answer.
    words: Vec<Option<TokenId>>,
    /// Symbols that end a text.
    ends: Vec<usize>,
    /// Symbols that spell what another spells, and that other.
    doubles: Vec<(usize, usize)>,
    is_bytes: bool,
}

impl std::fmt::Debug for Alphabet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Alphabet of {} symbols", self.size())
    }
}

/// The trie, and nothing that would spell a text: which tokens spell what is forced is decided in
/// [`Structured`](crate::Structured).
struct Env(TokTrie);

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.0
    }

    fn tokenize_bytes(&self, text: &[u8]) -> Vec<TokenId> {
        self.0.greedy_tokenize(text)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}

/// llguidance's slices for JSON, and some for strings of limited length that are nearly full: without
/// them every token is looked at there, which takes most of the time of the slowest masks.
fn slices() -> Vec<String> {
    let short = [2, 4, 7].map(|most| format!(r#"[^"\\\x00-\x1F\x7F]{{1,{most}}}"#));
    let mut slices = SlicedBiasComputer::json_slices();
    slices.extend(short);
    slices
}

impl Alphabet {
    /// 256 bytes and END.
    ///
    /// # Errors
    /// There is none.
    pub fn bytes() -> Result<Self, GrammarError> {
        let mut words: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
        // In no text, and the parser's mark of what is none.
        words[255].clear();
        debug_assert_eq!((words.len(), SYMBOLS), (END, END + 1));
        words.push(END_WORD.to_vec());
        Self::new(words, vec![END], Vec::new(), true)
    }

    /// The tokens of a vocabulary. Control tokens may not come, and nor may those without bytes.
    ///
    /// # Errors
    /// The vocabulary has more tokens than the parser can take.
    pub fn tokens(vocab: &Vocab) -> Result<Self, GrammarError> {
        let mut words = Vec::with_capacity(vocab.len() + 1);
        let (mut ends, mut doubles) = (Vec::new(), Vec::new());
        let mut first: HashMap<&[u8], usize> = HashMap::new();
        for (symbol, kind) in vocab.kinds().iter().enumerate() {
            let piece = vocab.piece(symbol as u32);
            let is_text = *kind == TokenKind::Text && !piece.contains(&0xFF);
            if *kind == TokenKind::End {
                ends.push(symbol);
            }
            let other = is_text.then(|| *first.entry(piece).or_insert(symbol));
            if let Some(other) = other.filter(|&other| other != symbol) {
                doubles.push((symbol, other));
            }
            words.push(match other == Some(symbol) {
                true => piece.to_vec(),
                false => Vec::new(),
            });
        }
        words.push(END_WORD.to_vec());
        Self::new(words, ends, doubles, false)
    }

    /// The last of the words is that of END.
    fn new(
        words: Vec<Vec<u8>>,
        ends: Vec<usize>,
        doubles: Vec<(usize, usize)>,
        is_bytes: bool,
    ) -> Result<Self, GrammarError> {
        let failed = |why: &dyn std::fmt::Display| GrammarError::Vocabulary(why.to_string());
        let size = u32::try_from(words.len()).map_err(|e| failed(&e))?;
        let trie = TokTrie::from(&TokRxInfo::new(size, size - 1), &words);
        let env: TokEnv = Arc::new(Env(trie));
        // Slices are for large vocabularies: sets of tokens that strings allow or refuse whole.
        let slices = match is_bytes {
            true => Vec::new(),
            false => slices(),
        };
        let factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|e| failed(&e))?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        let symbols = words.len() - usize::from(!is_bytes);
        let mut as_word: Vec<Option<TokenId>> = words[..symbols]
            .iter()
            .zip(0..)
            .map(|(word, id)| (!word.is_empty()).then_some(id))
            .collect();
        for &end in &ends {
            as_word[end] = None;
        }
        for &(symbol, other) in &doubles {
            as_word[symbol] = as_word[other];
        }
        Ok(Self(Arc::new(Inner {
            factory,
            env,
            words: as_word,
            ends,
            doubles,
            is_bytes,
        })))
    }

    pub(crate) fn factory(&self) -> &ParserFactory {
        &self.0.factory
    }

    pub(crate) fn trie(&self) -> &TokTrie {
        self.0.env.tok_trie()
    }

    /// Number of symbols.
    pub(crate) fn size(&self) -> usize {
        self.0.words.len()
    }

    pub(crate) fn is_bytes(&self) -> bool {
        self.0.is_bytes
    }

    /// What a symbol is to the parser, if it may come.
    pub(crate) fn word(&self, symbol: usize) -> Option<TokenId> {
        self.0.words.get(symbol).copied().flatten()
    }

    pub(crate) fn ends(&self) -> &[usize] {
        &self.0.ends
    }

    pub(crate) fn doubles(&self) -> &[(usize, usize)] {
        &self.0.doubles
    }
}
