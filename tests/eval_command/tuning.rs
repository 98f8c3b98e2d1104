//! `pack tune`: a verdict, and the pack that follows from it.

use crate::tiny::TinyModel;
use crate::user::{User, says};
use std::fs;

/// A conversation is its words, so that a question's last word comes right before the answer.
const BARE: &str = "{% for message in messages %}{{ message['content'] }}\
    {% if message['role'] == 'assistant' %}{{ '<|im_end|>' }}{% endif %}{% endfor %}";

/// A pack of one member that always says the right thing and one that never does.
fn duo(user: &User) -> String {
    let right = user.saying(crate::tiny::CHATML, &["one"]);
    let other = user.models().0;
    user.ok(&["pack", "new", "duo", "-m", &right, "-m", &other]);
    let lines =
        (0..6).map(|i| format!("{{\"query\": \"The moon and {i}?\", \"answer\": \"one\"}}\n"));
    fs::write(user.path("mine.jsonl"), lines.collect::<String>()).unwrap();
    right
}

#[test]
fn who_answers_best_alone_becomes_a_pack_of_one() {
    let user = User::new();
    let right = duo(&user);
    let name = std::path::Path::new(&right).file_stem().unwrap();
    let name = name.to_str().unwrap().to_owned();
    let said = user.run(&["pack", "tune", "duo", "mine.jsonl"]);
    assert_eq!(said.code, 0, "{}", said.err);
    says(
        &said.out,
        &[
            &format!("use {name} alone; "),
            "adds nothing",
            "wrote ",
            "duo-tuned",
        ],
    );
    says(&said.err, &["packllm chat --pack duo-tuned"]);
    let manifest = user.ok(&["pack", "show", "duo-tuned"]);
    assert_eq!(manifest.matches("[[member]]").count(), 1, "{manifest}");
    says(&manifest, &["weights = \"auto\"", &name]);
    let answer = user.ok(&["run", "--pack", "duo-tuned", "-p", "Hello", "--temp", "0"]);
    assert_eq!(answer, "one\n");

    // Again it goes on with what was measured, under another name or if it may replace the first.
    let again = user.run(&["pack", "tune", "duo", "mine.jsonl"]);
    assert_eq!(again.code, 1, "{}", again.err);
    says(&again.err, &["`duo-tuned` already exists"]);
    let again = user.run(&["pack", "tune", "duo", "mine.jsonl", "--as", "best"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(again.out.lines().next(), said.out.lines().next());
    assert!(user.ok(&["pack", "list"]).contains("best"));
}

/// The opposite: each knows what the other does not, and is sure of it alone.
#[test]
fn two_that_know_different_things_are_kept_together() {
    let user = User::new();
    let knowing = |seed, name: &str, known: &[[&str; 2]]| {
        let model = TinyModel::bpe(seed).with_template(BARE).knowing(known);
        let path = model.write(user.path(&format!("files/{name}.gguf")));
        path.to_str().unwrap().to_owned()
    };
    let day = knowing(1, "day", &[[" sun", " one"]]);
    let night = knowing(2, "night", &[[" moon", " two"]]);
    user.ok(&["pack", "new", "both", "-m", &day, "-m", &night]);
    let asked = [("sun", "one"), ("moon", "two")];
    let lines = asked.iter().cycle().take(24).enumerate();
    let lines = lines.map(|(i, (word, answer))| {
        format!("{{\"query\": \"The {i} of the {word}\", \"answer\": \"{answer}\"}}\n")
    });
    fs::write(user.path("mine.jsonl"), lines.collect::<String>()).unwrap();
    let said = user.run(&["pack", "tune", "both", "mine.jsonl"]);
    assert_eq!(said.code, 0, "{}", said.err);
    says(
        &said.out,
        &["day + night answers +50.0 ± ", "keep it", "both-tuned"],
    );
    let manifest = user.ok(&["pack", "show", "both-tuned"]);
    assert_eq!(manifest.matches("[[member]]").count(), 2, "{manifest}");
}

#[test]
fn what_cannot_be_tuned_is_an_error_that_says_why() {
    let user = User::new();
    let one = user.models().0;
    user.ok(&["pack", "new", "single", "-m", &one]);
    says(&user.fails(&["pack", "tune", "single"]), &["one member"]);
    says(&user.fails(&["pack", "tune", "nobody"]), &["nobody"]);
    duo(&user);
    says(
        &user.fails(&["pack", "tune", "duo", "none.jsonl"]),
        &["none.jsonl"],
    );
    let named = user.run(&["pack", "tune", "duo", "mine.jsonl", "--as", "a/b"]);
    assert_eq!(named.code, 2, "{}", named.err);
    says(&named.err, &["cannot name a pack"]);
}
