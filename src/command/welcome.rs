//! `packllm` without a command: what to do next on this machine. The exit code is that of wrong
//! usage.

use crate::app::{App, STARTER, TINY};
use crate::command::facts::file_size;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(app: &App) -> Result<ExitCode> {
    let ready = app.sources().ready_packs()?;
    let listed = app.store.list()?.into_iter().filter(|one| one.present);
    let models: Vec<String> = listed.map(|one| one.model.file).collect();
    tell!("packllm runs several small language models as one.\n");
    let text = next(&ready, &models, app.default_pack.as_deref(), &offers(app));
    tell!("{}", text.trim_end());
    tell!("\nAll commands: packllm --help");
    Ok(ExitCode::from(2))
}

/// The packs to begin with, each with the size of its download.
fn offers(app: &App) -> [(&'static str, String); 2] {
    [STARTER, TINY].map(|name| {
        // A pack of the user's own may have taken the name, and be broken.
        let members = app.store.pack(name).map_or(Vec::new(), |pack| pack.members);
        let size: u64 = members.iter().filter_map(|one| one.size).sum();
        (name, file_size(size))
    })
}

/// What to do with the packs whose models are on disk and the models in the store.
fn next(
    ready: &[String],
    models: &[String],
    default: Option<&str>,
    offers: &[(&str, String); 2],
) -> String {
    let [(starter, size), (tiny, tiny_size)] = offers;
    if default.is_some_and(|name| ready.iter().any(|pack| pack == name)) {
        return "  packllm chat                    talk with your pack\n".into();
    }
    if let Some(pack) = ready.first() {
        let others = match ready {
            [_] => String::new(),
            _ => format!("\nReady are {}.\n", ready.join(", ")),
        };
        let chat = format!("packllm chat --pack {pack}");
        return format!("  {chat:30}  talk with them\n{others}");
    }
    if models.is_empty() {
        return format!(
            "\
No models are here yet. Two commands:
  packllm models pull {starter}     fetch small ones ({size})
  packllm chat --pack {starter}     talk with them
For a quick trial put {tiny} in place of {starter}: very small ones ({tiny_size}).
Models that Hugging Face, Ollama or LM Studio have on disk: packllm models import
"
        );
    }
    let flags: Vec<String> = models.iter().take(2).map(|m| format!("-m {m}")).collect();
    let flags = flags.join(" ");
    format!(
        "Models are here, but no pack that is complete:
  packllm chat {flags}
  packllm pack new NAME {flags}
  packllm models pull {starter}     small ones to begin with ({size}; {tiny}: {tiny_size})
"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_comes_next_depends_on_what_is_there() {
        let texts = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let next = |ready: &[&str], models: &[&str], default| {
            let offers = [
                ("starter", "1.6 GB".to_owned()),
                ("tiny", "351 MB".to_owned()),
            ];
            super::next(&texts(ready), &texts(models), default, &offers)
        };
        let nothing = next(&[], &[], None);
        let pull = nothing.find("packllm models pull starter").unwrap();
        assert!(pull < nothing.find("packllm chat --pack starter").unwrap());
        assert!(
            nothing.contains("(1.6 GB)") && nothing.contains("tiny"),
            "{nothing}"
        );
        let models = next(&[], &["a.gguf", "b.gguf", "c.gguf"], Some("mine"));
        assert!(models.contains("packllm chat -m a.gguf -m b.gguf\n"));
        let ready = next(&["mine", "starter"], &["a.gguf"], None);
        assert!(ready.contains("packllm chat --pack mine "), "{ready}");
        assert!(ready.contains("Ready are mine, starter."), "{ready}");
        assert!(next(&["mine"], &[], Some("mine")).contains("packllm chat  "));
    }
}
