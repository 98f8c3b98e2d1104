//! Several turns in the members' caches.

use crate::rig::*;
use packllm_engine::backend::{BatchToken, Vocab};
use packllm_engine::chat::{Message, Speakers};
use packllm_engine::engine::{Answer, AnswerOptions, Finish, Fusion, Lockstep, Prepared};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

fn member(vocab: Vocab, seed: u64) -> Fake {
    Fake::of(vocab, seed).with_template(TEMPLATE)
}

/// Two members for whom every text has one segmentation, so that a fresh pack reads a conversation
/// in the very tokens in which it was said.
fn letters(alphabet: Alphabet, seed: u64) -> Vec<Fake> {
    let second = if alphabet == Alphabet::Tokens {
        LETTERS
    } else {
        LETTERS_MOVED
    };
    vec![
        member(chat_vocab(LETTERS), seed),
        member(chat_vocab(second), seed + 1),
    ]
}

/// A pack and its conversation.
struct Chat {
    engine: Lockstep,
    speakers: Speakers,
    messages: Vec<Message>,
}

struct Turn {
    prepared: Prepared,
    /// Tokens evaluated to read the prompt.
    read: Vec<usize>,
    answer: Answer,
}

impl Chat {
    fn new(fakes: Vec<Fake>, alphabet: Alphabet) -> Self {
        let engine = pack(fakes, alphabet);
        let speakers = Speakers::new(engine.members(), &[]).unwrap();
        Self {
            engine,
            speakers,
            messages: Vec::new(),
        }
    }

    /// The user speaks, the pack answers.
    fn turn(&mut self, text: &str, generation: &AnswerOptions) -> Turn {
        self.messages.push(Message::user(text));
        let now = chrono::NaiveDateTime::default();
        let reading = self
            .speakers
            .read(&self.messages, self.messages.len() - 1, now)
            .unwrap();
        let prepared = self.engine.prepare(reading.prompts).unwrap();
        let before = spent(&self.engine);
        self.engine.read(SCORES).unwrap();
        let read = spent(&self.engine)
            .iter()
            .zip(before)
            .map(|(now, then)| now - then)
            .collect();
        self.engine.weigh().unwrap();
        let answer = answer(&mut self.engine, generation);
        self.messages.push(Message::assistant(answer.text.as_str()));
        Turn {
            prepared,
            read,
            answer,
        }
    }

    /// The last turn again, by a fresh pack that is given everything before it.
    fn afresh(&self, fakes: Vec<Fake>, generation: &AnswerOptions) -> Answer {
        let mut fresh = Chat::new(fakes, self.engine.alphabet());
        let (earlier, last) = self.messages.split_at(self.messages.len() - 2);
        fresh.messages = earlier.to_vec();
        fresh.turn(&last[0].content, generation).answer
    }
}

#[test]
fn a_later_turn_evaluates_only_what_is_new_and_answers_like_a_fresh_pack() {
    let mut ended = 0;
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..12 {
            let fakes = || letters(alphabet, seed);
            let mut chat = Chat::new(fakes(), alphabet);
            let mut held = vec![0, 0];
            for text in ["ab c", "cab", "a\nb"] {
                let turn = chat.turn(text, &greedy(10));
                // <end> of the last answer, <user>, the text, <end>, <reply>.
                let last_end = usize::from(held[0] > 0);
                let new = last_end + 1 + text.len() + 2;
                assert_eq!(turn.prepared.new_tokens, [new, new]);
                assert_eq!(turn.prepared.tokens, [held[0] + new, held[1] + new]);
                assert_eq!(turn.read, turn.prepared.new_tokens);
                let fresh = chat.afresh(fakes(), &greedy(10));
                assert_eq!(
                    (&turn.answer.text, turn.answer.finish),
                    (&fresh.text, fresh.finish)
                );
                assert_eq!(turn.answer.tokens, turn.answer.text.len());
                held = turn
                    .prepared
                    .tokens
                    .iter()
                    .map(|n| n + turn.answer.tokens)
                    .collect();
                ended += usize::from(turn.answer.finish == Finish::Stop);
            }
        }
    }
    assert!(ended > 0, "some answers end by END");
}

#[test]
fn with_many_segmentations_the_answers_own_tokens_stay() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..12 {
            // The first leads, so its tokens are counted.
            let nested = || member(chat_vocab(NESTED), seed);
            let mut chat = Chat::new(vec![nested(), nested()], alphabet);
            let first = chat.turn("ab c", &greedy(12));
            let second = chat.turn("cab", &greedy(12));
            let kept = second.prepared.tokens[0] - second.prepared.new_tokens[0];
            assert_eq!(
                kept,
                first.prepared.tokens[0] + first.answer.tokens,
                "{alphabet:?} {seed}"
            );
            assert_eq!(second.read, second.prepared.new_tokens);
        }
    }
}

#[test]
fn a_stop_string_leaves_a_cache_that_serves_the_next_turn() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..8 {
            let fakes = || letters(alphabet, seed);
            let stops = AnswerOptions {
                stops: vec!["a".into()],
                ..greedy(10)
            };
            let mut chat = Chat::new(fakes(), alphabet);
            let first = chat.turn("ab c", &stops).answer;
            assert!(!first.text.contains('a'));
            let second = chat.turn("cab", &greedy(10)).answer;
            assert_eq!(second.text, chat.afresh(fakes(), &greedy(10)).text);
        }
    }
}

/// Raises the cancel flag from another thread when the pack's second member begins its evaluation
/// number `at`, which goes on only then.
fn cancelled_turn(chat: &mut Chat, hook: CancelHook, generation: &AnswerOptions) -> Turn {
    let flag = std::sync::Arc::clone(chat.engine.cancel_flag());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if hook.reached.recv().is_ok() {
                flag.store(true, Ordering::Relaxed);
                hook.go_on.send(()).unwrap();
            }
        });
        chat.turn("ab c", generation)
    })
}

struct CancelHook {
    reached: std::sync::mpsc::Receiver<()>,
    go_on: std::sync::mpsc::Sender<()>,
}

fn with_cancel(fake: Fake, at: usize) -> (Fake, CancelHook) {
    let (tell, reached) = channel();
    let (go_on, wait) = channel();
    let hook = move |n: usize, _: &[BatchToken]| {
        if n == at {
            tell.send(()).unwrap();
            wait.recv().unwrap();
        }
        Ok(())
    };
    (
        fake.with_hook(Box::new(hook)),
        CancelHook { reached, go_on },
    )
}

#[test]
fn a_cancelled_answer_is_kept_as_far_as_it_went_and_the_next_turn_works() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let fakes = |seed| letters(alphabet, seed);
        let full = |seed| {
            Chat::new(fakes(seed), alphabet)
                .turn("ab c", &greedy(12))
                .answer
        };
        let seed = (0..).find(|&seed| full(seed).text.len() == 12).unwrap();
        let full = full(seed).text;
        // The prompt is the first evaluation; from then on one a letter.
        for at in 2..12 {
            let mut fakes = letters(alphabet, seed);
            let (hooked, hook) = with_cancel(fakes.pop().unwrap(), at);
            fakes.push(hooked);
            let mut chat = Chat::new(fakes, alphabet);
            let said = cancelled_turn(&mut chat, hook, &greedy(12)).answer;
            assert_eq!(
                (said.text.as_str(), said.finish),
                (&full[..at - 1], Finish::Cancelled)
            );
            assert!(!chat.engine.cancel_flag().load(Ordering::Relaxed));
            let next = chat.turn("cab", &greedy(10)).answer;
            let fresh = chat.afresh(letters(alphabet, seed), &greedy(10));
            assert_eq!(
                (next.text, next.finish),
                (fresh.text, fresh.finish),
                "{alphabet:?} {at}"
            );
        }
    }
}

#[test]
fn a_cancel_among_many_segmentations_leaves_a_cache_that_spells_what_was_said() {
    // Nested pieces: the cover has several hypotheses, evaluated and not, when it is interrupted.
    for at in 2..14 {
        let nested = |seed| member(chat_vocab(NESTED), seed);
        let (hooked, hook) = with_cancel(nested(2), at);
        let mut chat = Chat::new(vec![nested(1), hooked], Alphabet::Bytes);
        let first = cancelled_turn(&mut chat, hook, &greedy(12));
        assert_eq!(first.answer.finish, Finish::Cancelled, "{at}");
        let second = chat.turn("cab", &greedy(12));
        // All of the first prompt is kept, and the second is evaluated where it is new.
        for k in 0..2 {
            let kept = second.prepared.tokens[k] - second.prepared.new_tokens[k];
            assert!(kept >= first.prepared.tokens[k], "{at}");
        }
        assert_eq!(second.read, second.prepared.new_tokens);
        assert_ne!(second.answer.finish, Finish::Cancelled);
    }
}

#[test]
fn clear_forgets_the_conversation() {
    let mut chat = Chat::new(letters(Alphabet::Bytes, 3), Alphabet::Bytes);
    let first = chat.turn("ab c", &greedy(10));
    chat.turn("cab", &greedy(10));
    chat.engine.clear().unwrap();
    chat.messages.clear();
    let again = chat.turn("ab c", &greedy(10));
    assert_eq!(again.prepared, first.prepared);
    assert_eq!(again.answer.text, first.answer.text);
}

#[test]
fn a_soloist_answers_as_if_it_were_loaded_alone() {
    for (k, pieces) in [NESTED, MULTIBYTE].into_iter().enumerate() {
        let mut both = load(vec![Fake::new(NESTED, 3), Fake::new(MULTIBYTE, 3)]);
        set(&mut both, Fusion::default());
        let together = ask(&mut both, "a", &greedy(12));
        let before = spent(&both);
        both.solo(k).unwrap();
        let alone = ask(&mut load(vec![Fake::new(pieces, 3)]), "a", &greedy(12));
        let solo = ask(&mut both, "a", &greedy(12));
        assert_eq!(
            (&solo.text, solo.finish, solo.tokens),
            (&alone.text, alone.finish, alone.tokens)
        );
        assert_eq!(both.lambda()[k], 1.0);
        // The other reads along, and takes no part in the answer.
        assert_eq!(solo.spent[1 - k].tokens, 0);
        assert!(spent(&both)[k] > before[k]);
        // Afterwards they answer together as before.
        both.silence(vec![false; 2]).unwrap();
        set(&mut both, Fusion::default());
        both.forget_evidence();
        let again = ask(&mut both, "a", &greedy(12));
        assert_eq!(again.text, together.text);
    }
}

#[test]
fn a_soloist_sees_its_own_tokens_after_a_mapped_alphabet() {
    let fakes = || vec![Fake::new(WHOLE, 5), Fake::new(NESTED, 5)];
    let mut pack = mined(fakes(), 0, Method::Uniform);
    ask(&mut pack, "a b", &greedy(6));
    pack.solo(1).unwrap();
    let alone = ask(&mut load(vec![Fake::new(NESTED, 5)]), "a b", &greedy(12));
    assert_eq!(ask(&mut pack, "a b", &greedy(12)).text, alone.text);
    assert!(pack.solo(2).is_err());
}
