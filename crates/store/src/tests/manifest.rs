//! Manifests: what is read, and what an error says.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use packllm_parameter::{Layers, Values};

const PLAIN: &str =
    "name = \"p\"\n[fusion]\nweights = \"sim\"\n[[member]]\nname = \"a\"\nfile = \"a.gguf\"\n";

fn parse(text: &str) -> Result<Manifest, StoreError> {
    Manifest::parse(text, "p.toml", Origin::File(PathBuf::from("p.toml")))
}

/// `PLAIN` with lines added at its end, which is inside the member.
fn with(lines: &str) -> String {
    format!("{PLAIN}{lines}\n")
}

#[test]
fn every_key_is_read() {
    let sha = "A".repeat(64);
    let text = format!(
        r#"
name = "all"
[fusion]
vocab = "bytes"
mix = "log"
weights = "a=0.7,b=0.3"
tau = 1
epsilon = 0.03
heads = 8
drop = 0.02
floor = 1e-9
[[member]]
name = "a"
file = "a.gguf"
sha256 = "{sha}"
size = 12
sources = ["hf:o/r/a.gguf", "https://h/a"]
licence = "Gemma Terms of Use"
licence_url = "https://h/terms"
n_gpu_layers = -1
device = "CUDA0"
ctx_size = 2048
threads = 4
tensor_split = [3, 1.5]
main_gpu = 0
chat_template = "{{{{ x }}}}"
prior = 0.5
[[member]]
name = "b"
file = "../b.gguf"
chat_template_file = "b.jinja"
"#
    );
    let manifest = parse(&text).unwrap();
    assert_eq!(
        (manifest.fusion.tau, manifest.fusion.heads),
        (Some(1.0), Some(8))
    );
    let member = &manifest.members[0];
    assert_eq!(member.sha256.as_deref(), Some("a".repeat(64).as_str()));
    assert_eq!(
        (
            member.settings.tensor_split.clone(),
            member.settings.n_gpu_layers
        ),
        (Some(vec![3.0, 1.5]), Some(Layers::All))
    );
    assert!(!member.licence.as_ref().unwrap().is_permissive());
    assert_eq!(parse(&manifest.to_toml().unwrap()).unwrap(), manifest);
}

#[test]
fn errors_name_key_and_line() {
    let cases = [
        (
            "name = \"p\"\n[fusion]\nweigths = \"sim\"\n".to_owned(),
            "p.toml:3: unknown key `weigths` in [fusion], did you mean `weights`?",
        ),
        (
            format!("nmae = 1\n{PLAIN}"),
            "p.toml:1: unknown key `nmae`, did you mean `name`?",
        ),
        (with("ctx = 3"), "p.toml:7: unknown key `ctx` in [[member]]"),
        (
            with("n-gpu-layers = 3"),
            "p.toml:7: unknown key `n-gpu-layers` in [[member]], did you mean `n_gpu_layers`?",
        ),
        (
            "name = \"p\"\n".to_owned(),
            "p.toml:1: key `member` is missing",
        ),
        (
            with("sha256 = \"0a\""),
            "p.toml:7: `sha256` must be 64 hexadecimal digits, not \"0a\"",
        ),
        (
            PLAIN.replace("file = \"a.gguf\"\n", ""),
            "p.toml:4: key `file` is missing in [[member]]",
        ),
        (
            PLAIN.replace("\"p\"", "\"../p\""),
            "p.toml:1: `name` must be a name of",
        ),
        (PLAIN.replace("[fusion]", "[fusion"), "p.toml:2: "),
        (
            PLAIN.replace("\"sim\"", "3"),
            "p.toml:3: `weights` must be a string, not 3",
        ),
        (
            PLAIN.replace("weights = \"sim\"", "tau = nan"),
            "p.toml:3: `tau` must be a number from 0.000001 to 1000000, not nan",
        ),
        (
            PLAIN.replace("weights = \"sim\"", "prior_bytes = -1"),
            "p.toml:3: `prior_bytes` must be a number from 0 to 1000000000, not -1",
        ),
        (
            PLAIN.replace("weights = \"sim\"", "rate = 2"),
            "p.toml:3: `rate` must be a number from 0 to 1, not 2",
        ),
        (
            PLAIN.replace("weights = \"sim\"", "epsilon = -0.1"),
            "p.toml:3: `epsilon` must be a number from 0 to 1, not -0.1",
        ),
        (
            PLAIN.replace("weights = \"sim\"", "heads = 0"),
            "p.toml:3: `heads` must be a whole number from 1 to 121, not 0",
        ),
        (
            PLAIN.replace("[[member]]", "[member]"),
            "p.toml:4: `member` must be a list of tables, each begun by [[member]], not a table",
        ),
        (
            with("[[member]]\nname = \"a\"\nfile = \"b\""),
            "p.toml:8: `name` must be unique in the pack, not \"a\" again",
        ),
        (
            with("threads = 1.5"),
            "p.toml:7: `threads` must be a whole number from 1 to 4096, not 1.5",
        ),
        (with("prior = -1"), "p.toml:7: `prior`"),
        (with("tensor_split = [0, 0]"), "p.toml:7: `tensor_split`"),
        (
            with("chat_template = \"x\"\nchat_template_file = \"y\""),
            "p.toml:8: `chat_template_file` must be left out, not given beside `chat_template`",
        ),
        (
            with("sources = [\n  \"https://h/a\",\n  \"gopher://h/a\",\n]"),
            "p.toml:9: `sources` must be a source that starts with",
        ),
        (
            with("sources = [\"https://h/a\"]"),
            "p.toml:4: key `sha256` is missing",
        ),
        (
            with("licence_url = \"https://h\""),
            "p.toml:7: `licence_url` must be given beside `licence`, not alone",
        ),
    ];
    for (text, expected) in cases {
        let error = parse(&text).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(expected) && !message.contains('\n'),
            "{message}\nexpected {expected}"
        );
    }
    let path = format!(
        "sha256 = \"{}\"\nsources = [\"https://h/a\"]",
        "0".repeat(64)
    );
    let error = parse(&with(&path).replace("a.gguf", "x/../../a.gguf")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("p.toml:6: `file` must be a plain file name"),
        "{error}"
    );
    let stored = PLAIN.replace("a.gguf", "../a.gguf");
    assert!(Manifest::parse(&stored, "p.toml", Origin::Store("p.toml".into())).is_err());
    assert!(parse(&stored).is_ok());
}

#[test]
fn a_missing_manifest_is_named() {
    let error = Manifest::load("nowhere/p.toml".as_ref()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read nowhere/p.toml"),
        "{error}"
    );
}

fn any_member() -> impl Strategy<Value = Member> {
    let text = || proptest::option::of("[ -~äß\n]{0,12}x");
    let numbers = (
        proptest::option::of(-1..100),
        proptest::option::of(1u32..9000),
        proptest::option::of(0.0..1e9),
    );
    (
        ("[a-z0-9][A-Za-z0-9._-]{0,8}", "[a-zA-Z0-9 _.äß]{1,12}x"),
        (text(), text(), text()),
        numbers,
        any::<bool>(),
    )
        .prop_map(
            |((name, file), (device, template, licence), (layers, ctx, prior), from_file)| Member {
                name,
                file,
                sha256: Some("0f".repeat(32)),
                size: ctx.map(u64::from),
                licence: licence.map(|id| Licence {
                    url: device.clone(),
                    id,
                }),
                settings: Values {
                    // A comma would make two of them.
                    device: device.map(|name| vec![name.replace(',', "").trim().to_owned()]),
                    n_gpu_layers: layers
                        .map(|n| u32::try_from(n).map_or(Layers::All, Layers::Some)),
                    ctx_size: ctx,
                    tensor_split: prior.map(|prior| vec![prior as f32 + 0.1, 1.0]),
                    ..Values::default()
                },
                chat_template: template.clone().filter(|_| !from_file),
                chat_template_file: template.filter(|_| from_file),
                prior,
                ..Member::default()
            },
        )
}

proptest! {
    #[test]
    fn manifests_survive_writing(members in proptest::collection::vec(any_member(), 1..4), tau in proptest::option::of(1e-6..1e6)) {
        let mut members = members;
        members.iter_mut().enumerate().for_each(|(index, member)| member.name.push_str(&index.to_string()));
        let fusion = Values { tau, prior_bytes: tau, rate: tau.map(|t| 1.0 / (1.0 + t)), heads: tau.map(|_| 3), ..Values::default() };
        let about = members[0].chat_template.clone();
        let manifest = Manifest { name: "p".into(), about, fusion, members, origin: Origin::File("p.toml".into()) };
        prop_assert_eq!(parse(&manifest.to_toml().unwrap()).unwrap(), manifest);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", at in 0..PLAIN.len()) {
        let _ = parse(&text);
        let _ = parse(&format!("{}{text}{}", &PLAIN[..at], &PLAIN[at..]));
    }

    #[test]
    fn a_typo_in_a_key_finds_the_key(at in 0usize..7, letter in b'a'..=b'z') {
        let mut key = b"weights".to_vec();
        prop_assume!(key[at] != letter);
        key[at] = letter;
        let key = String::from_utf8(key).unwrap();
        let message = parse(&PLAIN.replace("weights", &key)).unwrap_err().to_string();
        prop_assert_eq!(message, format!("p.toml:3: unknown key `{key}` in [fusion], did you mean `weights`?"));
    }
}
