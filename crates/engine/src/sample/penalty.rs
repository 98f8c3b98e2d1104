//! Repetition penalties.
//!
//! llama.cpp multiplies a repeated token's logit by the penalty if it is negative and divides it
//! otherwise, which depends on where a model's logits happen to have their zero. After mixing there
//! are no logits, only ln-probabilities, so here a penalty r subtracts ln r: the symbol's
//! probability is divided by r, and the others gain by the renormalisation that the draw implies. r
//! < 1 rewards repetition, r = 1 is off.

use std::collections::{HashMap, VecDeque};

/// Shortest repeat, in bytes, whose extension is penalised.
pub const MIN_REPEAT: usize = 16;

/// What is penalised.
#[derive(Debug, Clone)]
pub enum Penalty {
    /// Nothing.
    Off,
    /// Bytes that extend a repeated substring.
    Bytes(RepeatedBytes),
    /// Tokens that were used lately.
    Tokens(RepeatedTokens),
}

impl Penalty {
    /// On bytes: `penalty` > 0, `window` in bytes.
    pub fn bytes(penalty: f64, window: usize) -> Self {
        if penalty == 1.0 || window <= MIN_REPEAT {
            return Penalty::Off;
        }
        Penalty::Bytes(RepeatedBytes::new(penalty, window))
    }

    /// On tokens: `penalty` > 0, `window` in tokens.
    pub fn tokens(penalty: f64, window: usize) -> Self {
        if penalty == 1.0 || window == 0 {
            return Penalty::Off;
        }
        Penalty::Tokens(RepeatedTokens::new(penalty, window))
    }

    /// Notes a symbol of the text; symbols that are no bytes (END) are ignored in bytes.
    pub fn accept(&mut self, symbol: usize) {
        match self {
            Penalty::Off => {}
            Penalty::Bytes(repeated) => {
                if let Ok(byte) = u8::try_from(symbol) {
                    repeated.accept(byte);
                }
            }
            Penalty::Tokens(repeated) => repeated.accept(symbol),
        }
    }

    /// Subtracts ln(penalty) from the ln-probabilities of what would repeat.
    pub fn apply(&self, log_q: &mut [f64]) {
        match self {
            Penalty::Off => {}
            Penalty::Bytes(repeated) => repeated.apply(log_q),
            Penalty::Tokens(repeated) => repeated.apply(log_q),
        }
    }
}

/// Penalises a byte b if the last [`MIN_REPEAT`] bytes followed by b occurred before within the
/// window.
///
/// A single byte repeats all the time, so the usual penalty would be nonsense on bytes; a substring
/// of 16 bytes repeats where a text goes in circles, and where it quotes. Costs a few hash look-ups
/// a byte, however long the window: for every 16 bytes in the window it is known which bytes
/// followed them, and where last.
#[derive(Debug, Clone)]
pub struct RepeatedBytes {
    ln_penalty: f64,
    window: usize,
    /// The last `window` bytes at most.
    text: VecDeque<u8>,
    /// Bytes accepted so far.
    position: usize,
    /// The last 16 bytes, the latest lowest.
    last: u128,
    /// Bytes that followed 16 others in the window, each with the position of its latest such
    /// occurrence.
    followers: HashMap<u128, Vec<(u8, usize)>>,
}

impl RepeatedBytes {
    /// `penalty` > 0; a window of up to [`MIN_REPEAT`] bytes penalises nothing.
    pub fn new(penalty: f64, window: usize) -> Self {
        RepeatedBytes {
            ln_penalty: penalty.ln(),
            window,
            text: VecDeque::new(),
            position: 0,
            last: 0,
            followers: HashMap::new(),
        }
    }

    fn accept(&mut self, byte: u8) {
        if self.text.len() >= MIN_REPEAT {
            let followers = self.followers.entry(self.last).or_default();
            match followers.iter_mut().find(|(follower, _)| *follower == byte) {
                Some((_, at)) => *at = self.position,
                None => followers.push((byte, self.position)),
            }
        }
        self.last = self.last << 8 | u128::from(byte);
        self.text.push_back(byte);
        self.position += 1;
        if self.text.len() > self.window {
            self.forget();
        }
    }

    /// Drops the oldest byte and with it the occurrence that starts there.
    fn forget(&mut self) {
        let gone = self.position - self.text.len() + MIN_REPEAT;
        let key = self.text.iter().take(MIN_REPEAT);
        let key = key.fold(0, |key, &byte| key << 8 | u128::from(byte));
        if let Some(followers) = self.followers.get_mut(&key) {
            // An entry of the same bytes that is younger stays.
            followers.retain(|&(_, at)| at != gone);
            if followers.is_empty() {
                self.followers.remove(&key);
            }
        }
        self.text.pop_front();
    }

    /// Bytes that would extend a repeat.
    fn repeating(&self) -> impl Iterator<Item = u8> {
        let known = self.text.len() >= MIN_REPEAT;
        let followers = self.followers.get(&self.last).filter(|_| known);
        followers.into_iter().flatten().map(|&(byte, _)| byte)
    }

    fn apply(&self, log_q: &mut [f64]) {
        for byte in self.repeating() {
            if let Some(ln_q) = log_q.get_mut(usize::from(byte)) {
                *ln_q -= self.ln_penalty;
            }
        }
    }
}

/// Penalises every token that occurs among the last `window` ones, once however often it occurs.
#[derive(Debug, Clone)]
pub struct RepeatedTokens {
    ln_penalty: f64,
    window: usize,
    last: VecDeque<usize>,
    /// Occurrences in `last`.
    counts: HashMap<usize, usize>,
}

impl RepeatedTokens {
    /// `penalty` > 0, `window` in tokens.
    pub fn new(penalty: f64, window: usize) -> Self {
        RepeatedTokens {
            ln_penalty: penalty.ln(),
            window,
            last: VecDeque::new(),
            counts: HashMap::new(),
        }
    }

    fn accept(&mut self, token: usize) {
        self.last.push_back(token);
        *self.counts.entry(token).or_default() += 1;
        if self.last.len() > self.window
            && let Some(oldest) = self.last.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
    }

    fn apply(&self, log_q: &mut [f64]) {
        for &token in self.counts.keys() {
            if let Some(ln_q) = log_q.get_mut(token) {
                *ln_q -= self.ln_penalty;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes after which the last 17 bytes occur earlier in the window.
    fn plain(text: &[u8], window: usize) -> Vec<u8> {
        let text = &text[text.len().saturating_sub(window)..];
        if text.len() < MIN_REPEAT {
            return Vec::new();
        }
        let suffix = &text[text.len() - MIN_REPEAT..];
        let repeats = |b: &u8| {
            text.windows(MIN_REPEAT + 1)
                .any(|w| w == [suffix, &[*b]].concat())
        };
        (0..=255).filter(repeats).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn bytes_equal_the_plain_search(
            text in prop::collection::vec(0..2u8, 0..40),
            times in 1..8usize,
            tail in prop::collection::vec(0..3u8, 0..60),
            window in 10..120usize,
        ) {
            let text = [text.repeat(times), tail, text].concat();
            let mut fast = RepeatedBytes::new(2.0, window);
            for (i, &byte) in text.iter().enumerate() {
                fast.accept(byte);
                let mut found: Vec<u8> = fast.repeating().collect();
                found.sort_unstable();
                prop_assert_eq!(found, plain(&text[..=i], window));
            }
            prop_assert!(fast.followers.len() <= window);
        }

        #[test]
        fn tokens_are_the_last_ones(text in prop::collection::vec(0..9usize, 0..60), window in 1..20usize) {
            let mut penalty = Penalty::tokens(2.0, window);
            text.iter().for_each(|&token| penalty.accept(token));
            let mut log_q = [0.0; 8];
            penalty.apply(&mut log_q);
            let last = &text[text.len().saturating_sub(window)..];
            for (token, ln_q) in log_q.iter().enumerate() {
                let expected = if last.contains(&token) { -2f64.ln() } else { 0.0 };
                prop_assert_eq!(*ln_q, expected);
            }
        }
    }
}
