//! What members contributed to an answer, from symbols to the bytes that are reported.

/// Holds contributions back as long as their bytes: text is held back for stop strings and
/// unfinished characters.
pub(super) struct Attributor {
    members: usize,
    /// Of the last symbol.
    symbol: Vec<f64>,
    /// Of the bytes that are not reported yet, one number a member.
    held: Vec<f64>,
}

impl Attributor {
    pub(super) fn new(members: usize) -> Self {
        Self {
            members,
            symbol: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Where the contributions to the next symbol are to be written.
    pub(super) fn symbol(&mut self) -> &mut Vec<f64> {
        &mut self.symbol
    }

    /// The symbol spells so many bytes; its contributions are divided equally among them.
    pub(super) fn say(&mut self, bytes: usize) {
        for _ in 0..bytes {
            let parts = self.symbol.iter().map(|c| c / bytes as f64);
            self.held.extend(parts);
        }
    }

    /// The contributions to the first bytes that are held.
    pub(super) fn release(&mut self, bytes: usize) -> Vec<f64> {
        let released = (bytes * self.members).min(self.held.len());
        self.held.drain(..released).collect()
    }
}
