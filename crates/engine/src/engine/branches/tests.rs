use super::*;
use crate::backend::fake::{FakeMember, FakeOptions};
use crate::engine::schedule::{Presence, Pulse, Scheduler, drive};
use crate::vocab::cover::Budget;
use crate::vocab::sorted::SortedVocab;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

mod exact;

/// A cover over a fake, after one token, as after BOS.
struct Rig {
    /// To ask for its rule.
    bare: FakeMember,
    scheduler: Rc<RefCell<Scheduler>>,
    member: Lease,
    sorted: Arc<SortedVocab>,
    cover: Cover<SeqId>,
    branches: Branches,
}

impl Rig {
    fn new(pieces: &[&[u8]], options: FakeOptions, budget: Budget) -> Self {
        let fake = || FakeMember::new(FakeMember::vocab_of(pieces, true), options.clone());
        let scheduler = Scheduler::new(Box::new(fake()), Arc::default(), Default::default());
        let scheduler = Rc::new(RefCell::new(scheduler));
        let presence = Arc::new(Presence::new(&Arc::new(Pulse::default())));
        let mut member = Lease::new(&scheduler, 0, presence, Arc::default());
        member.resize(options.limits.sequences);
        let start = BatchToken {
            token: 0,
            pos: 0,
            seq: PREFIX,
            output: true,
        };
        drive(&scheduler, member.decode(&[start])).unwrap();
        let sorted = Arc::new(SortedVocab::new(member.vocab()));
        let mut branches = Branches::new(member.limits().sequences);
        let mut cover = Cover::new(Arc::clone(&sorted), budget);
        let logits = member.logits(0).unwrap().to_vec();
        branches
            .begin(&mut cover, &mut member, 0, &logits, None)
            .unwrap();
        Self {
            bare: fake(),
            scheduler,
            member,
            sorted,
            cover,
            branches,
        }
    }

    fn cells_in_use(&self) -> usize {
        self.scheduler.borrow().occupancy().cells
    }

    fn advance(&mut self, byte: u8) {
        let advanced = self
            .branches
            .advance(&mut self.cover, &mut self.member, byte);
        drive(&self.scheduler, advanced).unwrap();
    }

    fn prefetch(&mut self, ahead: &[u8], worth: usize) {
        let member = &mut self.member;
        let prefetched = self
            .branches
            .prefetch(&self.cover, member, &self.sorted, ahead, worth);
        drive(&self.scheduler, prefetched).unwrap();
    }

    fn commit(&mut self) -> Vec<Token> {
        let committed = self.branches.commit(&mut self.cover, &mut self.member);
        drive(&self.scheduler, committed).unwrap()
    }
}

#[test]
fn nothing_that_was_drafted_is_left_in_the_cache() {
    // Tokens that nest, so that most texts have many segmentations.
    let nested: &[&[u8]] = &[b"a", b"ab", b"b", b"abc", b"c", b"bc", b"ca", b" ", b" a"];
    for seed in 0..30 {
        let options = FakeOptions {
            seed,
            ..FakeOptions::default()
        };
        let mut rig = Rig::new(nested, options, Budget::default());
        let text = b"abcab abcab bca";
        let before = rig.cells_in_use();
        let drafted = b"abcab abcab abc";
        rig.prefetch(drafted, 12);
        let with_draft = rig.cells_in_use();
        assert!(with_draft > before + 3);
        for (i, &byte) in text.iter().enumerate() {
            rig.advance(byte);
            if i == 3 {
                // Another draft in the middle of the first: nothing is evaluated twice.
                let ahead = &drafted[4..];
                rig.prefetch(ahead, ahead.len());
            }
        }
        // The text left the draft.
        let held = rig.cells_in_use();
        assert!(
            held <= 1 + rig.cover.resident_tokens() as usize,
            "seed {seed}: {held}"
        );
        rig.prefetch(b"abc abc", 6);
        let tokens = rig.commit();
        assert_eq!(rig.cells_in_use(), 1 + tokens.len());
        for seq in 1..rig.member.limits().sequences {
            assert_eq!(rig.member.seq_len(seq), 0, "sequence {seq}");
        }
    }
}
