//! Random conversations on one member, each against a plain twin: its texts, and the rule after
//! them. Whatever the others do, it predicts the same, and fails only where it would alone.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::future::poll_fn;

/// Sequences of a conversation.
const SEQUENCES: u32 = 3;

/// A batch with this token fails.
const POISON: Token = 6;

/// What a conversation does next. Parts of a sequence are in hundredths.
#[derive(Debug, Clone)]
enum Deed {
    /// Goes on with sequences; every other token has a row.
    Decode(Vec<(SeqId, Vec<Token>)>),
    Copy(SeqId, SeqId, usize),
    /// Takes over a part of a sequence of another conversation.
    Fork(usize, SeqId, SeqId, usize),
    Truncate(SeqId, usize),
    /// Asks for something, and wants it no more.
    Cancel(Vec<Token>),
    /// Does something else for some time, at work or not.
    Pause(u32, bool),
    Resize(u32),
    /// Ends, and another takes its place.
    Reopen,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let seq = || 0..SEQUENCES;
    let text = |tokens| proptest::collection::vec(0..tokens, 1..7);
    let decode = |tokens| {
        let parts = proptest::collection::vec((seq(), text(tokens)), 1..3);
        parts.prop_map(Deed::Decode)
    };
    let deed = prop_oneof![
        10 => decode(POISON),
        1 => decode(POISON + 1),
        4 => (seq(), seq(), 0..=100usize).prop_map(|(from, to, part)| Deed::Copy(from, to, part)),
        2 => (0..4usize, seq(), seq(), 0..=100usize)
            .prop_map(|(of, from, to, part)| Deed::Fork(of, from, to, part)),
        4 => (seq(), 0..=100usize).prop_map(|(seq, part)| Deed::Truncate(seq, part)),
        1 => text(POISON).prop_map(Deed::Cancel),
        2 => (1..6u32, any::<bool>()).prop_map(|(rounds, at_work)| Deed::Pause(rounds, at_work)),
        1 => (1..=SEQUENCES).prop_map(Deed::Resize),
        1 => Just(Deed::Reopen),
    ];
    proptest::collection::vec(deed, 1..16)
}

/// A conversation as it should be: the tokens of its sequences, each with the name of its cell.
#[derive(Default, Clone)]
struct Twin {
    id: TenantId,
    texts: Vec<Vec<(Token, u64)>>,
}

/// All twins, and how many cells have a name.
type Twins = Rc<RefCell<(Vec<Twin>, u64)>>;

fn part_of(len: usize, part: usize) -> usize {
    len * part / 100
}

/// A conversation and its place among the twins.
struct Player {
    rig: Rc<Rig>,
    twins: Twins,
    place: usize,
    conversation: Conversation,
}

impl Player {
    fn new(rig: &Rc<Rig>, twins: &Twins, place: usize) -> Self {
        let conversation = rig.conversation(SEQUENCES);
        twins.borrow_mut().0[place] = Twin {
            id: conversation.id,
            texts: vec![Vec::new(); SEQUENCES as usize],
        };
        Self {
            rig: Rc::clone(rig),
            twins: Rc::clone(twins),
            place,
            conversation,
        }
    }

    async fn play(mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Decode(parts) => self.decode(&parts).await,
                Deed::Copy(from, to, part) => self.copy(self.place, from, to, part),
                Deed::Fork(of, from, to, part) => self.copy(of, from, to, part),
                Deed::Truncate(seq, part) => self.truncate(seq, part),
                Deed::Cancel(tokens) => self.cancel(&tokens).await,
                Deed::Pause(rounds, at_work) => self.pause(rounds, at_work).await,
                Deed::Resize(sequences) => {
                    (1..SEQUENCES).for_each(|seq| self.truncate(seq, 0));
                    self.conversation.lease.resize(sequences);
                    self.conversation.lease.resize(SEQUENCES);
                }
                Deed::Reopen => {
                    let Self {
                        rig, twins, place, ..
                    } = self;
                    // The old one goes before the new one comes, as on the member's thread.
                    drop(self.conversation);
                    self = Self::new(&rig, &twins, place);
                }
            }
            self.rig.check();
        }
        self.conversation.rest();
        let open = &mut self.twins.borrow_mut().0[self.place];
        *open = Twin::default();
    }

    fn texts<T>(&self, look: impl FnOnce(&mut Vec<Vec<(Token, u64)>>) -> T) -> T {
        look(&mut self.twins.borrow_mut().0[self.place].texts)
    }

    fn batch(&self, parts: &[(SeqId, Vec<Token>)]) -> Vec<BatchToken> {
        let limits = self.conversation.lease.limits();
        let mut lens = self.texts(|texts| texts.iter().map(Vec::len).collect::<Vec<_>>());
        let all = parts
            .iter()
            .flat_map(|(seq, tokens)| tokens.iter().map(move |&token| (*seq, token)));
        let mut batch = Vec::new();
        for (i, (seq, token)) in all.take(limits.batch as usize).enumerate() {
            let len = &mut lens[seq as usize];
            batch.push(BatchToken {
                token,
                pos: *len as u32,
                seq,
                output: i % 2 == 1,
            });
            *len += 1;
        }
        batch
    }

    /// Cells that it would have if it were alone.
    fn cells(&self) -> usize {
        let names = |texts: &mut Vec<Vec<(Token, u64)>>| {
            let names: HashSet<u64> = texts.iter().flatten().map(|&(_, name)| name).collect();
            names.len()
        };
        self.texts(names)
    }

    async fn decode(&mut self, parts: &[(SeqId, Vec<Token>)]) {
        let batch = self.batch(parts);
        let fits = self.cells() + batch.len() <= self.conversation.lease.limits().context as usize;
        let poisoned = batch.iter().any(|entry| entry.token == POISON);
        match self.conversation.lease.decode(&batch).await {
            Ok(()) => assert!(!poisoned),
            Err(BackendError::Decode { code: -3, .. }) => return assert!(poisoned),
            Err(BackendError::ContextFull { .. }) => return assert!(!fits),
            Err(error) => panic!("{error}"),
        }
        for (i, entry) in batch.iter().enumerate() {
            let name = {
                let names = &mut self.twins.borrow_mut().1;
                *names += 1;
                *names
            };
            let text: Vec<Token> = self.texts(|texts| {
                let text = &mut texts[entry.seq as usize];
                text.push((entry.token, name));
                text.iter().map(|&(token, _)| token).collect()
            });
            let row = self.conversation.lease.logits(i);
            match entry.output {
                true => assert_eq!(*row.unwrap(), self.rig.bare.rule(&text)),
                false => assert!(row.is_err()),
            }
        }
    }

    /// From conversation `of`, which may be itself.
    fn copy(&mut self, of: usize, from: SeqId, to: SeqId, part: usize) {
        let source = {
            let twins = &self.twins.borrow().0;
            let open: Vec<&Twin> = twins.iter().filter(|t| !t.texts.is_empty()).collect();
            match of == self.place {
                true => twins[of].clone(),
                false => open[of % open.len()].clone(),
            }
        };
        let own = source.id == self.conversation.id;
        if own && from == to || !self.texts(|texts| texts[to as usize].is_empty()) {
            return;
        }
        let mut text = source.texts[from as usize].clone();
        text.truncate(part_of(text.len(), part));
        let len = text.len() as u32;
        let copied = match own {
            true => self.conversation.lease.seq_copy(from, to, len),
            false => self
                .conversation
                .lease
                .copy_from((source.id, from), to, len),
        };
        copied.unwrap();
        self.texts(|texts| texts[to as usize] = text);
    }

    fn truncate(&mut self, seq: SeqId, part: usize) {
        let len = self.texts(|texts| {
            let text = &mut texts[seq as usize];
            text.truncate(part_of(text.len(), part));
            text.len()
        });
        let lease = &mut self.conversation.lease;
        lease.seq_truncate(seq, len as u32).unwrap();
        assert_eq!(lease.seq_len(seq), len as u32);
    }

    async fn cancel(&mut self, tokens: &[Token]) {
        let batch = self.batch(&[(0, tokens.to_vec())]);
        let cancel = Arc::clone(&self.conversation.cancel);
        cancel.store(true, Ordering::Relaxed);
        let result = self.conversation.lease.decode(&batch).await;
        assert!(matches!(result, Err(BackendError::Cancelled)));
        cancel.store(false, Ordering::Relaxed);
    }

    async fn pause(&mut self, mut rounds: u32, at_work: bool) {
        if !at_work {
            self.conversation.rest();
        }
        let wait = poll_fn(|_| match rounds {
            0 => Poll::Ready(()),
            _ => {
                rounds -= 1;
                Poll::Pending
            }
        });
        wait.await;
        if !at_work {
            self.conversation.wake();
        }
    }
}

/// All conversations go on in turns until they are through.
fn play(limits: Limits, all: Vec<Vec<Deed>>) {
    let rig = Rc::new(Rig::new(limits));
    rig.seen.poison.set(Some(POISON));
    let twins: Twins = Rc::new(RefCell::new((vec![Twin::default(); all.len()], 0)));
    let players = all.into_iter().enumerate();
    let players = players.map(|(place, deeds)| Player::new(&rig, &twins, place).play(deeds));
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    tasks.extend(players.map(|task| Box::pin(task) as _));
    let mut rounds = 0;
    while !tasks.is_empty() {
        let mut context = Context::from_waker(Waker::noop());
        tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        rig.evaluate();
        rounds += 1;
        assert!(rounds < 4000, "they hinder each other for ever");
    }
    rig.check_empty();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn beside_others_all_is_as_alone(
        context in 16..64u32,
        sequences in SEQUENCES..9,
        all in proptest::collection::vec(deeds(), 1..5),
    ) {
        let limits = Limits { context, batch: 12, outputs: 6, sequences };
        play(limits, all);
    }
}
