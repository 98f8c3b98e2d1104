//! A text that is known, followed as an answer is made: would greedy decoding say it?

use super::allowed::Allowed;
use crate::constraint::Utf8;
use crate::engine::runtime::Standing;
use crate::engine::{EngineError, Lockstep};
use crate::mix::SymbolSet;

impl Lockstep {
    /// Whether greedy decoding after the prompts that were [read](Lockstep::read), with each of the
    /// sets of weights, says `text`: for each set, byte by byte, whether the byte is the one that it
    /// would pick where the bytes before it were said. The members evaluate the text once, as in an
    /// answer, and the caches are left as they were. Only in the alphabet of bytes.
    ///
    /// # Errors
    /// From a member; for weights that cannot be mixed.
    pub fn follow(
        &mut self,
        text: &str,
        weights: &[Vec<f64>],
    ) -> Result<Vec<Vec<bool>>, EngineError> {
        let all: Vec<usize> = (0..self.members().len()).collect();
        self.presence.begin_answer();
        let inside = self.presence.enter();
        let followed = self.follow_bytes(&all, text.as_bytes(), weights);
        drop(inside);
        self.give_up(&all);
        self.presence.rest();
        followed
    }

    fn follow_bytes(
        &self,
        all: &[usize],
        text: &[u8],
        weights: &[Vec<f64>],
    ) -> Result<Vec<Vec<bool>>, EngineError> {
        let alphabet = SymbolSet::bytes();
        let mut mixed = vec![0.0; alphabet.size()];
        let mut mixer = self.fusion.mixer(alphabet)?;
        let mut allowed = Allowed::new(Utf8::bytes(), None)?;
        let mut rows = vec![Vec::new(); all.len()];
        let mut standings = vec![Standing::default(); all.len()];
        let mut followed = vec![Vec::with_capacity(text.len()); weights.len()];
        let mut before = None;
        for &byte in text {
            if self.cancelled() {
                return Err(EngineError::Cancelled);
            }
            self.step(all, before, &mut rows, &mut standings)?;
            let may_come = allowed.next()?;
            for (lambda, picked) in weights.iter().zip(&mut followed) {
                mixer.mix(&rows, lambda, &self.ending_members, &mut mixed)?;
                let own = mixed[usize::from(byte)];
                let better = |(symbol, p): (usize, &f64)| *p > own && may_come.contains(symbol);
                picked.push(!mixed.iter().enumerate().any(better));
            }
            allowed.advance(usize::from(byte))?;
            before = Some(u32::from(byte));
        }
        Ok(followed)
    }
}
