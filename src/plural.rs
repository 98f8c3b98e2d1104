//! Singular and plural.

/// `1 thread`, `2 threads`.
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The verb: `is` for 1, else `are`.
pub fn be(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}
