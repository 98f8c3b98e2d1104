//! What llama.cpp makes of the spelling of tokens.

use std::borrow::Cow;

/// The spelling of token `number` as llama.cpp sees it: up to the first NUL, and with a name of its
/// own where there is nothing.
pub(super) fn seen(text: &[u8], number: u64) -> Cow<'_, [u8]> {
    let end = text.iter().position(|&byte| byte == 0);
    match &text[..end.unwrap_or(text.len())] {
        [] => Cow::Owned(format!("[EMPTY_{number}]").into_bytes()),
        text => Cow::Borrowed(text),
    }
}

/// The bytes that are tokens: as `<0x4A>`, written just so, or as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spelt([u64; 4]);

impl Spelt {
    /// Notes a token's spelling.
    pub(super) fn add(&mut self, text: &[u8]) {
        let byte = match *text {
            [byte] => Some(byte),
            [b'<', b'0', b'x', high, low, b'>'] => byte_of(high, low),
            _ => None,
        };
        if let Some(byte) = byte {
            self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
    }

    /// Whether every byte is one.
    pub(super) fn all(self) -> bool {
        self.0 == [u64::MAX; 4]
    }
}

/// The byte of two hexadecimal digits, in capitals.
fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_tokens_in_either_spelling() {
        let mut spelt = Spelt::default();
        for byte in 0..=u8::MAX {
            assert!(!spelt.all());
            match byte % 2 {
                0 => spelt.add(&[byte]),
                _ => spelt.add(format!("<0x{byte:02X}>").as_bytes()),
            }
        }
        assert!(spelt.all());
        let mut other = Spelt::default();
        for text in ["", "ab", "<0x4a>", "<0x4G>", "[0x4A]", "<0x4A> "] {
            other.add(text.as_bytes());
            assert_eq!(other, Spelt::default(), "{text}");
        }
    }
}
