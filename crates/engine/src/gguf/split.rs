//! A model that is split over files named `x-00001-of-00003.gguf`: the first has the metadata, each
//! some of the tensors. llama.cpp finds the others by their names, and so do we.

use std::path::{Path, PathBuf};

use super::error::{Fault, GgufError};
use super::{Header, Tensor};

/// Most files of a model; llama.cpp's names have five digits.
const LIMIT: u64 = 99_999;

/// Adds the tensors of the other files to the header of the first. A header that is of no first
/// file, or lies there alone, is left as it is.
pub(super) fn join(header: &mut Header) -> Result<(), GgufError> {
    let count = header.u64("split.count").unwrap_or(0);
    let first = header.u64("split.no").unwrap_or(0) == 0;
    if !first || !(2..=LIMIT).contains(&count) {
        return Ok(());
    }
    let others: Option<Vec<PathBuf>> = (2..=count)
        .map(|part| beside(header.path(), part, count).filter(|path| path.is_file()))
        .collect();
    let Some(others) = others else {
        return Ok(());
    };
    for (part, path) in (2..).zip(others) {
        let other = Header::read_alone(&path)?;
        let place = ["split.no", "split.count"].map(|key| other.u64(key));
        if place != [Some(part - 1), Some(count)] {
            let fault = Fault::Value {
                key: "split.no and split.count".to_owned(),
                expected: format!("{} of {count}", part - 1),
                found: format!("{:?} of {:?}", place[0], place[1]),
            };
            return Err(GgufError::new(&path, fault));
        }
        header.file_bytes = header.file_bytes.saturating_add(other.file_bytes);
        add(&mut header.tensors, other.tensors).map_err(|fault| GgufError::new(&path, fault))?;
    }
    header.parts = count;
    Ok(())
}

fn add(tensors: &mut Vec<Tensor>, more: Vec<Tensor>) -> Result<(), Fault> {
    let names: std::collections::HashSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    if let Some(twice) = more
        .iter()
        .find(|tensor| names.contains(tensor.name.as_str()))
    {
        return Err(Fault::Malformed {
            offset: 0,
            expected: "a new tensor".to_owned(),
            found: format!("`{}` a second time", twice.name),
        });
    }
    tensors.extend(more);
    Ok(())
}

/// The path of another file of the model, if the first is named as files of a split model are.
fn beside(first: &Path, part: u64, count: u64) -> Option<PathBuf> {
    let name = first.file_name()?.to_str()?;
    let stem = name.strip_suffix(&format!("-00001-of-{count:05}.gguf"))?;
    Some(first.with_file_name(format!("{stem}-{part:05}-of-{count:05}.gguf")))
}
