//! Files that cannot be members: the program says which file and why, and does not crash.

use crate::tiny::TinyModel;
use crate::user::{User, says, text};
use std::fs;
use std::path::{Path, PathBuf};

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

/// Of an architecture that is nothing without experts, which llama.cpp asserts when it loads it and
/// our reader does not know.
fn deadly(user: &User, name: &str) -> PathBuf {
    let model = TinyModel::bpe(1).with_architecture("smallthinker");
    model.write(user.path(name))
}

/// What the store keeps of trials.
fn verdicts(user: &User) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(user.path("store/trials")) else {
        return Vec::new();
    };
    folder.map(|file| file.unwrap().path()).collect()
}

#[test]
fn a_file_that_ends_the_process_that_loads_it() {
    let user = User::new();
    deadly(&user, "deadly.gguf");
    let first = refusal(&user, "deadly.gguf");
    says(&first, &["ends the process", "GGML_ASSERT", "--trust-file"]);
    assert!(!first.contains("/src/"), "{first}");
    // Both files of that pack were tried, each under two names.
    assert_eq!(verdicts(&user).len(), 4);
    assert_eq!(refusal(&user, "deadly.gguf"), first);
    // The same file elsewhere is known as well.
    fs::copy(user.path("deadly.gguf"), user.path("copy.gguf")).unwrap();
    says(&refusal(&user, "copy.gguf"), &["ends the process"]);
}

#[test]
#[cfg(unix)]
fn a_trusted_file_is_loaded_without_a_trial() {
    let user = User::new();
    let good = text(&TinyModel::bpe(1).write(user.path("good.gguf")));
    user.ok(&["run", "-m", &good, "-p", "Hello", "-n", "2", "--trust-file"]);
    assert_eq!(verdicts(&user), [] as [&Path; 0]);
    deadly(&user, "deadly.gguf");
    let mut trusting = user.command(&["run", "-m", "deadly.gguf", "-p", "Hello", "--trust-file"]);
    let ended = trusting.env("GGML_NO_BACKTRACE", "1").output().unwrap();
    assert_eq!(ended.status.code(), None, "it ends by a signal");
}

#[test]
fn a_file_is_tried_once_and_again_when_it_has_changed() {
    let user = User::new();
    let run = || user.run(&["run", "-m", "model.gguf", "-p", "Hello", "-n", "2"]);
    TinyModel::bpe(1).write(user.path("model.gguf"));
    assert_eq!(run().code, 0);
    let kept = verdicts(&user);
    assert_eq!(kept.len(), 2);
    // What is kept is believed.
    for path in &kept {
        fs::write(path, r#"{"fault":"it was bad\u001b[31m"}"#).unwrap();
    }
    let done = run();
    assert_eq!(done.code, 1);
    says(&done.err, &["model.gguf: it was bad\u{fffd}[31m"]);
    TinyModel::bpe(2).write(user.path("model.gguf"));
    assert_eq!(run().code, 0);
    // What cannot be read is no verdict.
    for path in verdicts(&user) {
        fs::write(path, "{").unwrap();
    }
    assert_eq!(run().code, 0);
}

#[test]
fn a_split_model_is_tried_as_one_and_again_when_a_part_has_changed() {
    let user = User::new();
    let [first, second] = [1, 2].map(|part| user.path(&format!("m-0000{part}-of-00002.gguf")));
    let run = |verdicts_then: usize| {
        let done = user.run(&["run", "-m", &text(&first), "-p", "Hello", "-n", "2"]);
        assert_eq!(done.code, 0, "{}", done.err);
        assert_eq!(verdicts(&user).len(), verdicts_then);
    };
    let write = |seed| {
        let parts = TinyModel::bpe(seed).in_parts(2);
        fs::write(&second, &parts[1]).unwrap();
        parts
    };
    fs::write(&first, &write(1)[0]).unwrap();
    run(2);
    run(2);
    // The first file is still the same.
    write(2);
    run(4);
}

#[test]
fn a_bad_file_in_a_pack_is_named_and_the_others_are_not() {
    let user = User::new();
    TinyModel::spm(2).write(user.path("sound.gguf"));
    deadly(&user, "deadly.gguf");
    let mut alike = TinyModel::spm(1).bytes();
    let at = alike.windows(6).position(|text| text == b"<0x41>");
    let at = at.unwrap();
    alike[at..at + 6].copy_from_slice(b"<0x42>");
    fs::write(user.path("alike.gguf"), &alike).unwrap();
    for bad in ["deadly", "alike"] {
        let member = |name| format!("[[member]]\nname = \"{name}\"\nfile = \"{name}.gguf\"\n");
        let manifest = ["name = \"p\"\n".into(), member("sound"), member(bad)].concat();
        fs::write(user.path("p.toml"), manifest).unwrap();
        let error = user.fails(&["run", "--pack", "./p.toml", "-p", "Hello", "-n", "2"]);
        let lines: Vec<&str> = error.lines().filter(|l| !l.starts_with("hint: ")).collect();
        assert_eq!(lines.len(), 1, "{error}");
        says(lines[0], &["error: ", bad]);
        assert!(!lines[0].contains("sound"), "{error}");
    }
}

#[test]
fn a_store_that_cannot_be_written_is_no_reason_to_stop() {
    let user = User::new();
    fs::create_dir_all(user.path("store")).unwrap();
    fs::write(user.path("store/trials"), "a file in the folder's place").unwrap();
    TinyModel::bpe(1).write(user.path("model.gguf"));
    let done = user.run(&["run", "-m", "model.gguf", "-p", "Hello", "-n", "2"]);
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["not remembered"]);
}

#[test]
fn two_tokens_of_one_spelling() {
    let user = User::new();
    let mut bytes = TinyModel::spm(1).bytes();
    let at = bytes.windows(6).position(|text| text == b"<0x41>");
    let at = at.unwrap();
    bytes[at..at + 6].copy_from_slice(b"<0x42>");
    fs::write(user.path("alike.gguf"), &bytes).unwrap();
    says(&refusal(&user, "alike.gguf"), &["spelled differently"]);
}

#[test]
fn what_a_file_says_does_not_act_on_the_terminal() {
    let user = User::new();
    let template = "{{ raise_exception('\x1b[31mred\x07') }}";
    TinyModel::bpe(1)
        .with_template(template)
        .write(user.path("red.gguf"));
    let done = user.run(&["run", "-m", "red.gguf", "-p", "Hello", "-n", "2"]);
    assert_eq!(done.code, 1);
    says(&done.err, &["\u{fffd}[31mred\u{fffd}"]);
}
