//! `packllm completions`: what a shell needs to complete commands and flags, and the names that follow some.
//!
//! The script is clap's; what it knows no values for asks the program itself for names when Tab is pressed.

use crate::app::App;
use crate::cli::{Cli, CompletionsArgs, Names, typed};
use crate::command::chat::sessions;
use anyhow::{Context, Result, anyhow};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::process::ExitCode;

/// Flags that take names, and whether a path will do as well.
const NAMED: [(&str, Names, bool); 4] = [
    ("--pack", Names::Packs, true),
    ("--model", Names::Models, true),
    ("-m", Names::Models, true),
    ("--session", Names::Sessions, false),
];

pub fn run(app: &App, args: &CompletionsArgs) -> Result<ExitCode> {
    let text = match (args.names, args.shell) {
        (Some(names), _) => list(app, names)?,
        (None, shell) => script(shell.context("no shell")?)?,
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// A name a line.
fn list(app: &App, names: Names) -> Result<String> {
    let names: Vec<String> = match names {
        Names::Packs => app.store.packs()?.into_iter().map(|p| p.name).collect(),
        Names::Models => {
            let present = app.store.list()?.into_iter().filter(|one| one.present);
            present.map(|one| one.model.file).collect()
        }
        Names::Sessions => sessions::names(&app.state.join("sessions")),
    };
    Ok(names.into_iter().map(|name| name + "\n").collect())
}

fn script(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "packllm", &mut script);
    let script = String::from_utf8(script).map_err(|_| anyhow!("no UTF-8"))?;
    let with_names: fn(&str) -> String = match shell {
        Shell::Bash => bash,
        Shell::Zsh => zsh,
        Shell::Fish => fish,
        _ => return Ok(script),
    };
    Ok(with_names(&script))
}

/// There, a case for every flag fills the reply with files.
fn bash(script: &str) -> String {
    // Not by `compgen -W`, which would expand what a name holds.
    const FUNCTION: &str = r#"_packllm_names() {
    local name
    while IFS= read -r name; do
        [[ $name == "$2"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(packllm completions --names "$1" 2>/dev/null)
}

"#;
    let mut flag = None;
    let line = |line: &str| {
        let own = line.trim();
        if let Some(case) = own.strip_suffix(')').filter(|case| case.starts_with('-')) {
            flag = NAMED.iter().find(|(name, ..)| *name == case);
        }
        match flag {
            Some(&(_, names, files)) if own.starts_with("COMPREPLY=($(compgen -f") => {
                let files = if files {
                    r#"$(compgen -f -- "${cur}")"#
                } else {
                    ""
                };
                let names = typed(names);
                format!("COMPREPLY=({files}); _packllm_names {names} \"${{cur}}\"\n")
            }
            _ => format!("{line}\n"),
        }
    };
    let script: String = script.lines().map(line).collect();
    format!("{FUNCTION}{script}")
}

/// There, the action stands at the end of a flag's line: `'--pack=[help]:NAME:_default' \`.
fn zsh(script: &str) -> String {
    const FUNCTION: &str = r#"
_packllm_names() {
    local -a names
    names=(${(f)"$(packllm completions --names $1 2>/dev/null)"})
    compadd -a names
    [[ -z $2 ]] || _files
}
"#;
    let line = |line: &str| {
        let of = |(flag, ..): &&(&str, Names, bool)| {
            ["=[", "+["]
                .iter()
                .any(|end| line.contains(&format!("{flag}{end}")))
        };
        let (Some(&(_, names, files)), Some((head, _))) =
            (NAMED.iter().find(of), line.rsplit_once(':'))
        else {
            return format!("{line}\n");
        };
        let name = typed(names);
        let files = if files { " files" } else { "" };
        // A space first: called with these words alone.
        format!("{head}: _packllm_names {name}{files}' \\\n")
    };
    let script: String = script.lines().map(line).collect();
    script.replacen('\n', &format!("\n{FUNCTION}"), 1)
}

/// There, `-a` adds a command that lists values.
fn fish(script: &str) -> String {
    let line = |line: &str| {
        let of = |(flag, ..): &&(&str, Names, bool)| {
            flag.strip_prefix("--")
                .is_some_and(|name| line.contains(&format!(" -l {name} ")))
        };
        match NAMED.iter().find(of) {
            Some(&(_, names, files)) => {
                let line = line.trim_end_matches(" -F");
                let files = if files { "-F" } else { "-f" };
                let names = typed(names);
                let ask = format!("packllm completions --names {names} 2>/dev/null");
                format!("{line} {files} -a \"({ask})\"\n")
            }
            None => format!("{line}\n"),
        }
    };
    script.lines().map(line).collect()
}
