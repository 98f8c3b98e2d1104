//! Answers, conversations and measurements.

use super::{held, line, lines, setting};
use crate::tiny::{CHATML, TinyModel};
use crate::user::text;
use serde_json::Value;

const TEXT: &str = "The moon and the sea are one and the same, and the tide goes out.";

#[test]
fn run() {
    let (user, pack) = setting();
    let ask = [
        "-p",
        "The moon and the",
        "-n",
        "12",
        "--temp",
        "0",
        "--json",
    ];
    let plain = user.json(&line(&["run"], &pack, &ask));
    let more = [&ask[..], &["--attribution"]].concat();
    let attributed = user.json(&line(&["run"], &pack, &more));
    held("run --json", &[], &[plain, attributed]);
}

#[test]
fn weigh() {
    let (user, pack) = setting();
    let given = ["-p", TEXT, "--weights", "bpe=1,spm=3", "--json"];
    let document = user.json(&line(&["weigh"], &pack, &given));
    // Two with templates, so that it matters what they are good at.
    let other = TinyModel::bpe(2).with_template(CHATML);
    let other = text(&other.write(user.path("files/other.gguf")));
    let rivals = [
        "weigh", &pack[0], &pack[1], "-m", &other, "-p", TEXT, "--json",
    ];
    held("weigh --json", &[], &[document, user.json(&rivals)]);
}

#[test]
fn score() {
    let (user, pack) = setting();
    std::fs::write(user.path("a.txt"), TEXT).unwrap();
    let document = user.json(&line(&["score"], &pack, &["a.txt", "--chain", "--json"]));
    held("score --json", &[], &[document]);
}

#[test]
fn bench() {
    let (user, pack) = setting();
    let bench = |draft: &str, more: &[&str]| {
        let short = ["-n", "4", "--pairs", "1", "--json", "--draft", draft];
        user.json(&line(&["bench"], &pack, &[&short[..], more].concat()))
    };
    let several = ["--conversations", "2"];
    let both = [bench("auto", &several), bench("off", &[])];
    held("bench --json", &["Gain", "Pace"], &both);
    let tuned = user.json(&line(&["bench"], &pack, &["--tune", "--json"]));
    held("bench --tune --json", &["Pace"], &[tuned]);
}

#[test]
fn sessions_and_exports() {
    let (user, _) = setting();
    // Short of memory, so that the first messages leave the context.
    let model = TinyModel::bpe(1).with_template(CHATML).saying(&["two"]);
    let model = text(&model.with_context(256).write(user.path("files/short.gguf")));
    let long = "the moon and the sea ".repeat(6);
    let long = format!("{long}\n").repeat(5);
    let typed = format!(
        "/system Be brief.\nThe moon\n/undo\n{long}/export a.json\n/export a.jsonl\n/save tea\n"
    );
    let talk = ["chat", "-m", &model, "--temp", "0", "-n", "8"];
    let done = user.run_with(&talk, typed.as_bytes());
    assert_eq!(done.code, 0, "{}", done.err);
    let kept = lines(&user.path("store/state/sessions/tea.jsonl"));
    held("A session", &["Message"], &kept);
    let exported = std::fs::read(user.path("a.json")).unwrap();
    let exported: Vec<Value> = serde_json::from_slice(&exported).unwrap();
    assert_eq!(exported[0]["role"], "system");
    held("Message", &[], &exported);
    assert_eq!(lines(&user.path("a.jsonl")), exported);
}
