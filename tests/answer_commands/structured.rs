//! Answers by schema and by grammar, of members without sense.

#[path = "../../crates/grammar/tests/generator/mod.rs"]
mod generator;

use super::{line, pack};
use crate::user::{User, says};
use serde_json::Value;
use std::fs;

const SCHEMA: &str = r#"{"type":"object","properties":{"bread":{"enum":["rye","wheat"]}},
    "required":["bread"],"additionalProperties":false}"#;

#[test]
fn finished_answers_to_generated_schemas_validate() {
    let user = User::new();
    let pack = pack(&user);
    let mut finished = 0;
    for n in 0..20 {
        let schema = generator::schema(n);
        let text = schema.to_string();
        let vocab = [
            "--weights",
            "exact",
            "--temp",
            "0.7",
            "--seed",
            "1",
            "--json",
            "-n",
            "200",
        ];
        let asked = [&["-p", "bread", "--json-schema", &text], &vocab[..]].concat();
        let document = user.json(&line("run", &pack, &asked));
        match document["finish_reason"].as_str().unwrap() {
            "stop" => {
                let said = document["text"].as_str().unwrap();
                let value: Value = serde_json::from_str(said).unwrap();
                assert!(jsonschema::is_valid(&schema, &value), "{n}: {said}: {text}");
                finished += 1;
            }
            other => assert_eq!(other, "length"),
        }
    }
    assert!(finished > 5, "{finished} of 20");
}

#[test]
fn schemas_and_grammars_come_from_files_or_the_line() {
    let user = User::new();
    let pack = pack(&user);
    fs::write(user.path("bread.json"), SCHEMA).unwrap();
    fs::write(user.path("move.lark"), "start: \"move \" /[a-h][1-8]/\n").unwrap();
    for schema in [SCHEMA, "bread.json"] {
        let said = user.ok(&line("run", &pack, &["-p", "x", "--json-schema", schema]));
        assert!(
            said == "{\"bread\": \"rye\"}\n" || said == "{\"bread\": \"wheat\"}\n",
            "{said}"
        );
    }
    let said = user.ok(&line("run", &pack, &["-p", "x", "--grammar", "move.lark"]));
    let field = said.strip_prefix("move ").unwrap().trim_end();
    assert!(
        field.len() == 2 && field.ends_with(|c: char| c.is_ascii_digit()),
        "{said}"
    );
    let cut = user.run(&line(
        "run",
        &pack,
        &["-p", "x", "--json-schema", SCHEMA, "-n", "2"],
    ));
    says(&cut.err, &["length", "the answer is not whole"]);
}

#[test]
fn what_is_not_supported_is_told_before_anything_is_loaded() {
    let user = User::new();
    let models = ["-m".to_owned(), "none.gguf".to_owned()];
    let refused =
        |more: &[&str]| user.misused(&line("run", &models, &[&["-p", "x"], more].concat()));
    let schema = r#"{"properties":{"n":{"type":"array","uniqueItems":true}}}"#;
    says(
        &refused(&["--json-schema", schema]),
        &["--json-schema", "#/properties/n", "uniqueItems"],
    );
    says(
        &refused(&["--json-schema", "{"]),
        &["the schema is not JSON"],
    );
    says(&refused(&["--json-schema", "none.json"]), &["none.json"]);
    fs::write(user.path("bad.lark"), "start: nothing\n").unwrap();
    says(
        &refused(&["--grammar", "bad.lark"]),
        &["--grammar", "bad.lark"],
    );
    says(
        &refused(&["--grammar", "bad.lark", "--json-schema", "{}"]),
        &["cannot be used with"],
    );
}

#[test]
fn a_chat_has_a_schema_until_it_is_taken_away() {
    let user = User::new();
    let bpe = user.models().0;
    fs::write(user.path("bread.json"), SCHEMA).unwrap();
    let typed =
        "/set schema bread.json\nHello\n/set schema none\n/set schema none.json\n/set schema\n";
    let done = user.run_with(&["chat", "-m", &bpe, "--temp", "0"], typed.as_bytes());
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("{\"bread\": \""), "{}", done.out);
    says(
        &done.err,
        &[
            "answers are JSON",
            "schema is none",
            "error: /set schema: none.json",
        ],
    );
}
