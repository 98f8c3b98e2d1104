//! Conversations that are saved and continued, turns that are taken back or dropped.

use super::{endless_talk, line, pack};
use crate::user::{Done, User, says, wait_for_output};
use std::fs;
use std::io::Write;

const SHORT: [&str; 6] = ["--temp", "0", "-n", "8", "--weights", "exact"];

/// The bytes of evidence and the losses in the output of `/weights`.
fn weights(out: &str) -> Vec<String> {
    let lines = out.lines().skip_while(|l| !l.starts_with("weights by"));
    lines.take(3).map(str::to_owned).collect()
}

fn talk(user: &User, pack: &[String], input: &str) -> Done {
    let done = user.run_with(&line("chat", pack, &SHORT), input.as_bytes());
    assert_eq!(done.code, 0, "{}", done.err);
    done
}

#[test]
fn what_is_taken_back_is_no_evidence_and_nothing_counts_twice() {
    let user = User::new();
    let pack = pack(&user);
    let plain = weights(&talk(&user, &pack, "The moon\n/weights\n").out);
    assert!(plain[0].contains("8 bytes"), "{plain:?}");
    for input in [
        "The moon\nThe sea and the hill\n/undo\n/weights\n",
        "The moon\n/regenerate\n/regenerate\n/weights\n",
        "The moon\n/continue\n/weights\n",
        "The moon\n/undo\nThe moon\n/weights\n",
        "The moon\n/compare\n/weights\n",
        "The moon\n/weights opt\n/weights exact\n/vocab bytes\n/clear\nThe moon\n/weights\n",
    ] {
        let done = talk(&user, &pack, input);
        let out = done.out.rsplit_once("weights by").unwrap().1;
        assert_eq!(weights(&format!("weights by{out}")), plain, "{input}");
    }
}

/// The answer is now read in the tokenizer's own tokens, not in those it was generated in, so
/// losses on later text agree only approximately.
#[test]
fn a_session_goes_on_with_all_that_was_said() {
    let user = User::new();
    let pack = pack(&user);
    let whole = talk(&user, &pack, "The moon\nThe sea\n/weights\n");
    let mut named = SHORT.to_vec();
    named.extend(["--session", "tea"]);
    let first = user.run_with(&line("chat", &pack, &named), b"The moon\n");
    assert_eq!(first.code, 0, "{}", first.err);
    let mut last = SHORT.to_vec();
    last.push("--continue");
    let second = user.run_with(&line("chat", &pack, &last), b"The sea\n/weights\n");
    assert_eq!(second.code, 0, "{}", second.err);
    let shown = format!(">>> The moon\n{}", first.out);
    assert!(second.out.starts_with(&shown), "{}", second.out);
    let (fresh, resumed) = (weights(&whole.out), weights(&second.out));
    assert_eq!(fresh[0], resumed[0]);
    let bits = |line: &str| -> f64 { line.split_whitespace().nth(2).unwrap().parse().unwrap() };
    for (a, b) in fresh.iter().zip(&resumed).skip(1) {
        assert!((bits(a) - bits(b)).abs() < 0.3, "{a} {b}");
    }
}

#[test]
fn a_session_of_another_pack_says_so_and_goes_on() {
    let user = User::new();
    let pack = pack(&user);
    let mut named = SHORT.to_vec();
    named.extend(["--session", "tea"]);
    user.run_with(&line("chat", &pack, &named), b"The moon\n");
    let other = ["-m".to_owned(), pack[1].clone()];
    let done = user.run_with(&line("chat", &other, &named), b"The sea\n");
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["this session was with pack", "goes on with"]);
}

/// `starter` had the members of `tiny` once. Tiny models take the places of their files.
#[test]
fn a_session_of_the_former_starter_goes_on_with_tiny() {
    let user = User::new();
    let (bpe, spm) = user.models();
    let place = |name: &str| user.path("store").join(name);
    fs::create_dir_all(place("models")).unwrap();
    fs::create_dir_all(place("state/sessions")).unwrap();
    fs::copy(bpe, place("models/SmolLM2-135M-Instruct.Q4_1.gguf")).unwrap();
    fs::copy(spm, place("models/gemma-3-270m-q4_k_m.gguf")).unwrap();
    let said = "\
{\"session\":{\"format\":1,\"pack\":\"starter\",\"members\":[\"smollm2\",\"gemma3\"],\"began\":\"2026-11-01 09:30\"}}
{\"message\":{\"role\":\"user\",\"content\":\"The moon\"}}
{\"message\":{\"role\":\"assistant\",\"content\":\"is far\"}}
";
    fs::write(place("state/sessions/old.jsonl"), said).unwrap();
    let args = ["chat", "--session", "old", "--temp", "0", "-n", "8"];
    let first = user.run_with(&args, b"The sea\n/members\n");
    assert_eq!(first.code, 0, "{}", first.err);
    says(&first.out, &[">>> The moon", "is far", "smollm2", "gemma3"]);
    let note = "this session was with pack starter; it goes on with tiny, which has its members \
                (smollm2, gemma3)";
    assert_eq!(first.err.matches(note).count(), 1, "{}", first.err);
    // From here on it is a session of tiny, and nothing more is said of that.
    let second = user.run_with(&args, b"");
    assert_eq!(second.code, 0, "{}", second.err);
    says(&second.out, &[">>> The moon", ">>> The sea"]);
    assert!(!second.err.contains("this session was"), "{}", second.err);
}

#[test]
fn a_kill_in_the_middle_of_an_answer_loses_that_answer_alone() {
    let user = User::new();
    let model = user.endless();
    let args = endless_talk(&model);
    let mut child = user.piped(&args);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Go on\n").unwrap();
    wait_for_output(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let short = [&args[..], &["-n", "8"]].concat();
    let done = user.run_with(&short, b"/regenerate\n");
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.out, &[">>> Go on"]);
    says(&done.err, &["/regenerate answers it", "context"]);
}

#[test]
fn a_full_context_lets_the_oldest_turns_leave_or_stops() {
    let user = User::new();
    let pack = pack(&user);
    let turn = "The moon and the sea and the hill and the moon and the sea\n";
    let input = turn.repeat(8) + "/context\n";
    let mut args = SHORT.to_vec();
    args.extend(["-c", "256", "-sys", "Be kind"]);
    let dropped = user.run_with(&line("chat", &pack, &args), input.as_bytes());
    assert_eq!(dropped.code, 0, "{}", dropped.err);
    says(&dropped.err, &["the oldest turn leaves"]);
    says(&dropped.out, &["8 turns"]);
    // When turns are taken back, earlier ones return to the context, and can be taken back as well.
    let undone = turn.repeat(8) + &"/undo\n/context\n".repeat(8) + "/undo\n";
    let undone = user.run_with(&line("chat", &pack, &args), undone.as_bytes());
    assert_eq!(undone.code, 0, "{}", undone.err);
    says(
        &undone.out,
        &[
            "7 turns",
            "1 turn, 0 messages out",
            "0 turns, 0 messages out",
        ],
    );
    assert_eq!(
        undone.err.matches("taken back; ").count(),
        8,
        "{}",
        undone.err
    );
    says(&undone.err, &["there is nothing to take back"]);
    args.extend(["--overflow", "stop"]);
    let stopped = user.run_with(&line("chat", &pack, &args), input.as_bytes());
    says(
        &stopped.err,
        &["too long for", "/undo takes the turn before back"],
    );
    assert!(!stopped.err.contains("leaves it"));
}

#[test]
fn members_fall_silent_and_speak_again() {
    let user = User::new();
    let pack = pack(&user);
    let input = "The moon\n/members off bpe\n/regenerate\n/members on\n/members off bqe\n/members only spm\n/members off spm\n";
    let done = talk(&user, &pack, input);
    says(&done.out, &["off: reads along", "weight 1.000"]);
    says(
        &done.err,
        &["did you mean bpe?", "at least one member has to take part"],
    );
}

#[test]
fn a_conversation_is_exported_and_the_file_is_not_written_over() {
    let user = User::new();
    let pack = pack(&user);
    let done = talk(
        &user,
        &pack,
        "The moon\n/export a.json\n/export a.json\n/export a.md\n/export a.xyz\n",
    );
    let text = std::fs::read_to_string(user.path("a.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all[0]["content"], "The moon");
    assert!(user.path("a.md").exists());
    says(&done.err, &["it is there already", "the ending says"]);
}

#[test]
fn nothing_is_kept_where_that_is_asked_for() {
    let user = User::new();
    let pack = pack(&user);
    let mut args = SHORT.to_vec();
    args.push("--no-history");
    user.run_with(&line("chat", &pack, &args), b"The moon\n");
    assert!(!user.path("store/state").exists());
}
