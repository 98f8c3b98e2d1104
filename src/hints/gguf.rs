//! Model files whose header is refused.

use packllm_engine::gguf::{Fault, Foreign, GgufError};
use std::error::Error;

/// See [`super::words`]; None: the library's own words are used.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(GgufError { path, fault }) = error.downcast_ref() {
        return Some(format!("{}: {}", path.display(), super::words(fault)));
    }
    match error.downcast_ref()? {
        error @ Fault::Split { .. } => Some(format!(
            "{error}; merge them first (llama-gguf-split --merge)"
        )),
        _ => None,
    }
}

/// See [`super::hint`].
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let of_file = error.downcast_ref().map(|error: &GgufError| &error.fault);
    let hint = match of_file.or_else(|| error.downcast_ref())? {
        Fault::Missing => "check the path",
        Fault::Empty | Fault::Cut { .. } | Fault::Truncated { .. } => "download the file again",
        Fault::Foreign(foreign) => of_foreign(foreign),
        Fault::BigEndian => "get the little-endian version of the model",
        Fault::Version(1) => "get a newer conversion of the model",
        Fault::Split { .. } => "merge the parts first: llama-gguf-split --merge PART-1 OUT",
        Fault::AddOn(_) | Fault::NotGenerative { .. } | Fault::VocabularyOnly => {
            "name the file of a text-generating model"
        }
        _ => return None,
    };
    Some(hint.into())
}

fn of_foreign(foreign: &Foreign) -> &'static str {
    match foreign {
        Foreign::LfsPointer => "fetch the model itself: git lfs pull",
        Foreign::WebPage => "the link led to a page about the file, not to the file",
        Foreign::Safetensors | Foreign::Zip | Foreign::Pickle | Foreign::OldGgml => {
            "get a GGUF conversion of the model"
        }
        Foreign::Compressed => "unpack it first",
        _ => "download the file again",
    }
}
