//! Bash needs more than clap does: it cuts words at `=`, and does not quote what it inserts.

use clap::Command;
use clap_complete::engine::complete;
use clap_complete::env::EnvCompleter;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

/// Completions for bash.
pub struct Bash;

/// `$2` is the typed part of the word, without quotes. Names are quoted one by one, and a folder
/// gets no space after it.
const SCRIPT: &str = r#"_packllm() {
    local words=("${COMP_WORDS[@]:0:COMP_CWORD}" "$2") name
    COMPREPLY=()
    while IFS= read -r name; do
        COMPREPLY+=("$(printf %q "$name")")
    done < <(VARIABLE=bash COMPLETER -- "${words[@]}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY == */ ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o nosort -F _packllm BIN 2>/dev/null || complete -F _packllm BIN
"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let script = SCRIPT.replace("VARIABLE", variable).replace("BIN", bin);
        to.write_all(script.replace("COMPLETER", completer).as_bytes())
    }

    /// Completes the last of the words.
    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let (words, cut) = joined(words);
        let last = words.len().saturating_sub(1);
        for completion in complete(command, words, last, folder)? {
            let name = completion.get_value().to_string_lossy();
            writeln!(to, "{}", name.get(cut..).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The words with `--flag`, `=` and `value` joined to one, and how many bytes of the last one are
/// before the part that bash takes for the word.
fn joined(words: Vec<OsString>) -> (Vec<OsString>, usize) {
    let mut whole: Vec<OsString> = Vec::new();
    let mut cut = 0;
    for word in words {
        match whole.last_mut() {
            Some(flag) if is_cut(flag, &word) => {
                cut = if word == "=" { 0 } else { flag.len() };
                flag.push(word);
            }
            _ => {
                cut = 0;
                whole.push(word);
            }
        }
    }
    (whole, cut)
}

/// Whether a word belongs to the flag before it.
fn is_cut(flag: &OsString, word: &OsString) -> bool {
    let flag = flag.to_string_lossy();
    flag.starts_with("--") && (word == "=" && !flag.contains('=') || flag.ends_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_bash_cuts_are_one_word_again() {
        let of = |words: &[&str]| {
            let (whole, cut) = joined(words.iter().map(OsString::from).collect());
            (whole.join(" ".as_ref()).into_string().unwrap(), cut)
        };
        let plain = of(&["packllm", "run", "--think", "f"]);
        assert_eq!(plain, ("packllm run --think f".into(), 0));
        let cut = of(&["packllm", "run", "--think", "=", "f"]);
        assert_eq!(cut, ("packllm run --think=f".into(), 8));
        assert_eq!(
            of(&["--think", "=", "fold", "x"]),
            ("--think=fold x".into(), 0)
        );
    }
}
