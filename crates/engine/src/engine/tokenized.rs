//! What a member is asked to read, and how it becomes tokens.

use crate::backend::{BackendError, Token, TokenKind, Tokenize, Vocab};
use crate::prompt::{Ending, Place, Prompt, Segment};
use crate::vocab::sorted::SortedVocab;
use crate::vocab::speller;

/// The tokens that are in a member's prefix, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Prefix {
    pub tokens: Vec<Token>,
    /// In a restored prefix from which nothing was read yet: where its scored segments end, in
    /// order.
    pub marks: Vec<Mark>,
}

impl Prefix {
    /// The part before the end of its first `marks` scored segments.
    pub fn begun(&self, marks: usize) -> Prefix {
        let marks = self.marks[..marks].to_vec();
        let len = marks.last().map_or(0, |mark| mark.len);
        Prefix {
            tokens: self.tokens[..len].to_vec(),
            marks,
        }
    }
}

/// The end of a scored segment in a prefix, if another follows. A batch ends there too, so that
/// what follows is evaluated the same, bit by bit, whether the part before was evaluated just now
/// or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Tokens of the prefix up to here.
    pub len: usize,
    /// The end of the segment.
    pub place: Place,
    /// Symbols scored up to here.
    pub symbols: usize,
    /// Tokens scored up to here.
    pub tokens: usize,
}

/// A prompt in tokens, less what the prefix already holds.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenizedPrompt {
    /// Tokens of the prefix that stay.
    pub keep: usize,
    /// Marks of a restored prefix among them.
    pub marks: usize,
    /// Tokens to evaluate, with what is scored of them.
    pub stretches: Vec<Stretch>,
    /// Tokens of the whole prompt.
    pub total: usize,
    /// Bytes that no token of this member spells.
    pub lost: Vec<u8>,
    pub ending: Ending,
}

/// What is known of a prompt once it is tokenised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PreparedPrompt {
    /// Tokens of the whole prompt.
    pub tokens: usize,
    /// Tokens that have to be evaluated.
    pub new_tokens: usize,
    /// Bytes that no token of this member spells.
    pub lost: Vec<u8>,
}

/// Tokens of one segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Stretch {
    /// The member's own tokens.
    pub tokens: Vec<Token>,
    /// The shared tokens that they stand for, where these are another member's; else empty.
    pub shared: Vec<Token>,
    /// Whether this is the token that a text starts after; every member has its own.
    pub is_start: bool,
    /// Bytes of the stretch that are evidence.
    pub scored: std::ops::Range<usize>,
    /// Where its first byte stands.
    pub place: Place,
}

impl TokenizedPrompt {
    /// All tokens to evaluate.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.stretches.iter().flat_map(|s| s.tokens.iter().copied())
    }

    /// What the caller is told of it.
    pub fn summary(&self) -> PreparedPrompt {
        PreparedPrompt {
            tokens: self.total,
            new_tokens: self.tokens().count(),
            lost: self.lost.clone(),
        }
    }
}

/// Tokenises `prompt` and keeps the longest part of the prefix that it begins with. At least one
/// token is left to evaluate, and so is everything scored. A restored prefix comes with the scores
/// of its segments and is kept up to the end of one of them.
pub(super) fn read(
    member: &mut (impl Tokenize + ?Sized),
    sorted: &SortedVocab,
    prompt: &Prompt,
    prefix: &Prefix,
) -> Result<TokenizedPrompt, BackendError> {
    let reading = read_on(member, sorted, prompt, prefix)?;
    if prefix.marks.is_empty() {
        return Ok(reading);
    }
    read_on(member, sorted, prompt, &prefix.begun(reading.marks))
}

fn read_on(
    member: &mut (impl Tokenize + ?Sized),
    sorted: &SortedVocab,
    prompt: &Prompt,
    prefix: &Prefix,
) -> Result<TokenizedPrompt, BackendError> {
    let mut matcher = Matcher::new(prefix);
    let mut reading = TokenizedPrompt {
        ending: prompt.ending,
        ..TokenizedPrompt::default()
    };
    if let Some(start) = prompt.start.token(member.pieces()) {
        if !matcher.take_token(start) {
            reading.stretches.push(Stretch {
                tokens: vec![start],
                is_start: true,
                ..Stretch::default()
            });
        }
        reading.total += 1;
    }
    for segment in &prompt.segments {
        if !segment.scored.is_empty() && !matcher.knows(member.pieces(), segment) {
            matcher.stop();
        }
        let taken = matcher.take_text(member.pieces(), &segment.text, segment.markup);
        let rest = &segment.text[taken.bytes..];
        let spelled = if segment.markup {
            speller::markup(member, sorted, rest)?
        } else {
            speller::plain(member, sorted, rest)?
        };
        reading.total += taken.tokens + spelled.tokens.len();
        let shift = |n: usize| n.saturating_sub(taken.bytes);
        // Scoring counts the bytes that tokens spell; after a lost byte the positions would not
        // agree.
        let scored = if spelled.lost.is_empty() {
            shift(segment.scored.start)..shift(segment.scored.end)
        } else {
            0..0
        };
        reading.lost.extend(&spelled.lost);
        let place = segment.place.plus(taken.bytes);
        reading.stretches.push(Stretch {
            tokens: spelled.tokens,
            scored,
            place,
            ..Stretch::default()
        });
    }
    (reading.keep, reading.marks) = (matcher.kept, matcher.marks);
    leave_one(&mut reading, prefix);
    Ok(reading)
}

/// How many tokens of the prefix a prompt begins with. Nothing is tokenised, and one token more may
/// have to be evaluated.
pub(super) fn kept(vocab: &Vocab, prompt: &Prompt, prefix: &Prefix) -> usize {
    let mut matcher = Matcher::new(prefix);
    if let Some(start) = prompt.start.token(vocab) {
        matcher.take_token(start);
    }
    for segment in &prompt.segments {
        if !segment.scored.is_empty() && !matcher.knows(vocab, segment) {
            matcher.stop();
        }
        matcher.take_text(vocab, &segment.text, segment.markup);
    }
    matcher
        .prefix
        .begun(matcher.marks)
        .tokens
        .len()
        .min(matcher.kept)
}

/// The logits after the last token are wanted, and those before the first scored one: if the prefix
/// has that token, it is evaluated again. (Its score, if it has one, is known.)
fn leave_one(reading: &mut TokenizedPrompt, prefix: &Prefix) {
    let first = reading.stretches.iter().find(|s| !s.tokens.is_empty());
    let unpredicted = first.is_none_or(|stretch| !stretch.scored.is_empty());
    if unpredicted && reading.keep > 0 {
        reading.keep -= 1;
        let again = Stretch {
            tokens: vec![prefix.tokens[reading.keep]],
            ..Stretch::default()
        };
        reading.stretches.insert(0, again);
    }
}

/// Walks the prefix along a prompt while they agree.
struct Matcher<'a> {
    prefix: &'a Prefix,
    kept: usize,
    /// Marks passed.
    marks: usize,
    open: bool,
}

struct Taken {
    tokens: usize,
    bytes: usize,
}

impl<'a> Matcher<'a> {
    fn new(prefix: &'a Prefix) -> Self {
        Self {
            prefix,
            kept: 0,
            marks: 0,
            open: true,
        }
    }

    fn stop(&mut self) {
        self.open = false;
    }

    /// Whether the prefix spells all of a scored segment and has its scores.
    fn knows(&mut self, vocab: &Vocab, segment: &Segment) -> bool {
        let Some(mark) = self.prefix.marks.get(self.marks).filter(|_| self.open) else {
            return false;
        };
        let mut ahead = Self { ..*self };
        let spells =
            ahead.take_text(vocab, &segment.text, segment.markup).bytes == segment.text.len();
        let known = spells
            && segment.scored == (0..segment.text.len())
            && mark.len == ahead.kept
            && mark.place == segment.place.plus(segment.text.len());
        self.marks += usize::from(known);
        known
    }

    fn take_token(&mut self, token: Token) -> bool {
        self.open &= self.prefix.tokens.get(self.kept) == Some(&token);
        self.kept += usize::from(self.open);
        self.open
    }

    /// Takes the tokens of the prefix that spell a beginning of `text` (whole characters of it).
    fn take_text(&mut self, vocab: &Vocab, text: &str, markup: bool) -> Taken {
        let (mut tokens, mut bytes) = (0, 0);
        // Up to the last token that ends at a character: what is left must be text.
        let mut whole = (0, 0);
        while self.open && bytes < text.len() {
            let Some(&token) = self.prefix.tokens.get(self.kept + tokens) else {
                break;
            };
            let fits = text.as_bytes()[bytes..].starts_with(vocab.piece(token))
                && (vocab.kind(token) == TokenKind::Text || markup)
                && !vocab.piece(token).is_empty();
            if !fits {
                break;
            }
            tokens += 1;
            bytes += vocab.piece(token).len();
            if text.is_char_boundary(bytes) {
                whole = (tokens, bytes);
            }
        }
        self.open &= whole.1 == text.len();
        self.kept += whole.0;
        Taken {
            tokens: whole.0,
            bytes: whole.1,
        }
    }
}
