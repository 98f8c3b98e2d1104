//! A text to score, and where it is cut in two.

use crate::report::Unusable;
use anyhow::{Context, Result, bail};
use packllm_engine::engine::EngineError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A text in two parts.
pub struct Text {
    /// The name of its file, as it was given.
    pub name: String,
    /// The text, up to the size that was asked for.
    pub content: String,
    /// The byte where the second part begins.
    pub cut: usize,
    split: f64,
}

impl Text {
    /// Reads at most `max_bytes` of a file, in whole characters, and cuts them before the last
    /// character that begins at or before the share `split`.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, is not UTF-8, or is too short for two parts.
    pub fn open(path: &Path, max_bytes: usize, split: f64) -> Result<Self> {
        let name = path.display().to_string();
        let (bytes, whole) = read(path, max_bytes).with_context(|| name.clone())?;
        let content = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let error = e.utf8_error();
                let good = error.valid_up_to();
                if whole || error.error_len().is_some() {
                    bail!("{name}: not valid UTF-8 at byte {good}");
                }
                let mut bytes = e.into_bytes();
                bytes.truncate(good);
                String::from_utf8(bytes)?
            }
        };
        if content.is_empty() && whole {
            bail!("{name}: the file is empty: there is nothing to score");
        }
        let mut text = Self {
            cut: cut(&content, split),
            name,
            content,
            split,
        };
        if text.cut == 0 {
            return Err(text.too_short());
        }
        text.content.shrink_to_fit();
        Ok(text)
    }

    /// The error that one side of the cut has no text.
    pub fn too_short(&self) -> anyhow::Error {
        Unusable {
            reason: format!(
                "{}: {} bytes are too few to derive weights from one part (--split {}) and score the other",
                self.name,
                self.content.len(),
                self.split
            ),
            hint: None,
        }
        .into()
    }

    /// The error that a member's context has room for only `room` of the text's `tokens`.
    pub fn too_long(&self, error: &EngineError, tokens: usize, room: usize) -> anyhow::Error {
        // A little less than the share that fits, because tokens differ in length.
        let fits = self.content.len() as f64 * room as f64 / tokens.max(1) as f64 * 0.95;
        Unusable {
            reason: format!("{}: {error}", self.name),
            hint: Some(format!(
                "score the first part of it with --max-bytes {}, or use a larger -c if the models allow it",
                fits as usize
            )),
        }
        .into()
    }
}

/// At most `max_bytes` of a file, and whether that is the whole file.
fn read(path: &Path, max_bytes: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let most = (max_bytes as u64).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    let whole = bytes.len() <= max_bytes;
    bytes.truncate(max_bytes);
    Ok((bytes, whole))
}

/// The byte where the second part begins: the last beginning of a character at or before the share
/// `split`.
fn cut(text: &str, split: f64) -> usize {
    let most = (text.len() as f64 * split) as usize;
    (0..=most)
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(content: &[u8], max_bytes: usize, split: f64) -> Result<Text> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), content)?;
        Text::open(file.path(), max_bytes, split)
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "aé€😀b".as_bytes();
        for max_bytes in 2..=text.len() + 1 {
            for split in [0.1, 0.3, 0.5, 0.7, 0.9] {
                let Ok(opened) = open(text, max_bytes, split) else {
                    continue;
                };
                assert!(opened.content.len() <= max_bytes);
                assert!(opened.content.len() + 4 > max_bytes.min(text.len()));
                assert!(text.starts_with(opened.content.as_bytes()));
                let (first, second) = opened.content.split_at(opened.cut);
                assert!(!first.is_empty() && !second.is_empty());
                assert!(first.len() as f64 <= opened.content.len() as f64 * split);
            }
        }
        let half = open(text, 6, 0.5).unwrap();
        assert_eq!((half.content.as_str(), half.cut), ("aé€", 3));
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place() {
        let says = |content: &[u8], max_bytes, part: &str| {
            let error = open(content, max_bytes, 0.5).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        };
        says(b"", 10, "the file is empty");
        says(b"a", 10, "1 bytes are too few");
        says("é".as_bytes(), 10, "2 bytes are too few");
        says(b"ab\xffcd", 10, "not valid UTF-8 at byte 2");
        says(b"ab\xffcd", 3, "not valid UTF-8 at byte 2");
        says(b"abc\xe2\x82", 10, "not valid UTF-8 at byte 3");
        // The limit cuts a character in two, the file's end does not.
        assert_eq!(open("abc€".as_bytes(), 5, 0.5).unwrap().content, "abc");
    }
}
