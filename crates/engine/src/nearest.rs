//! The name that was probably meant.

/// The known name that `name` begins (two letters of it are enough), or else the one with the
/// fewest edits from it, if those are few; the first of equals. Case is ignored.
pub fn nearest<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    let name = name.to_lowercase();
    let letters = name.chars().count();
    let limit = match letters {
        0..=3 => 1,
        letters => (letters / 3).max(2),
    };
    let distance = |candidate: &S| {
        let candidate = candidate.as_ref().to_lowercase();
        match letters > 1 && candidate.starts_with(&name) {
            true => 0,
            false => strsim::damerau_levenshtein(&name, &candidate),
        }
    };
    let candidates = known.into_iter().map(|c| (distance(&c), c));
    let near = candidates.filter(|(distance, _)| *distance <= limit);
    let nearest = near.min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, candidate)| candidate.as_ref().to_owned())
}

/// `, did you mean NAME?`, or nothing.
#[must_use]
pub fn did_you_mean(nearest: Option<String>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_beginning_or_a_slip_is_understood_and_nothing_far() {
        let known = ["weights", "exit", "on"];
        for (typed, meant) in [
            ("wei", Some("weights")),
            ("WEIGHTS", Some("weights")),
            ("wieghts", Some("weights")),
            ("exti", Some("exit")),
            ("no", Some("on")),
            ("bogus", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known).as_deref(), meant, "{typed}");
        }
    }
}
