//! A conversation on a terminal: keys through a pseudo-terminal.

use super::pty::Terminal;
use super::{ENDLESS, endless_talk, line, pack};
use crate::user::{User, signal};

#[test]
fn keys_edit_complete_and_leave() {
    let user = User::new();
    let pack = pack(&user);
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    terminal.types("/wei\t\r");
    terminal.waits_for("weights by auto");
    terminal.waits_for(">>> ");
    // A pasted text of two lines is one message.
    terminal.types("\x1b[200~The moon\nand the sea\x1b[201~\r");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    terminal.types("/show prompt\r");
    terminal.waits_for("The moon\r\nand the sea");
    terminal.waits_for(">>> ");
    // Alt-Enter begins another line of a message.
    terminal.types("The hill\x1b\rand the tree\r");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    terminal.types("/show prompt\r");
    terminal.waits_for("The hill\r\nand the tree");
    terminal.waits_for(">>> ");
    terminal.types("\x04");
    assert_eq!(terminal.code(), 0);
    let history = std::fs::read_to_string(user.path("store/state/history")).unwrap();
    assert!(history.contains("/show prompt"), "{history}");
}

#[test]
fn ctrl_c_stops_an_answer_then_hints_then_leaves() {
    let user = User::new();
    let model = user.endless();
    // Two members, so that the line of weights shows when the prompt has been read.
    let args = [&["chat", "-m", &model, "-m", &model][..], &ENDLESS].concat();
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    terminal.types("Go on\r");
    terminal.waits_for("weights ");
    terminal.types("\x03");
    terminal.waits_for("cancelled");
    terminal.waits_for(">>> ");
    terminal.types("\x03");
    terminal.waits_for("once more");
    terminal.waits_for(">>> ");
    terminal.types("\x03");
    assert_eq!(terminal.code(), 130);
}

#[test]
fn ctrl_c_while_the_prompt_is_read_ends_run_and_takes_a_message_of_chat_back() {
    let user = User::new();
    let model = user.endless();
    let long = "the moon and the sea ".repeat(4000);
    std::fs::write(user.path("long.txt"), long).unwrap();
    let run = ["run", "-m", &model, "-c", "100000", "-f", "long.txt"];
    let mut terminal = Terminal::new(&user, &run, &[]);
    terminal.waits_for("reading the prompt");
    terminal.types("\x03");
    terminal.waits_for("interrupted");
    assert_eq!(terminal.code(), 130);
    let chat = ["chat", "-m", &model, "-c", "100000"];
    let mut terminal = Terminal::new(&user, &chat, &[]);
    terminal.waits_for(">>> ");
    terminal.types("/read long.txt\r");
    terminal.waits_for("reading the prompt");
    terminal.types("\x03");
    terminal.waits_for("the message was not sent");
    terminal.waits_for(">>> ");
    terminal.types("\x04");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_dumb_terminal_gets_plain_lines_without_escapes() {
    let user = User::new();
    let pack = pack(&user);
    let dumb = [("TERM", "dumb")];
    let mut terminal = Terminal::new(
        &user,
        &line("chat", &pack, &["--temp", "0", "-n", "8"]),
        &dumb,
    );
    let mut all = terminal.waits_for("leave");
    all += &terminal.waits_for(">>> ");
    terminal.types("\"\"\"The moon\n");
    all += &terminal.waits_for("... ");
    terminal.types("and the sea\"\"\"\n");
    all += &terminal.waits_for("context");
    all += &terminal.waits_for(">>> ");
    terminal.types("/attribution on\nThe hill\n/weights\n/compare\n/copy\n/exit\n");
    all += &terminal.rest();
    assert_eq!(terminal.code(), 0);
    is_plain(&all);
    // Commands that draw bars and spinners on other terminals.
    let long = "the moon and the sea ".repeat(40);
    std::fs::write(user.path("long.txt"), long).unwrap();
    for command in [
        line(
            "run",
            &pack,
            &[
                "--raw", "-f", "long.txt", "-n", "8", "--temp", "0", "-c", "2048",
            ],
        ),
        line(
            "score",
            &pack,
            &["long.txt", "--chain", "--max-bytes", "200"],
        ),
        line("weigh", &pack, &["--raw", "-p", "The moon"]),
        vec!["doctor"],
        vec!["--help"],
        vec!["nonsense"],
    ] {
        let mut terminal = Terminal::new(&user, &command, &dumb);
        let all = terminal.rest();
        terminal.code();
        assert!(!all.is_empty(), "{command:?}");
        is_plain(&all);
    }
}

/// Fails if a text could move the cursor or change how letters look; line feeds and tabs are
/// allowed.
fn is_plain(text: &str) {
    let control = |c: &char| c.is_control() && !['\n', '\r', '\t'].contains(c);
    let found: Vec<char> = text.chars().filter(control).collect();
    assert!(found.is_empty(), "{found:?} in {text:?}");
    let alone = text.replace("\r\n", "\n");
    assert!(
        !alone.contains('\r'),
        "back to the line's beginning: {text:?}"
    );
}

#[test]
fn a_text_from_the_editor_is_sent() {
    let user = User::new();
    let pack = pack(&user);
    let script = user.path("write");
    // Ctrl-O adds to the typed text.
    std::fs::write(&script, "#!/bin/sh\necho from the editor >> \"$1\"\n").unwrap();
    let command = format!("sh {}", script.display());
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let mut terminal = Terminal::new(&user, &args, &[("EDITOR", &command)]);
    terminal.waits_for(">>> ");
    terminal.types("/edit\r");
    terminal.waits_for("from the editor");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    // Ctrl-O opens the typed line in the editor, and returns it to be sent or changed.
    terminal.types("typed, \x0f");
    terminal.waits_for("from the editor");
    terminal.types("\r");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    terminal.types("/show prompt\r");
    terminal.waits_for("typed, from the editor");
    terminal.waits_for(">>> ");
    terminal.types("/bye\r");
    assert_eq!(terminal.code(), 0);
}

#[test]
#[cfg(unix)]
fn a_terminal_that_is_closed_ends_the_program() {
    let user = User::new();
    let pack = pack(&user);
    let mut terminal = Terminal::new(&user, &line("chat", &pack, &[]), &[]);
    terminal.waits_for(">>> ");
    signal(terminal.child.process_id().unwrap(), "-HUP");
    assert_ne!(terminal.code(), 0);
}

#[test]
fn what_is_typed_is_neither_lost_nor_counted_by_ctrl_c_and_a_missing_editor() {
    let user = User::new();
    let pack = pack(&user);
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let mut terminal = Terminal::new(&user, &args, &[("EDITOR", "/nowhere/editor")]);
    terminal.waits_for(">>> ");
    // Ctrl-C drops a line, any number of times; on an empty line it prints a hint.
    for typed in ["abc", "a second one"] {
        terminal.types(typed);
        terminal.waits_for(typed);
        terminal.types("\x03");
        let shown = terminal.waits_for(">>> ");
        assert!(!shown.contains("once more"), "{shown:?}");
    }
    terminal.types("The moon\x0f");
    terminal.waits_for("/nowhere/editor ($EDITOR)");
    terminal.types(" and the sea\r");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    // Control codes in pasted text are replaced and do not reach the terminal. Several lines that
    // begin with a slash are text.
    terminal.types("\x1b[200~/* red \x1b[31m */\nint x;\x1b[201~\r");
    let shown = terminal.waits_for("context");
    assert!(!shown.contains("\x1b[31m"), "{shown:?}");
    terminal.waits_for(">>> ");
    terminal.types("/show prompt bpe\r");
    terminal.waits_for("The moon and the sea");
    terminal.waits_for("/* red \u{fffd}[31m */\r\nint x;");
    terminal.waits_for(">>> ");
    // Nothing completes, and nothing is shown.
    terminal.types("/read /nowhere/");
    terminal.waits_for("/nowhere/");
    terminal.types("\tx");
    let shown = terminal.waits_for("/nowhere/x");
    assert!(!shown.contains("RECORDS"), "{shown:?}");
    // The history is on disk before the program ends.
    let history = std::fs::read_to_string(user.path("store/state/history")).unwrap();
    assert!(history.contains("The moon and the sea"), "{history}");
    terminal.child.kill().unwrap();
}

#[test]
#[cfg(unix)]
fn a_program_told_to_end_keeps_the_answer_so_far_and_one_at_rest_ends_at_once() {
    let user = User::new();
    let model = user.endless();
    let args = endless_talk(&model);
    let said = user.ok(&[
        "run", "-m", &model, "-p", "Go on", "-n", "64", "--temp", "0",
    ]);
    let words = said.split(|c: char| !c.is_ascii_alphanumeric());
    let word = words.max_by_key(|word| word.len()).unwrap();
    assert!(word.len() > 2, "{said}");
    let told = |terminal: &Terminal, name: &str| {
        signal(terminal.child.process_id().unwrap(), name);
    };
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    terminal.types("Go on\r");
    // The line as it is typed, its end, and then a word of the answer.
    terminal.waits_for("\x1b[?2004l");
    terminal.waits_for(word);
    told(&terminal, "-TERM");
    assert_eq!(terminal.code(), 128 + 15);
    let kept = std::fs::read_to_string(user.path("store/state/sessions/tea.jsonl")).unwrap();
    let last = kept.lines().last().unwrap();
    assert!(last.contains("assistant"), "{kept}");
    let mut terminal = Terminal::new(&user, &args[..7], &[]);
    terminal.waits_for(">>> ");
    told(&terminal, "-HUP");
    assert_ne!(terminal.code(), 0);
}

#[test]
fn lines_typed_ahead_come_one_by_one_and_are_not_shown_in_the_answer() {
    let user = User::new();
    let model = user.endless();
    let args = [&["chat", "-m", &model, "-n", "400"][..], &ENDLESS].concat();
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    terminal.types("Go on\r");
    terminal.waits_for("\x1b[?2004l");
    // During an answer, or while the prompt is read.
    terminal.types("/verbose off\r/show system\r/bye");
    let answer = terminal.waits_for(" tok/s");
    assert!(!answer.contains("/verbose"), "{answer:?}");
    terminal.waits_for("the lines around answers are off");
    terminal.waits_for("(none)");
    // The last line is not sent yet.
    terminal.waits_for("/bye");
    terminal.types("\r");
    assert_eq!(terminal.code(), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_is_told_to_end_leaves_the_terminal_as_it_was() {
    let user = User::new();
    let model = user.endless();
    // Two members, so that the line of weights shows when the prompt has been read.
    let two = ["chat", "-m", &model, "-m", &model];
    let args = [&two[..], &ENDLESS].concat();
    for (name, answers) in [
        ("-TERM", false),
        ("-TERM", true),
        ("-QUIT", true),
        ("-HUP", false),
    ] {
        let mut terminal = Terminal::new(&user, &args, &[]);
        terminal.waits_for(">>> ");
        assert!(!terminal.modes().contains("ICANON"));
        terminal.types(if answers { "Go on\r" } else { "a line" });
        terminal.waits_for(if answers { "weights " } else { "line" });
        signal(terminal.child.process_id().unwrap(), name);
        assert_ne!(terminal.code(), 0);
        let modes = terminal.modes();
        for mode in ["ICANON", "ECHO ", "ICRNL", "ISIG"] {
            assert!(modes.contains(mode), "{name} {mode}: {modes}");
        }
    }
}

#[test]
#[cfg(unix)]
fn a_suspended_conversation_goes_on_in_its_editor_or_its_answer() {
    let user = User::new();
    let model = user.endless();
    let two = ["chat", "-m", &model, "-m", &model];
    let args = [&two[..], &ENDLESS, &["-n", "60000"]].concat();
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    let id = terminal.child.process_id().unwrap();
    // Ctrl-Z at the prompt, and `fg`.
    for _ in 0..3 {
        terminal.types("abc");
        terminal.waits_for("abc");
        terminal.types("\x1a");
        stopped(id);
        assert!(terminal.modes().contains("ECHO "), "{}", terminal.modes());
        signal(id, "-CONT");
        terminal.waits_for("abc");
        terminal.types("\x03");
        terminal.waits_for(">>> ");
    }
    // During an answer: typed keys are not shown before and after, but they are in the shell.
    terminal.types("Go on\r");
    terminal.waits_for("weights ");
    signal(id, "-TSTP");
    stopped(id);
    assert!(terminal.modes().contains("ECHO "), "{}", terminal.modes());
    signal(id, "-CONT");
    terminal.types("\x03");
    terminal.waits_for("cancelled");
    terminal.waits_for(">>> ");
    assert!(!terminal.modes().contains("ICANON"));
    terminal.types("/bye\r");
    assert_eq!(terminal.code(), 0);
    assert!(terminal.modes().contains("ECHO "), "{}", terminal.modes());
}

/// Waits until a process is stopped.
#[cfg(unix)]
fn stopped(id: u32) {
    let until = std::time::Instant::now() + super::pty::PATIENCE;
    loop {
        let mut ps = std::process::Command::new("ps");
        let state = ps.args(["-o", "stat=", "-p", &id.to_string()]).output();
        if state.unwrap().stdout.first() == Some(&b'T') {
            return;
        }
        assert!(std::time::Instant::now() < until, "it does not stop");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
