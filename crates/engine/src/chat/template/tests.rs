use super::*;
use crate::chat::samples::*;

mod families;

/// An expression's rendering in an otherwise empty conversation.
fn eval(source: &str) -> Result<String, TemplateError> {
    Ok(Template::new(source, "<s>", "</s>")?
        .render(&[], false, now())?
        .text)
}

#[test]
fn a_template_refuses_in_its_own_words() {
    let messages = [Message::system("S"), Message::user("a"), Message::user("b")];
    let error = template(MISTRAL_V1)
        .render(&messages, true, now())
        .unwrap_err();
    let TemplateError::Raised { line: 1, message } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        message,
        "Conversation roles must alternate user/assistant/user/assistant/..."
    );
    assert_eq!(
        error.to_string(),
        "the chat template (line 1) says: Conversation roles must alternate user/assistant/user/assistant/..."
    );
}

#[test]
fn the_plain_template_is_a_transcript() {
    let plain = Template::plain();
    let mut messages = conversation();
    messages[2].content = " Hello!\n".to_owned();
    assert_eq!(
        plain.render(&messages, true, now()).unwrap().text,
        "Be brief.\n\nUser:\nHi\n\nAssistant:\n Hello!\n\nUser:\n1+1?\n\nAssistant:\n"
    );
    assert!(plain.is_plain());
    assert!(plain.stops().contains(&"\n\nUser:"));
    assert!(template(CHATML).stops().is_empty());
    assert_eq!(plain.render(&[], true, now()).unwrap().text, "Assistant:\n");
}

#[test]
fn python_and_hugging_face_conventions() {
    for (source, expected) in [
        (
            "{{ {'a': [1, 'é<>&\\'\"', none, true, 1.5], 'b': {}}|tojson }}",
            "{\"a\": [1, \"é<>&'\\\"\", null, true, 1.5], \"b\": {}}",
        ),
        (
            "{{ {'a': [1, 2], 'b': []}|tojson(indent=2) }}",
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": []\n}",
        ),
        (
            "{{ '\\u2028\n\t\\\\'|tojson(ensure_ascii=false) }}",
            "\"\u{2028}\\n\\t\\\\\"",
        ),
        ("{{ strftime_now('%d %b %Y %H:%M') }}", "07 Mar 2024 15:04"),
        (
            "{{ '<b>' }}{{ none }}{{ true }}{{ missing }}{{ messages.missing }}",
            "<b>NoneTrue",
        ),
        (
            "{{ tools is none }}{{ documents is none }}{{ tools is defined }}",
            "TrueTrueTrue",
        ),
        (
            "{{ add_generation_prompt }}{{ bos_token ~ eos_token }}",
            "False<s></s>",
        ),
        (
            "{{ ' a b '.strip().split(' ')[-1] }}{{ 'abc'[::-1] }}{{ 'abc'.startswith('ab') }}",
            "bcbaTrue",
        ),
        (
            "{% for k, v in {'x': 1}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'a': 1}.get('b') }}",
            "x1None",
        ),
        (
            "{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% break %}{% endfor %}",
            "1",
        ),
        (
            "{% set ns = namespace(a=1) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i, 7 %}{% set ns.a = ns.a[0] %}{% endfor %}{{ ns.a }}",
            "4",
        ),
        (
            "{{ tools is iterable }}{{ missing is iterable }}{{ '<{}|{:2}>'.format('é', 1) }}",
            "FalseTrue<é| 1>",
        ),
        (
            "{{ {} is mapping }}{{ 'a' is string }}{{ [] is iterable }}{{ 1 is number }}",
            "TrueTrueTrueTrue",
        ),
        (
            "a\n  {% generation %}\nb{% endgeneration %}\n c\n",
            "a\nb c",
        ),
        (
            "{{ 'a' is sequence }}{{ [] is sequence }}{{ 1 is sequence }}",
            "TrueTrueFalse",
        ),
        (
            "{{ 'a<b<c'.rsplit('<', 1)[0] }}{{ 'a<b'.rsplit('<')[-1] }}",
            "a<bb",
        ),
        (
            "{{ 'abc'.removeprefix('ab') }}{{ 'abc'.removesuffix('ab') }}",
            "cabc",
        ),
        (
            "{{ 'a\\\n b' }}\r\n{% if 1 %}\r\nc{% endif %}\rd",
            "a b\ncd",
        ),
        (
            "{% macro f(x, y='2') -%}{{ x }}{{ y }}{%- endmacro %}{{ f('1') }}",
            "12",
        ),
    ] {
        assert_eq!(eval(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn a_template_is_asked_not_to_let_the_model_think() {
    let source = "{{ enable_thinking is defined }}{{ thinking is defined }}{{ enable_thinking }}{{ thinking }}";
    let mut asked = template(source);
    let said = |template: &Template| template.render(&[], true, now()).unwrap().text;
    assert_eq!(said(&asked), "FalseFalse");
    asked.ask_to_think(false);
    assert_eq!(said(&asked), "TrueTrueFalseFalse");
    asked.ask_to_think(true);
    assert_eq!(said(&asked), "FalseFalse");
}

#[test]
fn errors_tell_the_line() {
    let error = eval("a\nb\n{% if %}").unwrap_err();
    assert!(
        matches!(error, TemplateError::Syntax { line: 3, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().starts_with("chat template, line 3: "),
        "{error}"
    );
    let error = eval("a\n{{ missing.a }}").unwrap_err();
    assert!(
        matches!(error, TemplateError::Render { line: 2, .. }),
        "{error:?}"
    );
    let error = eval("\n\n{{ raise_exception('no') }}").unwrap_err();
    assert_eq!(
        error,
        TemplateError::Raised {
            line: 3,
            message: "no".to_owned()
        }
    );
    assert!(matches!(
        eval("{{ strftime_now('%Q') }}"),
        Err(TemplateError::Render { .. })
    ));
}

#[test]
fn endless_templates_end() {
    for source in [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99) %}aaaaaaaaaaaaaaaa{% endfor %}{% endfor %}",
        "{{ 'a' * 10000000000 }}",
        "{% set ns = namespace(a='aaaaaaaa') %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(99999) %}{% set ns.a = ns.a + [i] %}{% endfor %}",
        "{{ ('a' * 1000000).replace('', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') }}",
        "{{ 'a'|indent(100000000000) }}",
        "{{ '{:>1000000000}'.format('a') }}",
        "{{ '{:>99999999999999999999999}'.format('a') }}",
    ] {
        let error = eval(source).unwrap_err();
        assert!(
            matches!(error, TemplateError::Runaway { .. }),
            "{source}: {error:?}"
        );
    }
    let error = eval("{% for i in range(1000) %}{{ 'a' * 2000 }}{% endfor %}").unwrap_err();
    assert!(
        matches!(
            error,
            TemplateError::TooMuch {
                bytes: 2_000_000,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        eval("{{ [[1]]|tojson(indent=10000000000) }}")
            .unwrap()
            .len()
            < 100
    );
}

#[test]
fn deep_templates_are_errors_or_work_but_do_not_overflow() {
    let deep = |open: &str, middle: &str, close: &str| {
        let times = (guard::MAX_SOURCE - 100) / (open.len() + close.len());
        eval(&format!(
            "{}{middle}{}",
            open.repeat(times),
            close.repeat(times)
        ))
        .map(|_| ())
    };
    assert!(deep("{% if 1 %}", "a", "{% endif %}").is_err());
    assert!(deep("{% for i in [1] %}", "a", "{% endfor %}").is_err());
    assert!(
        eval(&format!(
            "{{{{ {}1{} }}}}",
            "(".repeat(2_000),
            ")".repeat(2_000)
        ))
        .is_err()
    );
    for piece in [
        "+1", "|e", "()", ".a", "-1", " if 1", "[0]", "~1", " and 1", "<1",
    ] {
        let chain = |bytes: usize| format!("{{{{ 1 {} }}}}", piece.repeat(bytes / piece.len()));
        let _ = eval(&chain(guard::MAX_TAG - 10));
        assert!(matches!(
            eval(&chain(100_000)),
            Err(TemplateError::Syntax { line: 1, .. })
        ));
    }
    for prefix in ["-", "not ", "1 if 0 else ", "{0:", "["] {
        let times = (guard::MAX_TAG - 10) / prefix.len();
        let _ = eval(&format!("{{{{ {}1 }}}}", prefix.repeat(times)));
    }
    let _ = eval(&format!(
        "{{% if 0 %}}{}{{% endif %}}",
        "{% elif 0 %}".repeat(10_900)
    ));
    let _ = eval(&format!("{}{{{{ x }}}}", "{% set x=[x] %}".repeat(8_100)));
    let _ = eval(&format!(
        "{}{{{{ x|tojson }}}}",
        "{% set x=[x] %}".repeat(8_100)
    ));

    let error = eval("{% macro f(x) %}{{ f(x + 1) }}{% endmacro %}{{ f(0) }}").unwrap_err();
    assert!(matches!(error, TemplateError::Render { .. }), "{error:?}");
    for source in [
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
        "{% set ns = namespace() %}{%- set ns.x = {'a': [ns]} -%}{{ ns }}",
    ] {
        let error = eval(source).unwrap_err();
        assert!(error.to_string().contains("namespace"), "{error}");
    }
}

#[test]
fn sources_without_end_are_refused() {
    let error = Template::new(&"a".repeat(guard::MAX_SOURCE + 1), "", "").unwrap_err();
    assert!(matches!(error, TemplateError::TooLong { .. }), "{error:?}");
}

#[test]
fn long_conversations_have_the_fuel_they_need() {
    let mut messages = vec![Message::system("S")];
    for i in 0..300 {
        messages.push(Message::user(format!("question {i}")));
        messages.push(Message::assistant("<think>so</think> answer".repeat(20)));
    }
    for source in [CHATML, LLAMA2, MISTRAL_V3, GEMMA2, QWEN3, DEEPSEEK_R1] {
        template(source).render(&messages, true, now()).unwrap();
    }
}

#[test]
fn templates_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&template(CHATML));
}
