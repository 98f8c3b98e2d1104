//! Whether a pack is worth having: its best mixture against its best member.

use super::results::{Row, Section};
use super::statistics::Difference;

/// Time that a pack may take beside its best member where it is no better: it is not felt.
const UNFELT: f64 = 1.1;

/// What was found of a pack.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneVerdict {
    /// The best member.
    pub member: String,
    /// The mixture with most right answers; of equals the one that takes least time.
    pub mixture: String,
    /// Its paired difference to the best member.
    pub difference: Difference,
    /// Its time over the best member's.
    pub times: f64,
    /// Whether the mixture is worth its time.
    pub advice: Advice,
}

/// What to do with a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// It answers better: its difference is above its error.
    Keep,
    /// It answers no worse, and takes hardly longer.
    KeepForNothing,
    /// So few questions do not tell whether it answers better.
    Alone,
    /// It answers worse, or exactly as well, and takes longer.
    AloneForSure,
}

impl TuneVerdict {
    /// None if there is no mixture, or no member.
    #[must_use]
    pub fn of(section: &Section) -> Option<Self> {
        let member = section.rows.iter().find(|row| row.name == section.best)?;
        let mixtures = section.rows.iter().filter(|row| !row.member);
        let better = |a: &&Row, b: &&Row| {
            let by_share = a.share.total_cmp(&b.share);
            by_share.then(b.seconds.total_cmp(&a.seconds))
        };
        let mixture = mixtures.max_by(better)?;
        let difference = mixture.vs_best?;
        let times = mixture.seconds / member.seconds.max(1e-9);
        let half = (difference.high - difference.low) / 2.0;
        let advice = if difference.mean > 0.0 && difference.mean >= half {
            Advice::Keep
        } else if difference.mean >= 0.0 && times <= UNFELT {
            Advice::KeepForNothing
        } else if difference.mean > 0.0 {
            Advice::Alone
        } else {
            Advice::AloneForSure
        };
        Some(Self {
            member: member.name.clone(),
            mixture: mixture.name.clone(),
            difference,
            times,
            advice,
        })
    }

    /// Whether the mixture is advised.
    #[must_use]
    pub fn keeps(&self) -> bool {
        matches!(self.advice, Advice::Keep | Advice::KeepForNothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant::{Contestant, ContestantKind};
    use crate::marks::Mark;
    use crate::results::Answered;

    /// Two members and the pack of both, each right where its digit is 1, at so many seconds a
    /// question.
    fn verdict(right: [&str; 3], seconds: [f64; 3]) -> TuneVerdict {
        let contestant = |name: &str, kind| Contestant {
            name: name.into(),
            kind,
        };
        let contestants = [
            contestant("a", ContestantKind::Member(0)),
            contestant("b", ContestantKind::Member(1)),
            contestant("a + b", ContestantKind::Among(vec![0, 1])),
        ];
        let mark = |c: usize, i: usize| Mark {
            right: right[c].as_bytes()[i] == b'1',
            seconds: seconds[c],
            ..Mark::default()
        };
        let marks = (0..right[0].len()).map(|i| (0..3).map(|c| mark(c, i)).collect());
        let task = Answered {
            name: "t".into(),
            marks: marks.collect(),
            ..Answered::default()
        };
        TuneVerdict::of(&Section::of(&task, &contestants)).unwrap()
    }

    #[test]
    fn who_is_right_where_the_other_is_wrong_makes_a_pack_worth_its_time() {
        let kept = verdict(
            [
                "1111111111000000000011111",
                "0000000000111111111100000",
                "1111111111111111110011111",
            ],
            [1.0, 1.0, 2.5],
        );
        assert_eq!(
            (kept.member.as_str(), kept.mixture.as_str()),
            ("a", "a + b")
        );
        assert_eq!(kept.advice, Advice::Keep);
        assert!((kept.times - 2.5).abs() < 1e-9 && kept.keeps());
    }

    #[test]
    fn who_adds_nothing_is_left_out_but_for_time_that_nobody_feels() {
        let same = ["1111100000", "1100000000", "1111100000"];
        assert_eq!(verdict(same, [1.0, 1.0, 2.0]).advice, Advice::AloneForSure);
        let free = verdict(same, [1.0, 1.0, 1.05]);
        assert_eq!(free.advice, Advice::KeepForNothing);
        let worse = ["1111100000", "1100000000", "1101100000"];
        assert_eq!(verdict(worse, [1.0, 1.0, 1.0]).advice, Advice::AloneForSure);
        // One question more of ten may be luck.
        let luck = ["1111100000", "1100000000", "1111110000"];
        let luck = verdict(luck, [1.0, 1.0, 2.0]);
        assert_eq!(luck.advice, Advice::Alone);
        assert!(!luck.keeps());
    }
}
