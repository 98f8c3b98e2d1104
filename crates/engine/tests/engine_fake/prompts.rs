//! What fits, what does not, and what a member cannot read.

use crate::rig::*;
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{AnswerOptions, Ending, EngineError, Finish, ScoreRequest};
use packllm_engine::vocab::Alphabet;

#[test]
fn a_prompt_that_is_too_long_says_by_how_much_before_anything_is_evaluated() {
    // 64 tokens of context less an eighth for the answer to begin in; the start token is one.
    let room = 56;
    let wide = Fake::new(LETTERS, 1);
    let mut engine = load(vec![wide, Fake::new(LETTERS, 2).with_context(64)]);
    let before = spent(&engine);
    let prompt = |letters: usize| plain_text(&"a".repeat(letters), 2, Ending::Continue);
    let error = engine.prepare(prompt(60)).unwrap_err();
    assert!(
        matches!(&error, EngineError::TooLong { member, tokens: 61, room: 56, context: 64 } if member == "b"),
        "{error}"
    );
    assert!(
        error.to_string().contains("5 tokens too long for b"),
        "{error}"
    );
    assert_eq!(spent(&engine), before);
    // One token more than fits, and what just fits.
    let error = engine.prepare(prompt(room)).unwrap_err();
    assert!(error.to_string().contains("1 tokens too long"), "{error}");
    let prepared = engine.prepare(prompt(room - 1)).unwrap();
    assert_eq!(prepared.tokens, [room, room]);
    assert_eq!(spent(&engine), before);
    engine.read(ScoreRequest::NOTHING).unwrap();
    assert_eq!(spent(&engine), [room, room]);
}

#[test]
fn where_nothing_is_to_be_said_the_whole_context_may_be_read() {
    let mut engine = load(vec![Fake::new(LETTERS, 2).with_context(64)]);
    let prompt = |letters: usize| plain_text(&"a".repeat(letters), 1, Ending::Closed);
    assert!(matches!(
        engine.prepare(prompt(64)),
        Err(EngineError::TooLong {
            tokens: 65,
            room: 64,
            ..
        })
    ));
    engine.prepare(prompt(63)).unwrap();
    engine.read(SCORES).unwrap();
    assert_eq!(engine.evidence().unwrap().bytes, 63);
}

#[test]
fn a_context_that_fills_up_ends_the_answer_by_length() {
    let endless = AnswerOptions {
        limit: None,
        ..greedy(0)
    };
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for context in [64, 100, 256] {
            for seed in 0..4 {
                let narrow = Fake::without_end(NESTED, seed).with_context(context);
                let mut engine = pack(vec![Fake::without_end(NESTED, 9), narrow], alphabet);
                // As long as may be, and with one segmentation, so that reading it takes no more.
                let room = context - (context / 8).min(64);
                let said = ask(&mut engine, &"a".repeat(room as usize), &endless);
                assert_eq!(said.finish, Finish::Length);
                assert!(!said.text.is_empty(), "{alphabet:?} {context}");
                assert!(said.tokens <= context as usize);
            }
        }
    }
}

#[test]
fn an_empty_raw_prompt_starts_after_a_line_break() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let fake = || Fake::without_end(LETTERS, 4);
        let mut engine = pack(vec![fake(), fake()], alphabet);
        let said = ask(&mut engine, "", &greedy(6));
        assert_eq!(engine.prompt_tokens(), [1, 1]);
        assert!(!said.text.is_empty());
        assert!(spent(&engine)[0] > 0);
    }
}

#[test]
fn an_empty_raw_prompt_that_has_nothing_to_start_after_is_an_error_that_names_the_member() {
    let mut engine = load(vec![Fake::new(WHOLE, 1), Fake::without_end(WHOLE, 1)]);
    let error = engine
        .prepare(plain_text("", 2, Ending::Continue))
        .unwrap_err();
    assert!(
        matches!(&error, EngineError::Empty { member } if member == "b"),
        "{error}"
    );
    assert_eq!(spent(&engine), [0, 0]);
    assert!(!ask(&mut engine, "a", &greedy(4)).text.is_empty());
}

#[test]
fn bytes_without_a_token_are_reported_and_left_out() {
    let mut engine = load(vec![
        Fake::new(LETTERS, 1),
        Fake::new(&[b"a", b"b", b"X"], 2),
    ]);
    let prompts = plain_text("aXb c", 2, Ending::Continue);
    let prepared = engine.prepare(prompts).unwrap();
    assert_eq!(prepared.lost, [b"X".to_vec(), b" c".to_vec()]);
    assert_eq!(prepared.tokens, [1 + 4, 1 + 3]);
    engine.read(ScoreRequest::NOTHING).unwrap();
    engine.weigh().unwrap();
    assert!(!answer(&mut engine, &greedy(4)).text.is_empty());
}
