//! Styled text for a terminal.

use std::collections::VecDeque;

/// Foreground colours of members (ECMA-48, SGR), in their order. Cyan is the colour of code.
const COLOURS: [&str; 10] = ["33", "35", "32", "34", "31", "93", "95", "92", "94", "91"];

/// The colour of member `k`; after ten members the colours repeat.
pub fn colour(k: usize) -> &'static str {
    COLOURS[k % COLOURS.len()]
}

/// How a stretch of text looks. The text itself cannot change that: see [`Ink`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub bold: bool,
    pub italic: bool,
    pub dim: bool,
    /// Code: cyan.
    pub code: bool,
    /// Markup whose effect is visible: not shown.
    pub hidden: bool,
    /// The member that argued for it, which gives the colour.
    pub attributed_to: Option<usize>,
}

impl Style {
    pub const PLAIN: Style = Style {
        bold: false,
        italic: false,
        dim: false,
        code: false,
        hidden: false,
        attributed_to: None,
    };
    pub const BOLD: Style = Style {
        bold: true,
        ..Style::PLAIN
    };
    pub const DIM: Style = Style {
        dim: true,
        ..Style::PLAIN
    };
    pub const CODE: Style = Style {
        code: true,
        ..Style::PLAIN
    };
    pub const HIDDEN: Style = Style {
        hidden: true,
        ..Style::PLAIN
    };

    /// The escape code that sets this style, whatever the style before was (ECMA-48, SGR).
    fn code(self) -> String {
        let on = [
            (self.bold, ";1"),
            (self.dim, ";2"),
            (self.italic, ";3"),
            (self.code && self.attributed_to.is_none(), ";36"),
        ];
        let on = on.iter().filter(|(on, _)| *on).map(|(_, code)| *code);
        let on: String = on.collect();
        match self.attributed_to {
            Some(k) => format!("\x1b[0{on};{}m", colour(k)),
            None => format!("\x1b[0{on}m"),
        }
    }
}

/// Output for a terminal. It contains our own escape codes and none from the text, which the
/// terminal would carry out.
#[derive(Debug, Default)]
pub struct Ink {
    text: String,
    style: Style,
    /// The members that argued for the next bytes, stretch by stretch; nobody for the bytes after
    /// those.
    attributions: VecDeque<(usize, Option<usize>)>,
}

impl Ink {
    /// Says who argued for the next `bytes`, after those already attributed. Every byte then comes
    /// in order, [put](Ink::put) or [skipped](Ink::skip).
    pub fn attribute(&mut self, bytes: usize, attributed_to: Option<usize>) {
        if bytes > 0 {
            self.attributions.push_back((bytes, attributed_to));
        }
    }

    /// Passes over bytes that are not shown.
    pub fn skip(&mut self, bytes: usize) {
        self.next(bytes);
    }

    /// Takes the next bytes; returns who argued for the first of them.
    fn next(&mut self, mut bytes: usize) -> Option<usize> {
        let attributed_to = self
            .attributions
            .front()
            .and_then(|(_, attributed_to)| *attributed_to);
        while let Some((left, _)) = self.attributions.front_mut() {
            if *left > bytes {
                *left -= bytes;
                break;
            }
            bytes -= *left;
            self.attributions.pop_front();
        }
        attributed_to
    }

    /// Writes text. Line feeds and tabs stay, carriage returns are left out, other control
    /// characters become U+FFFD. Lines end without a style.
    pub fn put(&mut self, text: &str, style: Style) {
        if style.hidden {
            return self.skip(text.len());
        }
        for char in text.chars() {
            let attributed_to = self.next(char.len_utf8());
            let style = Style {
                attributed_to,
                ..style
            };
            match char {
                '\n' => self.wear(Style::PLAIN),
                '\r' => continue,
                _ => self.wear(style),
            }
            let safe = !char.is_control() || char == '\n' || char == '\t';
            self.text.push(if safe { char } else { '\u{fffd}' });
        }
    }

    /// Drops the output so far.
    pub fn forget(&mut self) {
        (self.text, self.style) = (String::new(), Style::PLAIN);
    }

    /// Ends the current style.
    pub fn rest(&mut self) {
        self.wear(Style::PLAIN);
    }

    fn wear(&mut self, style: Style) {
        if self.style != style {
            self.text.push_str(&style.code());
            self.style = style;
        }
    }

    /// Takes the output since the last call.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_change_where_they_must_and_no_line_ends_in_one() {
        let mut ink = Ink::default();
        ink.put("a", Style::PLAIN);
        ink.put("b", Style::BOLD);
        ink.put("c\n", Style::BOLD);
        ink.put("**", Style::HIDDEN);
        let both = Style {
            italic: true,
            ..Style::CODE
        };
        ink.put("d", both);
        assert_eq!(ink.take(), "a\x1b[0;1mbc\x1b[0m\n\x1b[0;3;36md");
        ink.rest();
        ink.rest();
        assert_eq!(ink.take(), "\x1b[0m");
    }

    #[test]
    fn attributions_colour_the_bytes_they_were_said_of_whatever_the_style() {
        let mut ink = Ink::default();
        ink.attribute(3, Some(0));
        ink.attribute(4, None);
        ink.attribute(3, Some(1));
        ink.put("**", Style::HIDDEN);
        ink.put("a", Style::BOLD);
        ink.put("é", Style::BOLD);
        ink.skip(2);
        ink.put("b\r\nc", Style::CODE);
        assert_eq!(
            ink.take(),
            "\x1b[0;1;33ma\x1b[0;1mé\x1b[0;35mb\x1b[0m\n\x1b[0;36mc"
        );
    }

    #[test]
    fn a_text_has_no_power_over_the_terminal() {
        let mut ink = Ink::default();
        ink.put("a\x1b]52;c;eA==\x07\u{9b}2J\r\n\tb\x00\x7f", Style::PLAIN);
        assert_eq!(
            ink.take(),
            "a\u{fffd}]52;c;eA==\u{fffd}\u{fffd}2J\n\tb\u{fffd}\u{fffd}"
        );
    }
}
