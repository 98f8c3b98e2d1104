//! Attribution: in colours, in marks, in JSON, and never in the answer itself.

use super::pty::Terminal;
use super::{line, pack};
use crate::tiny::{CHATML, TinyModel};
use crate::user::{User, says, text};
use serde_json::Value;

const ASK: [&str; 7] = [
    "-p",
    "The moon and the",
    "-n",
    "24",
    "--temp",
    "0",
    "--attribution",
];

/// A pack of two with equal weights: one says a fixed text, the other is random.
fn unlike(user: &User) -> [String; 6] {
    let first = user.saying(CHATML, &["**two**", " `x`"]);
    let second = TinyModel::bpe(4).with_template(CHATML);
    let second = text(&second.write(user.path("files/other.gguf")));
    let weights = "saying=0.5,other=0.5";
    ["-m", &first, "-m", &second, "--weights", weights].map(str::to_owned)
}

#[test]
fn words_are_coloured_under_their_styles() {
    let user = User::new();
    let model = user.saying(
        CHATML,
        &["# Moon\n", "**two** of ", "`x`\n```c\n", "*p\n```"],
    );
    let args = [
        "run",
        "-m",
        &model,
        "-p",
        "Hi",
        "--temp",
        "0",
        "--attribution",
    ];
    let mut terminal = Terminal::new(&user, &args, &[]);
    let shown = terminal.waits_for("seed ");
    assert_eq!(terminal.code(), 0);
    // A lone member argued for all of the answer.
    let rendered = "\x1b[0;1;33m# Moon\x1b[0m\r\n\x1b[0;1;33mtwo\x1b[0;33m of \x1b[0;33mx\x1b[0m\r\n\
                    \x1b[0;2;33m```c\x1b[0m\r\n\x1b[0;33m*p\x1b[0m\r\n\x1b[0;2;33m```\x1b[0m\r\n";
    says(&shown, &[rendered]);
    let legend = "argued for by \x1b[0;33msaying\x1b[0;2m 100% (weight 1.00) · nobody more than the others 0%";
    says(&shown, &[legend]);
}

#[test]
fn without_colours_the_stretches_are_marked_under_the_answer() {
    let user = User::new();
    let pack = unlike(&user);
    let args = line("run", &pack, &ASK);
    let piped = user.run(&args);
    assert_eq!(piped.out, "**two** `x`\n", "{}", piped.err);
    let marks = "[1 **two** `x`]\nargued for by [1 saying] 100% (weight 0.50)";
    says(&piped.err, &[marks, "[2 other] 0% (weight 0.50)"]);
    for (more, env) in [
        ("--plain", ("A", "")),
        ("--draft=off", ("NO_COLOR", "1")),
        ("--draft=off", ("TERM", "dumb")),
    ] {
        let args = [&args[..], &[more]].concat();
        let mut terminal = Terminal::new(&user, &args, &[env]);
        let shown = terminal.waits_for("seed ");
        assert_eq!(terminal.code(), 0);
        says(&shown, &["**two** `x`\r\n", "[1 **two** `x`]\r\n"]);
        assert!(!shown.contains("\x1b[0;3"), "{shown:?}");
    }
}

#[test]
fn the_document_has_every_word_and_who_argued_for_it() {
    let user = User::new();
    let pack = pack(&user);
    let document: Value = user.json(&line("run", &pack, &[&ASK[..], &["--json"]].concat()));
    let said = &document["attribution"];
    let pieces = said["pieces"].as_array().unwrap();
    let joined: String = pieces.iter().map(|p| p["text"].as_str().unwrap()).collect();
    assert_eq!(document["text"], joined.as_str());
    let (mut bytes, mut all) = (std::collections::HashMap::new(), 0);
    for piece in pieces {
        let c: Vec<f64> = piece["contributions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_f64().unwrap_or(f64::INFINITY))
            .collect();
        assert_eq!(c.len(), 2, "{piece}");
        let ahead = match c[0] > c[1] {
            true => ("bpe", c[0] - c[1].max(0.0)),
            false => ("spm", c[1] - c[0].max(0.0)),
        };
        let expected = (ahead.1 >= 2f64.ln()).then_some(ahead.0);
        assert_eq!(piece["member"].as_str(), expected, "{piece}");
        let length = piece["text"].as_str().unwrap().len();
        all += length;
        *bytes.entry(expected).or_insert(0) += length;
    }
    let mut weights = 0.0;
    for member in said["members"].as_array().unwrap() {
        let own = bytes.get(&member["name"].as_str()).copied().unwrap_or(0);
        let share = member["share"].as_f64().unwrap();
        assert!((share - own as f64 / all as f64).abs() < 1e-12, "{said}");
        weights += member["weight"].as_f64().unwrap();
    }
    assert!((weights - 1.0).abs() < 1e-9);
    let plain: Value = user.json(&line("run", &pack, &[&ASK[..6], &["--json"]].concat()));
    assert_eq!(plain["text"], document["text"]);
    assert_eq!(plain["attribution"], Value::Null);
}

#[test]
fn it_is_turned_on_and_off_and_no_part_of_what_is_said_or_kept() {
    let user = User::new();
    let pack = pack(&user);
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let turns = b"The moon\n/export plain.txt\n";
    let plain = user.run_with(&args, turns);
    let input = b"/attribution\n/set attribution\nThe moon\n/export said.txt\n/compare\n\
                  /attribution maybe\n/attribution off\n/set\n/regenerate\n";
    let done = user.run_with(&args, input);
    assert_eq!((plain.code, done.code), (0, 0), "{}", done.err);
    assert!(done.out.starts_with(&plain.out), "{}", done.out);
    let read = |name: &str| std::fs::read_to_string(user.path(name)).unwrap();
    assert_eq!(read("plain.txt"), read("said.txt"));
    says(
        &done.err,
        &["attribution is on: under", "attribution is on\n"],
    );
    says(
        &done.err,
        &["/attribution maybe: it is on or off", "attribution is off"],
    );
    says(&done.out, &["attribution      off"]);
    assert_eq!(done.err.matches("argued for by [1 bpe] ").count(), 1);
    assert!(!plain.err.contains("argued for"));
}

#[test]
fn an_answer_that_goes_on_is_attributed_from_there() {
    let user = User::new();
    let pack = unlike(&user);
    let mut terminal = Terminal::new(
        &user,
        &line("chat", &pack, &["--temp", "0", "-n", "1", "--attribution"]),
        &[],
    );
    terminal.waits_for(">>> ");
    terminal.types("Hi\r");
    terminal.waits_for("argued for by");
    terminal.waits_for(">>> ");
    terminal.types("/continue\r");
    terminal.waits_for("\x1b[0;33mx\x1b[0m\r\n");
    terminal.waits_for(">>> ");
    terminal.types("/bye\r");
    assert_eq!(terminal.code(), 0);
}
