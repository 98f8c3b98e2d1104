//! Stores that cannot be read or written, and output whose reader has gone.

use super::*;

#[test]
fn a_store_that_cannot_be_is_an_error_with_its_path() {
    let user = User::new();
    let (bpe, _) = user.models();
    fs::write(user.path("plain"), "a file").unwrap();
    let home = user.path("plain/store");
    for args in [
        &["models", "list"][..],
        &["models", "import", &bpe],
        &["models", "remove", "x.gguf"],
        &["pack", "list"],
        &["pack", "new", "mine", "-m", &bpe],
        &["doctor"],
    ] {
        let done = Done::of(
            user.command(args)
                .env("PACKLLM_HOME", &home)
                .output()
                .unwrap(),
        );
        assert_eq!(done.code, 1, "{args:?}: {}", done.err);
        says(&done.err, &["error: cannot ", &text(&home)]);
        assert_eq!(
            done.err.matches("Not a directory").count(),
            1,
            "{}",
            done.err
        );
    }
}

#[test]
fn a_damaged_index_is_an_error_that_says_what_to_do() {
    let user = User::new();
    fs::create_dir_all(user.path("store")).unwrap();
    fs::write(user.path("store/index.json"), "{").unwrap();
    says(
        &user.fails(&["models", "list"]),
        &["index.json", "damaged", "move that file away"],
    );
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let user = User::new();
    let (bpe, _) = user.models();
    user.ok(&["models", "import", &bpe]);
    user.ok(&["pack", "new", "mine", "-m", &bpe]);
    for args in [
        &["models", "list"][..],
        &["models", "list", "--json"],
        &["models", "import", &bpe],
        &["pack", "list"],
        &["pack", "show", "mine"],
        &["pack", "check", "mine"],
        &["doctor", "-m", &bpe],
        &["doctor", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = Done::of(user.command(args).stdout(writer).output().unwrap());
        assert_eq!(done.code, 1, "{args:?}: {}", done.err);
        assert!(!done.err.contains("error"), "{args:?}: {}", done.err);
    }
}
