//! How likely what was said was: kept beside the text, and let go with it.

use crate::sample::likeliest;
use std::collections::VecDeque;

/// A symbol of an answer: how likely the members together found it, and what else might have come.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Predicted {
    /// Its bytes: one, or those of a token.
    pub bytes: Vec<u8>,
    /// `ln q` of it where members are mixed, before anything is filtered or drawn.
    pub ln_q: f64,
    /// The likeliest symbols of text in its place with their `ln q`, likeliest first.
    pub likeliest: Vec<(Vec<u8>, f64)>,
}

/// Symbols whose text was not let go yet.
pub(super) struct Recorder {
    /// How many of the likeliest symbols are kept.
    alternatives: usize,
    held: VecDeque<Predicted>,
    /// Bytes of the first of them that are out already.
    out: usize,
    ready: Vec<Predicted>,
}

impl Recorder {
    pub fn new(alternatives: usize) -> Self {
        Self {
            alternatives,
            held: VecDeque::new(),
            out: 0,
            ready: Vec::new(),
        }
    }

    /// `symbol` is said where `ln_q` was predicted. `bytes` spells a symbol, and says nothing of END.
    pub fn say(&mut self, ln_q: &[f64], symbol: usize, bytes: impl Fn(usize) -> Option<Vec<u8>>) {
        let mut found = Vec::new();
        likeliest(ln_q, self.alternatives, |s| bytes(s).is_some(), &mut found);
        found.sort_by(|a, b| b.ln_q.total_cmp(&a.ln_q).then(a.symbol.cmp(&b.symbol)));
        let spelled = found.iter();
        let spelled = spelled.filter_map(|c| bytes(c.symbol).map(|b| (b, c.ln_q)));
        self.held.push_back(Predicted {
            bytes: bytes(symbol).unwrap_or_default(),
            ln_q: ln_q[symbol],
            likeliest: spelled.collect(),
        });
    }

    /// These bytes had to come, whatever was predicted.
    pub fn force(&mut self, bytes: Vec<u8>) {
        let likeliest = match self.alternatives {
            0 => Vec::new(),
            _ => vec![(bytes.clone(), 0.0)],
        };
        self.held.push_back(Predicted {
            bytes,
            ln_q: 0.0,
            likeliest,
        });
    }

    /// So many bytes of text were let go.
    pub fn release(&mut self, bytes: usize) {
        self.out += bytes;
        while let Some(first) = self.held.front() {
            if first.bytes.len() > self.out {
                break;
            }
            self.out -= first.bytes.len();
            self.ready.extend(self.held.pop_front());
        }
    }

    /// The symbols whose text was let go since this was asked last.
    pub fn take(&mut self) -> Vec<Predicted> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(symbol: usize) -> Option<Vec<u8>> {
        (symbol < 3).then(|| vec![b'a' + symbol as u8; symbol + 1])
    }

    #[test]
    fn symbols_come_with_their_text_and_not_before() {
        let mut recorder = Recorder::new(2);
        let ln_q = [0.1_f64, 0.2, 0.3, 0.4].map(f64::ln);
        recorder.say(&ln_q, 2, spell);
        recorder.say(&ln_q, 0, spell);
        recorder.release(2);
        assert_eq!(recorder.take(), []);
        recorder.release(1);
        let first = recorder.take();
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].bytes, b"ccc");
        assert_eq!(first[0].ln_q, ln_q[2]);
        // END is likeliest, and no text.
        let spelled = [(b"ccc".to_vec(), ln_q[2]), (b"bb".to_vec(), ln_q[1])];
        assert_eq!(first[0].likeliest, spelled);
        recorder.release(1);
        assert_eq!(recorder.take()[0].bytes, b"a");
    }
}
