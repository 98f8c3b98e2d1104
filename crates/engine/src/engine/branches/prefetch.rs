//! Rows of logits evaluated ahead, along a [draft](crate::engine::draft).

use super::Branches;
use crate::backend::{BackendError, BatchToken, SeqId, Token, Tokenize};
use crate::engine::schedule::Lease;
use crate::vocab::cover::{Cover, PathId, Paths};
use crate::vocab::sorted::SortedVocab;
use crate::vocab::speller;

/// Most tokens kept. Gemma's row is 1 MB.
const MOST: usize = 32;

/// One path beyond what was said, in a sequence of its own, with the logits after each of its
/// tokens.
#[derive(Debug, Default)]
pub(super) struct Prefetch {
    seq: Option<SeqId>,
    /// The path it branches off from, how many tokens that has, and the tokens beyond.
    base: PathId,
    depth: u32,
    tokens: Vec<Token>,
    /// Logits after each of `tokens`; buffers beyond them are kept for later.
    rows: Vec<Vec<f32>>,
    /// The bytes that were drafted, and how many of them were said.
    ahead: Vec<u8>,
    said: usize,
}

impl Prefetch {
    /// The sequence that holds it, if anything is kept.
    pub fn seq(&self) -> Option<SeqId> {
        self.seq
    }

    /// Which row is the one after `path`.
    pub fn find(&self, paths: &Paths, path: PathId) -> Option<usize> {
        self.seq?;
        let n = paths.len(path).checked_sub(self.depth)? as usize;
        let kept = self.tokens.get(..n)?;
        (n > 0 && self.is_beyond_base(paths, path, kept)).then(|| n - 1)
    }

    /// Whether `path` is the base and then these tokens.
    fn is_beyond_base(&self, paths: &Paths, mut path: PathId, tokens: &[Token]) -> bool {
        for &token in tokens.iter().rev() {
            if paths.token(path) != Some(token) {
                return false;
            }
            path = paths.parent(path);
        }
        path == self.base
    }

    /// Logits of row `i`, also after the sequence was given up.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.rows[i]
    }

    /// Tokens of row `i` and those before it, counted from the beginning of the cover.
    pub fn len_at(&self, i: usize) -> u32 {
        self.depth + i as u32 + 1
    }

    /// The text grows. False if it leaves the draft.
    fn follow(&mut self, byte: u8) -> bool {
        let as_drafted = self.ahead.get(self.said) == Some(&byte);
        self.said += 1;
        as_drafted
    }

    /// Moves the base on to `path`, if that is on the kept path and `tokens` begins with the rest.
    fn rebase(&mut self, paths: &Paths, path: PathId, tokens: &[Token]) -> bool {
        let Some(n) = paths.len(path).checked_sub(self.depth).map(|n| n as usize) else {
            return false;
        };
        let fits = self.seq.is_some()
            && self
                .tokens
                .get(n..)
                .is_some_and(|rest| tokens.starts_with(rest))
            && self.is_beyond_base(paths, path, &self.tokens[..n]);
        if fits {
            self.tokens.drain(..n);
            self.rows.rotate_left(n);
            (self.base, self.depth) = (path, self.depth + n as u32);
        }
        fits
    }
}

impl Branches {
    /// Evaluates, in one batch, the tokens after the heaviest path that spell `ahead`, of which at
    /// least `worth` bytes matter. Nothing happens where there is no room: the cover's own
    /// evaluations come first.
    ///
    /// # Errors
    /// From the member, but for a full context. Nothing is kept then.
    pub async fn prefetch(
        &mut self,
        cover: &Cover<SeqId>,
        member: &mut Lease,
        sorted: &SortedVocab,
        ahead: &[u8],
        worth: usize,
    ) -> Result<(), BackendError> {
        let Some((seq, path, rest)) = cover.heaviest() else {
            return self.forget(member);
        };
        let said = cover.text();
        let text = [&said[said.len() - rest..], ahead].concat();
        let tokens = spell(member, sorted, &text)?;
        if !self.prefetch.rebase(cover.paths(), path, &tokens) {
            self.forget(member)?;
        }
        let known = self.prefetch.tokens.len();
        let wanted = self.count(cover, member, sorted, &tokens, rest + worth);
        self.prefetch.ahead.clear();
        self.prefetch.ahead.extend_from_slice(ahead);
        self.prefetch.said = 0;
        if wanted <= known {
            return Ok(());
        }
        let done = self
            .fetch(cover, member, (seq, path), &tokens[known..wanted])
            .await;
        match done {
            Err(BackendError::ContextFull { .. }) => self.forget(member),
            Err(error) => {
                self.forget(member)?;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// How many of the tokens to have: up to the byte that matters, then to fill the last columns.
    fn count(
        &self,
        cover: &Cover<SeqId>,
        member: &Lease,
        sorted: &SortedVocab,
        tokens: &[Token],
        bytes: usize,
    ) -> usize {
        let known = self.prefetch.tokens.len();
        let limits = member.limits();
        let mut spelled = 0;
        let least = tokens.iter().take_while(|&&t| {
            let matters = spelled < bytes;
            spelled += sorted.piece_len(t);
            matters
        });
        let least = least.count().saturating_sub(known);
        // The last token may only look like one because the bytes end there.
        let most = tokens
            .len()
            .saturating_sub(1)
            .min(MOST)
            .saturating_sub(known);
        let used = self.base + cover.resident_tokens() + known as u32;
        let room = limits
            .context
            .saturating_sub(used + reserve(limits.context));
        let most = most
            .min(room as usize)
            .min(limits.batch as usize)
            .min(limits.outputs as usize);
        let columns = member.pace().columns;
        let full = least.next_multiple_of(columns);
        let new = if full <= most {
            full
        } else if most >= columns {
            most - most % columns
        } else {
            most
        };
        known + new
    }

    /// Evaluates more tokens at the end of the kept path, or, if nothing is kept, after the path
    /// given, which is in sequence `from`.
    async fn fetch(
        &mut self,
        cover: &Cover<SeqId>,
        member: &mut Lease,
        (from, path): (SeqId, PathId),
        tokens: &[Token],
    ) -> Result<(), BackendError> {
        let seq = match self.prefetch.seq {
            Some(seq) => seq,
            None => {
                let Some(seq) = self.free.pop() else {
                    return Ok(());
                };
                self.prefetch.seq = Some(seq);
                self.prefetch.base = path;
                self.prefetch.depth = cover.paths().len(path);
                member.seq_copy(from, seq, self.base + self.prefetch.depth)?;
                seq
            }
        };
        let start = member.seq_len(seq);
        self.batch.clear();
        self.batch
            .extend(tokens.iter().zip(start..).map(|(&token, pos)| BatchToken {
                token,
                pos,
                seq,
                output: true,
            }));
        let result = member.decode(&self.batch).await;
        self.batch.clear();
        result?;
        for (i, &token) in tokens.iter().enumerate() {
            let place = self.prefetch.tokens.len();
            if self.prefetch.rows.len() == place {
                self.prefetch.rows.push(Vec::new());
            }
            let row = &mut self.prefetch.rows[place];
            row.clear();
            row.extend_from_slice(&member.logits(i)?);
            self.prefetch.tokens.push(token);
        }
        Ok(())
    }

    /// The text has grown: what is kept is given up if the draft was wrong, or has come to its end.
    pub(super) fn follow(&mut self, member: &mut Lease, byte: u8) -> Result<(), BackendError> {
        if self.prefetch.seq.is_some() && !self.prefetch.follow(byte) {
            return self.forget(member);
        }
        Ok(())
    }

    /// Frees the sequence of what is kept. Rows stay readable until the next draft.
    pub(super) fn forget(&mut self, member: &mut Lease) -> Result<(), BackendError> {
        match self.prefetch.seq.take() {
            Some(seq) => {
                self.prefetch.tokens.clear();
                self.give_back(member, seq)
            }
            None => Ok(()),
        }
    }
}

/// Cells of a context that prompts leave free for an answer to begin, and drafts for forks.
pub(in crate::engine) fn reserve(context: u32) -> u32 {
    (context / 8).min(64)
}

/// Tokens of bytes that may begin or end inside a character.
pub(in crate::engine) fn spell(
    member: &mut impl Tokenize,
    sorted: &SortedVocab,
    text: &[u8],
) -> Result<Vec<Token>, BackendError> {
    let whole = match std::str::from_utf8(text) {
        Ok(whole) => whole,
        // Cut off at the end.
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&text[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Ok(speller::greedy(sorted, text).tokens),
    };
    Ok(speller::plain(member, sorted, whole)?.tokens)
}
