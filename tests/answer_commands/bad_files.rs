//! Files that cannot be members: the program says which file and why, and does not crash.

use crate::tiny::TinyModel;
use crate::user::{User, says, text};
use std::fs;

/// Runs a good member beside the file and returns the error.
fn refusal(user: &User, file: &str) -> String {
    let good = text(&TinyModel::bpe(1).write(user.path("good.gguf")));
    let error = user.fails(&["run", "-m", &good, "-m", file, "-p", "Hello", "-n", "4"]);
    let name = file.trim_end_matches(".gguf");
    says(&error, &["error: ", name]);
    let errors = error.lines().filter(|l| l.starts_with("error: ")).count();
    let others = error
        .lines()
        .filter(|l| {
            !["error: ", "hint: ", "measuring "]
                .iter()
                .any(|p| l.starts_with(p))
        })
        .count();
    assert_eq!((errors, others), (1, 0), "{error}");
    error
}

#[test]
fn files_that_are_not_there_or_no_models() {
    let user = User::new();
    fs::write(user.path("empty.gguf"), "").unwrap();
    fs::write(
        user.path("foreign.gguf"),
        "<!doctype html><title>404</title>",
    )
    .unwrap();
    fs::create_dir(user.path("folder.gguf")).unwrap();
    TinyModel::bpe(1)
        .truncated(5000)
        .write(user.path("cut.gguf"));
    says(&refusal(&user, "nowhere.gguf"), &["nowhere.gguf"]);
    says(&refusal(&user, "empty.gguf"), &["empty"]);
    says(&refusal(&user, "foreign.gguf"), &["not a GGUF file"]);
    says(&refusal(&user, "folder.gguf"), &["folder"]);
    says(&refusal(&user, "cut.gguf"), &["hint: "]);
}

#[test]
fn models_that_cannot_be_members() {
    let user = User::new();
    let write = |name: &str, model: TinyModel| model.write(user.path(name));
    write("bert.gguf", TinyModel::bpe(1).with_architecture("bert"));
    write("words.gguf", TinyModel::bpe(1).vocabulary_only());
    write("lora.gguf", TinyModel::bpe(1).adapter());
    write("part.gguf", TinyModel::bpe(1).split(3));
    write("mamba.gguf", TinyModel::bpe(1).mamba());
    write(
        "alien.gguf",
        TinyModel::bpe(1).with_architecture("grokulator"),
    );
    write("unigram.gguf", TinyModel::spm(1).with_tokenizer("t5"));
    says(&refusal(&user, "bert.gguf"), &["encoder"]);
    says(&refusal(&user, "words.gguf"), &["vocabulary"]);
    says(&refusal(&user, "lora.gguf"), &["adapter"]);
    says(&refusal(&user, "part.gguf"), &["3"]);
    says(&refusal(&user, "mamba.gguf"), &["recurrent"]);
    says(&refusal(&user, "alien.gguf"), &["grokulator"]);
    says(&refusal(&user, "unigram.gguf"), &["tokenizer type \"t5\""]);
}

#[test]
fn damaged_weights_are_found_when_they_speak() {
    let user = User::new();
    TinyModel::bpe(1).with_nan().write(user.path("nan.gguf"));
    says(&refusal(&user, "nan.gguf"), &["not numbers", "sha256"]);
}
