use super::*;
use proptest::prelude::*;

fn of(turns: &[(&str, &str)], system: Option<&str>) -> Conversation {
    let mut talk = Conversation::new(system.map(str::to_owned));
    for (question, answer) in turns {
        talk.say(*question);
        talk.answer(*answer);
        talk.mark_read();
    }
    talk
}

#[test]
fn an_undone_turn_is_gone_by_its_numbers_and_comes_back_as_text() {
    let mut talk = of(&[("a", "b"), ("c", "d")], Some("s"));
    assert_eq!(talk.undo(), Some(("c".into(), 3..5)));
    assert_eq!((talk.context().len(), talk.read()), (3, 3));
    assert_eq!(talk.undo(), Some(("a".into(), 1..3)));
    assert_eq!(talk.undo(), None);
    assert_eq!(talk.context(), [Message::system("s")]);
}

#[test]
fn an_answer_said_anew_leaves_its_question_read() {
    let mut talk = of(&[("a", "b")], None);
    assert_eq!(talk.open_answer(), Some(("b".into(), 1..2)));
    assert!(talk.waits() && talk.open_answer().is_none());
    assert_eq!(talk.read(), 1);
}

#[test]
fn the_oldest_turn_leaves_and_the_system_prompt_stays() {
    let mut talk = of(&[("a", "b"), ("c", "d")], Some("s"));
    talk.say("e");
    assert_eq!(talk.drop_oldest(), Some(1..3));
    assert_eq!(talk.read(), 3);
    assert_eq!(talk.context()[1], Message::user("c"));
    assert_eq!(talk.drop_oldest(), Some(1..3));
    assert_eq!(talk.drop_oldest(), None);
    assert_eq!(talk.context(), [Message::system("s"), Message::user("e")]);
    assert_eq!(talk.messages().len(), 5);
    assert_eq!(talk.undo(), Some(("e".into(), 1..2)));
    assert_eq!(talk.undo(), None, "what left the context cannot be undone");
}

#[test]
fn a_blank_system_prompt_is_none() {
    let mut talk = of(&[("a", "b")], Some("  "));
    assert_eq!(talk.system(), None);
    assert_eq!(talk.set_system(Some("s".into())), 0..2);
    assert_eq!((talk.read(), talk.context().len()), (0, 3));
}

/// What may be done with a conversation.
#[derive(Debug, Clone)]
enum Deed {
    Turn,
    Unanswered,
    Anew,
    Undo,
    Drop,
    Back,
    System,
}

proptest! {
    /// Evidence that is kept as the module says covers each message of the context once, and no
    /// other.
    #[test]
    fn evidence_kept_by_the_numbers_is_that_of_the_context(
        deeds in prop::collection::vec(prop::sample::select(vec![
            Deed::Turn, Deed::Turn, Deed::Unanswered, Deed::Anew, Deed::Undo, Deed::Drop, Deed::Back, Deed::System,
        ]), 0..40)
    ) {
        let mut talk = Conversation::new(None);
        let mut evidence: Vec<Message> = Vec::new();
        let mut said = 0;
        for deed in deeds {
            let gone = match deed {
                Deed::Turn | Deed::Unanswered => {
                    said += 1;
                    if !talk.waits() {
                        talk.say(format!("question {said}"));
                    }
                    evidence.extend(talk.context().drain(talk.read()..));
                    talk.mark_read();
                    if matches!(deed, Deed::Turn) {
                        talk.answer(format!("answer {said}"));
                        evidence.extend(talk.context().drain(talk.read()..));
                        talk.mark_read();
                    }
                    None
                }
                Deed::Anew => talk.open_answer().map(|(_, gone)| gone),
                Deed::Undo => talk.undo().map(|(_, gone)| gone),
                Deed::Drop => talk.drop_oldest(),
                Deed::Back => talk.come_back().then_some(0..usize::MAX),
                Deed::System => Some(talk.set_system(Some(format!("system {said}")))),
            };
            if let Some(gone) = gone {
                let end = gone.end.min(evidence.len());
                evidence.drain(gone.start.min(end)..end);
            }
            prop_assert!(talk.read() <= talk.context().len());
            prop_assert_eq!(&evidence[..], &talk.context()[..talk.read()]);
        }
    }
}
