use proptest::prelude::*;

use super::*;
use crate::chat::samples::*;

fn prompt(template: &Template, messages: &[Message]) -> PromptPieces {
    let prompt = PromptPieces::new(template, messages, true, now()).unwrap();
    let rendered = template.render(messages, true, now()).unwrap();
    assert_eq!(prompt.text(), rendered.text);
    assert_eq!(prompt.system_folded, rendered.system_folded);
    for piece in &prompt.pieces {
        assert!(!piece.text.is_empty());
        if let PieceKind::Content { message, offset } = piece.kind {
            assert!(messages[message].content[offset..].starts_with(&piece.text));
        }
    }
    prompt
}

/// The pieces in short: markup in plain, contents as `message@offset:text`.
fn shape(prompt: &PromptPieces) -> Vec<String> {
    let show = |piece: &Piece| match piece.kind {
        PieceKind::Markup => piece.text.clone(),
        PieceKind::Content { message, offset } => format!("{message}@{offset}:{}", piece.text),
    };
    prompt.pieces.iter().map(show).collect()
}

/// Every sample template, and the plain one.
fn templates() -> Vec<(&'static str, Template)> {
    let mut templates = vec![("plain", Template::plain())];
    for (name, source) in [
        ("chatml", CHATML),
        ("smollm2", SMOLLM2),
        ("llama2", LLAMA2),
        ("llama3", LLAMA3),
        ("mistral v1", MISTRAL_V1),
        ("mistral v3", MISTRAL_V3),
        ("gemma2", GEMMA2),
        ("gemma3", GEMMA3),
        ("phi3", PHI3),
        ("qwen2.5", QWEN25),
        ("qwen3", QWEN3),
        ("deepseek", DEEPSEEK_R1),
        ("command r", COMMAND_R),
        ("llama 3.2", LLAMA32),
        ("mistral v7", MISTRAL_V7),
        ("deepseek v3.1", DEEPSEEK_V31),
        ("command r7b", COMMAND_R7B),
    ] {
        templates.push((name, template(source)));
    }
    templates
}

#[test]
fn contents_stand_between_the_markup() {
    assert_eq!(
        shape(&prompt(&template(CHATML), &conversation())),
        [
            "<|im_start|>system\n",
            "0@0:Be brief.",
            "<|im_end|>\n<|im_start|>user\n",
            "1@0:Hi",
            "<|im_end|>\n<|im_start|>assistant\n",
            "2@0:Hello!",
            "<|im_end|>\n<|im_start|>user\n",
            "3@0:1+1?",
            "<|im_end|>\n<|im_start|>assistant\n",
        ]
    );
    assert_eq!(
        shape(&prompt(
            &Template::plain(),
            &[Message::user(" Hi "), Message::assistant(" Ho")]
        )),
        [
            "User:\n",
            "0@1:Hi",
            "\n\nAssistant:\n",
            "1@0: Ho",
            "\n\nAssistant:\n"
        ]
    );
}

#[test]
fn every_sample_template_shows_every_message() {
    let ordinary = conversation();
    let repeated: Vec<_> = [
        Message::system("a"),
        Message::user("a"),
        Message::assistant("a"),
    ]
    .into_iter()
    .chain([Message::user("a")])
    .collect();
    let markup = vec![
        Message::system("<|im_end|>\n<s>"),
        Message::user("[/INST] <start_of_turn>user\nHi<end_of_turn>"),
        Message::assistant("<|im_start|>assistant\n{{ x }}{% raw %}"),
        Message::user("</s><|im_end|>\n<|im_start|>user\n<｜User｜>"),
    ];
    let unicode = vec![
        Message::system("Ünï\u{301}"),
        Message::user("日本語 👩‍👩‍👧 \u{feff}x\0y"),
        Message::assistant("\u{200b}r\r\nl"),
        Message::user("ß\u{1f}"),
    ];
    for messages in [ordinary, repeated, markup, unicode] {
        for (name, template) in templates() {
            let prompt = prompt(&template, &messages);
            assert_eq!(prompt.hidden, [0; 0], "{name}");
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(
                    prompt.visible(index),
                    0..message.content.len(),
                    "{name} {message:?}"
                );
            }
        }
    }
}

#[test]
fn trimmed_contents_keep_their_offsets() {
    let messages = [
        Message::user(" \n\u{a0}Hé "),
        Message::assistant("\n\nok\n"),
        Message::user("\t?"),
    ];
    let gemma = prompt(&template(GEMMA2), &messages);
    assert_eq!(gemma.visible(0), 4..7);
    assert_eq!(gemma.visible(1), 2..4);
    assert_eq!(gemma.visible(2), 1..2);
    assert_eq!(shape(&gemma)[1], "0@4:Hé");
    let chatml = prompt(&template(CHATML), &messages);
    assert_eq!(chatml.visible(0), 0..8);
    // Llama 2 trims the system text and the question as one.
    let messages = [Message::system(" S "), Message::user(" U ")];
    let llama = prompt(&template(LLAMA2), &messages);
    assert_eq!((llama.visible(0), llama.visible(1)), (0..3, 0..2));
}

#[test]
fn blank_messages_have_no_piece_and_are_not_hidden() {
    let messages = [
        Message::system(""),
        Message::user(""),
        Message::assistant(" \n"),
        Message::user("x"),
    ];
    for (name, template) in templates() {
        let prompt = prompt(&template, &messages);
        assert_eq!(prompt.hidden, [0; 0], "{name}");
        assert!((0..3).all(|m| prompt.visible(m).is_empty()), "{name}");
        assert_eq!(prompt.visible(3), 0..1, "{name}");
    }
    assert_eq!(prompt(&template(CHATML), &[]).visible(7), 0..0);
}

#[test]
fn folded_system_messages_are_found() {
    let gemma = prompt(&template(GEMMA2), &conversation());
    assert!(gemma.system_folded);
    assert_eq!(
        shape(&gemma)[..5],
        [
            "<s><start_of_turn>user\n",
            "0@0:Be brief.",
            "\n\n",
            "1@0:Hi",
            "<end_of_turn>\n<start_of_turn>model\n"
        ]
    );
}

#[test]
fn mistral_v3_puts_the_system_message_late() {
    let mistral = prompt(&template(MISTRAL_V3), &conversation());
    assert_eq!(
        shape(&mistral),
        [
            "<s>[INST] ",
            "1@0:Hi",
            "[/INST] ",
            "2@0:Hello!",
            "</s>[INST] ",
            "0@0:Be brief.",
            "\n\n",
            "3@0:1+1?",
            "[/INST]"
        ]
    );
}

#[test]
fn what_is_left_of_an_answer_after_its_thoughts_is_content() {
    let mut messages = conversation();
    messages[2].content = "<think>\nHello!\n</think>\n\nHello!".to_owned();
    let answer = messages[2].content.len() - 6;
    let qwen = prompt(&template(QWEN3), &messages);
    assert_eq!(qwen.visible(2), answer..answer + 6);
    assert_eq!(qwen.visible(3), 0..4);
    let deepseek = prompt(&template(DEEPSEEK_R1), &messages);
    assert_eq!(deepseek.visible(2), answer..answer + 6);
    assert_eq!((qwen.hidden, deepseek.hidden), (vec![], vec![]));
    let deepseek = prompt(&template(DEEPSEEK_V31), &messages);
    assert_eq!(deepseek.visible(2), answer..answer + 6);

    // Qwen 3 keeps the thoughts of the last answer, but spells them in its own way.
    messages.truncate(3);
    messages[2].content = "<think>Hm.</think>Hello!".to_owned();
    let qwen = prompt(&template(QWEN3), &messages);
    let pieces = shape(&qwen);
    assert_eq!(
        pieces[4..6],
        [
            "<|im_end|>\n<|im_start|>assistant\n<think>\nHm.\n</think>\n\n",
            "2@18:Hello!"
        ]
    );
}

#[test]
fn dropped_and_changed_messages_are_hidden() {
    let last_two = "{% for m in messages[-2:] %}[{{ m.content }}]{% endfor %}";
    let messages = [
        Message::user("a"),
        Message::assistant("a"),
        Message::user("a"),
    ];
    let dropped = prompt(&template(last_two), &messages);
    assert_eq!(dropped.hidden, [0]);
    assert_eq!(shape(&dropped), ["[", "1@0:a", "][", "2@0:a", "]"]);

    let shouted = "{% for m in messages %}[{{ m.content|upper }}]{% endfor %}";
    let messages = [Message::user("a"), Message::assistant("B")];
    let changed = prompt(&template(shouted), &messages);
    assert_eq!(changed.hidden, [0, 1]);
    assert_eq!(shape(&changed), ["[A][B]"]);

    let escaped = "{% for m in messages %}[{{ m.content|e }}]{% endfor %}";
    let messages = [Message::user("a<b"), Message::assistant("c")];
    let changed = prompt(&template(escaped), &messages);
    assert_eq!(changed.hidden, [0]);
    assert_eq!(shape(&changed), ["[a&lt;b][", "1@0:c", "]"]);

    let measured = "{% for m in messages %}{{ m.content }}{{ m.content|length }}{% endfor %}";
    let changed = prompt(&template(measured), &messages);
    assert_eq!(changed.hidden, [0, 1]);
}

#[test]
fn messages_shown_twice_are_content_twice() {
    let twice = "{% for m in messages %}<{{ m.content }}|{{ m.content|trim }}>{% endfor %}";
    let shown = prompt(&template(twice), &[Message::user(" a")]);
    assert_eq!(shape(&shown), ["<", "0@0: a", "|", "0@1:a", ">"]);
    assert_eq!(shown.visible(0), 0..2);
}

#[test]
fn the_begin_token_counts_only_in_the_markup() {
    assert!(prompt(&template(LLAMA2), &conversation()).starts_with_bos);
    assert!(!prompt(&template(CHATML), &conversation()).starts_with_bos);
    let bare = "{% for m in messages %}{{ m.content }}{% endfor %}";
    assert!(!prompt(&template(bare), &[Message::user("<s>x")]).starts_with_bos);
    let tokenless = Template::new(LLAMA2, "", "").unwrap();
    assert!(!prompt(&tokenless, &conversation()).starts_with_bos);
}

#[test]
fn parts_of_a_content_are_located() {
    assert_eq!(locate(" ab ", 0..4, "ab"), Some(1..3));
    assert_eq!(locate("(ab)", 0..4, "ab"), Some(1..3));
    assert_eq!(locate("ab ab", 0..5, "ab"), None);
    assert_eq!(locate("ab ab", 2..5, "ab"), Some(3..5));
    assert_eq!(locate("ab", 0..2, "c"), None);
    assert_eq!(locate("ab", 0..2, ""), None);
    assert_eq!(answer("a"), 0..1);
    assert_eq!(answer("a</think> \n"), 0..11);
    assert_eq!(answer("a</think> </think>\n\u{e9} "), 19..21);
}

/// Texts of white space, markup, letters and whatever else.
fn content() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just("a".to_owned()),
        Just("<|im_end|>\n".to_owned()),
        Just("<end_of_turn>".to_owned()),
        Just(" [/INST] ".to_owned()),
        Just("</think>".to_owned()),
        Just("{{ x }}".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(word, 0..6).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_lost(system in prop::option::of(content()), turns in prop::collection::vec(content(), 1..6)) {
        let mut messages: Vec<_> = system.into_iter().map(Message::system).collect();
        for (index, turn) in turns.into_iter().enumerate() {
            messages.push(if index % 2 == 0 { Message::user(turn) } else { Message::assistant(turn) });
        }
        for (name, source) in [("chatml", CHATML), ("gemma", GEMMA2), ("llama", LLAMA2), ("plain", "")] {
            let template = if name == "plain" { Template::plain() } else { template(source) };
            let prompt = prompt(&template, &messages);
            prop_assert_eq!(&prompt.hidden, &Vec::<usize>::new(), "{}", name);
            for (index, message) in messages.iter().enumerate() {
                let content = &message.content;
                let visible = prompt.visible(index);
                prop_assert_eq!(content[visible.clone()].trim(), content.trim(), "{}", name);
                let piece = prompt.pieces.iter().find(
                    |p| matches!(p.kind, PieceKind::Content { message, .. } if message == index),
                );
                match piece {
                    Some(piece) => prop_assert_eq!(&piece.text, &content[visible]),
                    None => prop_assert!(visible.is_empty()),
                }
            }
        }
    }

    #[test]
    fn any_source_is_a_template_or_an_error(words in prop::collection::vec(
        prop_oneof![
            prop::sample::select(vec![
                "{%", "%}", "{{", "}}", "{#", "#}", "-", "generation", "endgeneration", "set", "ns.x", "=",
                "raw", "endraw", "'", "\"", "\\", " ", "\n", "messages", "for m in messages", "endfor",
                "m.content", "if", "endif", "é", "[", "]", "(", ")", "|", "tojson", "namespace()",
            ]).prop_map(str::to_owned),
            any::<String>(),
        ], 0..24)) {
        if let Ok(template) = Template::new(&words.concat(), "<s>", "</s>") {
            let _ = PromptPieces::new(&template, &conversation(), true, now());
        }
    }
}
