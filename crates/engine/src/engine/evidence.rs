//! Scores of members → evidence: what all of them predicted for the same symbols.

use super::chain::Scores;
use super::runtime::MemberRuntime;
use super::score_request::ScoreRequest;
use super::{EngineError, Lockstep};
use crate::mix;
use crate::prompt::Place;
use crate::vocab::Alphabet;
use crate::weight::{Cut, Evidence, MemberEvidence};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

impl Lockstep {
    /// What all members predicted for the bytes that all of them saw.
    ///
    /// # Errors
    /// [`EngineError::Mix`] for a vocabulary of nothing but END.
    pub fn evidence(&self) -> Result<Evidence, EngineError> {
        self.evidence_in(&self.scores)
    }

    /// Forgets what was scored, but nothing that was read.
    pub fn forget_evidence(&mut self) {
        self.scores.iter_mut().for_each(|s| *s = Scores::default());
    }

    /// Forgets what was scored of the messages numbered `gone`, as if they had never been written.
    /// The later ones get the numbers that they have in the conversation without those.
    pub fn forget_messages(&mut self, gone: &Range<usize>) {
        let gone = gone.start as u32..gone.end as u32;
        self.scores
            .iter_mut()
            .for_each(|scores| scores.forget_messages(&gone));
    }

    /// As [`Lockstep::forget_messages`], for the message numbered `first` and all after it.
    pub fn forget_messages_from(&mut self, first: usize) {
        self.forget_messages(&(first..u32::MAX as usize));
    }

    /// What each member lost on one message, in bits per byte of what all of them saw; None if
    /// nothing of it was scored.
    #[must_use]
    pub fn bits_per_byte_of(&self, message: usize) -> Option<Vec<f64>> {
        let mut shared = shared_places(&self.scores);
        shared.retain(|(place, _)| place.message as usize == message);
        let symbols: Vec<u32> = shared.iter().map(|&(_, symbol)| symbol).collect();
        let bytes = self.bytes_of(&symbols);
        let bits = |s: &Scores| {
            let scored = s.places.iter().zip(&s.symbols).zip(&s.nats);
            let counted =
                scored.filter(|&((&place, &symbol), _)| shared.contains(&(place, symbol)));
            let nats: f64 = counted.map(|(_, &n)| f64::from(n)).sum();
            nats / std::f64::consts::LN_2 / bytes as f64
        };
        (bytes > 0).then(|| self.scores.iter().map(bits).collect())
    }

    /// What member `k` lost between two places, in nats, and the bytes there that it predicted. A
    /// token counts where it begins.
    #[must_use]
    pub fn loss_in(&self, k: usize, places: &Range<Place>) -> (f64, usize) {
        let of = &self.scores[k];
        let scored = of.places.iter().zip(&of.symbols).zip(&of.nats);
        let scored = scored.filter(|((place, _), _)| places.contains(place));
        let mut nats = 0.0;
        let symbols = scored.map(|((_, &symbol), &loss)| {
            nats += f64::from(loss);
            symbol
        });
        let symbols: Vec<u32> = symbols.collect();
        (nats, self.bytes_of(&symbols))
    }

    /// Scores texts that may come next: each of them, all its bytes, as if it came right after the
    /// prompts that were [read](Lockstep::read) last, [closed](super::Ending::Closed). Returns one
    /// evidence a text; [`Lockstep::evidence`] is not added to. Before another call the prompts have
    /// to be read again; the members' caches still hold them, all but the last token.
    ///
    /// # Errors
    /// From a member; [`EngineError::Unreadable`].
    pub fn read_continuations(
        &mut self,
        texts: &[String],
        request: ScoreRequest,
    ) -> Result<Vec<Evidence>, EngineError> {
        let shared: Arc<[String]> = texts.into();
        let continued = match self.alphabet {
            Alphabet::Mapped => self.continue_by_reference(&shared, request)?,
            Alphabet::Tokens | Alphabet::Bytes => self.all(|_| {
                let texts = Arc::clone(&shared);
                async move |runtime: &mut MemberRuntime| {
                    runtime.continuations(&texts, request).await
                }
            })?,
        };
        let mut by_text: Vec<Vec<Scores>> = texts.iter().map(|_| Vec::new()).collect();
        for (k, continued) in continued.into_iter().enumerate() {
            if let Some(byte) = continued.lost {
                let member = self.engine.members[k].name.clone();
                return Err(EngineError::Unreadable { member, byte });
            }
            for (of_text, scores) in by_text.iter_mut().zip(continued.scores) {
                of_text.push(scores);
            }
        }
        by_text.iter().map(|s| self.evidence_in(s)).collect()
    }

    /// The evidence in what all members scored.
    pub(super) fn evidence_in(&self, scores: &[Scores]) -> Result<Evidence, EngineError> {
        let shared = shared_places(scores);
        let vocab = self.shared_vocab();
        let members = scores
            .iter()
            .zip(&self.ending_members)
            .map(|(s, &can_end)| {
                let kept = s.only(&shared);
                MemberEvidence {
                    tokens: kept.tokens.len(),
                    can_end,
                    nats: kept.nats,
                    rows: kept.rows.into(),
                }
            });
        let members: Vec<MemberEvidence> = members.collect();
        let symbols = scores[0].only(&shared).symbols;
        let bytes = self.bytes_of(&symbols);
        let alphabet = match self.alphabet {
            Alphabet::Bytes => mix::SymbolSet::bytes(),
            Alphabet::Tokens | Alphabet::Mapped => {
                let ends = vocab.ends().map(|t| t as usize).collect();
                mix::SymbolSet::tokens(vocab.len(), ends)?
            }
        };
        Ok(Evidence {
            alphabet,
            bytes,
            symbols,
            members,
        })
    }

    /// Bytes that symbols of text spell.
    fn bytes_of(&self, symbols: &[u32]) -> usize {
        match self.alphabet {
            Alphabet::Bytes => symbols.len(),
            Alphabet::Tokens | Alphabet::Mapped => {
                let vocab = self.shared_vocab();
                symbols.iter().map(|&t| vocab.piece(t).len()).sum()
            }
        }
    }

    /// The bytes that symbols of text spell.
    pub(super) fn spelt(&self, symbols: &[u32]) -> Vec<u8> {
        match self.alphabet {
            Alphabet::Bytes => symbols.iter().map(|&byte| byte as u8).collect(),
            Alphabet::Tokens | Alphabet::Mapped => {
                let vocab = self.shared_vocab();
                let pieces = symbols.iter().flat_map(|&t| vocab.piece(t).iter().copied());
                pieces.collect()
            }
        }
    }

    /// The part of [`Lockstep::evidence`] that begins before `place`. A token that reaches beyond it
    /// counts whole.
    #[must_use]
    pub fn cut(&self, place: Place) -> Cut {
        let shared = shared_places(&self.scores);
        let first = &self.scores[0];
        let before = first.places.iter().zip(&first.symbols);
        let before = before.filter(|&(&p, &s)| p < place && shared.contains(&(p, s)));
        let symbols: Vec<u32> = before.map(|(_, &symbol)| symbol).collect();
        let tokens = |s: &Scores| s.tokens.iter().filter(|&&p| p < place).count();
        Cut {
            symbols: symbols.len(),
            bytes: self.bytes_of(&symbols),
            tokens: self.scores.iter().map(tokens).collect(),
        }
    }

    /// Mean over the scored symbols of the share of each member's prediction that came from the
    /// fallback model instead of an evaluation; 0 if nothing was scored.
    #[must_use]
    pub fn skipped_mass(&self) -> Vec<f64> {
        let mean = |s: &Scores| {
            let sum: f64 = s.skipped.iter().map(|&share| f64::from(share)).sum();
            sum / s.nats.len().max(1) as f64
        };
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
