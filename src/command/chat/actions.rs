//! What each command does.

use super::input::Input;
use super::partner::Fused;
use super::table::Action;
use super::talk::Talk;
use super::{files, parameters, sessions};
use crate::app::is_dumb;
use crate::command::screen;
use crate::hints::words;
use crate::plural::counted;
use crate::report::message;
use crate::settings::schema_form;
use anyhow::Result;
use packllm_engine::thought;
use packllm_grammar::Form;
use packllm_parameter::{Typed, Value, Vocab};
use std::io::{IsTerminal, Write};

mod show;

/// Most bytes that terminals accept by OSC 52.
const CLIPBOARD: usize = 74_000;

impl Talk<'_> {
    /// Carries a command out. A user's mistake is reported, and the conversation goes on.
    pub fn act(&mut self, action: Action, rest: &str, input: &Input) -> Result<()> {
        match action {
            Action::Help => show::help(rest)?,
            Action::Exit => {}
            Action::Clear => self.clear()?,
            Action::System => self.system(rest)?,
            Action::Set => self.set(rest)?,
            Action::Show => self.show(rest)?,
            Action::Weights if rest.is_empty() => self.show_weights()?,
            Action::Weights => self.weigh_by(rest)?,
            Action::Vocab => self.vocab(rest)?,
            Action::Mix => self.mix(rest)?,
            Action::Members => self.members(rest)?,
            Action::Compare => self.compare()?,
            Action::Regenerate => self.again(false)?,
            Action::Continue => self.again(true)?,
            Action::Undo => self.take_back()?,
            Action::Edit => self.edit(input)?,
            Action::Copy => self.copy()?,
            Action::Read => self.read_files(rest)?,
            Action::Save => self.save(rest),
            Action::Load => self.load_named(rest)?,
            Action::Sessions => self.sessions()?,
            Action::Export => self.export(rest),
            Action::Stats => self.stats()?,
            Action::Context => self.show_context()?,
            Action::Verbose => self.set_verbose(rest),
            Action::Attribution => self.attribute(rest),
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        self.partner.clear()?;
        self.conversation.clear();
        let before = self.sessions.saved_name().map(str::to_owned);
        self.sessions.begin();
        self.last = None;
        let before = before.map_or_else(String::new, |name| {
            format!("; the one before is kept as {name}")
        });
        self.app.dim(&format!("a new conversation begins{before}"));
        Ok(())
    }

    fn system(&mut self, text: &str) -> Result<()> {
        let said = match text {
            "" => return self.show_system(),
            "none" if self.conversation.system().is_none() => "there is no system prompt",
            "none" => {
                self.set_system(None)?;
                "the system prompt is removed; all is read anew with the next message"
            }
            text => {
                self.set_system(Some(text.to_owned()))?;
                "the system prompt is set; all is read anew with the next message"
            }
        };
        self.app.dim(said);
        Ok(())
    }

    fn set(&mut self, typed: &str) -> Result<()> {
        // As in Ollama.
        let typed = typed
            .strip_prefix("parameter")
            .filter(|t| t.is_empty() || t.starts_with(char::is_whitespace))
            .unwrap_or(typed)
            .trim();
        match typed.split_once(char::is_whitespace).unwrap_or((typed, "")) {
            ("", _) => say!("{}", parameters::show(&self.settings).trim_end())?,
            ("system", text) => self.system(text.trim())?,
            ("schema", text) => self.set_schema(text.trim())?,
            ("verbose", "") => self.set_verbose("on"),
            ("verbose", state) => self.set_verbose(state.trim()),
            ("quiet", "") => self.set_verbose("off"),
            ("nothink", "") => self.set_parameter("think off"),
            _ => self.set_parameter(typed),
        }
        Ok(())
    }

    fn sessions(&self) -> Result<()> {
        let list = sessions::list(self.sessions.folder());
        if list.is_empty() {
            self.app.dim("no session is kept yet");
            return Ok(());
        }
        Ok(say!("{}", list.trim_end())?)
    }

    /// `/set schema`: answers are JSON from now on, or any text again.
    fn set_schema(&mut self, typed: &str) -> Result<()> {
        match typed {
            "" => match &self.form {
                Some(Form::Json(schema)) => say!("{schema}")?,
                _ => self.app.dim("schema is none: answers are text"),
            },
            "none" => {
                self.form = None;
                self.app.dim("schema is none: answers are text");
            }
            typed => match schema_form(typed) {
                Ok(form) => {
                    self.form = Some(form);
                    self.app
                        .dim("answers are JSON of this schema: /set schema none ends that");
                }
                Err(error) => tell!("error: /set schema: {error:#}"),
            },
        }
        Ok(())
    }

    fn set_parameter(&mut self, typed: &str) {
        match parameters::set(&mut self.settings, typed, self.partner.elsewhere()) {
            Ok(said) => self.app.dim(&said),
            Err(error) => tell!("error: {error}"),
        }
    }

    fn vocab(&mut self, name: &str) -> Result<()> {
        if name.is_empty() {
            return self.show_fusion("vocab", |fused| &fused.alphabet);
        }
        let Ok(vocab) = Vocab::read(&Value::Text(name.to_owned())) else {
            tell!("error: /vocab {name}: it is {}", Vocab::KIND.noun());
            return Ok(());
        };
        match self.partner.spell_by(vocab) {
            Ok(()) => self.refit(true),
            Err(error) => {
                tell!("error: /vocab {name}: {}", message(&error));
                Ok(())
            }
        }
    }

    fn mix(&mut self, name: &str) -> Result<()> {
        if name.is_empty() {
            return self.show_fusion("mix", |fused| &fused.mix);
        }
        let mixed = match name.parse() {
            Ok(mix) => self.partner.mix_by(mix),
            Err(error) => Err(anyhow::Error::msg(words(&error))),
        };
        match mixed {
            Ok(()) => self.refit(false),
            Err(error) => {
                tell!("error: /mix {name}: {}", message(&error));
                Ok(())
            }
        }
    }

    fn show_fusion(&self, command: &str, part: fn(&Fused) -> &String) -> Result<()> {
        match self.partner.fusion() {
            Some(fused) => say!("{}", part(&fused))?,
            None => tell!("error: /{command}: it is not known before the first answer"),
        }
        Ok(())
    }

    fn take_back(&mut self) -> Result<()> {
        if self.undo()? {
            self.partner.weigh()?;
            let standing = counted(self.conversation.messages().len(), "message");
            self.app.dim(&format!("taken back; {standing} left"));
        } else {
            tell!("error: there is nothing to take back");
        }
        Ok(())
    }

    fn edit(&mut self, input: &Input) -> Result<()> {
        let composed = input.compose(self.app);
        // A Ctrl-C was meant for the editor.
        self.calm_down();
        match composed {
            Ok(Some(text)) if text.trim().is_empty() => self.app.dim("nothing was written"),
            Ok(Some(text)) => {
                say!("{}", screen::harmless(self.app, text.trim_end()))?;
                self.say(text.trim_end().to_owned())?;
            }
            Ok(None) => tell!("error: /edit needs a terminal"),
            Err(error) => tell!("error: /edit: {error:#}"),
        }
        Ok(())
    }

    /// Copies by OSC 52, which the terminal itself understands, also over ssh. The thought is left
    /// out.
    fn copy(&mut self) -> Result<()> {
        let text = self.conversation.last_answer().map(thought::answer);
        let Some(text) = text.filter(|t| !t.is_empty()) else {
            tell!("error: there is no answer to copy");
            return Ok(());
        };
        let mut out = std::io::stdout();
        if !out.is_terminal() {
            tell!("error: /copy needs a terminal");
        } else if is_dumb() {
            tell!(
                "error: /copy needs a terminal that obeys codes, and TERM is `dumb`: /export FILE"
            );
        } else if text.len() > CLIPBOARD {
            let n = text.len();
            tell!("error: {n} bytes are more than terminals take ({CLIPBOARD}): /export FILE");
        } else {
            write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
            out.flush()?;
            self.app
                .dim("copied, if the terminal allows programs to (OSC 52)");
        }
        Ok(())
    }

    fn read_files(&mut self, typed: &str) -> Result<()> {
        match files::message(typed) {
            Ok(text) => self.say(text),
            Err(error) => {
                tell!("error: /read: {error:#}");
                Ok(())
            }
        }
    }

    fn save(&mut self, name: &str) {
        if self.sessions.name().is_none() {
            tell!(
                "error: /save: nothing is kept, for --no-history was given; /export FILE writes it"
            );
            return;
        }
        let begun = self.sessions.saved_name().is_some();
        let typed = shell_words::quote(name);
        let when = match begun {
            true => "saved, and kept from now on,",
            false => "what is said from now on is kept",
        };
        match self.sessions.rename(name) {
            Ok(()) => self.app.dim(&format!(
                "{when} as {name}: `packllm chat --session {typed}` goes on with it"
            )),
            Err(error) => tell!("error: /save: {error:#}"),
        }
    }

    fn load_named(&mut self, name: &str) -> Result<()> {
        if !self.sessions.exists(name) {
            let names = sessions::names(self.sessions.folder());
            let hint = packllm_engine::did_you_mean(packllm_engine::nearest(name, &names));
            tell!("error: /load: there is no session {name}{hint} (/sessions lists them)");
            return Ok(());
        }
        if self.sessions.name() == Some(name) {
            self.app.dim("it is this session");
            return Ok(());
        }
        match self.load(name, None) {
            Err(error) if error.is::<packllm_engine::chat::log::LogError>() => {
                tell!("error: /load: {error:#}");
                Ok(())
            }
            other => other,
        }
    }

    fn export(&self, path: &str) {
        let talk = &self.conversation;
        if talk.messages().is_empty() {
            tell!("error: /export: nothing was said yet");
            return;
        }
        // A name in quotes, or as it was completed; otherwise the whole text, with its spaces.
        let path = match files::words(path).as_slice() {
            [one] => files::at_home(one),
            _ => files::at_home(path),
        };
        match sessions::export(&path, talk.system(), talk.messages()) {
            Ok(()) => self.app.dim(&format!("written to {}", path.display())),
            Err(error) => tell!("error: /export: {error:#}"),
        }
    }

    fn set_verbose(&mut self, typed: &str) {
        if let Some(state) = switched("verbose", typed, self.verbose) {
            self.verbose = state;
            let state = parameters::on_off(state);
            self.app
                .dim(&format!("the lines around answers are {state}"));
        }
    }

    fn attribute(&mut self, typed: &str) {
        let Some(state) = switched("attribution", typed, self.settings.look.attribution) else {
            return;
        };
        self.settings.attribute(state);
        let said = match (state, self.app.styled && !self.settings.look.plain) {
            (false, _) => "attribution is off",
            (true, true) => {
                "attribution is on: each word in the colour of the member that argued most for it"
            }
            (true, false) => {
                "attribution is on: under an answer, in brackets, what each member argued most for"
            }
        };
        self.app.dim(said);
    }
}

/// The new state of a command that is on or off; without an argument it changes to the other. None,
/// after an error message, if the argument is neither.
fn switched(name: &str, typed: &str, now: bool) -> Option<bool> {
    if typed.is_empty() {
        return Some(!now);
    }
    let state = parameters::truth(typed);
    if state.is_none() {
        tell!("error: /{name} {typed}: it is on or off");
    }
    state
}

/// Base64 by RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |i: usize| match i <= chunk.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize]),
            false => '=',
        };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(text.as_bytes()), coded);
        }
    }
}
