//! What the members predicted for scored text, put side by side.

use super::chain::{ScoredRows, Scores};
use super::{Engine, EngineError, Place};
use crate::mix;
use crate::vocab::{Alphabet, SYMBOLS};
use crate::weight::{Cut, Evidence, MemberEvidence};
use std::collections::HashSet;

impl Engine {
    /// What all members predicted for the bytes that all of them saw.
    ///
    /// # Errors
    /// [`EngineError::Mix`] for a vocabulary of nothing but END.
    pub fn evidence(&self) -> Result<Evidence, EngineError> {
        let shared = shared_places(&self.scores);
        let vocab = &self.members[0].vocab;
        let members = self.scores.iter().zip(&self.can_end).map(|(s, &can_end)| {
            let kept = s.only(&shared);
            MemberEvidence {
                tokens: kept.tokens.len(),
                can_end,
                nats: kept.nats,
                rows: kept.rows.into(),
            }
        });
        let members: Vec<MemberEvidence> = members.collect();
        let symbols = self.scores[0].only(&shared).symbols;
        let (alphabet, bytes) = match self.alphabet {
            Alphabet::Bytes => (mix::Alphabet::bytes(), symbols.len()),
            Alphabet::Tokens => {
                let ends = vocab.ends().map(|t| t as usize).collect();
                let bytes = symbols.iter().map(|&t| vocab.piece(t).len()).sum();
                (mix::Alphabet::tokens(vocab.len(), ends)?, bytes)
            }
        };
        Ok(Evidence {
            alphabet,
            bytes,
            symbols,
            members,
        })
    }

    /// What of [`Engine::evidence`] begins before `place`. A token that reaches beyond it counts whole.
    #[must_use]
    pub fn cut(&self, place: Place) -> Cut {
        let shared = shared_places(&self.scores);
        let first = &self.scores[0];
        let before = first.places.iter().zip(&first.symbols);
        let before = before.filter(|&(&p, &s)| p < place && shared.contains(&(p, s)));
        let symbols: Vec<u32> = before.map(|(_, &symbol)| symbol).collect();
        let bytes = match self.alphabet {
            Alphabet::Bytes => symbols.len(),
            Alphabet::Tokens => {
                let vocab = &self.members[0].vocab;
                symbols.iter().map(|&t| vocab.piece(t).len()).sum()
            }
        };
        let tokens = |s: &Scores| s.tokens.iter().filter(|&&p| p < place).count();
        Cut {
            symbols: symbols.len(),
            bytes,
            tokens: self.scores.iter().map(tokens).collect(),
        }
    }

    /// Mean over the scored symbols of the share of each member's prediction that came from the prior
    /// instead of an evaluation; 0 if nothing was scored.
    #[must_use]
    pub fn skipped_mass(&self) -> Vec<f64> {
        let mean = |s: &Scores| s.skipped / s.nats.len().max(1) as f64;
        self.scores.iter().map(mean).collect()
    }
}

/// The places that every member scored.
fn shared_places(scores: &[Scores]) -> HashSet<(Place, u32)> {
    let of = |s: &Scores| -> HashSet<(Place, u32)> {
        s.places
            .iter()
            .copied()
            .zip(s.symbols.iter().copied())
            .collect()
    };
    let mut all = scores.iter();
    let first = all.next().map(of).unwrap_or_default();
    all.fold(first, |shared, s| {
        shared.intersection(&of(s)).copied().collect()
    })
}

impl Scores {
    pub(super) fn extend(&mut self, more: Scores) {
        self.places.extend(more.places);
        self.tokens.extend(more.tokens);
        self.skipped += more.skipped;
        self.nats.extend(more.nats);
        self.symbols.extend(more.symbols);
        match (&mut self.rows, more.rows) {
            (ScoredRows::Dense(a), ScoredRows::Dense(b)) => a.extend(b),
            (ScoredRows::Sparse(a), ScoredRows::Sparse(b)) => a.extend(&b),
            (rows, new) if !matches!(new, ScoredRows::None) => *rows = new,
            _ => {}
        }
    }

    /// The entries at the given places.
    fn only(&self, shared: &HashSet<(Place, u32)>) -> Scores {
        if shared.len() == self.places.len() {
            return self.clone();
        }
        let keep: Vec<usize> = (0..self.places.len())
            .filter(|&i| shared.contains(&(self.places[i], self.symbols[i])))
            .collect();
        let rows = match &self.rows {
            ScoredRows::None => ScoredRows::None,
            ScoredRows::Dense(d) => {
                let n = SYMBOLS;
                ScoredRows::Dense(
                    keep.iter()
                        .flat_map(|&i| d[i * n..(i + 1) * n].iter().copied())
                        .collect(),
                )
            }
            ScoredRows::Sparse(s) => ScoredRows::Sparse(s.select(&keep)),
        };
        Scores {
            places: keep.iter().map(|&i| self.places[i]).collect(),
            tokens: self.tokens.clone(),
            skipped: self.skipped,
            nats: keep.iter().map(|&i| self.nats[i]).collect(),
            symbols: keep.iter().map(|&i| self.symbols[i]).collect(),
            rows,
        }
    }
}
