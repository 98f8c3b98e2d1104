//! Two small vocabularies of different kinds.

use std::collections::HashMap;

/// Types of tokens, by their numbers in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    Byte = 6,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// As the file spells it: `▁` for a space (SPM), one letter a byte (BPE).
    pub text: String,
    pub kind: Kind,
    /// Whether it is whole, printable text.
    pub readable: bool,
}

/// The tokens of a model, in the order of their ids.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    pub tokens: Vec<Token>,
    /// BPE merges, the first applied first; empty for SPM.
    pub merges: Vec<String>,
    pub(super) bos: &'static str,
    pub(super) eos: Option<&'static str>,
    ids: HashMap<String, u32>,
    spm: bool,
}

const SPM_PIECES: &str = " the| of| and| to| in| is| that| for| it| was| on| are| with| as| he| be| at| by| this| \
    have| from| or| one| had| not| but| what| all| were| when| we| there| can| an| your| which| their| \
    water| time|ing|ed|er|tion|ly|é|ü|ö|ä|ß|ñ|—|“|”|’| über| für| café|漢|字|日本|😀";
const BPE_PIECES: &str = " the| a| of| to| and| in| for| I| you| it| is| on| that| this| be| me| will| would| could| \
    know| think| about| people|ing|er|re|en|al|st|ion|es|\n\n|  |    | =| ==| {| }|();| let| fn| mut| \
    return| if| else| 1| 2|é|ü|ä| für|日|本|’";

impl Vocabulary {
    pub(super) fn spm() -> Vocabulary {
        let mut vocabulary = Vocabulary::empty(true, "<s>", "</s>");
        vocabulary.add("<unk>", Kind::Unknown);
        vocabulary.add("<s>", Kind::Control);
        vocabulary.add("</s>", Kind::Control);
        for byte in 0..=255 {
            vocabulary.add(&format!("<0x{byte:02X}>"), Kind::Byte);
        }
        vocabulary.add_piece(" ");
        for letter in '!'..='~' {
            vocabulary.add_piece(&letter.to_string());
        }
        SPM_PIECES
            .split('|')
            .for_each(|piece| vocabulary.add_piece(piece));
        vocabulary
    }

    pub(super) fn bpe() -> Vocabulary {
        let mut vocabulary = Vocabulary::empty(false, "<|endoftext|>", "<|im_end|>");
        for byte in 0..=255 {
            let readable = byte == b'\n' || matches!(byte, 32..127);
            vocabulary.push(letter(byte).to_string(), Kind::Normal, readable);
        }
        BPE_PIECES
            .split('|')
            .for_each(|piece| vocabulary.add_piece(piece));
        for control in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] {
            vocabulary.add(control, Kind::Control);
        }
        vocabulary
    }

    fn empty(spm: bool, bos: &'static str, eos: &'static str) -> Vocabulary {
        Vocabulary {
            tokens: Vec::new(),
            merges: Vec::new(),
            bos,
            eos: Some(eos),
            ids: HashMap::new(),
            spm,
        }
    }

    /// `tokenizer.ggml.model`.
    pub fn model(&self) -> &'static str {
        if self.spm { "llama" } else { "gpt2" }
    }

    pub fn is_spm(&self) -> bool {
        self.spm
    }

    /// The id of the token that the file spells `text`.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// A piece of text as the file spells it.
    pub(super) fn spelt(&self, piece: &str) -> String {
        if self.spm {
            return piece.replace(' ', "▁");
        }
        piece.bytes().map(letter).collect()
    }

    /// Adds a token, unless there is one with this spelling.
    pub(super) fn add(&mut self, text: &str, kind: Kind) {
        self.push(text.to_owned(), kind, false);
    }

    /// Adds a piece of text and all its beginnings, each merged from the one before and a last
    /// letter.
    pub(super) fn add_piece(&mut self, piece: &str) {
        if self.spm {
            let spelt = self.spelt(piece);
            for (at, last) in spelt.char_indices() {
                self.push(spelt[..at + last.len_utf8()].to_owned(), Kind::Normal, true);
            }
            return;
        }
        let letters: Vec<char> = piece.bytes().map(letter).collect();
        for end in 2..=letters.len() {
            let text: String = letters[..end].iter().collect();
            if self.id(&text).is_none() {
                let before: String = letters[..end - 1].iter().collect();
                self.merges.push(format!("{before} {}", letters[end - 1]));
            }
            self.push(text, Kind::Normal, piece.is_char_boundary(end));
        }
    }

    /// Takes out every token that ends a text.
    pub(super) fn remove_end(&mut self) {
        let ends = ["</s>", "<|im_end|>", "<|endoftext|>"];
        self.tokens
            .retain(|token| !ends.contains(&token.text.as_str()));
        self.ids = self
            .tokens
            .iter()
            .zip(0..)
            .map(|(token, id)| (token.text.clone(), id))
            .collect();
        self.eos = None;
        self.bos = if self.spm { "<s>" } else { "<|im_start|>" };
    }

    fn push(&mut self, text: String, kind: Kind, readable: bool) {
        let next = self.tokens.len() as u32;
        if !self.ids.contains_key(&text) {
            self.ids.insert(text.clone(), next);
            self.tokens.push(Token {
                text,
                kind,
                readable,
            });
        }
    }
}

/// The letter by which byte-level BPE writes a byte: itself if it is printable Latin-1, else the
/// next free letter from U+0100 on.
fn letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !printable(byte)).count() as u32;
    char::from_u32(256 + before).expect("a letter below U+0200")
}
