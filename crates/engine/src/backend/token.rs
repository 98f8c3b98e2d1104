//! Tokens and vocabularies as packllm sees them: bytes and a kind per id.

/// A token id, an index into its member's vocabulary.
pub type Token = u32;

/// What a token is to the fusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Spells bytes of text.
    Text,
    /// Markup, unknown or unused: never part of text; masked, the rest is renormalised.
    Control,
    /// Ends a generation.
    End,
}

/// Tokens with a special role, and how the tokenizer treats the start of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Special {
    /// Beginning of sequence.
    pub bos: Option<Token>,
    /// End of sequence.
    pub eos: Option<Token>,
    /// The model expects BOS in front of a text.
    pub add_bos: bool,
    /// The tokenizer puts a space in front of a text.
    pub add_space_prefix: bool,
}

/// A model's vocabulary: for every id its bytes, its kind and, for markup, its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vocab {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
    kinds: Vec<TokenKind>,
    /// Ascending.
    byte_fallbacks: Vec<Token>,
    special: Special,
}

impl Vocab {
    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// What a text token spells; for control and end tokens their written form (`<|im_end|>`).
    ///
    /// # Panics
    /// If `token` is not below [`Vocab::len`].
    #[must_use]
    pub fn piece(&self, token: Token) -> &[u8] {
        let i = token as usize;
        &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// The kind of every id.
    #[must_use]
    pub fn kinds(&self) -> &[TokenKind] {
        &self.kinds
    }

    /// The kind of one id.
    ///
    /// # Panics
    /// If `token` is not below [`Vocab::len`].
    #[must_use]
    pub fn kind(&self, token: Token) -> TokenKind {
        self.kinds[token as usize]
    }

    /// Whether a text token is a byte fallback: a single byte (`<0x0A>` in the file) that a
    /// tokenizer falls back on for text that it has no piece for.
    #[must_use]
    pub fn is_byte_fallback(&self, token: Token) -> bool {
        self.byte_fallbacks.binary_search(&token).is_ok()
    }

    /// Special roles.
    #[must_use]
    pub fn special(&self) -> &Special {
        &self.special
    }

    /// Ids that end a generation, ascending.
    pub fn ends(&self) -> impl Iterator<Item = Token> + '_ {
        (0..self.len() as Token).filter(|&t| self.kind(t) == TokenKind::End)
    }

    /// The token that a raw text starts after: BOS if the model adds one, else a line break, which
    /// begins a text as well as any other, else its end token (if that is no text: llama.cpp names a
    /// plain byte where the file names none), else nothing.
    ///
    /// A document separator in place of the line break was tried. llama.cpp puts none in front of
    /// such models' texts, and while Qwen2.5-Coder-1.5B and SmolLM2-135M do not mind it (five texts
    /// of 1,200 bytes, −1% to +2% bits), Qwen2.5-Coder-0.5B is lost after it: 1.76 bits a byte of
    /// English prose, 1.30 after a line break and 1.32 after nothing.
    #[must_use]
    pub fn text_start(&self) -> Option<Token> {
        let Special {
            bos, eos, add_bos, ..
        } = self.special;
        let is_text = |t: Token| self.kind(t) == TokenKind::Text;
        let breaks = (0..self.len() as Token).filter(|&t| is_text(t) && self.piece(t) == b"\n");
        let bos = bos.filter(|_| add_bos);
        bos.or_else(|| breaks.min_by_key(|&t| self.is_byte_fallback(t)))
            .or(eos.filter(|&t| !is_text(t)))
    }
}

/// Collects a [`Vocab`] id by id.
#[derive(Debug, Default)]
pub struct VocabBuilder {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
    kinds: Vec<TokenKind>,
    byte_fallbacks: Vec<Token>,
}

impl VocabBuilder {
    /// Adds the next id. A text token without bytes could repeat without end and spell nothing, so
    /// it counts as control.
    pub fn push(&mut self, piece: &[u8], kind: TokenKind) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.bytes.extend_from_slice(piece);
        self.offsets.push(self.bytes.len() as u32);
        let empty_text = kind == TokenKind::Text && piece.is_empty();
        self.kinds
            .push(if empty_text { TokenKind::Control } else { kind });
    }

    /// Adds the next id, a text token that is a byte fallback.
    pub fn push_byte_fallback(&mut self, byte: u8) {
        self.byte_fallbacks.push(self.kinds.len() as Token);
        self.push(&[byte], TokenKind::Text);
    }

    /// The finished vocabulary.
    #[must_use]
    pub fn build(mut self, special: Special) -> Vocab {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        Vocab {
            bytes: self.bytes,
            offsets: self.offsets,
            kinds: self.kinds,
            byte_fallbacks: self.byte_fallbacks,
            special,
        }
    }
}
