//! `packllm chat`: the conversation.

use super::run::statistics;
use super::session::Session;
use crate::app::App;
use crate::cli::ChatArgs;
use crate::settings::{self, PackPlan};
use anyhow::{Context, Result};
use packllm::chat::Message;
use packllm::engine::{EngineError, Event, Finish, Generation};
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The commands, for `/help`.
const COMMANDS: [(&str, &str); 4] = [
    ("/help", "show this"),
    ("/clear", "forget the conversation"),
    ("/weights", "show how much each member counts, and why"),
    ("/exit", "leave (as does Ctrl-D)"),
];

/// What a line of the user asks for.
enum Line {
    Say(String),
    Help,
    Clear,
    Weights,
    Exit,
    Unknown(String),
    Nothing,
}

impl Line {
    fn parse(line: &str) -> Self {
        let line = line.trim();
        match line {
            "" => Line::Nothing,
            "/help" | "/?" => Line::Help,
            "/clear" => Line::Clear,
            "/weights" => Line::Weights,
            "/exit" | "/bye" | "/quit" => Line::Exit,
            // `//` says a text that begins with a slash.
            text if text.starts_with("//") => Line::Say(text[1..].to_owned()),
            text if text.starts_with('/') => Line::Unknown(text.to_owned()),
            text => Line::Say(text.to_owned()),
        }
    }
}

/// A conversation under way.
struct Chat<'a> {
    app: &'a App,
    session: Session<'a>,
    plan: PackPlan,
    generation: Generation,
    messages: Vec<Message>,
    /// Messages before this one were read as evidence already.
    read: usize,
    system: Option<String>,
}

pub fn run(app: &App, args: &ChatArgs) -> Result<ExitCode> {
    let mut generation = settings::generation(&args.sample)?;
    let plan = settings::plan(app, &args.pack, &args.fusion)?;
    let mut session = Session::open(app, &plan, false)?;
    session.engine.draft_with(settings::drafter(args.draft));
    generation.stops.extend(session.stops());
    let system = args.system_prompt.clone();
    let mut chat = Chat {
        app,
        session,
        plan,
        generation,
        messages: Vec::new(),
        read: 0,
        system,
    };
    chat.clear()?;
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        app.dim(&format!(
            "{} · /help for commands, Ctrl-D to leave",
            chat.names()
        ));
    }
    let mut input = std::io::stdin().lock();
    loop {
        if terminal {
            eprint!(">>> ");
            std::io::stderr().flush()?;
        }
        let Some(line) = next_line(app, &mut input)? else {
            if terminal {
                eprintln!();
            }
            return Ok(ExitCode::SUCCESS);
        };
        match Line::parse(&line) {
            Line::Exit => return Ok(ExitCode::SUCCESS),
            line => chat.obey(line)?,
        }
    }
}

/// The next line; None at the end of the input. A Ctrl-C meanwhile is the signal handler's, which
/// gives a hint, and forgotten when the line comes.
fn next_line(app: &App, input: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    app.idle.store(true, Ordering::Relaxed);
    let read = input.read_until(b'\n', &mut bytes);
    app.idle.store(false, Ordering::Relaxed);
    app.cancel.store(false, Ordering::Relaxed);
    if read.context("stdin")? == 0 {
        return Ok(None);
    }
    match String::from_utf8(bytes) {
        Ok(line) => Ok(Some(line)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            eprintln!("error: the line is not valid UTF-8 at byte {at}: it was not sent");
            Ok(Some(String::new()))
        }
    }
}

impl Chat<'_> {
    fn names(&self) -> String {
        self.session.engine.names().join(" + ")
    }

    fn clear(&mut self) -> Result<()> {
        self.session.engine.clear()?;
        self.messages = self.system.iter().map(Message::system).collect();
        self.read = 0;
        Ok(())
    }

    fn obey(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Say(text) => self.say(text)?,
            Line::Help => {
                for (name, help) in COMMANDS {
                    println!("{name:10} {help}");
                }
            }
            Line::Clear => {
                self.clear()?;
                self.app.dim("the conversation is forgotten");
            }
            Line::Weights => self.show_weights()?,
            Line::Unknown(text) => {
                let word = text.split_whitespace().next().unwrap_or_default();
                let nearest = packllm::pack::nearest(word, COMMANDS.iter().map(|(name, _)| *name));
                let hint = nearest
                    .map(|n| format!(", did you mean {n}?"))
                    .unwrap_or_default();
                eprintln!(
                    "error: unknown command {word}{hint} (/help lists them; //… says a text that begins with a slash)"
                );
            }
            Line::Nothing | Line::Exit => {}
        }
        Ok(())
    }

    /// One turn. A failure or an interrupted prompt takes the message back, and the session goes on.
    fn say(&mut self, text: String) -> Result<()> {
        self.messages.push(Message::user(text));
        match self.turn() {
            Ok(answer) => {
                self.messages.push(Message::assistant(answer));
                self.read = self.messages.len();
                Ok(())
            }
            Err(error) => {
                self.messages.pop();
                self.app.cancel.store(false, Ordering::Relaxed);
                match error.downcast_ref::<EngineError>() {
                    Some(EngineError::Cancelled) => {
                        self.app
                            .dim("interrupted while reading: the message was not sent");
                        Ok(())
                    }
                    Some(EngineError::TooLong { .. }) => {
                        eprintln!("error: {error:#}: /clear starts anew");
                        Ok(())
                    }
                    _ => Err(error),
                }
            }
        }
    }

    fn turn(&mut self) -> Result<String> {
        let wish = self.session.engine.wish_for(&self.plan.fusion.method);
        let read = self.session.read_chat(&self.messages, self.read, wish)?;
        // From here on the members know the message: it is evidence, whatever becomes of the answer.
        let mut out = std::io::stdout().lock();
        let mut broken = None;
        let cancel = Arc::clone(&self.app.cancel);
        let answer = self
            .session
            .engine
            .answer(&self.generation, &mut |Event::Text(text)| {
                if broken.is_some() {
                    return;
                }
                if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    broken = Some(error);
                    cancel.store(true, Ordering::Relaxed);
                }
            })?;
        if let Some(error) = broken {
            return Err(anyhow::Error::new(error).context("stdout"));
        }
        writeln!(out)?;
        self.app.dim(&statistics(
            &self.session,
            &read,
            &answer,
            self.generation.sampling.seed,
        ));
        if answer.finish == Finish::Length && self.generation.limit.is_none() {
            self.app.dim("the context is full: /clear starts anew");
        }
        Ok(answer.text)
    }

    fn show_weights(&self) -> Result<()> {
        let engine = &self.session.engine;
        let evidence = engine.evidence()?;
        println!(
            "weights by {} on {} bytes of what you wrote:",
            self.plan.fusion.method, evidence.bytes
        );
        for (k, member) in engine.members().iter().enumerate() {
            let weight = engine.lambda()[k];
            if evidence.is_empty() || evidence.members[k].nats.is_empty() {
                println!("  {:30} {weight:.3}", member.name);
            } else {
                let bits = evidence.bits_per_byte(k);
                println!("  {:30} {weight:.3}   {bits:.3} bits per byte", member.name);
            }
        }
        Ok(())
    }
}
