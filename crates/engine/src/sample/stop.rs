//! Stop strings: end the text where one of them appears, and never show a part of it.
//!
//! The text is fed byte by byte. What could still become a stop string is held back, everything
//! before is released. The stop that *ends first* wins; of several that end at the same byte, the
//! one that starts first, the longest. So where one stop is a prefix of another the longer one is
//! never seen.
//!
//! For every stop the length of its longest prefix that the text ends with is kept (Knuth, Morris,
//! Pratt), in amortised constant time a byte and stop; the longest of these is what is held.

use std::collections::VecDeque;

use thiserror::Error;

/// Why stop strings were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StopError {
    /// An empty string stops everything.
    #[error("stop string {} is empty", .index + 1)]
    Empty {
        /// Its index.
        index: usize,
    },
}

/// What became of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed<'a> {
    /// Bytes that may be shown now; on a match, everything before the stop string.
    pub released: &'a [u8],
    /// Index of the stop string that was found, from then on with every byte.
    pub matched: Option<usize>,
}

/// Watches a stream for stop strings.
#[derive(Debug, Clone)]
pub struct StopStrings {
    stops: Vec<Stop>,
    held: VecDeque<u8>,
    released: Vec<u8>,
    matched: Option<usize>,
}

#[derive(Debug, Clone)]
struct Stop {
    bytes: Vec<u8>,
    /// `border[i]`: length of the longest proper prefix of `bytes[..=i]` that is also its suffix.
    border: Vec<usize>,
    /// Length of the longest prefix of `bytes` that the text so far ends with.
    seen: usize,
}

impl Stop {
    fn new(bytes: Vec<u8>) -> Self {
        let mut border = vec![0; bytes.len()];
        for i in 1..bytes.len() {
            border[i] = extend(&bytes, &border, border[i - 1], bytes[i]);
        }
        Stop {
            bytes,
            border,
            seen: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        self.seen = extend(&self.bytes, &self.border, self.seen, byte);
    }

    fn is_complete(&self) -> bool {
        self.seen == self.bytes.len()
    }
}

/// The longest prefix of `bytes` that ends a text in which `seen` < its length was the longest,
/// after `byte`.
fn extend(bytes: &[u8], border: &[usize], mut seen: usize, byte: u8) -> usize {
    while seen > 0 && bytes[seen] != byte {
        seen = border[seen - 1];
    }
    seen + usize::from(bytes[seen] == byte)
}

impl StopStrings {
    /// Watches for `stops`, possibly none.
    ///
    /// # Errors
    /// An empty stop string.
    pub fn new(stops: Vec<Vec<u8>>) -> Result<Self, StopError> {
        if let Some(index) = stops.iter().position(Vec::is_empty) {
            return Err(StopError::Empty { index });
        }
        Ok(StopStrings {
            stops: stops.into_iter().map(Stop::new).collect(),
            held: VecDeque::new(),
            released: Vec::new(),
            matched: None,
        })
    }

    /// Takes the next byte. After a match bytes are swallowed.
    pub fn push(&mut self, byte: u8) -> Fed<'_> {
        self.released.clear();
        if self.matched.is_none() {
            self.held.push_back(byte);
            self.stops.iter_mut().for_each(|stop| stop.push(byte));
            let complete = self
                .stops
                .iter()
                .enumerate()
                .filter(|(_, stop)| stop.is_complete());
            // The first of equals: `rev` because `max_by_key` gives the last.
            let longest = complete.rev().max_by_key(|(_, stop)| stop.seen);
            let keep = match longest {
                Some((index, stop)) => {
                    self.matched = Some(index);
                    stop.seen
                }
                None => self.stops.iter().map(|stop| stop.seen).max().unwrap_or(0),
            };
            self.released
                .extend(self.held.drain(..self.held.len() - keep));
            if self.matched.is_some() {
                self.held.clear();
            }
        }
        Fed {
            released: &self.released,
            matched: self.matched,
        }
    }

    /// Ends the text: releases what was held, and is ready for another.
    pub fn finish(&mut self) -> Vec<u8> {
        self.stops.iter_mut().for_each(|stop| stop.seen = 0);
        self.matched = None;
        self.held.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text before the first stop, and which it is.
    fn plain(stops: &[Vec<u8>], text: &[u8]) -> (Vec<u8>, Option<usize>) {
        for end in 1..=text.len() {
            let found = (0..stops.len()).filter(|&k| text[..end].ends_with(&stops[k]));
            if let Some(k) = found.rev().max_by_key(|&k| stops[k].len()) {
                return (text[..end - stops[k].len()].to_vec(), Some(k));
            }
        }
        (text.to_vec(), None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn equals_the_plain_search(
            stops in prop::collection::vec(prop::collection::vec(b'a'..b'd', 1..6), 0..4),
            text in prop::collection::vec(b'a'..b'd', 0..40),
        ) {
            let mut watch = StopStrings::new(stops.clone()).unwrap();
            for _ in 0..2 {
                let (mut out, mut matched) = (Vec::new(), None);
                for (i, &byte) in text.iter().enumerate() {
                    let fed = watch.push(byte);
                    out.extend_from_slice(fed.released);
                    matched = fed.matched;
                    // What is held is the beginning of a stop, and no less than all that could be.
                    let held = text[..=i].len() - out.len();
                    let begins = |n: usize| stops.iter().any(|s| s.len() > n && text[..=i].ends_with(&s[..n]));
                    let longest = (0..6).rev().find(|&n| begins(n)).unwrap_or(0);
                    prop_assert!(matched.is_some() || held == longest);
                }
                out.extend(watch.finish());
                prop_assert_eq!((out, matched), plain(&stops, &text));
            }
        }
    }

    #[test]
    fn empty_stops_are_refused() {
        let stops = vec![b"a".to_vec(), Vec::new()];
        let error = StopStrings::new(stops).unwrap_err();
        assert_eq!(error.to_string(), "stop string 2 is empty");
    }
}
