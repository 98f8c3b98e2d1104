//! `packllm chat`: the conversation.

mod actions;
mod block;
mod compare;
mod editor;
mod files;
mod input;
mod parameters;
mod partner;
pub mod sessions;
mod table;
mod talk;

use super::loaded::LoadedPack;
use crate::app::App;
use crate::cli::ChatArgs;
use crate::exit::INTERRUPTED;
use crate::guard::Guard;
use crate::settings::{self, PackPlan};
use anyhow::Result;
use input::{Entered, Input};
use packllm_client::{Address, Client};
use packllm_engine::chat::Conversation;
use packllm_engine::chat::log::{SessionHeader, read};
use packllm_engine::weight::Method;
use packllm_parameter::Values;
use partner::{Here, Partner, Server};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use table::Line;
use talk::Talk;

pub fn run(app: &App, args: &ChatArgs) -> Result<ExitCode> {
    let chosen = parameters::Settings::new(&args.given)?;
    let folder = app.state.join("sessions");
    let name = session(args, &folder);
    // Before anything is loaded, what was typed is checked.
    let way = match &args.connect {
        Some(address) => Way::Connect(connection(app, args, address)?),
        None => Way::Load(Box::new(plan(app, args, &folder, name.as_deref())?)),
    };
    let guard = Guard::new(&app.cancel, input::edits())?;
    let partner: Box<dyn Partner> = match way {
        Way::Connect(client) => {
            let model = args.name.as_deref();
            Box::new(Server::connect(app, client, model, &args.given)?)
        }
        Way::Load(plan) => Box::new(load(app, args, *plan)?),
    };
    let members = partner.members().into_iter();
    let names: Vec<String> = members.map(|member| member.name).collect();
    let words = editor::completion::Words {
        members: names.clone(),
        methods: Method::named().map(|(name, _)| name.to_owned()).collect(),
        sessions: folder.clone(),
    };
    let who = match names.is_empty() {
        true => partner.name().to_owned(),
        false => names.join(" + "),
    };
    // A session that was asked for is saved, whatever the config file says about the history.
    let keep = !args.keeping.no_history() || args.last || args.session.is_some();
    let session_store = sessions::SessionStore::new(folder, partner.name(), names, keep);
    let conversation = Conversation::new(args.opening.system_prompt.clone());
    let mut talk = Talk::new(app, partner, chosen, conversation, session_store, guard);
    talk.overflow = args.keeping.overflow();
    let mut input = Input::new(app, keep, words);
    if input.is_watched() {
        app.dim(&format!("{who} · /help for commands, Ctrl-D to leave"));
    }
    talk.begin(args, name.as_deref())?;
    converse(app, &mut talk, &mut input)
}

/// How there is somebody to talk with.
enum Way {
    Connect(Client),
    Load(Box<(Values, PackPlan)>),
}

/// How the pack is loaded.
fn plan(
    app: &App,
    args: &ChatArgs,
    folder: &Path,
    session: Option<&str>,
) -> Result<(Values, PackPlan)> {
    let given = with_pack(app, args, folder, session)?;
    let mut plan = settings::plan(&app.sources(), &given)?;
    // The conversation stays where it is while members answer by themselves.
    let members = plan.members.iter_mut();
    members.for_each(|member| member.load.sequences += 1);
    Ok((given, plan))
}

fn load<'a>(app: &'a App, args: &ChatArgs, (given, plan): (Values, PackPlan)) -> Result<Here<'a>> {
    let prompt_cache = settings::prompt_cache(&given, &plan.fusion, false)?;
    let mut loaded = LoadedPack::open(app, &plan, false)?;
    if let Some(path) = prompt_cache {
        loaded.use_prompt_cache(path, &plan);
    }
    let drafter = settings::drafter(args.given.draft(), loaded.conversation.lockstep.members());
    loaded.conversation.lockstep.draft_with(drafter);
    Ok(Here::new(loaded, plan))
}

/// The server to ask, and its key: of the file, or of `PACKLLM_API_KEY`.
fn connection(app: &App, args: &ChatArgs, address: &str) -> Result<Client> {
    let address = address.parse::<Address>();
    let address = address.map_err(|error| settings::Usage(format!("--connect: {error}")))?;
    let key = match &args.api_key_file {
        Some(path) => settings::keys_of(path)?.into_iter().next(),
        None => settings::key_of_environment()?,
    };
    Ok(Client::new(address, key, Arc::clone(&app.cancel)))
}

/// The name of the session to continue or to begin, if one was asked for.
fn session(args: &ChatArgs, folder: &Path) -> Option<String> {
    match &args.session {
        Some(name) => Some(name.clone()),
        None if args.last => sessions::names(folder).into_iter().next(),
        None => None,
    }
}

/// The settings with the pack to talk with: the one named, or that of the session to continue. A
/// session that cannot be read is an error here, before anything is loaded.
fn with_pack(app: &App, args: &ChatArgs, folder: &Path, session: Option<&str>) -> Result<Values> {
    let mut given = Values::clone(&args.given);
    given.pack = given.pack.or_else(|| args.name.clone());
    let Some(name) = session else {
        return Ok(given);
    };
    let file = sessions::path(folder, name).map_err(|e| settings::Usage(e.to_string()))?;
    if file.exists() {
        let header = read(&file)?.header;
        if given.pack.is_none() && given.model.is_none() {
            given.pack = pack_of(app, header);
        }
    }
    Ok(given)
}

/// The pack to continue a session with: its own. If that is gone or has other members by now, one
/// that is ready and has the session's members is better.
fn pack_of(app: &App, session: SessionHeader) -> Option<String> {
    let own = app.store.pack(&session.pack).ok();
    let changed = !own
        .as_ref()
        .is_some_and(|own| own.has_members(&session.members));
    let other = match changed {
        true => app.sources().ready_pack_of(&session.members),
        false => None,
    };
    other.or_else(|| own.map(|_| session.pack))
}

/// The exit code when the user leaves. With piped input it is the only sign that a message was not
/// answered.
fn left(talk: &Talk<'_>, input: &Input) -> ExitCode {
    match talk.failed && !input.is_watched() {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    }
}

/// Reads and handles lines until the user leaves.
fn converse(app: &App, talk: &mut Talk<'_>, input: &mut Input) -> Result<ExitCode> {
    let mut interrupted = false;
    loop {
        let line = match input.next(app, &|| talk.calm_down())? {
            Entered::End => return Ok(left(talk, input)),
            Entered::Dropped => {
                interrupted = false;
                continue;
            }
            Entered::Refused => {
                talk.failed = true;
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
            Ok(Line::Do(table::Action::Exit, _)) => return Ok(left(talk, input)),
            Ok(Line::Do(action, rest)) => talk.act(action, &rest, input)?,
            Err(error) => {
                tell!("error: {error}");
                talk.failed = true;
            }
        }
        if let Some(code) = talk.guard.told_to_end() {
            return Ok(code);
        }
    }
}
