//! What answers may look like, and what is refused.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

use packllm_engine::constraint::Constraint;
use packllm_grammar::{Alphabet, Form, GrammarError, Structured, Thought};
use serde_json::json;
use std::time::{Duration, Instant};

/// How many bytes of the text are allowed, and whether it may end there.
fn follow(mut constraint: Structured, text: &str) -> (usize, bool) {
    for (i, byte) in text.bytes().enumerate() {
        if constraint.advance(byte.into()).is_err() {
            return (i, false);
        }
    }
    (text.len(), constraint.may_end().unwrap())
}

fn over(form: &Form, thought: Thought) -> Structured {
    form.over(&Alphabet::bytes().unwrap(), thought).unwrap()
}

#[track_caller]
fn accepts(form: &Form, thought: Thought, text: &str) {
    assert_eq!(
        follow(over(form, thought), text),
        (text.len(), true),
        "{text}"
    );
}

#[track_caller]
fn stops(form: &Form, thought: Thought, text: &str, at: usize) {
    assert_eq!(follow(over(form, thought), text), (at, false), "{text}");
}

#[test]
fn any_object() {
    let object = Form::object();
    accepts(&object, Thought::None, "{}");
    accepts(
        &object,
        Thought::None,
        r#"{"a": [1, 2.5e3, null], "größe": {"\n": "€"}}"#,
    );
    // White space between parts is bounded: there is one kind.
    stops(&object, Thought::None, "{\n}", 1);
    stops(&object, Thought::None, r#"{"a":  1}"#, 6);
    stops(&object, Thought::None, "[]", 0);
}

#[test]
fn a_thought_is_free_and_the_answer_is_not() {
    let form = Form::Json(json!({"enum": ["yes", "no"]}));
    accepts(&form, Thought::May, r#""yes""#);
    accepts(
        &form,
        Thought::May,
        "<think>\n{ \"no </thin </think>\n\n\"no\"",
    );
    accepts(&form, Thought::Open, "Well…\n</think>\"no\"");
    stops(&form, Thought::May, "<think>\n</think>\n\nperhaps", 18);
    stops(&form, Thought::None, "<think>", 0);
    stops(&form, Thought::May, "<thought>", 3);
    // Nothing is an answer before the thought is closed.
    stops(&form, Thought::Open, "\"yes\"", 5);
}

#[test]
fn a_thought_before_a_grammar() {
    let form = Form::Lark("start: \"move \" FIELD\nFIELD: /[a-h][1-8]/\n".into());
    accepts(&form, Thought::None, "move e4");
    accepts(&form, Thought::Open, "e5 is worse </think>\n\nmove e4");
}

#[track_caller]
fn refused(schema: serde_json::Value) -> (String, String) {
    match Form::Json(schema).over(&Alphabet::bytes().unwrap(), Thought::May) {
        Err(GrammarError::Schema { path, why }) => (path, why),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is supported"),
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_path() {
    let (path, why) = refused(json!({"type": "object", "properties": {
        "a/b": {"type": "array", "items": {"type": "string", "not": {"const": "x"}}}
    }}));
    assert_eq!(path, "#/properties/a~1b/items");
    assert!(why.contains("not"), "{why}");

    let (path, _) = refused(json!({"$ref": "#/$defs/list", "$defs": {
        "list": {"type": "array", "items": {"$ref": "#/$defs/one"}, "uniqueItems": true},
        "one": {"type": "integer"},
    }}));
    assert_eq!(path, "#/$defs/list");

    let (path, _) = refused(json!({"anyOf": [{"type": "null"}, {"type": "sting"}]}));
    assert_eq!(path, "#/anyOf/1");
    let (path, _) = refused(json!({"properties": {"n": {"$ref": "other.json"}}, "type": "object"}));
    assert_eq!(path, "#/properties/n");
    let (path, _) =
        refused(json!({"properties": {"n": {"type": "string", "pattern": "("}}, "type": "object"}));
    assert_eq!(path, "#/properties/n");
    assert_eq!(refused(json!(false)).0, "#");
    assert_eq!(refused(json!([])).0, "#");
    // Two options fit 2.
    let (path, _) = refused(json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}));
    assert_eq!(path, "#");
}

#[test]
fn a_schema_cannot_loosen_what_it_is_held_to() {
    let form = Form::Json(
        json!({"x-guidance": {"lenient": true, "whitespace_flexible": true},
        "type": "array", "items": {"type": "null"}}),
    );
    stops(&form, Thought::None, "[ ", 1);
    let lenient = json!({"x-guidance": {"lenient": true}, "type": "array", "uniqueItems": true});
    assert_eq!(refused(lenient).0, "#");
}

#[test]
fn hostile_schemas_end() {
    let mut deep = json!({"type": "integer"});
    for _ in 0..2000 {
        deep = json!({"type": "array", "items": deep});
    }
    let circle = json!({"$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    let pattern = json!({"type": "string", "pattern": "^(a{1,1000}){1,1000}$"});
    let long = json!({"type": "array", "minItems": 1_000_000, "items": {"type": "integer"}});
    let bytes = Alphabet::bytes().unwrap();
    for hostile in [deep, circle, pattern, long] {
        let start = Instant::now();
        // Supported or not: it comes back, and soon.
        let read = Form::Json(hostile).over(&bytes, Thought::None);
        assert!(!matches!(read, Err(GrammarError::Grammar(_))), "it crashed");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn grammars_that_cannot_be_read() {
    let bytes = Alphabet::bytes().unwrap();
    for grammar in ["", "start: nothing", "start: \"a", "begin: \"a\""] {
        let read = Form::Lark(grammar.into()).over(&bytes, Thought::None);
        assert!(matches!(read, Err(GrammarError::Grammar(_))), "{grammar:?}");
    }
    assert!(matches!(Form::schema("{"), Err(GrammarError::NotJson(_))));
}
