//! Whether a text goes in circles, as small models do: they say a sentence again and again, until
//! the limit.
//!
//! A text with letters is a loop where it has said the same passage, of up to 640 bytes, three
//! times running and goes on with it for another 300 bytes. In code blocks, and where there are no
//! letters (lines of dashes, arrays of zeros), it takes sixteen times as much: rows of a table or
//! an array are alike for good reasons. A passage of up to 160 bytes that comes again with other
//! numbers is a loop after 150 times; lists and times tables end before that.
//!
//! For every period p it is kept how many of the last bytes equal the byte p before them. The text
//! ends with a passage of p bytes n times if that is (n − 1)·p. So a byte costs a comparison a
//! period, which vectorises.

/// What a loop is.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Longest passage that is noticed, in bytes.
    longest: usize,
    /// How much more than three times it has to come.
    more: usize,
    /// How many times as much is let pass in code, and without letters.
    patience: usize,
    /// Longest passage that is noticed if it comes with other numbers; a number counts as a byte.
    longest_counted: usize,
    /// How often that has to come again.
    counted: usize,
}

const RULE: Rule = Rule {
    longest: 640,
    more: 300,
    patience: 16,
    longest_counted: 160,
    counted: 150,
};

impl Rule {
    /// How many bytes have to equal the byte a period before them.
    fn alike(&self, period: usize) -> usize {
        2 * period + self.more
    }

    /// The same, where only numbers differ.
    fn alike_but_for_numbers(&self, period: usize) -> usize {
        self.alike(period).max(self.counted * period)
    }
}

/// Watches a text for loops.
#[derive(Debug, Clone)]
pub struct Repetition {
    rule: Rule,
    /// Of the text.
    exact: Runs,
    /// Of the text with all numbers alike.
    counted: Runs,
    in_number: bool,
    code: CodeBlocks,
    is_loop: bool,
}

impl Default for Repetition {
    fn default() -> Self {
        Self::by(RULE)
    }
}

impl Repetition {
    fn by(rule: Rule) -> Self {
        Self {
            rule,
            exact: Runs::new(rule.longest),
            counted: Runs::new(rule.longest_counted),
            in_number: false,
            code: CodeBlocks::default(),
            is_loop: false,
        }
    }

    /// The text grows.
    pub fn push(&mut self, text: &str) {
        for c in text.chars() {
            self.push_char(c);
        }
    }

    /// Whether the text, as far as it has come, ends in a loop.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        self.is_loop
    }

    fn push_char(&mut self, c: char) {
        let mut utf8 = [0; 4];
        let (bytes, letter) = (c.encode_utf8(&mut utf8).as_bytes(), c.is_alphabetic());
        let number = c.is_numeric();
        bytes.iter().for_each(|&b| self.exact.push(b, letter));
        match (number, self.in_number) {
            (false, _) => bytes.iter().for_each(|&b| self.counted.push(b, letter)),
            (true, false) => self.counted.push(b'0', false),
            (true, true) => {}
        }
        self.in_number = number;
        self.code.push(c);
        self.is_loop = self.repeats();
    }

    fn repeats(&self) -> bool {
        let Self { rule, exact, .. } = self;
        let patient = |period| rule.patience * rule.alike(period);
        exact.reach(rule.more, 1, patient) || !self.code.inside && self.prose_repeats()
    }

    fn prose_repeats(&self) -> bool {
        let (rule, exact, counted) = (&self.rule, &self.exact, &self.counted);
        let (alike, again) = (|p| rule.alike(p), |p| rule.alike_but_for_numbers(p));
        exact.reach(rule.more, exact.lettered(), alike)
            || counted.reach(rule.more, counted.lettered(), again)
    }
}

/// For every period, how many of the last bytes equal the byte a period before them.
#[derive(Debug, Clone)]
struct Runs {
    /// The text so far, after as many bytes that are in no text as the longest period has.
    text: Vec<u8>,
    /// By period, the longest first, as the bytes to compare with lie in the text.
    runs: Vec<u16>,
    longest_run: u16,
    /// Bytes since the last letter.
    since_letter: usize,
}

impl Runs {
    fn new(longest: usize) -> Self {
        Self {
            text: vec![0xFF; longest],
            runs: vec![0; longest],
            longest_run: 0,
            since_letter: longest,
        }
    }

    /// The text grows by a byte, perhaps of a letter.
    fn push(&mut self, byte: u8, letter: bool) {
        let begin = self.text.len() - self.runs.len();
        let mut longest_run = 0;
        for (run, &earlier) in self.runs.iter_mut().zip(&self.text[begin..]) {
            let more = run.saturating_add(1);
            *run = if earlier == byte { more } else { 0 };
            longest_run = longest_run.max(*run);
        }
        self.longest_run = longest_run;
        self.text.push(byte);
        self.since_letter = match letter {
            true => 0,
            false => self.since_letter.saturating_add(1),
        };
    }

    /// The shortest period that spans a letter; the longer ones do, too.
    fn lettered(&self) -> usize {
        self.since_letter.saturating_add(1)
    }

    /// Whether the run of a period, from `shortest` on, is as long as `need` says, which is `least`
    /// or more.
    fn reach(&self, least: usize, shortest: usize, need: impl Fn(usize) -> usize) -> bool {
        let mut runs = self.runs.iter().rev().zip(1..).skip(shortest - 1);
        usize::from(self.longest_run) >= least
            && runs.any(|(&run, period)| usize::from(run) >= need(period))
    }
}

/// Finds code blocks: between lines that begin with three backticks.
#[derive(Debug, Clone)]
struct CodeBlocks {
    /// Backticks at the beginning of the line; None if something else came there.
    ticks: Option<usize>,
    inside: bool,
}

impl Default for CodeBlocks {
    fn default() -> Self {
        Self {
            ticks: Some(0),
            inside: false,
        }
    }
}

impl CodeBlocks {
    fn push(&mut self, c: char) {
        self.ticks = match (c, self.ticks) {
            ('\n', _) => Some(0),
            (' ' | '\t', Some(0)) => Some(0),
            ('`', Some(ticks)) => Some(ticks + 1),
            _ => None,
        };
        self.inside ^= self.ticks == Some(3) && c == '`';
    }
}

#[cfg(test)]
mod tests;
