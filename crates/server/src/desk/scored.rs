//! From how likely symbols were to how likely characters were.

use super::event::Scored;
use packllm_engine::engine::Predicted;

/// Symbols that are no whole characters yet.
#[derive(Default)]
pub struct Scores {
    open: Vec<Predicted>,
}

impl Scores {
    /// The characters that these symbols complete: the fewest symbols that spell whole ones.
    pub fn push(&mut self, predicted: Vec<Predicted>) -> Vec<Scored> {
        let mut scored = Vec::new();
        for symbol in predicted {
            self.open.push(symbol);
            let bytes: Vec<u8> = self.open.iter().flat_map(|s| s.bytes.clone()).collect();
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let ln_q = self.open.iter().map(|s| s.ln_q).sum();
            let first = self.open.drain(..).next();
            let likeliest = first.map(|first| first.likeliest).unwrap_or_default();
            if !text.is_empty() {
                scored.push(Scored {
                    text,
                    ln_q,
                    likeliest,
                });
            }
        }
        scored
    }
}
