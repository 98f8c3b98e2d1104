//! How answers look on a terminal (Markdown, thoughts), and that they are unchanged elsewhere.

use super::pty::Terminal;
use crate::tiny::{CHATML, TinyModel};
use crate::user::{User, says, text};

const MARKDOWN: [&str; 4] = ["# Moon\n", "**two** of ", "`x`\n```c\n", "*p\n```"];
const THOUGHT: [&str; 4] = [
    "<think>\nHm, ",
    "**tea**.\n",
    "</think>\n\nYes, ",
    "**tea**",
];

/// As DeepSeek R1 has it: the template opens the thought.
fn opening() -> String {
    CHATML.replace("assistant\\n' }}", "assistant\\n<think>\\n' }}")
}

/// What a terminal shows for one answer of `run`.
fn shown(user: &User, args: &[&str], env: &[(&str, &str)]) -> String {
    let args = [&["run", "-p", "Hi", "--temp", "0"], args].concat();
    let mut terminal = Terminal::new(user, &args, env);
    let shown = terminal.waits_for("seed ");
    assert_eq!(terminal.code(), 0);
    shown
}

#[test]
fn markdown_is_rendered_on_a_terminal_that_takes_styles() {
    let user = User::new();
    let model = user.saying(CHATML, &MARKDOWN);
    let rendered = "\x1b[0;1m# Moon\x1b[0m\r\n\x1b[0;1mtwo\x1b[0m of \x1b[0;36mx\x1b[0m\r\n\
                    \x1b[0;2m```c\x1b[0m\r\n\x1b[0;36m*p\x1b[0m\r\n\x1b[0;2m```\x1b[0m\r\n";
    says(&shown(&user, &["-m", &model], &[]), &[rendered]);
    let written = MARKDOWN.concat();
    let lines = format!("{}\r\n", written.replace('\n', "\r\n"));
    says(&shown(&user, &["-m", &model, "--plain"], &[]), &[&lines]);
    for env in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = shown(&user, &["-m", &model], &[env]);
        says(&shown, &[&lines]);
        assert!(!shown.contains("\x1b[0"), "{shown:?}");
    }
    let piped = user.ok(&["run", "-m", &model, "-p", "Hi", "--temp", "0"]);
    assert_eq!(piped, format!("{written}\n"));
}

#[test]
fn an_answer_cannot_send_codes_to_a_terminal() {
    let user = User::new();
    let model = user.saying(CHATML, &["a\x1b]52;c;", "eA==\x07b"]);
    for more in ["--plain", "--think=show"] {
        let shown = shown(&user, &["-m", &model, more], &[]);
        says(&shown, &["a\u{fffd}]52;c;eA==\u{fffd}b\r\n"]);
    }
    let args = ["run", "-m", &model, "-p", "Hi", "--temp", "0"];
    let piped = user.command(&args).output().unwrap();
    assert_eq!(piped.stdout, b"a\x1b]52;c;eA==\x07b\n");
}

#[test]
fn a_thought_is_shown_folded_or_hidden_and_not_read_again() {
    let user = User::new();
    let model = user.saying(CHATML, &THOUGHT);
    let args = ["chat", "-m", &model, "--temp", "0", "--session", "tea"];
    let mut terminal = Terminal::new(&user, &args, &[]);
    let turn = |terminal: &mut Terminal, typed: &str, until: &str| {
        terminal.waits_for(">>> ");
        terminal.types(&format!("{typed}\r"));
        terminal.waits_for("\x1b[?2004l");
        terminal.waits_for(until)
    };
    let answer = "Yes, \x1b[0;1mtea\x1b[0m\r\n";
    let show = turn(&mut terminal, "The moon", "context");
    let dim = "\x1b[0;2m<think>\x1b[0m\r\n\x1b[0;2mHm, **tea**.\x1b[0m\r\n\x1b[0;2m</think>\x1b[0m\r\n\r\n";
    says(&show, &[&format!("{dim}{answer}")]);
    turn(&mut terminal, "/set think fold", "think is fold");
    let fold = turn(&mut terminal, "The sea", "context");
    says(&fold, &["thought: 12 characters", answer]);
    assert!(!fold.contains("Hm"), "{fold:?}");
    turn(&mut terminal, "/set think off", "think is off");
    let off = turn(&mut terminal, "The hill", "context");
    says(&off, &[answer]);
    assert!(!off.contains("Hm") && !off.contains("thought"), "{off:?}");
    let prompt = turn(&mut terminal, "/show prompt", "The hill");
    assert_eq!(prompt.matches("Yes, **tea**").count(), 2, "{prompt:?}");
    assert!(!prompt.contains("Hm"), "{prompt:?}");
    turn(&mut terminal, "/set plain on", "plain is on");
    turn(&mut terminal, "/regenerate", "Yes, **tea**\r\n");
    // The answer without its thought, as it was written.
    turn(&mut terminal, "/copy", "\x1b]52;c;WWVzLCAqKnRlYSoq\x07");
    turn(&mut terminal, "/bye", "");
    assert_eq!(terminal.code(), 0);
    let kept = std::fs::read_to_string(user.path("store/state/sessions/tea.jsonl")).unwrap();
    assert_eq!(kept.matches("<think>\\nHm, **tea**").count(), 4, "{kept}");
}

#[test]
fn a_thought_that_a_template_opens_is_a_whole_one_for_all_members() {
    let user = User::new();
    let script = ["Hm.", "\n</think>\n", "Yes"];
    let thinker = user.saying(&opening(), &script);
    let base = TinyModel::spm(2).saying(&script);
    let base = text(&base.write(user.path("files/base.gguf")));
    let whole = "<think>\nHm.\n</think>\nYes";
    for members in [&["-m", &thinker][..], &["-m", &base, "-m", &thinker]] {
        let args = [
            &["run", "-p", "Hi", "--temp", "0", "--weights", "exact"],
            members,
        ]
        .concat();
        assert_eq!(user.ok(&args), format!("{whole}\n"));
        let document = user.json(&[&args[..], &["--json"]].concat());
        assert_eq!(document["text"], whole);
    }
    let both = ["-m", &base, "-m", &thinker, "--weights", "exact"];
    let chat = [&["chat", "--temp", "0"][..], &both].concat();
    let input = b"The moon\nThe sea\n/weights\n/show prompt\n/members only base\n/show prompt\n/export a.json\n";
    let done = user.run_with(&chat, input);
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.out, &["on 15 bytes of what you wrote"]);
    // Both members read the thought as open; neither does if the member whose template opens it is
    // silent.
    assert_eq!(
        done.out.matches("Assistant:\n<think>\n").count(),
        1,
        "{}",
        done.out
    );
    let chatml = "<|im_start|>assistant\n";
    assert_eq!(done.out.matches(&format!("{chatml}<think>\n")).count(), 1);
    assert!(done.out.contains(&format!("{chatml}Yes")), "{}", done.out);
    let text = std::fs::read_to_string(user.path("a.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all[1]["content"], whole);
}

#[test]
fn a_model_that_may_not_think_is_told_so_by_its_template() {
    let user = User::new();
    // As Qwen 3 has it.
    let skips = "assistant\\n' }}{% if enable_thinking is defined and enable_thinking is false %}\
                 {{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}";
    let template = CHATML.replace("assistant\\n' }}", skips);
    assert_ne!(template, CHATML);
    let model = user.saying(&template, &["Yes"]);
    let chat = ["chat", "-m", &model, "--temp", "0"];
    let input =
        b"Hi\n/show prompt\n/set nothink\n/show prompt\nHi\n/set think fold\n/show prompt\n";
    let done = user.run_with(&chat, input);
    assert_eq!(done.code, 0, "{}", done.err);
    let opened = |text: &str| {
        let empty = text.matches("assistant\n<think>\n\n</think>\n\n");
        (text.matches("assistant\n").count(), empty.count())
    };
    // What was shown before is not shown again in another way.
    let shown: Vec<_> = done.out.split("── ").skip(1).map(opened).collect();
    assert_eq!(shown, [(1, 0), (1, 1), (2, 0)], "{}", done.out);
    let run = ["run", "-m", &model, "-p", "Hi", "--temp", "0", "--json"];
    let tokens = |more: &[&str]| {
        let document = user.json(&[&run[..], more].concat());
        assert_eq!(document["text"], "Yes");
        document["members"][0]["prompt_tokens"].as_u64().unwrap()
    };
    assert!(tokens(&["--think", "off"]) > tokens(&["--think", "fold"]));
}

#[test]
fn an_answer_goes_on_inside_its_thought_or_after_it() {
    let user = User::new();
    let model = user.saying(&opening(), &["Hm.", "\n</think>\n", "Yes"]);
    let chat = ["chat", "-m", &model, "--temp", "0", "-n", "1"];
    let done = user.run_with(
        &chat,
        b"The moon\n/continue\n/continue\n/continue\n/export a.json\n",
    );
    assert_eq!(done.code, 0, "{}", done.err);
    let text = std::fs::read_to_string(user.path("a.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all[1]["content"], "<think>\nHm.\n</think>\nYes");
}
