//! `packllm chat`: the conversation.

mod compare;
mod editor;
mod files;
mod input;
mod obey;
mod parameters;
pub mod sessions;
mod table;
mod talk;

use super::session::Session;
use crate::app::App;
use crate::cli::ChatArgs;
use crate::report::INTERRUPTED;
use crate::settings;
use anyhow::Result;
use input::{Entered, Input};
use packllm::chat::Conversation;
use packllm::weight::Method;
use std::process::ExitCode;
use table::Line;
use talk::Talk;

pub fn run(app: &App, args: &ChatArgs) -> Result<ExitCode> {
    let generation = settings::generation(&args.sample)?;
    let plan = settings::plan(app, &args.pack, &args.fusion)?;
    let prompt_cache = settings::prompt_cache(&args.prompt_cache, &plan.fusion, false)?;
    let mut session = Session::open(app, &plan, false)?;
    if let Some(path) = prompt_cache {
        session.use_prompt_cache(path, &plan);
    }
    session.engine.draft_with(settings::drafter(args.draft));
    let names = session.engine.names();
    let folder = app.state.join("sessions");
    let words = editor::completion::Words {
        members: names.clone(),
        methods: Method::named().map(|(name, _)| name.to_owned()).collect(),
        sessions: folder.clone(),
    };
    // Who asks for a session wants it kept, whatever the config file says of the history.
    let keep = !args.no_history || args.last || args.session.is_some();
    let keeper = sessions::Keeper::new(folder, &plan.manifest.name, names, keep);
    let conversation = Conversation::new(args.system_prompt.clone());
    let dials = parameters::Dials {
        generation,
        look: args.look.into(),
    };
    session.ask_to_think(dials.look.lets_think());
    let mut talk = Talk::new(app, session, &plan, dials, conversation, keeper)?;
    talk.overflow = args.overflow;
    let mut input = Input::new(app, keep, words);
    if !matches!(input, Input::Plain { prompt: false }) {
        let names = talk.session.engine.names().join(" + ");
        app.dim(&format!("{names} · /help for commands, Ctrl-D to leave"));
    }
    talk.begin(args)?;
    converse(app, &mut talk, &mut input)
}

/// Takes line after line until the user leaves.
fn converse(app: &App, talk: &mut Talk<'_>, input: &mut Input) -> Result<ExitCode> {
    let mut interrupted = false;
    loop {
        let line = match input.next(app, &|| talk.calm_down())? {
            Entered::End => return Ok(ExitCode::SUCCESS),
            Entered::Dropped => {
                interrupted = false;
                continue;
            }
            Entered::Interrupt if interrupted => return Ok(ExitCode::from(INTERRUPTED)),
            Entered::Interrupt => {
                app.dim("(once more, or Ctrl-D, to leave)");
                interrupted = true;
                continue;
            }
            Entered::Text(text) => Line::parse(&text),
            Entered::Block(text) if text.trim().is_empty() => Ok(Line::Nothing),
            Entered::Block(text) => Ok(Line::Say(text)),
        };
        interrupted = false;
        match line {
            Ok(Line::Nothing) => {}
            Ok(Line::Say(text)) => talk.say(text)?,
            Ok(Line::Do(table::Deed::Exit, _)) => return Ok(ExitCode::SUCCESS),
            Ok(Line::Do(deed, rest)) => talk.obey(deed, &rest, input)?,
            Err(error) => tell!("error: {error}"),
        }
        if let Some(code) = talk.guard.told_to_end() {
            return Ok(code);
        }
    }
}
