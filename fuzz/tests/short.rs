//! A short run of everything, the same every time.

use packllm_fuzz::models;
use packllm_fuzz::readers::{self, Reader};
use std::path::Path;
use std::time::Duration;

#[test]
fn readers_take_any_file() {
    for (name, reader) in Reader::ALL {
        let read = readers::run(reader, Duration::from_secs(5), 300, 1).unwrap();
        assert!(read > 0, "{name}");
    }
}

#[test]
fn models_end_no_process() {
    let program = Path::new(env!("CARGO_BIN_EXE_packllm-fuzz"));
    let finds = tempfile::tempdir().unwrap();
    let outcome = models::run(program, 100, 1, finds.path()).unwrap();
    assert_eq!(outcome.finds, []);
    assert_eq!(outcome.counts.values().sum::<u64>(), 100);
    assert!(outcome.counts.len() > 1, "{:?}", outcome.counts);
}
