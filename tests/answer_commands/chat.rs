//! A conversation through pipes: one turn a line.

use super::{ENDLESS, line, pack};
use crate::tiny::TinyModel;
use crate::user::{Done, User, interrupt, says, text, wait_for_output};
use std::io::Write;
use std::process::Stdio;

/// The same for a pack of which one member has no template: both speak.
const EXACT: [&str; 6] = ["--temp", "0", "-n", "8", "--weights", "exact"];
const SHORT: [&str; 4] = ["--temp", "0", "-n", "8"];

#[test]
fn a_turn_a_line_and_the_end_of_the_input_leaves() {
    let user = User::new();
    let pack = pack(&user);
    let one = user.run_with(&line("chat", &pack, &SHORT), b"The moon\n");
    assert_eq!(one.code, 0, "{}", one.err);
    let two = user.run_with(&line("chat", &pack, &SHORT), b"The moon\nThe sea\n");
    assert!(two.out.starts_with(&one.out) && two.out.len() > one.out.len());
    assert_eq!(two.err.matches(" · context ").count(), 2, "{}", two.err);
}

#[test]
fn a_second_turn_does_not_read_the_first_again() {
    let user = User::new();
    let pack = pack(&user);
    let done = user.run_with(
        &line("chat", &pack, &SHORT),
        b"The moon and the sea and the hill\nYes\n",
    );
    let prompts: Vec<usize> = done
        .err
        .lines()
        .filter_map(|l| l.split("prompt ").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(prompts.len(), 2, "{}", done.err);
    assert!(prompts[1] < prompts[0], "{prompts:?}");
}

#[test]
fn commands_are_obeyed_and_unknown_ones_get_the_nearest() {
    let user = User::new();
    let pack = pack(&user);
    let input = b"/? undo\n/help nothing\n/help\nThe moon\n/weights\n/wieghts\n/clear\n/exit\nnot reached\n";
    let done = user.run_with(&line("chat", &pack, &EXACT), input);
    assert_eq!(done.code, 1, "{}", done.err);
    says(
        &done.out,
        &[
            "/undo\n  take the last",
            "/clear",
            "weights by exact on 8 bytes",
            "bits per byte",
        ],
    );
    says(
        &done.err,
        &[
            "unknown command /nothing",
            "unknown command /wieghts, did you mean /weights?",
            "a new conversation begins; the one before is kept as",
        ],
    );
    assert_eq!(done.err.matches(" · context ").count(), 1);
}

#[test]
fn bad_lines_are_refused_and_the_conversation_goes_on() {
    let user = User::new();
    let pack = pack(&user);
    let mut input = b"\xff\xfe\n\n   \n".to_vec();
    input.extend("the moon and the sea ".repeat(50_000).bytes());
    input.extend(b"\nThe moon\n");
    let done = user.run_with(&line("chat", &pack, &SHORT), &input);
    assert_eq!(done.code, 1, "{}", done.err);
    says(
        &done.err,
        &[
            "not valid UTF-8 at byte 0",
            "too long for bpe",
            "hint: it is too long by itself: shorten it",
        ],
    );
    assert_eq!(done.err.matches(" · context ").count(), 1, "{}", done.err);
}

#[test]
fn an_interrupt_stops_the_answer_and_keeps_the_conversation() {
    let user = User::new();
    let model = user.endless();
    let mut child = user.piped(&[&["chat", "-m", &model][..], &ENDLESS].concat());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Go on\n").unwrap();
    wait_for_output(&mut child);
    interrupt(&child);
    input.write_all(b"/weights\n").unwrap();
    drop(input);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["cancelled"]);
    says(&done.out, &["weights by auto"]);
}

#[test]
fn the_course_of_the_weights_is_shown_turn_by_turn() {
    let user = User::new();
    let pack = pack(&user);
    let input = b"The moon\n/weights\nand the sea\n/weights\n/undo\n/weights\n";
    let done = user.run_with(&line("chat", &pack, &SHORT), input);
    assert_eq!(done.code, 0, "{}", done.err);
    // After one turn there is no history of weights, and a turn that was taken back is not in it.
    assert_eq!(
        done.out.matches("their course, turn by turn").count(),
        1,
        "{}",
        done.out
    );
    says(&done.out, &["     1  ", "     2  "]);
}

#[test]
fn following_the_answer_is_for_adaptive_weights() {
    let user = User::new();
    let pack = pack(&user);
    let typed = [&line("chat", &pack, &SHORT)[..], &["--follow-answer"]].concat();
    assert!(user.misused(&typed).contains("--weights adaptive"));
    let typed = [&typed[..], &["--weights", "adaptive"]].concat();
    let done = user.run_with(&typed, b"The moon\n");
    assert_eq!(done.code, 0, "{}", done.err);
}

/// Some methods need distributions along the text, some only losses, some nothing.
#[test]
fn weights_may_change_their_method_at_any_turn() {
    let user = User::new();
    let pack = pack(&user);
    let methods = [
        "exact", "top1", "uniform", "opt", "sim", "adaptive", "exact",
    ];
    let input: String = methods
        .iter()
        .map(|m| format!("/weights {m}\nThe moon\n"))
        .collect();
    let done = user.run_with(&line("chat", &pack, &SHORT), input.as_bytes());
    assert_eq!(done.code, 0, "{}", done.err);
    for m in methods {
        says(&done.out, &[&format!("weights by {m} on")]);
    }
    assert_eq!(done.err.matches(" · context ").count(), methods.len());
}

#[test]
fn the_vocabulary_may_change_at_any_turn() {
    let user = User::new();
    let pack = pack(&user);
    let input = b"The moon\n/vocab mined\nThe sea\n/vocab bytes\nThe hill\n";
    let done = user.run_with(&line("chat", &pack, &SHORT), input);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(
        done.err.contains("is the reference (nats per own token"),
        "{}",
        done.err
    );
    assert!(!done.err.contains("not measured"), "{}", done.err);
    assert_eq!(done.err.matches(" · context ").count(), 3);
}

#[test]
fn a_prompt_is_shown_as_one_member_reads_it() {
    let user = User::new();
    let template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<answer>";
    let one = TinyModel::bpe(3).with_template(template).with_bos(true);
    let one = text(&one.write(user.path("files/one.gguf")));
    let (bpe, _) = user.models();
    let args = [
        "chat",
        "-m",
        &one,
        "-m",
        &bpe,
        "--temp",
        "0",
        "-n",
        "4",
        "-sys",
        "Be brief.",
    ];
    let input = b"/show prompt one\n/show prompt oen\n/show prompt\n/show parameters now\n";
    let done = user.run_with(&args, input);
    assert_eq!(done.code, 0, "{}", done.err);
    let (alone, all) = done.out.split_once('\n').unwrap();
    assert!(alone.ends_with("<system>Be brief.<answer>"), "{alone}");
    assert_ne!(
        alone, "<system>Be brief.<answer>",
        "its begin token is part of it"
    );
    assert!(
        all.starts_with(&format!("── one\n{alone}\n── bpe\n")),
        "{all}"
    );
    says(
        &done.err,
        &[
            "there is no member oen, did you mean one? (there are one, bpe)",
            "/show parameters now: it shows",
        ],
    );
}

#[test]
fn a_template_that_refuses_is_told_by_member_and_the_conversation_goes_on() {
    let user = User::new();
    let template = "{% for m in messages %}{% if 'sun' in m.content %}{{ raise_exception('No sun!') }}\
                    {% endif %}{{ m.content }}{% endfor %}";
    let moody = TinyModel::bpe(3).with_template(template);
    let moody = text(&moody.write(user.path("files/moody.gguf")));
    let (bpe, _) = user.models();
    let args = line(
        "chat",
        &[],
        &["-m", &bpe, "-m", &moody, "--temp", "0", "-n", "4"],
    );
    let done = user.run_with(
        &args,
        b"The sun\nThe moon\n/system sun\n/show prompt moody\n/show prompt bpe\n",
    );
    assert_eq!(done.code, 1, "{}", done.err);
    let told = "moody: its chat template fails: the chat template (line 1) says: No sun!";
    assert_eq!(done.err.matches(told).count(), 2, "{}", done.err);
    says(
        &done.err,
        &["hint: change the conversation, or set chat_template in the pack manifest"],
    );
    assert_eq!(done.err.matches(" · context ").count(), 1, "{}", done.err);
    says(&done.out, &["The moon"]);
}

/// What users of other programs type.
#[test]
fn files_are_read_together_and_settings_go_by_other_names_too() {
    let user = User::new();
    let pack = pack(&user);
    for (name, said) in [("a.md", "The moon"), ("b.md", "and the sea")] {
        std::fs::write(user.path(name), said).unwrap();
    }
    std::fs::write(user.path("c.bin"), b"ab\xff").unwrap();
    let input =
        b"/set parameter temperature 0.5\n/set system Be brief.\n/set quiet\n/glob *.md -- Why?\n\
                  /show template\n/file c.bin\n/read *.rs\n/set nothink\n/info\n";
    let done = user.run_with(&line("chat", &pack, &EXACT), input);
    assert_eq!(done.code, 0, "{}", done.err);
    let read = "a.md:\n\nThe moon\n\nb.md:\n\nand the sea\n\nWhy?";
    assert_eq!(done.out.matches(read).count(), 2, "{}", done.out);
    says(&done.out, &["Be brief.", " · vocab bytes · mix linear"]);
    says(
        &done.err,
        &[
            "temp is 0.5",
            "think is off",
            "error: /read: c.bin: not valid UTF-8 at byte 2",
            "error: /read: *.rs: no file is called like that",
        ],
    );
    assert!(!done.err.contains(" · context "), "{}", done.err);
}

#[test]
fn a_reader_that_leaves_or_a_full_disk_is_no_panic() {
    let user = User::new();
    let pack = pack(&user);
    let args = line("chat", &pack, &["--temp", "0", "-n", "4"]);
    for typed in ["/help\n", "/show pack\n", "/weights\n", "The moon\n"] {
        let start = |out: Stdio| {
            let mut child = user.command(&args);
            child.stdin(Stdio::piped()).stdout(out);
            let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
            // The program may have ended before it reads anything.
            let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
            Done::of(child.wait_with_output().unwrap())
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = start(writer.into());
        assert_eq!(done.code, 1, "{typed}: {}", done.err);
        assert!(!done.err.contains("error"), "{typed}: {}", done.err);
        if cfg!(target_os = "linux") {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
            let done = start(full.unwrap().into());
            assert_eq!(done.code, 1, "{typed}: {}", done.err);
            says(&done.err, &["error: ", "No space left"]);
        }
    }
    // Stderr is closed: the answer is given all the same.
    let mut child = user.command(&args);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(writer);
    let mut child = child.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"The moon\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!output.stdout.is_empty());
}

#[test]
fn a_block_is_text_or_what_a_command_is_given() {
    let user = User::new();
    let pack = pack(&user);
    let input = b"/set system \"\"\"\nYou are the moon.\n Be kind.\"\"\"\n/show system\n\
                  \"\"\"\n/system is text\n  here\n\"\"\"\n/show prompt bpe\n/system none\n/system\n";
    let done = user.run_with(&line("chat", &pack, &SHORT), input);
    assert_eq!(done.code, 0, "{}", done.err);
    says(
        &done.out,
        &[
            "You are the moon.\n Be kind.\n",
            "/system is text\n  here",
            "(none)",
        ],
    );
    assert_eq!(
        done.err.matches(" \u{b7} context ").count(),
        1,
        "{}",
        done.err
    );
}

#[test]
fn a_pack_is_named_by_itself_or_by_the_session_that_goes_on() {
    let user = User::new();
    let (bpe, spm) = user.models();
    user.ok(&["pack", "new", "mine", "-m", &bpe, "-m", &spm]);
    let named = ["chat", "mine", "--session", "tea"];
    let done = user.run_with(&[&named[..], &SHORT].concat(), b"The moon\n");
    assert_eq!(done.code, 0, "{}", done.err);
    for on in [&["--continue"][..], &["--session", "tea"]] {
        let args = [&["chat"], on, &SHORT].concat();
        let done = user.run_with(&args, b"/show pack\n");
        assert_eq!(done.code, 0, "{}", done.err);
        says(&done.out, &[">>> The moon", "pack mine"]);
    }
    says(
        &user.misused(&["chat", "--session", "new"]),
        &["no pack was named", "ready: mine"],
    );
    // Before anything is loaded.
    for bad in ["a/b", ".x", "-y"] {
        let session = format!("--session={bad}");
        says(
            &user.misused(&["chat", "mine", &session]),
            &["session name"],
        );
    }
}

#[test]
fn weights_by_what_members_are_good_at_can_be_had_and_given_up_midway() {
    let user = User::new();
    let one = user.models().0;
    let other = crate::tiny::TinyModel::bpe(2).write(user.path("files/other.gguf"));
    let other = crate::user::text(&other);
    let chat = [
        "chat",
        "-m",
        &one,
        "-m",
        &other,
        "--temp",
        "0",
        "-n",
        "8",
        "--weights",
        "exact",
    ];
    let input = b"The moon\n/weights auto\nThe sea\n/weights exact\n/weights\n";
    let done = user.run_with(&chat, input);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(
        done.err.matches("measuring bpe and other").count(),
        1,
        "{}",
        done.err
    );
    says(
        &done.out,
        &[
            "weights by auto on",
            "from the probe: ",
            "expected loss on the answer: ",
        ],
    );
    // Whoever rested has read all of it again.
    let last = done
        .out
        .rsplit_once("weights by exact on 15 bytes")
        .unwrap()
        .1;
    assert_eq!(last.matches("bits per byte").count(), 2, "{last}");
    // It is measured once a file.
    let again = user.run_with(&chat[..chat.len() - 2], b"The moon\n");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(!again.err.contains("measuring"), "{}", again.err);
}
