//! Texts that may come next, scored after one prompt: as if each had been read from scratch.

use crate::rig::*;
use packllm_engine::engine::{
    Ending, EngineError, Lockstep, Place, Prompt, ScoreRequest, Segment, Start,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Evidence;
use proptest::prelude::*;

const ROWS: ScoreRequest = ScoreRequest {
    scores: true,
    rows: true,
    full: false,
};

/// Text that only conditions, then text that is scored.
fn prompts(before: &str, scored: &str) -> Vec<Prompt> {
    let mut segments = Vec::new();
    if !before.is_empty() {
        segments.push(Segment::content(before, Place::default()));
    }
    if !scored.is_empty() {
        segments.push(Segment::evidence(scored, Place::default()));
    }
    let prompt = Prompt {
        start: Start::Text,
        segments,
        ending: Ending::Closed,
    };
    vec![prompt; 2]
}

fn members(alphabet: Alphabet, seed: u64) -> Vec<Fake> {
    let second = match alphabet {
        Alphabet::Tokens | Alphabet::Mapped => NESTED,
        Alphabet::Bytes => LETTERS_MOVED,
    };
    vec![Fake::new(NESTED, seed), Fake::new(second, seed + 50)]
}

fn continued(engine: &mut Lockstep, before: &str, texts: &[String]) -> Vec<Evidence> {
    engine.prepare(prompts(before, "")).unwrap();
    engine.read(ROWS).unwrap();
    engine.read_continuations(texts, ROWS).unwrap()
}

/// The same by a fresh pack that reads prompt and text as one prompt.
fn from_scratch(fakes: Vec<Fake>, alphabet: Alphabet, before: &str, text: &str) -> Evidence {
    let mut engine = pack(fakes, alphabet);
    engine.prepare(prompts(before, text)).unwrap();
    engine.read(ROWS).unwrap();
    engine.evidence().unwrap()
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[abc ]{1,12}", 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_is_scored_as_if_it_alone_came_next(
        before in "[abc ]{0,12}",
        texts in texts(),
        seed in 0..50u64,
        // Batches and outputs that cut texts anywhere; few sequences; little room.
        batch in 1..9u32,
        sequences in 2..5u32,
        context in prop::sample::select(vec![27u32, 40, 4096]),
    ) {
        for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
            let mut fakes = members(alphabet, seed);
            for fake in &mut fakes {
                let limits = &mut fake.options.limits;
                (limits.batch, limits.outputs) = (batch, batch.min(5));
                (limits.sequences, limits.context) = (sequences, context);
            }
            let mut engine = pack(fakes, alphabet);
            let got = continued(&mut engine, &before, &texts);
            for (text, got) in texts.iter().zip(&got) {
                prop_assert_eq!(got.bytes, text.len());
                let want = from_scratch(members(alphabet, seed), alphabet, &before, text);
                // Bit for bit: the fake's logits depend on the tokens alone.
                prop_assert_eq!(got, &want);
            }
            // Nothing is left behind that would change or prevent another question.
            prop_assert_eq!(continued(&mut engine, &before, &texts), got);
        }
    }
}

#[test]
fn the_prompt_is_evaluated_once_and_no_last_token_is() {
    let mut engine = pack(members(Alphabet::Bytes, 1), Alphabet::Bytes);
    let options = ["a".to_owned(), "bca".into(), "c c".into()];
    continued(&mut engine, "abcab", &options);
    // The second member has a token a letter: start and prompt, then 0 + 2 + 2.
    assert_eq!(spent(&engine)[1], 6 + 4);
    continued(&mut engine, "abcabaa", &options);
    // What the prompt adds, and the options; its last token predicts their first.
    assert_eq!(spent(&engine)[1], 10 + 2 + 4);
}

#[test]
fn what_was_scored_is_forgotten_without_what_was_read() {
    let mut engine = pack(members(Alphabet::Bytes, 1), Alphabet::Bytes);
    for _ in 0..2 {
        engine.prepare(prompts("abc ", "cab")).unwrap();
        engine.read(ROWS).unwrap();
        assert_eq!(engine.evidence().unwrap().bytes, 3);
        engine.forget_evidence();
        assert!(engine.evidence().unwrap().is_empty());
    }
    // Four tokens before the scored text were kept; the last of them is evaluated again.
    assert_eq!(spent(&engine)[1], 8 + 4);
}

#[test]
fn the_first_scored_token_is_predicted_though_the_trunk_has_what_comes_before() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for before in ["", "ab c"] {
            let mut engine = pack(members(alphabet, 3), alphabet);
            engine.prepare(prompts(before, "bca")).unwrap();
            engine.read(ROWS).unwrap();
            engine.forget_evidence();
            engine.prepare(prompts(before, "cab")).unwrap();
            engine.read(ROWS).unwrap();
            let want = from_scratch(members(alphabet, 3), alphabet, before, "cab");
            assert_eq!(engine.evidence().unwrap(), want);
        }
    }
}

#[test]
fn a_byte_without_a_token_is_named_and_the_prompt_survives() {
    let mut engine = pack(members(Alphabet::Bytes, 1), Alphabet::Bytes);
    engine.prepare(prompts("ab", "")).unwrap();
    engine.read(ROWS).unwrap();
    let error = engine
        .read_continuations(&["ca".into(), "c!".into()], ROWS)
        .unwrap_err();
    assert!(
        matches!(&error, EngineError::Unreadable { member, byte: b'!' } if member == "a"),
        "{error}"
    );
    let options = ["ca".to_owned()];
    let got = continued(&mut engine, "ab", &options);
    let want = from_scratch(members(Alphabet::Bytes, 1), Alphabet::Bytes, "ab", "ca");
    assert_eq!(got, [want]);
}

#[test]
fn a_failure_leaves_no_sequence_in_use() {
    let fakes = members(Alphabet::Bytes, 1).into_iter();
    let fakes = fakes.map(|fake| {
        fake.with_hook(Box::new(|n, _| match n {
            2 => Err(packllm_engine::backend::BackendError::Cancelled),
            _ => Ok(()),
        }))
    });
    let mut engine = pack(fakes.collect(), Alphabet::Bytes);
    engine.prepare(prompts("ab", "")).unwrap();
    engine.read(ROWS).unwrap();
    let options = ["cab".to_owned(), "bca".into()];
    let error = engine.read_continuations(&options, ROWS).unwrap_err();
    assert!(matches!(error, EngineError::Cancelled), "{error}");
    let got = continued(&mut engine, "ab", &options);
    for (text, got) in options.iter().zip(got) {
        let want = from_scratch(members(Alphabet::Bytes, 1), Alphabet::Bytes, "ab", text);
        assert_eq!(got, want);
    }
}

#[test]
fn an_answer_goes_on_as_ever_after_continuations() {
    let mut engine = pack(members(Alphabet::Bytes, 1), Alphabet::Bytes);
    continued(&mut engine, "abc", &["ab".into(), "c".into()]);
    let later = ask(&mut engine, "abc b", &greedy(6)).text;
    let mut fresh = pack(members(Alphabet::Bytes, 1), Alphabet::Bytes);
    assert_eq!(later, ask(&mut fresh, "abc b", &greedy(6)).text);
}
