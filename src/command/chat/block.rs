//! Texts of several lines: a block between `"""`, or lines that end in a backslash.

/// What a block opens and closes with.
pub const FENCE: &str = "\"\"\"";

/// Where a block opens: at the beginning, or as the argument of a command (`/set system """`).
pub fn fence(text: &str) -> Option<usize> {
    let at = text.find(FENCE)?;
    let before = text[..at].trim_start();
    let given = before.starts_with('/') && before.ends_with(' ') && !before.contains('\n');
    let opens = before.is_empty() || given && before.split_whitespace().count() < 3;
    opens.then_some(at)
}

/// Whether the text continues on the next line.
pub fn goes_on(text: &str) -> bool {
    match fence(text) {
        Some(at) => !text[at + FENCE.len()..].trim_end().ends_with(FENCE),
        None => text.ends_with('\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_go_on_until_they_are_closed() {
        for (text, on) in [
            ("hi", false),
            ("hi \\", true),
            ("\"\"\"", true),
            ("\"\"\"one\ntwo", true),
            ("\"\"\"one\ntwo\"\"\"", false),
            ("\"\"\"one\"\"\"  ", false),
            ("say \"\"\"", false),
            ("/set system \"\"\"", true),
            ("/system \"\"\"Be\nbrief.\"\"\"", false),
            ("/read a.md -- what is \"\"\"", false),
            ("/x\n \"\"\"", false),
        ] {
            assert_eq!(goes_on(text), on, "{text:?}");
        }
    }
}
