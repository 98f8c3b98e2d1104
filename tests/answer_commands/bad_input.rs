//! Prompts and flags that cannot be used: one clear line, and the right exit code.

use super::{line, pack};
use crate::user::{User, says};
use std::fs;

#[test]
fn an_empty_prompt_is_wrong_usage() {
    let user = User::new();
    let pack = pack(&user);
    for rest in [
        &["-p", ""][..],
        &["-p", " \n"],
        &["-f", "/dev/null"],
        &["-p", "-"],
        &[],
    ] {
        for command in ["run", "weigh"] {
            says(
                &user.misused(&line(command, &pack, rest)),
                &["error: ", "empty"],
            );
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_named_with_the_place() {
    let user = User::new();
    let pack = pack(&user);
    fs::write(user.path("bad.txt"), b"good \xff bad").unwrap();
    for command in ["run", "weigh"] {
        let from_file = user.fails(&line(command, &pack, &["-f", "bad.txt"]));
        says(&from_file, &["bad.txt: not valid UTF-8 at byte 5"]);
        let piped = user.run_with(&line(command, &pack, &[]), b"\xc3(");
        assert_eq!(piped.code, 1);
        says(&piped.err, &["stdin: not valid UTF-8 at byte 0"]);
    }
}

#[test]
fn a_prompt_file_that_cannot_be_read_is_named() {
    let user = User::new();
    let pack = pack(&user);
    says(
        &user.fails(&line("run", &pack, &["-f", "nothing.txt"])),
        &["nothing.txt", "No such file"],
    );
    says(
        &user.fails(&line("run", &pack, &["-f", "files"])),
        &["files", "Is a directory"],
    );
}

#[test]
fn a_prompt_of_a_megabyte_says_how_much_is_over() {
    let user = User::new();
    let pack = pack(&user);
    fs::write(user.path("big.txt"), "the moon and the sea ".repeat(50_000)).unwrap();
    for command in ["run", "weigh"] {
        for raw in [&[][..], &["--raw"]] {
            let rest = [&["-f", "big.txt"], raw].concat();
            says(
                &user.fails(&line(command, &pack, &rest)),
                &["too long for bpe", "tokens", "its context of 2048"],
            );
        }
    }
}

#[test]
fn values_out_of_range_name_their_flag() {
    let user = User::new();
    let pack = pack(&user);
    let cases = [
        (["--top-p", "1.5"], "top-p"),
        (["--min-p", "2"], "min-p"),
        (["--repeat-penalty", "0"], "repeat-penalty"),
        (["--epsilon", "2"], "epsilon"),
        (["--heads", "0"], "heads"),
        (["--tau", "0"], "tau"),
        (["--drop", "nan"], "drop"),
        (["--threads", "0"], "threads"),
        (["--predict", "-5"], "predict"),
        (["--ctx-size", "0"], "ctx-size"),
        (["--batch-size", "0"], "batch-size"),
        (["--mix", "cubic"], "mix"),
        (["--weights", "best"], "weights"),
        (["--weights", "nobody=1"], "nobody"),
        (["--weights", "bpe=-1"], "bpe"),
        (["--stop", ""], "stop"),
        (["--vocab", "words"], "vocab"),
    ];
    for (flag, name) in cases {
        let rest = [&["-p", "Hello"], &flag[..]].concat();
        says(
            &user.misused(&line("run", &pack, &rest)),
            &["error: ", name],
        );
    }
}

#[test]
fn a_wish_that_the_pack_cannot_fulfil_says_why() {
    let user = User::new();
    let pack = pack(&user);
    let fails =
        |rest: &[&'static str]| user.fails(&line("run", &pack, &[&["-p", "Hello"], rest].concat()));
    says(&fails(&["--vocab", "tokens"]), &["bpe", "spm", "vocabular"]);
    says(
        &fails(&["-c", "9000"]),
        &["9000", "2048", "hint: use -c 2048"],
    );
    says(&fails(&["-ngl", "99"]), &["hint: "]);
    says(&fails(&["-dev", "CUDA0"]), &["CUDA0", "hint: "]);
}

#[test]
fn a_pack_has_to_be_named() {
    let user = User::new();
    let unknown = user.fails(&["run", "--pack", "startr", "-p", "Hello"]);
    says(&unknown, &["startr", "starter"]);
    let absent = user.fails(&["run", "--pack", "starter", "-p", "Hello"]);
    says(&absent, &["models pull starter"]);
    let both = user.misused(&["run", "--pack", "starter", "-m", "a.gguf", "-p", "Hello"]);
    says(&both, &["--pack", "--model"]);
}

#[test]
fn a_typo_in_a_manifest_is_named_with_its_line_and_the_nearest_key() {
    let user = User::new();
    let (bpe, _) = user.models();
    let manifest = format!("name = \"p\"\n\n[[member]]\nname = \"a\"\nfil = {bpe:?}\n");
    fs::write(user.path("p.toml"), manifest).unwrap();
    let error = user.fails(&["run", "--pack", "p.toml", "-p", "Hello"]);
    says(
        &error,
        &["p.toml:5: unknown key `fil`", "did you mean `file`?"],
    );
}
