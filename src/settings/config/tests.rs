use super::super::layers::default_of;
use super::*;

fn parse(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("config.toml"))
}

fn arg<'c>(flags: &'c Command, name: &str) -> &'c Arg {
    let mut args = flags.get_arguments();
    args.find(|arg| arg.get_long() == Some(name)).unwrap()
}

#[test]
fn every_flag_that_listens_to_the_environment_is_a_key_but_three() {
    let flags = flags();
    let heard = flags.get_arguments().filter(|arg| arg.get_env().is_some());
    let names = heard.filter_map(Arg::get_long);
    let known = |name: &&str| KEYS.iter().any(|key| key.name == *name);
    let left: Vec<&str> = names.filter(|name| !known(name)).collect();
    // They are wrong beside other settings, so nobody wants them for good.
    assert_eq!(left, ["reference", "follow-answer", "prompt-cache"]);
    for key in &KEYS {
        arg(&flags, key.name);
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
            "config.toml:1: --epsilon 2: it must be from 0 to 1",
        ),
        ("threads = 0", "config.toml:1: --threads 0: at least one"),
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
            "config.toml:1: --n-gpu-layers most",
        ),
        ("main-gpu = -1", "config.toml:1: --main-gpu -1"),
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
    let set = |line: &str| {
        KEYS.iter()
            .any(|key| line.starts_with(&format!("# {} = ", key.name)))
    };
    let lines = example();
    let lines = lines
        .lines()
        .map(|line| if set(line) { &line[2..] } else { line });
    let config = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(config.entries.len(), KEYS.len());
    let flags = flags();
    for entry in &config.entries {
        // What has no default that is a value has an example all the same.
        let name = entry.key.name;
        let free = [
            "pack",
            "ctx-size",
            "threads",
            "device",
            "tensor-split",
            "main-gpu",
            "seed",
            "stop",
            "system-prompt",
        ];
        if !free.contains(&name) {
            let default = default_of(arg(&flags, name)).unwrap();
            let same = default.parse::<f64>().ok() == entry.values[0].parse::<f64>().ok();
            assert!(
                same && (default == entry.values[0] || default.parse::<f64>().is_ok()),
                "{name}: {default}"
            );
        }
    }
}

/// The help of flags without a default of clap's own tells what holds.
#[test]
fn the_defaults_that_the_help_tells_are_true() {
    let flags = flags();
    let fusion = KEYS
        .iter()
        .filter(|key| arg(&flags, key.name).get_help_heading() == Some("Fusion"));
    let told: Vec<String> = fusion
        .map(|key| {
            format!(
                "--{}={}",
                key.name,
                default_of(arg(&flags, key.name)).unwrap()
            )
        })
        .collect();
    assert_eq!(told.len(), 10);
    let command = flags.clone().mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from(told).unwrap();
    let typed = ChatArgs::from_arg_matches(&matches).unwrap();
    let settle = |fusion: &FusionArgs| settle_fusion(&Manifest::default(), fusion, &[]).unwrap();
    let (told, held) = (settle(&typed.fusion), settle(&FusionArgs::default()));
    assert_eq!(format!("{told:?}"), format!("{held:?}"));
}

#[test]
fn a_manifest_is_filled_where_it_is_silent() {
    let config = parse(
        "mix = \"linear\"\ntau = 2\nheads = 3\nctx-size = 100\nn-gpu-layers = \"all\"\ndevice = [\"a\", \"b\"]\nmain-gpu = 1",
    )
    .unwrap();
    let text = "name = \"p\"\n[fusion]\ntau = 5\n[[member]]\nname = \"m\"\nfile = \"m.gguf\"\nctx_size = 7\n\
                [[member]]\nname = \"n\"\nfile = \"n.gguf\"";
    let mut manifest = Manifest::parse(text, "p.toml", Default::default()).unwrap();
    config.fill(&mut manifest);
    let fusion = &manifest.fusion;
    assert_eq!(
        (fusion.mix.as_deref(), fusion.tau, fusion.heads),
        (Some("linear"), Some(5.0), Some(3))
    );
    let [m, n] = &manifest.members[..] else {
        panic!("{manifest:?}")
    };
    assert_eq!((m.ctx_size, n.ctx_size), (Some(7), Some(100)));
    assert_eq!(
        (n.n_gpu_layers, n.main_gpu, n.device.as_deref()),
        (Some(-1), Some(1), Some("a,b"))
    );
}
