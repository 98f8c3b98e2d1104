//! The config file together with flags, environment and manifests; the manual; `packllm` without a
//! command.

use super::{line, pack};
use crate::user::{Done, User, says};
use serde_json::Value;
use std::fs;

fn configure(user: &User, text: &str) {
    fs::create_dir_all(user.path("store")).unwrap();
    fs::write(user.path("store/config.toml"), text).unwrap();
}

/// A pack of one member with a manifest of its own.
fn manifest(user: &User, fusion: &str) -> String {
    let (bpe, _) = user.models();
    let path = user.path("mine.toml");
    let text = format!(
        "name = \"mine\"\n[fusion]\n{fusion}\n[[member]]\nname = \"one\"\nfile = \"{bpe}\"\nctx_size = 300\n"
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `value from place` of a setting.
fn row(document: &Value, key: &str, member: Option<&str>) -> String {
    let rows = document["settings"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["key"] == key && row["member"].as_str() == member)
        .unwrap_or_else(|| panic!("no {key}"));
    let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
    [text("value"), text("from"), text("place")].join(" ")
}

#[test]
fn every_value_is_shown_with_the_layer_that_wins() {
    let user = User::new();
    let all = "mix = \"linear\"\ntau = 2\nepsilon = 0.5\nctx-size = 200\ntemp = 0.3\nmin-p = 0.2\ntop-k = 7\n";
    configure(&user, all);
    let pack = manifest(&user, "mix = \"log\"\ntau = 3\nrate = 0.1");
    let args = [
        "config", "--pack", &pack, "--top-k", "5", "--tau", "4", "--json",
    ];
    let output = user.command(&args).env("PACKLLM_MIN_P", "0.1").output();
    let done = Done::of(output.unwrap());
    assert_eq!(done.code, 0, "{}", done.err);
    let document: Value = serde_json::from_str(&done.out).unwrap();
    let file = user.path("store/config.toml").display().to_string();
    for (key, member, expected) in [
        ("pack", None, format!("{pack} flag -")),
        ("tau", None, "4 flag -".into()),
        ("top-k", None, "5 flag -".into()),
        ("min-p", None, "0.1 environment PACKLLM_MIN_P".into()),
        ("mix", None, "log pack mine".into()),
        ("rate", None, "0.1 pack mine".into()),
        ("epsilon", None, format!("0.5 config {file}:3")),
        ("ctx-size", None, format!("200 config {file}:4")),
        ("ctx-size", Some("one"), "300 pack mine".into()),
        ("temp", None, format!("0.3 config {file}:5")),
        ("heads", None, "8 default -".into()),
        ("top-p", None, "0.95 default -".into()),
        ("offline", None, "false default -".into()),
        ("stop", None, "- default -".into()),
    ] {
        assert_eq!(row(&document, key, member), expected, "{key}");
    }
    let table = user.ok(&["config", "--pack", &pack]);
    says(
        &table,
        &[
            "KEY",
            "ctx-size of one",
            "pack mine",
            &format!("config {file}:5"),
        ],
    );
    // A flag wins over the members' own settings.
    let document = user.json(&["config", "--pack", &pack, "-c", "100", "--json"]);
    assert_eq!(row(&document, "ctx-size", None), "100 flag -");
    let rows = document["settings"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["member"].is_null()));
}

#[test]
fn answers_follow_the_config_file_under_manifest_environment_and_flags() {
    let user = User::new();
    let pack = pack(&user);
    configure(
        &user,
        "mix = \"linear\"\nweights = \"uniform\"\nseed = 7\npredict = 3\n",
    );
    let run = |rest: &[&str]| {
        user.json(&[&line("run", &pack, &["-p", "The moon", "--json"])[..], rest].concat())
    };
    let document = run(&[]);
    let said = |document: &Value| {
        [
            &document["mix"],
            &document["weights_method"],
            &document["seed"],
        ]
        .map(ToString::to_string)
    };
    assert_eq!(said(&document), ["\"linear\"", "\"uniform\"", "7"]);
    assert!(
        document["usage"]["completion_tokens"].as_u64().unwrap() <= 3,
        "{document}"
    );
    assert_eq!(
        said(&run(&["--mix", "log", "--seed", "8"])),
        ["\"log\"", "\"uniform\"", "8"]
    );
    let mine = manifest(&user, "weights = \"top1\"");
    let args = ["run", "--pack", &mine, "-p", "The moon", "--json"];
    let done = Done::of(
        user.command(&args)
            .env("PACKLLM_SEED", "9")
            .output()
            .unwrap(),
    );
    let document: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(said(&document), ["\"linear\"", "\"top1\"", "9"]);
    // If no pack is named, that of the config file is used.
    configure(
        &user,
        &format!("pack = \"{mine}\"\nthreads = 1\nstop = [\"x\", \"y,z\"]\n"),
    );
    let document = user.json(&["run", "-p", "The moon", "-n", "2", "--json"]);
    assert_eq!(document["members"][0]["name"], "one");
}

#[test]
fn a_config_file_that_is_wrong_stops_what_needs_it_and_nothing_else() {
    let user = User::new();
    configure(&user, "temp = 0.5\ntmep = 1\n");
    let file = user.path("store/config.toml").display().to_string();
    let pack = pack(&user);
    for args in [
        &line("run", &pack, &["-p", "x"])[..],
        &["config"],
        &["models", "list"],
    ] {
        let error = user.fails(args);
        says(
            &error,
            &[
                &format!("error: {file}:2: unknown key `tmep`, did you mean `temp`?"),
                "hint: known keys",
            ],
        );
    }
    assert_eq!(user.ok(&["config", "path"]).trim(), file);
    for args in [&["--help"][..], &["man"], &["completions", "bash"]] {
        user.ok(args);
    }
    configure(&user, "temp = 0.5\ntop-p = 3\n");
    says(
        &user.fails(&["config"]),
        &[&format!("{file}:2: --top-p must be from 0 to 1")],
    );
}

#[test]
fn the_example_is_written_once() {
    let user = User::new();
    let done = user.run(&["config", "init"]);
    let file = user.path("store/config.toml");
    assert_eq!((done.code, done.out.trim()), (0, file.to_str().unwrap()));
    says(
        &fs::read_to_string(&file).unwrap(),
        &["── Fusion ──", "\n# temp = 0.8\n"],
    );
    fs::write(&file, "temp = 0.1\n").unwrap();
    says(
        &user.fails(&["config", "init"]),
        &["config.toml is there already"],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "temp = 0.1\n");
}

#[test]
fn a_session_that_is_asked_for_is_kept_whatever_the_file_says_of_the_history() {
    let user = User::new();
    configure(&user, "no-history = true\npredict = 4\n");
    let pack = pack(&user);
    let sessions = || fs::read_dir(user.path("store/state/sessions")).map_or(0, Iterator::count);
    assert_eq!(
        user.run_with(&line("chat", &pack, &[]), b"The moon\n").code,
        0
    );
    assert_eq!(sessions(), 0);
    let named = line("chat", &pack, &["--session", "mine"]);
    assert_eq!(user.run_with(&named, b"The moon\n").code, 0);
    assert_eq!(sessions(), 1);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let user = User::new();
    says(&user.ok(&["man"]), &[".TH packllm 1", "packllm\\-run"]);
    says(
        &user.ok(&["man", "models", "pull"]),
        &[".TH packllm-models-pull 1"],
    );
    says(&user.ok(&["man", "run"]), &["\\-\\-top\\-p"]);
    says(
        &user.misused(&["man", "rnu"]),
        &["no command rnu, did you mean run?"],
    );
    user.ok(&["man", "--output", "pages"]);
    for page in ["packllm.1", "packllm-chat.1", "packllm-models-pull.1"] {
        assert!(user.path("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn alone_it_says_what_to_do_next() {
    let user = User::new();
    let empty = user.misused(&[]);
    says(
        &empty,
        &[
            "No models are here",
            "packllm models pull starter",
            "packllm chat --pack starter",
            "(1.61 GB)",
            "tiny",
            "(351.48 MB)",
        ],
    );
    let (bpe, _) = user.models();
    user.ok(&["models", "import", &bpe]);
    says(&user.misused(&[]), &["packllm chat -m bpe.gguf\n"]);
    user.ok(&["pack", "new", "mine", "-m", "bpe.gguf"]);
    says(&user.misused(&[]), &["packllm chat --pack mine"]);
    configure(&user, "pack = \"mine\"\n");
    says(&user.misused(&[]), &["  packllm chat   "]);
}
