use super::*;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// Of how many bytes the text is when it first is a loop.
fn ends_by(rule: Rule, text: &str) -> Option<usize> {
    let mut repetition = Repetition::by(rule);
    text.char_indices().find_map(|(at, c)| {
        repetition.push_char(c);
        repetition.is_loop().then_some(at + c.len_utf8())
    })
}

fn ends(text: &str) -> Option<usize> {
    ends_by(RULE, text)
}

/// Reached in short texts.
const SMALL: Rule = Rule {
    longest: 7,
    more: 3,
    patience: 2,
    longest_counted: 6,
    counted: 4,
};

/// The rule as it reads, for the whole text.
fn plain(rule: Rule, text: &str) -> bool {
    let lettered = |unit: &[char]| unit.iter().any(|c| c.is_alphabetic());
    let times_of = |text: &[char], period: usize| {
        let again = (period..text.len()).rev();
        again.take_while(|&i| text[i] == text[i - period]).count()
    };
    // One byte each.
    let text: Vec<char> = text.chars().collect();
    let mut counted: Vec<char> = Vec::new();
    for (i, &c) in text.iter().enumerate() {
        match c.is_numeric() {
            true if i > 0 && text[i - 1].is_numeric() => {}
            true => counted.push('0'),
            false => counted.push(c),
        }
    }
    let joined: String = text.iter().collect();
    let lines = joined
        .split('\n')
        .filter(|l| l.trim_start_matches([' ', '\t']).starts_with("```"));
    let code = lines.count() % 2 == 1;
    let exact = (1..=rule.longest.min(text.len())).any(|p| {
        let slow = code || !lettered(&text[text.len() - p..]);
        times_of(&text, p) >= (2 * p + rule.more) * if slow { rule.patience } else { 1 }
    });
    let counting = (1..=rule.longest_counted.min(counted.len())).any(|p| {
        lettered(&counted[counted.len() - p..])
            && times_of(&counted, p) >= rule.alike_but_for_numbers(p)
    });
    exact || counting && !code
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn equals_the_rule_as_it_reads(
        parts in prop::collection::vec(("[ab1 .]{0,3}[ab12`\n-]{0,5}|\n```[ab]{0,2}\n", 1..20usize), 0..6),
    ) {
        let text: String = parts.iter().map(|(unit, times)| unit.repeat(*times)).collect();
        let mut repetition = Repetition::by(SMALL);
        for (at, c) in text.char_indices() {
            repetition.push_char(c);
            let so_far = &text[..=at];
            prop_assert_eq!(repetition.is_loop(), plain(SMALL, so_far), "{:?}", so_far);
        }
    }
}

/// After three times and 300 bytes more, at any place of the passage.
#[test]
fn loops_end() {
    for unit in [
        "La capitale de la France est Paris. ",
        "Red, blue, green.\n",
        "I'm sorry, but I can't help with that.\n\n",
        "Столица Франции — Париж. ",
        "法国的首都是巴黎。",
        "フランスの首都はパリです。\n",
        "عاصمة فرنسا هي باريس. ",
        "फ्रांस की राजधानी पेरिस है। ",
        "ha ",
        "a",
        "User: What is it?\nAssistant: It is a colour.\n",
        "A paragraph has several sentences, each of them a little different. ",
        "Run it:\n```sh\ncargo run\n```\nThen look at what it says, and run it again.\n",
    ] {
        for before in ["", "Name three colours. The answer:\n\n"] {
            let text = format!("{before}{}", unit.repeat(400));
            let end = ends(&text).unwrap();
            let due = before.len() + 3 * unit.len() + 300;
            // `before` may end as the passage does, and a character is whole.
            assert!((due - 2..due + 4).contains(&end), "{unit:?}: {end}, {due}");
        }
    }
}

#[test]
fn a_paragraph_is_a_loop_after_three_times() {
    let letter = |n: u8| char::from(b'a' + n % 26);
    let words = (0..120u8).map(|n| format!("{}{} ", letter(n), letter(n / 26 + n % 7)));
    let paragraph: String = words
        .chain(["The end of all that.\n\n".repeat(5)])
        .collect();
    assert!((450..640).contains(&paragraph.len()));
    let end = ends(&paragraph.repeat(5));
    assert_eq!(end, Some(3 * paragraph.len() + 300));
}

#[test]
fn loops_that_count_end() {
    let lines = |n: usize| (1..=n).map(|i| format!("{i}. Red\n")).collect::<String>();
    assert_eq!(ends(&lines(150)), None);
    assert!(ends(&lines(153)).is_some());
    let steps = (1..).map(|i| format!("Step {i}: Repeat step {} until all is done.\n", i - 1));
    assert!(ends(&steps.take(160).collect::<String>()).is_some());
}

#[test]
fn without_letters_and_in_code_it_takes_longer() {
    for unit in ["-", "0, ", "😀", "\n", "12 34 56 78\n", "═", "| | |\n"] {
        let due = RULE.patience * RULE.alike(unit.len()) + unit.len();
        assert_eq!(ends(&unit.repeat(due / unit.len() - 2)), None, "{unit:?}");
        assert!(ends(&unit.repeat(due / unit.len() + 2)).is_some());
    }
    let cell = "    <input type=\"text\" maxlength=\"1\" class=\"cell\">\n";
    let board = format!("```html\n<div>\n{}</div>\n```\n", cell.repeat(81));
    assert_eq!(ends(&board), None);
    assert!(ends(&format!("```html\n{}", cell.repeat(200))).is_some());
    // After the block it is prose again.
    let after = format!("{board}\n{}", "That is it. ".repeat(40));
    assert!(ends(&after).is_some());
}

#[test]
fn what_repeats_itself_for_good_reasons_goes_on() {
    let table =
        |rows: usize, row: &str| format!("| a | b | c |\n|---|---|---|\n{}", row.repeat(rows));
    let joined = |n: usize, line: &dyn Fn(usize) -> String| (1..=n).map(line).collect::<String>();
    for text in [
        "ha ha ha ha ha ha ha ha!\n".into(),
        "Ha".repeat(100),
        "A".repeat(200),
        "very, ".repeat(30),
        "I will not talk in class.\n".repeat(10),
        "hello, ".repeat(45),
        "Around the world, around the world\n".repeat(8),
        "Na, na na, na-na-na na, na-na-na na, hey Jude\n".repeat(6),
        "C  G  Am  F  | ".repeat(16),
        "=".repeat(80) + "\n" + &"-".repeat(300),
        format!("[{}]", "0, ".repeat(1000)),
        "[0, 0, 0, 0, 0, 0, 0, 0],\n".repeat(64),
        table(12, "| N/A | N/A | N/A |\n"),
        table(100, "|     |     |     |\n"),
        table(31, "| Free | 8:00 | 12:30 |\n")[..300].to_owned(),
        "- [ ] Task\n".repeat(20),
        "**[Job Title]**, [Company], [City] ([Start] – [End])\n- [What you did]\n- [What came of it]\n\n".repeat(4),
        format!("```c\n{}```\n", "    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,\n".repeat(64)),
        format!("```html\n<table>\n{}</table>\n```", format!("<tr>{}</tr>\n", "<td></td>".repeat(9)).repeat(9)),
        joined(100, &|i| format!("Item {i}\n")),
        joined(144, &|i| format!("{} x {} = {}\n", i / 12 + 1, i % 12 + 1, (i / 12 + 1) * (i % 12 + 1))),
        joined(500, &|i| format!("{i}, ")),
        joined(500, &|i| format!("{i}\t{}\t{}\n", i * i, i * i * i)),
        joined(300, &|i| match (i % 3, i % 5) {
            (0, 0) => "FizzBuzz\n".into(),
            (0, _) => "Fizz\n".into(),
            (_, 0) => "Buzz\n".into(),
            _ => format!("{i}\n"),
        }),
        joined(50, &|i| format!("INSERT INTO users VALUES ({i}, 'user{i}', 'user{i}@example.com');\n")),
        joined(99, &|i| format!("{} bottles of beer on the wall, {} bottles of beer.\n", 100 - i, 100 - i)),
    ] {
        let end = ends(&text);
        assert_eq!(end, None, "{}", &text[..end.unwrap_or(0)]);
    }
}

/// Every text in `folder` that somebody wrote.
fn written(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = path.extension().unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            written(&path, found);
        } else if ["rs", "md", "toml", "txt", "jsonl", "py"]
            .iter()
            .any(|&k| kind == k)
        {
            found.push(path);
        }
    }
}

#[test]
fn the_texts_of_the_repository_go_on() {
    let mut paths = Vec::new();
    written(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        &mut paths,
    );
    assert!(paths.len() > 200, "{}", paths.len());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(ends(&text), None, "{}", path.display());
    }
}
