use super::*;
use proptest::prelude::*;

/// The stretches of a text that comes in these pieces; neighbours of the same style are joined.
fn stretches(pieces: &[&str]) -> Vec<(String, Style)> {
    let mut all: Vec<(String, Style)> = Vec::new();
    let mut markdown = Markdown::default();
    let mut sink = |text: &str, style| match all.last_mut() {
        Some((last, same)) if *same == style => last.push_str(text),
        _ => all.push((text.to_owned(), style)),
    };
    for piece in pieces {
        markdown.push(piece, &mut sink);
    }
    markdown.finish(&mut sink);
    all
}

/// A text with its styles written out: `[b:…]`, `[h:…]`.
fn written(text: &str) -> String {
    let letters = |s: Style| {
        let on = [
            (s.bold, 'b'),
            (s.italic, 'i'),
            (s.dim, 'd'),
            (s.code, 'c'),
            (s.hidden, 'h'),
        ];
        let on = on.into_iter().filter(|(on, _)| *on);
        on.map(|(_, letter)| letter).collect::<String>()
    };
    let one = |(text, style): (String, Style)| match letters(style).as_str() {
        "" => text,
        letters => format!("[{letters}:{text}]"),
    };
    stretches(&[text]).into_iter().map(one).collect()
}

#[track_caller]
fn becomes(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(written(text), *expected, "{text:?}");
    }
}

#[test]
fn emphasis_and_code_lose_their_marks() {
    becomes(&[
        ("a **b c** d", "a [h:**][b:b c][h:**] d"),
        ("*a*, _b_", "[h:*][i:a][h:*], [h:_][i:b][h:_]"),
        ("***a***", "[h:***][bi:a][h:***]"),
        ("**a *b* c**", "[h:**][b:a ][h:*][bi:b][h:*][b: c][h:**]"),
        ("`a*b*` c", "[h:`][c:a*b*][h:`] c"),
        ("``a ` b``", "[h:``][c:a ` b][h:``]"),
        ("**`a`**", "[h:**`][bc:a][h:`**]"),
        ("*a `*` b*", "[h:*][i:a ][h:`][ic:*][h:`][i: b][h:*]"),
        (r"\*a\* \_", r"[h:\]*a[h:\]* [h:\]_"),
        ("这是**粗体**字", "这是[h:**][b:粗体][h:**]字"),
    ]);
}

#[test]
fn marks_without_a_partner_are_text() {
    let long = format!("*{}*", "a".repeat(LONG));
    for text in [
        "2 * 3 * 4",
        "2**8 + 2**4",
        "snake_case_name and __init__",
        "*args and **kwargs",
        "a ` b",
        "**a\n**b",
        "* *",
        "(a_b_c)",
        r"\(x\) \\ C:\dir",
        "a****b",
        &long,
    ] {
        let shown = stretches(&[text]);
        assert!(
            shown
                .iter()
                .all(|(_, style)| !style.hidden && !style.italic),
            "{shown:?}"
        );
    }
}

/// More letters than are waited for.
const LONG: usize = super::super::spans::LONGEST + 1;

#[test]
fn blocks_keep_their_marks() {
    becomes(&[
        ("# A *b*\nc", "[b:# A ][h:*][bi:b][h:*]\nc"),
        ("#a\n####### b", "#a\n####### b"),
        (
            "- a\n  * **b**\n+ c",
            "[b:- ]a\n[b:  * ][h:**][b:b][h:**]\n[b:+ ]c",
        ),
        (
            "1. a\n12) b\n1.5 c\n2024",
            "[b:1. ]a\n[b:12) ]b\n1.5 c\n2024",
        ),
        ("> - a\n>b", "[d:>][b: - ]a\n[d:>]b"),
        ("---\na\n***\n--x", "[d:---]\na\n[d:***]\n--x"),
        ("-a\n-", "-a\n-"),
    ]);
}

#[test]
fn blocks_of_code_are_left_alone() {
    becomes(&[
        (
            "```rust\nlet *a* = `b`;\n  ``\n\n``` x\n```\n*c*",
            "[d:```rust]\n[c:let *a* = `b`;]\n[c:  ``]\n\n[c:``` x]\n[d:```]\n[h:*][i:c][h:*]",
        ),
        (
            "- ```\n  # a\n  ```  \nb",
            "[b:- ][d:```]\n[c:  # a]\n[d:  ```  ]\nb",
        ),
        ("~~~\n```\n~~~~\na", "[d:~~~]\n[c:```]\n[d:~~~~]\na"),
        ("````\n```\n````", "[d:````]\n[c:```]\n[d:````]"),
        ("```a``` b", "[h:```][c:a][h:```] b"),
        ("```", "[d:```]"),
        ("```\na", "[d:```]\n[c:a]"),
    ]);
}

#[test]
fn letters_wait_no_longer_than_they_must() {
    let mut markdown = Markdown::default();
    let mut shown = String::new();
    for (piece, expected) in [
        ("a", "a"),
        (" *", "a "),
        ("b", "a "),
        ("* ", "a *b* "),
        ("c", "a *b* c"),
        ("\n#", "a *b* c\n"),
        ("1", "a *b* c\n#1"),
        ("\n*", "a *b* c\n#1\n"),
        (" ", "a *b* c\n#1\n* "),
        ("d", "a *b* c\n#1\n* d"),
    ] {
        markdown.push(piece, &mut |text, _| shown.push_str(text));
        assert_eq!(shown, expected, "{piece:?}");
    }
}

fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "*", "**", "***", "_", "`", "```", "~~~", "\\", "#", "# ", "- ", "> ", "1. ", "---", "\n",
        "\n\n", " ", "a", "b c", "2", "é", "字", ".", "\t", "\r",
    ]);
    let words = prop::collection::vec(word, 0..40).prop_map(|words| words.concat());
    prop_oneof![9 => words, 1 => any::<String>()]
}

proptest! {
    #[test]
    fn nothing_is_lost_and_marks_alone_are_hidden(text in text()) {
        let shown = stretches(&[&text]);
        let all: String = shown.iter().map(|(text, _)| text.as_str()).collect();
        prop_assert_eq!(&all, &text);
        for (hidden, _) in shown.iter().filter(|(_, style)| style.hidden) {
            prop_assert!(hidden.chars().all(|c| "*_`\\".contains(c)), "{}", hidden);
        }
        // Marks go in pairs: without escapes, an even number of each is hidden.
        for mark in ['*', '_', '`'] {
            let hidden = shown.iter().filter(|(_, style)| style.hidden);
            let n: usize = hidden.map(|(text, _)| text.matches(mark).count()).sum();
            prop_assert_eq!(n % 2, 0, "{}", mark);
        }
    }

    #[test]
    fn pieces_make_no_difference(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.retain(|&i| text.is_char_boundary(i));
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
        prop_assert_eq!(stretches(&pieces), stretches(&[&text]));
    }

    #[test]
    fn a_terminal_is_sent_the_text_and_our_own_codes(text in any::<String>(), marked in text()) {
        let text = format!("{marked}\x1b[2J{text}\u{9b}");
        let mut ink = super::super::ink::Ink::default();
        let (mut markdown, mut seen) = (Markdown::default(), String::new());
        let mut sink = |text: &str, style: Style| {
            ink.put(text, style);
            if !style.hidden {
                seen.push_str(text);
            }
        };
        markdown.push(&text, &mut sink);
        markdown.finish(&mut sink);
        ink.rest();
        let mut bare = ink.take();
        while let Some(at) = bare.find("\x1b[0") {
            let end = bare[at..].find('m').unwrap();
            prop_assert!(bare[at + 2..at + end].chars().all(|c| c.is_ascii_digit() || c == ';'));
            bare.replace_range(at..=at + end, "");
        }
        let control = |c: char| c.is_control() && c != '\n' && c != '\t';
        prop_assert!(!bare.contains(control), "{:?}", bare);
        let safe = seen.chars().filter(|&c| c != '\r');
        let safe: String = safe.map(|c| if control(c) { '\u{fffd}' } else { c }).collect();
        prop_assert_eq!(bare, safe);
    }
}
