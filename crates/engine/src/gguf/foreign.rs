//! What a file that is not GGUF looks like, judged by its first bytes: the usual download
//! accidents.

/// What a file that is no model seems to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Foreign {
    /// A few lines in a file's place.
    #[error("a Git LFS pointer to one")]
    LfsPointer,
    /// HTML or XML.
    #[error("a web page")]
    WebPage,
    /// Weights of another format.
    #[error("a safetensors file")]
    Safetensors,
    /// An archive with an index.
    #[error("a zip archive, perhaps a PyTorch checkpoint")]
    Zip,
    /// Python's own format.
    #[error("a Python pickle, perhaps an old PyTorch checkpoint")]
    Pickle,
    /// One of GGUF's forerunners.
    #[error("a GGML model from before GGUF")]
    OldGgml,
    /// gzip, zstd, xz or bzip2.
    #[error("a compressed file")]
    Compressed,
    /// An object.
    #[error("a JSON document, perhaps a server's error message")]
    Json,
    /// Nothing else.
    #[error("zeros: a download that was begun and not written")]
    Zeros,
    /// Other text.
    #[error("text that begins with {0:?}")]
    Text(String),
    /// Other bytes; these come first, escaped.
    #[error("something that begins with \"{0}\"")]
    Other(String),
}

/// Says what a file that starts with `start` (not empty, at most a few hundred bytes) seems to be.
pub(super) fn recognise(start: &[u8]) -> Foreign {
    let text: String = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    let begins = |texts: &[&str]| texts.iter().any(|&begin| text.starts_with(begin));
    let magic = |magics: &[&[u8]]| magics.iter().any(|&magic| start.starts_with(magic));

    if begins(&["version https://git-lfs"]) {
        Foreign::LfsPointer
    } else if begins(&["<!doctype", "<html", "<head", "<?xml"]) {
        Foreign::WebPage
    } else if start.get(4..9) == Some(b"\0\0\0\0{") {
        // A 64-bit length, then a JSON object of that length.
        Foreign::Safetensors
    } else if magic(&[b"PK\x03\x04"]) {
        Foreign::Zip
    } else if matches!(start, [0x80, 2..=5, ..]) {
        Foreign::Pickle
    } else if magic(&[b"lmgg", b"fmgg", b"tjgg", b"algg"]) {
        Foreign::OldGgml
    } else if magic(&[b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"]) {
        Foreign::Compressed
    } else if begins(&["{"]) {
        Foreign::Json
    } else if start.iter().all(|&byte| byte == 0) {
        Foreign::Zeros
    } else if start
        .iter()
        .all(|&byte| matches!(byte, b'\t' | b'\n' | b'\r' | 32..127))
    {
        Foreign::Text(text.chars().take(32).collect())
    } else {
        let begin = start[..start.len().min(4)].escape_ascii();
        Foreign::Other(begin.to_string())
    }
}
