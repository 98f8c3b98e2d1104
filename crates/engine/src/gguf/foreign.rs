//! What a file that is not GGUF looks like, judged by its first bytes: the usual download accidents.

use super::error::Fault;

const CONVERT: &str = "get a GGUF conversion of the model";
const AGAIN: &str = "download the file again";

/// Says what a file that starts with `start` (not empty, at most a few hundred bytes) seems to be.
pub(super) fn recognise(start: &[u8]) -> Fault {
    let text: String = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    let begins = |texts: &[&str]| texts.iter().any(|&begin| text.starts_with(begin));
    let magic = |magics: &[&[u8]]| magics.iter().any(|&magic| start.starts_with(magic));

    let (what, hint) = if begins(&["version https://git-lfs"]) {
        (
            "a Git LFS pointer to one",
            "fetch the model itself: git lfs pull",
        )
    } else if begins(&["<!doctype", "<html", "<head", "<?xml"]) {
        (
            "a web page",
            "the link led to a page about the file, not to the file",
        )
    } else if start.get(4..9) == Some(b"\0\0\0\0{") {
        // A 64-bit length, then a JSON object of that length.
        ("a safetensors file", CONVERT)
    } else if magic(&[b"PK\x03\x04"]) {
        ("a zip archive, perhaps a PyTorch checkpoint", CONVERT)
    } else if matches!(start, [0x80, 2..=5, ..]) {
        (
            "a Python pickle, perhaps an old PyTorch checkpoint",
            CONVERT,
        )
    } else if magic(&[b"lmgg", b"fmgg", b"tjgg", b"algg"]) {
        ("a GGML model from before GGUF", CONVERT)
    } else if magic(&[b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"]) {
        ("a compressed file", "unpack it first")
    } else if begins(&["{"]) {
        ("a JSON document, perhaps a server's error message", AGAIN)
    } else if start.iter().all(|&byte| byte == 0) {
        ("zeros: a download that was begun and not written", AGAIN)
    } else if start
        .iter()
        .all(|&byte| matches!(byte, b'\t' | b'\n' | b'\r' | 32..127))
    {
        let begin: String = text.chars().take(32).collect();
        return foreign(format!("text that begins with {begin:?}"), AGAIN);
    } else {
        let begin = start[..start.len().min(4)].escape_ascii();
        return foreign(format!("something that begins with \"{begin}\""), AGAIN);
    };
    foreign(what.to_owned(), hint)
}

fn foreign(what: String, hint: &'static str) -> Fault {
    Fault::Foreign { what, hint }
}
