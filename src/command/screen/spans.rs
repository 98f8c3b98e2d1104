//! Emphasis and code among the words of a line.

use super::ink::Style;

/// Receives styled stretches of text.
pub type Sink<'a> = dyn FnMut(&str, Style) + 'a;

/// Most letters that are held back to wait for a mark's partner: about a line.
pub const LONGEST: usize = 80;

/// What was found at a place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Not known before more letters come; if none come, these bytes are text.
    Unknown(usize),
    /// This many bytes of text.
    Text(usize),
    /// A backslash, hidden, before a letter that would be a mark.
    Escape,
    /// Marks of `mark` bytes around `inner` bytes.
    Span { mark: usize, inner: usize },
}

/// Lets out what is known of a line's words, and returns how many bytes that is: all if the line
/// has `ended`. `before` is the letter before them, `base` their style.
pub fn spans(text: &str, before: Option<char>, base: Style, ended: bool, out: &mut Sink) -> usize {
    // What is before `plain` has come out, what is before `at` is known.
    let (mut plain, mut at, mut last) = (0, 0, before);
    while let Some(letter) = text[at..].chars().next() {
        let rest = &text[at..];
        let found = match letter {
            '`' => code(rest, ended),
            '*' | '_' => emphasis(rest, letter, last, ended),
            '\\' => escape(rest),
            _ => Found::Text(letter.len_utf8()),
        };
        match found {
            Found::Text(bytes) => at += bytes,
            Found::Unknown(bytes) if ended || rest.chars().nth(LONGEST).is_some() => at += bytes,
            Found::Unknown(_) => break,
            Found::Escape => {
                put(&text[plain..at], base, out);
                put(&rest[..1], Style::HIDDEN, out);
                plain = at + 1;
                at += 2;
            }
            Found::Span { mark, inner } => {
                put(&text[plain..at], base, out);
                put(&rest[..mark], Style::HIDDEN, out);
                let within = &rest[mark..mark + inner];
                if letter == '`' {
                    put(within, Style { code: true, ..base }, out);
                } else {
                    let (bold, italic) = (base.bold || mark > 1, base.italic || mark != 2);
                    let style = Style {
                        bold,
                        italic,
                        ..base
                    };
                    spans(within, Some(letter), style, true, out);
                }
                put(&rest[mark + inner..2 * mark + inner], Style::HIDDEN, out);
                at += 2 * mark + inner;
                plain = at;
            }
        }
        last = text[..at].chars().last();
    }
    put(&text[plain..at], base, out);
    at
}

/// How many times `mark` stands at the beginning of `text`.
pub fn run(text: &str, mark: char) -> usize {
    text.chars().take_while(|&char| char == mark).count()
}

fn put(text: &str, style: Style, out: &mut Sink) {
    if !text.is_empty() {
        out(text, style);
    }
}

/// A backslash. It is an escape only before the marks known here; before other letters it belongs
/// to a formula or a path.
fn escape(text: &str) -> Found {
    match text.as_bytes().get(1) {
        None => Found::Unknown(1),
        Some(b'*' | b'_' | b'`') => Found::Escape,
        Some(_) => Found::Text(1),
    }
}

/// Backticks: code up to as many backticks.
fn code(text: &str, ended: bool) -> Found {
    let mark = run(text, '`');
    let mut at = mark;
    while let Some(next) = text[at..].find('`') {
        let length = run(&text[at + next..], '`');
        let end = at + next + length;
        if length == mark && (ended || end < text.len()) {
            let inner = at + next - mark;
            return Found::Span { mark, inner };
        }
        at = end;
    }
    Found::Unknown(mark)
}

/// Stars or an underscore: emphasis up to as many of them. As in CommonMark, with three exceptions:
/// a mark does not open inside a word or after a number (`2**8`), two underscores are part of a
/// name (`__init__`), and partners have the same length.
fn emphasis(text: &str, letter: char, last: Option<char>, ended: bool) -> Found {
    let mark = run(text, letter);
    let Some(next) = text[mark..].chars().next() else {
        return Found::Unknown(mark);
    };
    let star = letter == '*';
    let inside = |c: char| c.is_ascii_alphanumeric() || !star && c.is_alphanumeric();
    if next.is_whitespace() || last.is_some_and(inside) || mark > if star { 3 } else { 1 } {
        return Found::Text(mark);
    }
    let mut at = mark;
    while let Some(c) = text[at..].chars().next() {
        if c == '`' {
            at += match code(&text[at..], ended) {
                Found::Span { mark, inner } => 2 * mark + inner,
                _ if !ended => return Found::Unknown(mark),
                _ => run(&text[at..], c),
            };
        } else if c == '\\' {
            at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
        } else if c == letter {
            let length = run(&text[at..], c);
            let after = text[at + length..].chars().next();
            let spaced = text[..at].ends_with(char::is_whitespace);
            let closes = length == mark && !spaced && (star || !after.is_some_and(inside));
            if closes && (ended || after.is_some()) {
                let inner = at - mark;
                return Found::Span { mark, inner };
            }
            at += length;
        } else {
            at += c.len_utf8();
        }
    }
    Found::Unknown(mark)
}
