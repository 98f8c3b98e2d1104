//! Which file of a repository is meant, by llama.cpp's rules.
//!
//! Without a quantisation that is the first of Q4_K_M, of Q8_0, else the first model at all
//! (`common/download.cpp`, `find_best_model`). A model may be split over files that are named
//! `…-00001-of-00003.gguf`: then its first file stands for it.

use std::cmp::Reverse;

use crate::source::Pick;

/// What is taken where no quantisation is named.
pub(crate) const USUAL: [&str; 2] = ["Q4_K_M", "Q8_0"];

/// Files of a repository that are no models by themselves.
const BESIDE: [&str; 6] = ["mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"];

/// A file's place among those of a split model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    /// The path up to the number.
    pub stem: &'a str,
    /// From 1.
    pub part: u32,
    pub of: u32,
}

/// Reads a path like `x-00001-of-00003.gguf`; None for a model of one file.
pub(crate) fn split(path: &str) -> Option<Split<'_>> {
    let (rest, of) = path.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |text: &str| match text.len() {
        5 => text.parse::<u32>().ok(),
        _ => None,
    };
    let (part, of) = (number(part)?, number(of)?);
    (1..=of).contains(&part).then_some(Split { stem, part, of })
}

/// The paths of all files of the model whose first is `path`.
pub(crate) fn parts(path: &str) -> Vec<String> {
    match split(path) {
        None => vec![path.to_owned()],
        Some(Split { stem, of, .. }) => (1..=of)
            .map(|part| format!("{stem}-{part:05}-of-{of:05}.gguf"))
            .collect(),
    }
}

/// Whether a model begins with this file.
pub(crate) fn is_model(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.to_ascii_lowercase().ends_with(".gguf")
        && !BESIDE.iter().any(|part| name.contains(part))
        && split(path).is_none_or(|split| split.part == 1)
}

/// The path that is meant, of all in a repository.
pub(crate) fn choose<'a>(paths: &[&'a str], pick: &Pick) -> Option<&'a str> {
    let mut models: Vec<&str> = paths.iter().copied().filter(|p| is_model(p)).collect();
    models.sort_unstable();
    match pick {
        Pick::File(file) => paths.iter().copied().find(|path| path == file),
        Pick::Quant(quant) => of_quant(&models, quant),
        Pick::Usual => USUAL
            .iter()
            .find_map(|quant| of_quant(&models, quant))
            .or(models.first().copied()),
    }
}

/// The first path in which `quant` stands before a dot or a hyphen. One where it is a whole word
/// comes before others: F16 is part of BF16 as well.
fn of_quant<'a>(models: &[&'a str], quant: &str) -> Option<&'a str> {
    let quant = quant.to_ascii_uppercase();
    let ranked = models.iter().copied().filter_map(|path| {
        let upper = path.to_ascii_uppercase();
        let whole = upper.match_indices(&quant).filter_map(|(at, found)| {
            let after = upper.get(at + found.len()..)?.starts_with(['.', '-']);
            let before = upper
                .get(..at)?
                .ends_with(|c: char| c.is_ascii_alphanumeric());
            after.then_some(!before)
        });
        Some((path, whole.max()?))
    });
    // Of equal ones the first.
    ranked
        .min_by_key(|(_, whole)| Reverse(*whole))
        .map(|(path, _)| path)
}

/// What people call the models of a repository: the quantisation where the name ends with it, else
/// the path.
pub(crate) fn names(paths: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = paths
        .iter()
        .filter(|path| is_model(path))
        .map(|path| quant(path).map_or_else(|| (*path).to_owned(), str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The quantisation that ends a file's name: `Q4_K_M` of `x-Q4_K_M.gguf`.
fn quant(path: &str) -> Option<&str> {
    let stem = split(path).map_or_else(|| path.strip_suffix(".gguf"), |split| Some(split.stem));
    let word = stem?.rsplit(['-', '.', '/']).next()?;
    let known = ["Q", "IQ", "TQ", "F16", "F32", "BF16", "MXFP"];
    let upper = word.to_ascii_uppercase();
    let fits = known.iter().any(|start| {
        upper
            .strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    fits.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen<'a>(paths: &[&'a str], pick: &str) -> Option<&'a str> {
        let pick = match pick {
            "" => Pick::Usual,
            file if file.ends_with(".gguf") => Pick::File(file.to_owned()),
            quant => Pick::Quant(quant.to_owned()),
        };
        choose(paths, &pick)
    }

    #[test]
    fn the_usual_choice_is_llama_cpps() {
        let all = ["README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-F16.gguf"];
        assert_eq!(chosen(&all, ""), Some("m-Q4_K_M.gguf"));
        assert_eq!(chosen(&all[..2], ""), Some("m-Q8_0.gguf"));
        let odd = ["mmproj-m-Q8_0.gguf", "m-Q5_K_S.gguf", "m-IQ2_XS.gguf"];
        assert_eq!(chosen(&odd, ""), Some("m-IQ2_XS.gguf"));
        assert_eq!(chosen(&["mmproj.gguf", "x.safetensors"], ""), None);
    }

    #[test]
    fn a_quantisation_is_found_however_it_is_spelled() {
        let all = [
            "m-BF16.gguf",
            "m-F16.gguf",
            "M.q4_k_m.gguf",
            "m-Q4_K_M-v2.gguf",
        ];
        assert_eq!(chosen(&all, "f16"), Some("m-F16.gguf"));
        assert_eq!(chosen(&all, "BF16"), Some("m-BF16.gguf"));
        assert_eq!(chosen(&all, "q4_k_m"), Some("M.q4_k_m.gguf"));
        assert_eq!(chosen(&all, "Q4_K"), None);
        assert_eq!(chosen(&all, "m-F16.gguf"), Some("m-F16.gguf"));
        assert_eq!(names(&all), ["BF16", "F16", "m-Q4_K_M-v2.gguf", "q4_k_m"]);
    }

    #[test]
    fn a_split_model_is_its_first_file() {
        let all = [
            "Q8_0/m-Q8_0-00002-of-00002.gguf",
            "Q8_0/m-Q8_0-00001-of-00002.gguf",
        ];
        assert_eq!(chosen(&all, "Q8_0"), Some(all[1]));
        assert_eq!(parts(all[1]), [all[1], all[0]]);
        assert_eq!(parts("m.gguf"), ["m.gguf"]);
        assert_eq!(names(&all), ["Q8_0"]);
        for plain in [
            "m-1-of-2.gguf",
            "m-00003-of-00002.gguf",
            "m-00000-of-00002.gguf",
        ] {
            assert_eq!(split(plain), None);
        }
    }
}
