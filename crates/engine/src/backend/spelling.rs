//! How tokenizers write bytes in the names of their tokens, in any kind of file.

/// Spellings that end a generation, even if the file does not say so; the last eleven are markup
/// for filling in the middle.
pub const END_NAMES: [&str; 33] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// How a tokenizer writes spaces and bytes in its normal pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `▁` for a space, the rest as it is (SentencePiece, and BPE in its manner).
    Underline,
    /// One letter a byte, `Ġ` for a space (byte-level BPE).
    Letters,
}

impl Spelling {
    /// The bytes that a normal piece spells.
    pub fn decode(self, text: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(text) else {
            return text.to_vec();
        };
        match self {
            Spelling::Underline => text.replace('▁', " ").into_bytes(),
            Spelling::Letters => {
                let mut bytes = Vec::with_capacity(text.len());
                for letter in text.chars() {
                    match byte_of_letter(letter) {
                        Some(byte) => bytes.push(byte),
                        None => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
                    }
                }
                bytes
            }
        }
    }
}

/// Byte-level BPE writes the printable bytes of Latin-1 as themselves and the other 68, in
/// ascending order, as the letters from U+0100 on (GPT-2's `bytes_to_unicode`).
fn byte_of_letter(letter: char) -> Option<u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(letter) {
        code @ 0..=0xff => Some(code as u8).filter(|&byte| printable(byte)),
        code => (0..=u8::MAX)
            .filter(|&byte| !printable(byte))
            .nth((code - 0x100) as usize),
    }
}

/// The byte of a byte fallback, `<0x0A>` or the byte itself.
pub fn byte_of(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x").and_then(|t| t.strip_suffix(b">"));
    match (digits, text) {
        (Some(digits), _) => u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok(),
        (None, &[byte]) => Some(byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_a_bijection_with_bytes() {
        let letters = (0..0x200).filter_map(char::from_u32);
        let mut bytes: Vec<u8> = letters.filter_map(byte_of_letter).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<u8>>());
        assert_eq!(Spelling::Letters.decode("ĠhĊ".as_bytes()), b" h\n");
        assert_eq!(Spelling::Letters.decode("Ã©".as_bytes()), "é".as_bytes());
        assert_eq!(Spelling::Underline.decode("▁a▁".as_bytes()), b" a ");
        assert_eq!(byte_of(b"<0xC3>"), Some(0xc3));
        assert_eq!(byte_of(b"<0xC3"), None);
    }
}
