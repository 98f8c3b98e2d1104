//! Which member argued for which word of an answer.
//!
//! A piece is a word with its punctuation and the white space before it, as most tokenizers have
//! it; in scripts without spaces every character is a piece. A member's
//! [contributions](crate::mix::Mixer::contributions) to the bytes of a piece are summed. The member
//! with the largest sum argued for the piece, if that sum is ahead of 0 and of every other sum by
//! at least [`MARGIN`]. Otherwise no member did.

/// The lead that a member needs: one bit, in nats. It then made the piece at least twice as likely
/// as the others alone would have.
pub const MARGIN: f64 = std::f64::consts::LN_2;

/// Most characters of a piece, so that its end is never far away.
const LONGEST: usize = 40;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Piece {
    /// Its text.
    pub text: String,
    /// What each member contributed to it, in nats; infinite where no other member could have said
    /// it. Empty for text that no member was asked for.
    pub contributions: Vec<f64>,
}

impl Piece {
    /// The member that argued for it, if one did more than the others.
    #[must_use]
    pub fn attributed_to(&self) -> Option<usize> {
        let members = self.contributions.iter().copied().enumerate();
        let (first, most) = members.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let others = self.contributions.iter().enumerate();
        let others = others.filter(|(k, _)| *k != first).map(|(_, c)| *c);
        let next = others.fold(0.0, f64::max);
        // Not a number where both are infinite: neither is ahead.
        (most - next >= MARGIN).then_some(first)
    }

    fn is_blank(&self) -> bool {
        self.text.chars().all(char::is_whitespace)
    }

    fn add(&mut self, char: char, contributions: &[f64], members: usize) {
        self.text.push(char);
        if !contributions.is_empty() {
            self.contributions.resize(members, 0.0);
        }
        for byte in contributions.chunks(members) {
            for (sum, c) in self.contributions.iter_mut().zip(byte) {
                *sum += c;
            }
        }
    }
}

/// The pieces of an answer, as it comes.
#[derive(Debug, Clone, Default)]
pub struct Attribution {
    members: usize,
    pieces: Vec<Piece>,
    /// The last piece, which may still grow.
    open: Piece,
}

impl Attribution {
    /// The attribution of an answer that is still empty, by so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            members,
            ..Self::default()
        }
    }

    /// Takes more of the text, and the contributions to its bytes: as many numbers a byte as there
    /// are members, or none at all.
    pub fn push(&mut self, text: &str, contributions: &[f64]) {
        for (at, char) in text.char_indices() {
            let (from, to) = (at, at + char.len_utf8());
            let own = contributions.get(from * self.members..to * self.members);
            let open = &self.open;
            let word = !open.text.is_empty() && !open.is_blank();
            let long = open.text.chars().nth(LONGEST - 1).is_some();
            let apart = has_no_spaces(char) || open.text.ends_with(has_no_spaces);
            if word && (char.is_whitespace() || apart) || long {
                self.finish();
            }
            self.open.add(char, own.unwrap_or_default(), self.members);
        }
    }

    /// A piece that is whole comes next: it was told by another process.
    pub fn add(&mut self, piece: Piece) {
        self.finish();
        self.pieces.push(piece);
    }

    /// The text ends here, unless more is pushed later.
    pub fn finish(&mut self) {
        if !self.open.text.is_empty() {
            self.pieces.push(std::mem::take(&mut self.open));
        }
    }

    /// All pieces that are complete.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Another part of the same answer comes after this one.
    pub fn append(&mut self, mut more: Attribution) {
        self.finish();
        self.pieces.append(&mut more.pieces);
        self.open = more.open;
    }

    /// The share of the bytes that each member argued for. What is missing to 1 belongs to no
    /// member.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let mut bytes = vec![0; self.members];
        for piece in &self.pieces {
            if let Some(of) = piece.attributed_to().and_then(|k| bytes.get_mut(k)) {
                *of += piece.text.len();
            }
        }
        let all: usize = self.pieces.iter().map(|p| p.text.len()).sum();
        let share = |of: usize| of as f64 / all.max(1) as f64;
        bytes.into_iter().map(share).collect()
    }
}

/// Ideographs and kana: text of them has no spaces.
fn has_no_spaces(char: char) -> bool {
    matches!(char, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut all = Attribution::new(1);
        all.push(text, &vec![0.0; text.len()]);
        all.finish();
        all.pieces().iter().map(|p| p.text.clone()).collect()
    }

    #[test]
    fn pieces_are_words_with_the_space_before_them() {
        assert_eq!(pieces("Hi, you! \n\n- a"), ["Hi,", " you!", " \n\n-", " a"]);
        assert_eq!(pieces("ok 日本語 x "), ["ok", " 日", "本", "語", " x", " "]);
        assert_eq!(pieces(&"é".repeat(41)), ["é".repeat(40), "é".into()]);
        assert_eq!(pieces(""), Vec::<String>::new());
    }

    #[test]
    fn one_is_ahead_by_a_bit_or_nobody_is() {
        let attributed_to = |contributions: &[f64]| {
            let contributions = contributions.to_vec();
            let text = String::new();
            Piece {
                text,
                contributions,
            }
            .attributed_to()
        };
        assert_eq!(attributed_to(&[0.8, 0.0]), Some(0));
        assert_eq!(attributed_to(&[0.3, 0.9]), None);
        assert_eq!(attributed_to(&[-2.0, -0.5]), None);
        assert_eq!(attributed_to(&[-2.0, 0.7]), Some(1));
        assert_eq!(attributed_to(&[f64::INFINITY, 1.0]), Some(0));
        assert_eq!(attributed_to(&[f64::INFINITY, f64::INFINITY]), None);
        assert_eq!(attributed_to(&[f64::INFINITY]), Some(0));
        assert_eq!(attributed_to(&[]), None);
    }

    #[test]
    fn shares_are_of_bytes() {
        let mut all = Attribution::new(2);
        all.push("abcd", &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        all.push(
            " xy zzz",
            &[
                0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            ],
        );
        let mut opening = Attribution::new(2);
        opening.push("\n", &[]);
        opening.finish();
        all.append(opening);
        assert_eq!(all.shares(), [4.0 / 12.0, 3.0 / 12.0]);
        assert_eq!(Attribution::new(2).shares(), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_comes(text in "[ \\na-c,日é]{0,60}", cut in any::<prop::sample::Index>()) {
            let ends: Vec<usize> = (0..=text.len()).filter(|&i| text.is_char_boundary(i)).collect();
            let at = ends[cut.index(ends.len())];
            let numbers: Vec<f64> = (0..2 * text.len()).map(|i| (i % 7) as f64).collect();
            let (mut whole, mut parts) = (Attribution::new(2), Attribution::new(2));
            whole.push(&text, &numbers);
            parts.push(&text[..at], &numbers[..2 * at]);
            parts.push(&text[at..], &numbers[2 * at..]);
            whole.finish();
            parts.finish();
            prop_assert_eq!(whole.pieces(), parts.pieces());
            let said: String = whole.pieces().iter().map(|p| p.text.as_str()).collect();
            prop_assert_eq!(said, text);
            let sum = whole.pieces().iter().flat_map(|p| &p.contributions).sum::<f64>();
            prop_assert_eq!(sum, numbers.iter().sum::<f64>());
        }
    }
}
