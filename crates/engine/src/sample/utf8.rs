//! UTF-8, byte by byte.

use crate::mix::END;

/// Which bytes may come next in well-formed UTF-8 (Unicode 16, table 3-7): no overlong forms, no
/// surrogates, nothing above U+10FFFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utf8State {
    /// Continuation bytes missing from the character begun.
    missing: u8,
    /// Range of the next continuation byte; the first after some leading bytes is narrower than
    /// 80..=BF.
    low: u8,
    high: u8,
}

impl Default for Utf8State {
    fn default() -> Self {
        Utf8State::new()
    }
}

impl Utf8State {
    const BOUNDARY: Utf8State = Utf8State::inside(0, 0x80, 0xBF);

    /// One more than the highest [`Self::index`].
    pub(crate) const INDICES: usize = 12;

    /// Between characters.
    pub fn new() -> Self {
        Utf8State::BOUNDARY
    }

    const fn inside(missing: u8, low: u8, high: u8) -> Self {
        Utf8State { missing, low, high }
    }

    /// The state after `byte`, None if it would break UTF-8.
    fn next(self, byte: u8) -> Option<Self> {
        if self.missing > 0 {
            let fits = (self.low..=self.high).contains(&byte);
            return fits.then(|| Utf8State::inside(self.missing - 1, 0x80, 0xBF));
        }
        match byte {
            0x00..=0x7F => Some(Utf8State::BOUNDARY),
            0xC2..=0xDF => Some(Utf8State::inside(1, 0x80, 0xBF)),
            0xE0 => Some(Utf8State::inside(2, 0xA0, 0xBF)),
            0xED => Some(Utf8State::inside(2, 0x80, 0x9F)),
            0xE1..=0xEF => Some(Utf8State::inside(2, 0x80, 0xBF)),
            0xF0 => Some(Utf8State::inside(3, 0x90, 0xBF)),
            0xF1..=0xF3 => Some(Utf8State::inside(3, 0x80, 0xBF)),
            0xF4 => Some(Utf8State::inside(3, 0x80, 0x8F)),
            _ => None,
        }
    }

    /// Whether `byte` keeps the text well-formed so far.
    pub fn allowed(self, byte: u8) -> bool {
        self.next(byte).is_some()
    }

    /// Whether a symbol of the shared alphabet may come next: a byte as [`Self::allowed`], END
    /// between characters only. The mask for [`Sampler::pick`](super::Sampler::pick).
    pub fn allows_symbol(self, symbol: usize) -> bool {
        match u8::try_from(symbol) {
            Ok(byte) => self.allowed(byte),
            Err(_) => symbol == END && self.is_boundary(),
        }
    }

    /// Takes `byte`; false, and nothing changes, if it is not allowed.
    pub fn push(&mut self, byte: u8) -> bool {
        let next = self.next(byte);
        *self = next.unwrap_or(*self);
        next.is_some()
    }

    /// A number of its own for each of the eight states: three for every count of missing bytes,
    /// since the next byte's range is whole, without its lower or without its upper part.
    pub(crate) fn index(self) -> usize {
        let part = if self.low > 0x80 {
            1
        } else if self.high < 0xBF {
            2
        } else {
            0
        };
        3 * usize::from(self.missing) + part
    }

    /// Whether no character is begun and unfinished.
    pub fn is_boundary(self) -> bool {
        self.missing == 0
    }
}

/// Text from bytes that arrive in pieces: releases whole characters only, and U+FFFD for what can
/// no longer become one, exactly as `String::from_utf8_lossy` of the whole would.
#[derive(Debug, Clone, Default)]
pub struct Utf8Stream {
    /// Between calls: the beginning of a character, at most 3 bytes.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// A stream at a boundary.
    pub fn new() -> Self {
        Utf8Stream::default()
    }

    /// Appends to `out` what `bytes` complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        self.pending.extend_from_slice(bytes);
        let mut done = 0;
        for chunk in self.pending.utf8_chunks() {
            out.push_str(chunk.valid());
            done += chunk.valid().len() + chunk.invalid().len();
            if chunk.invalid().is_empty() {
                continue;
            }
            let unfinished =
                std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
            if unfinished && done == self.pending.len() {
                done -= chunk.invalid().len();
            } else {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.drain(..done);
    }

    /// Ends the stream: a character begun and never finished becomes U+FFFD.
    pub fn finish(&mut self, out: &mut String) {
        if !self.pending.is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
            self.pending.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether `bytes` begin some well-formed text, and whether they are one.
    fn plain(bytes: &[u8]) -> (bool, bool) {
        match std::str::from_utf8(bytes) {
            Ok(_) => (true, true),
            Err(e) => (e.error_len().is_none(), false),
        }
    }

    fn fast(bytes: &[u8]) -> (bool, bool) {
        let mut state = Utf8State::new();
        let fits = bytes.iter().all(|&byte| state.push(byte));
        (fits, fits && state.is_boundary())
    }

    #[test]
    fn agrees_with_std_on_all_short_strings() {
        for a in 0..=255 {
            assert_eq!(fast(&[a]), plain(&[a]));
            for b in 0..=255 {
                assert_eq!(fast(&[a, b]), plain(&[a, b]));
                for c in 0..=255 {
                    assert_eq!(fast(&[a, b, c]), plain(&[a, b, c]), "{a:x} {b:x} {c:x}");
                }
            }
        }
    }

    #[test]
    fn eight_states_each_with_an_index_of_its_own() {
        let mut states = vec![Utf8State::new()];
        let mut seen = 0;
        while let Some(&state) = states.get(seen) {
            seen += 1;
            for next in (0..=255).filter_map(|byte| state.next(byte)) {
                if !states.contains(&next) {
                    states.push(next);
                }
            }
        }
        assert_eq!(states.len(), 8);
        let mut indices: Vec<usize> = states.iter().map(|state| state.index()).collect();
        assert!(indices.iter().all(|&index| index < Utf8State::INDICES));
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), states.len());
    }

    #[test]
    fn end_only_between_characters() {
        let mut state = Utf8State::new();
        assert!(state.allows_symbol(END) && !state.allows_symbol(END + 1));
        assert!(!state.push(0x80) && state.is_boundary());
        assert!(state.push(0xC3) && !state.allows_symbol(END) && !state.allows_symbol(65));
        assert!(state.push(0xA4) && state.allows_symbol(END));
    }

    /// Bytes that are often parts of characters.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            prop::collection::vec(0x70..=0xFFu8, 1..3),
            prop::collection::vec(
                prop::sample::select(b"\xE2\x82\xAC\xF0\x9F\x98a".to_vec()),
                1..4
            ),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn agrees_with_std_on_four_bytes(
            lead in prop_oneof![any::<u8>(), 0xEF..=0xF5u8],
            rest in prop::array::uniform3(prop_oneof![any::<u8>(), 0x7F..=0xC0u8]),
        ) {
            let bytes = [&[lead], &rest[..]].concat();
            prop_assert_eq!(fast(&bytes), plain(&bytes));
        }

        #[test]
        fn stream_is_lossy_conversion_in_pieces(
            bytes in pieces(),
            cuts in prop::collection::vec(1..5usize, 60),
        ) {
            let (mut stream, mut out) = (Utf8Stream::new(), String::new());
            let mut rest = &bytes[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                stream.push(now, &mut out);
                prop_assert!(stream.pending.len() <= 3);
                rest = later;
            }
            stream.push(rest, &mut out);
            stream.finish(&mut out);
            prop_assert_eq!(out, String::from_utf8_lossy(&bytes));
        }
    }
}
