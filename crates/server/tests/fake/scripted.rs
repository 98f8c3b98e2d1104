//! A fake that answers some questions with given texts, and all others by its rule.

use packllm_engine::backend::fake::FakeMember;
use packllm_engine::backend::{
    BackendError, BatchToken, Description, Limits, Member, SeqId, Token, TokenKind, Vocab,
};
use std::sync::Arc;

/// Questions, and what they are answered with.
pub type Answers = Arc<Vec<(String, String)>>;

/// See the module. Its members are sure of most words, and of every fourth only one of them is: so
/// there is something to attribute.
pub struct Scripted {
    pub fake: FakeMember,
    pub answers: Answers,
    /// The word of four that it is not sure of.
    pub unsure: usize,
    pub sequences: Vec<Vec<Token>>,
    pub rows: Vec<Option<Vec<f32>>>,
}

impl Scripted {
    pub fn new(fake: FakeMember, answers: Answers, unsure: usize) -> Self {
        let sequences = vec![Vec::new(); fake.limits().sequences as usize];
        Self {
            fake,
            answers,
            unsure,
            sequences,
            rows: Vec::new(),
        }
    }

    fn text(&self, tokens: &[Token]) -> Vec<u8> {
        let pieces = tokens.iter().map(|t| self.fake.vocab().piece(*t));
        pieces.collect::<Vec<_>>().concat()
    }

    /// The text that a sequence is to go on with; None: by the rule.
    fn next(&self, tokens: &[Token]) -> Option<(&[u8], usize)> {
        let vocab = self.fake.vocab();
        let last = |piece: &[u8], of: &[Token]| {
            let markup = |t: &Token| vocab.kind(*t) != TokenKind::Text && vocab.piece(*t) == piece;
            of.iter().rposition(markup)
        };
        let at = last(b"<assistant>", tokens)?;
        let said = self.text(&tokens[at + 1..]);
        let asked = &tokens[last(b"<user>", &tokens[..at])? + 1..at];
        let end = last(b"<end>", asked).unwrap_or(asked.len());
        let asked = self.text(&asked[..end]);
        let mut answers = self.answers.iter();
        let (_, answer) = answers.find(|(question, _)| question.as_bytes() == asked)?;
        let rest = answer.as_bytes().strip_prefix(&*said)?;
        let words = said.iter().filter(|b| **b == b' ').count();
        Some((rest, words))
    }

    /// Logits after a sequence.
    fn row(&self, tokens: &[Token]) -> Option<Vec<f32>> {
        let vocab = self.fake.vocab();
        let (next, words) = self.next(tokens)?;
        let sure = if words % 4 == self.unsure { 4.0 } else { 24.0 };
        let weight = |t: Token| match vocab.kind(t) {
            TokenKind::End if next.is_empty() => 24.0,
            TokenKind::Text if next.starts_with(vocab.piece(t)) => sure,
            TokenKind::Text => 0.0,
            _ => -16.0,
        };
        Some((0..vocab.len() as Token).map(weight).collect())
    }
}

impl Member for Scripted {
    fn vocab(&self) -> &Arc<Vocab> {
        self.fake.vocab()
    }

    fn limits(&self) -> Limits {
        self.fake.limits()
    }

    fn description(&self) -> &Description {
        self.fake.description()
    }

    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.fake.tokenize(text, markup)
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.fake.decode(batch)?;
        self.rows.clear();
        for entry in batch {
            let seq = entry.seq as usize;
            self.sequences[seq].push(entry.token);
            let row = entry.output.then(|| self.row(&self.sequences[seq]));
            self.rows.push(row.flatten());
        }
        Ok(())
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        match self.rows.get(index) {
            Some(Some(row)) => Ok(row),
            _ => self.fake.logits(index),
        }
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.fake.seq_copy(from, to, len)?;
        self.sequences[to as usize] = self.sequences[from as usize][..len as usize].to_vec();
        Ok(())
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        self.fake.seq_truncate(seq, len)?;
        self.sequences[seq as usize].truncate(len as usize);
        Ok(())
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.fake.seq_len(seq)
    }

    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.fake.save()
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.fake.restore(state, len)
    }
}
