//! Completions in the shells.

use super::{line, pack};
use crate::user::User;

#[test]
fn shells_are_given_completions() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = user.ok(&["completions", shell]);
        assert!(script.contains("PACKLLM_COMPLETE"), "{shell}: {script}");
        assert!(script.contains("packllm"), "{shell}: {script}");
    }
    user.misused(&["completions", "cmd"]);
    user.misused(&["completions"]);
}

/// A pack, a model in the store and a session.
fn furnish(user: &User) {
    let pack = pack(user);
    let talk = ["--temp", "0", "-n", "8", "--session", "moon-talk"];
    user.run_with(&line("chat", &pack, &talk), b"The moon\n");
    user.ok(&["models", "import", &pack[1]]);
    user.ok(&["pack", "new", "mine", "-m", "bpe.gguf"]);
}

/// What every shell asks the program when Tab is pressed: the typed words, and one completion that
/// has to be in the answer.
const ASKED: [(&[&str], &str); 12] = [
    (&["packllm", "chat", "--pack", "star"], "starter"),
    (&["packllm", "models", "pull", "ti"], "tiny"),
    (&["packllm", "models", "pull", "lap"], "laptop-8gb"),
    (&["packllm", "chat", "poly"], "polyglot"),
    (&["packllm", "chat", "mi"], "mine"),
    (&["packllm", "pack", "show", "mi"], "mine"),
    (&["packllm", "run", "-m", "bpe"], "bpe.gguf"),
    (&["packllm", "chat", "--session", "moo"], "moon-talk"),
    (&["packllm", "chat", "--think", "f"], "fold"),
    (&["packllm", "run", "--mix", "li"], "linear"),
    (&["packllm", "run", "-ngl", "3", "--top-"], "--top-p"),
    (&["packllm", "comp"], "completions"),
];

#[test]
fn every_shell_hears_the_same_of_flags_values_and_names() {
    let user = User::new();
    furnish(&user);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        for (words, expected) in ASKED {
            let args = [&["--"], words].concat();
            let index = (words.len() - 1).to_string();
            let asked = user
                .command(&args)
                .env("PACKLLM_COMPLETE", shell)
                .env("_CLAP_COMPLETE_INDEX", &index)
                .env("_CLAP_IFS", "\n")
                .output();
            let said = String::from_utf8(asked.unwrap().stdout).unwrap();
            // Some shells also get a description after the name.
            let mut names = said.lines().map(|line| line.split(['\t', ':']).next());
            assert!(
                names.any(|name| name == Some(expected)),
                "{shell} {words:?}: {said}"
            );
        }
    }
}

/// What bash offers to complete the last of these words.
#[cfg(target_os = "linux")]
fn offered(user: &User, words: &[&str]) -> String {
    const TAB: &str = r#"source <(packllm completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _packllm packllm "${@: -1}" "${@: -2:1}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_packllm"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let args = [&["-c", TAB, "bash"], words].concat();
    let done = user.command_of("bash", &args).env("PATH", path).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn bash_completes_names_of_packs_and_sessions() {
    let user = User::new();
    assert_eq!(
        offered(&user, &["packllm", "chat", "--pack", "star"]),
        "starter\n"
    );
    furnish(&user);
    assert_eq!(
        offered(&user, &["packllm", "chat", "--session", "moo"]),
        "moon-talk\n"
    );
    assert_eq!(
        offered(&user, &["packllm", "chat", "--think", "f"]),
        "fold\n"
    );
    // Bash cuts words at `=`, and completes what is after it.
    assert_eq!(
        offered(&user, &["packllm", "chat", "--think", "=", "f"]),
        "fold\n"
    );
    // Letters with a meaning to the shell are quoted, name by name.
    std::fs::write(user.path("two words.gguf"), "").unwrap();
    std::fs::create_dir(user.path("two")).unwrap();
    assert_eq!(
        offered(&user, &["packllm", "run", "-m", "two"]),
        "two\\ words.gguf\ntwo/\n"
    );
}
