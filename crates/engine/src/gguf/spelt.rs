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
        let byte = match text {
            &[byte] => Some(byte),
            _ if text.len() != 6 => None,
            text => (0..=u8::MAX).find(|byte| text == format!("<0x{byte:02X}>").as_bytes()),
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
