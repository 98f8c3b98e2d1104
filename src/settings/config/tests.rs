use super::*;
use packllm_engine::mix::Mix;
use packllm_parameter::{Layers, all};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("config.toml"))
}

#[test]
fn every_parameter_that_listens_to_the_environment_is_a_key_but_three() {
    let heard = all().iter().filter(|p| p.is_set_in(Place::Environment));
    let left = heard.filter(|p| !p.is_set_in(Place::Config));
    let left: Vec<&str> = left.map(|p| &*p.name).collect();
    // They conflict with other settings, so they are not set permanently.
    assert_eq!(left, ["reference", "follow-answer", "prompt-cache"]);
    let flags = flags();
    for parameter in known(Place::Config) {
        let mut args = flags.get_arguments();
        assert!(args.any(|arg| arg.get_long() == Some(&*parameter.name)));
    }
}

#[test]
fn mistakes_are_told_with_their_line_and_the_nearest_key() {
    for (text, expected) in [
        (
            "temp = 1\ntop_p = 1",
            "config.toml:2: unknown key `top_p`, did you mean `top-p`?",
        ),
        (
            "\n\ntemp = \"hot\"",
            "config.toml:3: `temp` must be a number, not \"hot\"",
        ),
        (
            "threads = 1.5",
            "config.toml:1: `threads` must be a whole number, not 1.5",
        ),
        (
            "offline = 1",
            "config.toml:1: `offline` must be true or false, not 1",
        ),
        (
            "stop = [1]",
            "config.toml:1: `stop` must be a string or a list of strings, not an array",
        ),
        ("pack = ", "config.toml:1: "),
        (
            "temp = 0.5\ntop-p = 2",
            "config.toml:2: --top-p must be from 0 to 1 (1 is off), not 2",
        ),
        (
            "epsilon = 2",
            "config.toml:1: --epsilon must be from 0 to 1, not 2",
        ),
        (
            "threads = 0",
            "config.toml:1: --threads must be from 1 to 4096, not 0",
        ),
        (
            "top-k = -1",
            "config.toml:1: invalid value '-1' for '--top-k",
        ),
        (
            "draft = \"on\"",
            "config.toml:1: invalid value 'on' for '--draft <DRAFT>' [possible values: auto, off]",
        ),
        ("weights = \"smi\"", "config.toml:1: --weights: "),
        (
            "weights = \"a=1\"",
            "config.toml:1: `weights` by name belong to one pack",
        ),
        (
            "n-gpu-layers = \"most\"",
            "config.toml:1: --n-gpu-layers must be a whole number, \"all\" or \"auto\", not most",
        ),
        (
            "main-gpu = -1",
            "config.toml:1: --main-gpu must be from 0 to 255, not -1",
        ),
        (
            "stop = [\"a\", \"\"]",
            "config.toml:1: --stop: a stop string is empty",
        ),
        ("[fusion]\ntau = 1", "config.toml:1: unknown key `fusion`"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with(expected) && !error.contains('\n'),
            "{error}\nexpected {expected}"
        );
    }
}

#[test]
fn the_example_says_nothing_and_uncommented_it_says_the_defaults() {
    assert!(parse(&example()).unwrap().entries.is_empty());
    let set =
        |line: &str| known(Place::Config).any(|p| line.starts_with(&format!("# {} = ", p.name)));
    let lines = example();
    let lines = lines
        .lines()
        .map(|line| if set(line) { &line[2..] } else { line });
    let config = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(config.entries.len(), known(Place::Config).count());
    for parameter in known(Place::Config) {
        // What has no default that is a value has an example all the same.
        if let Some(default) = &parameter.default {
            let said = parameter.get(&config).unwrap_or(Value::Switch(false));
            assert_eq!(said, *default, "{}", parameter.name);
        }
    }
}

/// Where nothing is set, the engine's own defaults hold.
#[test]
fn the_defaults_are_those_of_the_engine() {
    let nothing = Values::default();
    let held = settle_fusion(&nothing, &Manifest::default(), &[]).unwrap();
    assert_eq!(held, packllm_engine::engine::Fusion::default());
    let seeded = Values {
        seed: Some(0),
        ..nothing
    };
    let sampling = generation(&seeded).unwrap().sampling;
    assert_eq!(sampling, packllm_engine::sample::Params::default());
}

#[test]
fn a_manifest_is_filled_where_it_is_silent() {
    let config = parse(
        "mix = \"linear\"\ntau = 2\nheads = 3\nctx-size = 100\nn-gpu-layers = \"all\"\ndevice = [\"a\", \"b\"]\nmain-gpu = 1",
    )
    .unwrap();
    let text = "name = \"p\"\n[fusion]\ntau = 5\n[[member]]\nname = \"m\"\nfile = \"m.gguf\"\nctx_size = 7\n\
                [[member]]\nname = \"n\"\nfile = \"n.gguf\"";
    let manifest = Manifest::parse(text, "p.toml", Default::default()).unwrap();
    let fusion = manifest.fusion.or(&config);
    assert_eq!(
        (fusion.mix, fusion.tau, fusion.heads),
        (Some(Mix::Linear), Some(5.0), Some(3))
    );
    let members = manifest.members.into_iter();
    let members: Vec<Values> = members.map(|m| m.settings.or(&config)).collect();
    let [m, n] = &members[..] else {
        panic!("{members:?}")
    };
    assert_eq!((m.ctx_size, n.ctx_size), (Some(7), Some(100)));
    let device = n.device.as_ref().map(|names| names.join(","));
    assert_eq!(
        (n.n_gpu_layers, n.main_gpu, device.as_deref()),
        (Some(Layers::All), Some(1), Some("a,b"))
    );
}

proptest! {
    // `PROPTEST_CASES` makes it a long run: see `docs/reliability.md`.
    #[test]
    fn any_text_is_settings_or_an_error_of_its_line(
        lines in prop::collection::vec(line(), 0..5),
        cut in any::<prop::sample::Index>(),
        noise in "\\PC{0,3}",
    ) {
        let mut text = lines.concat();
        let at = (0..=text.len()).filter(|&at| text.is_char_boundary(at));
        let at: Vec<usize> = at.collect();
        text.insert_str(at[cut.index(at.len())], &noise);
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().starts_with("config.toml:"), "{error}");
        }
    }
}

/// A known key with some value.
fn line() -> impl Strategy<Value = String> {
    let keys: Vec<String> = known(Place::Config).map(|p| p.name.to_string()).collect();
    let values = [
        "-?[0-9]{1,20}",
        "-?[0-9]{1,3}\\.[0-9]{1,20}(e-?[0-9]{1,4})?",
        "inf|nan|true|false|\\{\\}",
        "\"[^\"\\\\\n]{0,9}\"",
        "\\[(\"[a-z]{0,3}\"|[0-9]{1,3}|,){0,5}\\]",
        "\\PC{0,9}",
    ];
    let value = prop::sample::select(values.to_vec()).prop_flat_map(|of| of);
    (prop::sample::select(keys), value).prop_map(|(key, value)| format!("{key} = {value}\n"))
}
