//! Models that are split over files.

use super::*;

/// A file of a split model with one tensor.
fn part(number: u32, count: u32, tensor: &str) -> Draft {
    Draft::default()
        .u32("split.no", number)
        .u32("split.count", count)
        .tensor(tensor, &[4], 0, 16)
}

/// Writes the files under the names that llama.cpp looks for, and reads the first.
fn read(parts: &[Draft]) -> Result<Header, GgufError> {
    let folder = tempfile::tempdir().unwrap();
    let named = |part: usize| folder.path().join(format!("m-{part:05}-of-00002.gguf"));
    for (index, part) in parts.iter().enumerate() {
        fs::write(named(index + 1), part.file()).unwrap();
    }
    Header::read(named(1))
}

fn fault(parts: &[Draft]) -> String {
    read(parts).unwrap_err().to_string()
}

#[test]
fn the_files_of_a_model_are_read_together() {
    let header = read(&[part(0, 2, "a"), part(1, 2, "b")]).unwrap();
    let names: Vec<&str> = header.tensors.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(!matches!(
        header.member().unwrap_err().fault,
        Fault::Split { .. }
    ));
}

#[test]
fn files_that_do_not_belong_together_are_an_error() {
    let alone = read(&[part(0, 2, "a")]).unwrap().member().unwrap_err();
    assert!(matches!(
        alone.fault,
        Fault::Split {
            number: 1,
            count: 2
        }
    ));
    let strange = fault(&[part(0, 2, "a"), part(1, 3, "b")]);
    assert!(
        strange.contains("m-00002-of-00002.gguf") && strange.contains("split.no"),
        "{strange}"
    );
    let twice = fault(&[part(0, 2, "a"), part(1, 2, "a")]);
    assert!(twice.contains("`a` a second time"), "{twice}");
    let torn = fault(&[part(0, 2, "a"), Draft::default()]);
    assert!(torn.contains("m-00002-of-00002.gguf"), "{torn}");
    let many = read(&[part(0, 4_000_000_000, "a")]).unwrap();
    assert_eq!(many.tensors.len(), 1);
}
