//! `packllm models pull`: every model of a pack, one after the other.

use crate::app::{App, STARTER};
use crate::command::facts::file_size;
use crate::command::transfer::Transfer;
use crate::say::printable;
use crate::settings::usage;
use anyhow::Result;
use packllm_store::{Licence, Manifest, Member, PullOptions, Pulled, StoreError};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

pub fn run(app: &App, pack: Option<&str>, yes: bool, offline: bool) -> Result<ExitCode> {
    let name = pack.or(app.default_pack.as_deref()).unwrap_or(STARTER);
    let manifest = app.store.pack(name)?;
    let options = options(offline)?;
    if let Some(about) = &manifest.about {
        app.dim(&format!("pack {name}: {}", printable(about)));
    }
    if !offline {
        settle_licences(app, &manifest, yes)?;
    }
    for member in &manifest.members {
        let outcome = pull(app, &manifest, member, &options);
        if let Err(StoreError::Cancelled) = outcome {
            app.dim(&format!(
                "stopped; `packllm models pull {name}` goes on from here"
            ));
        }
        report(member, &outcome?)?;
    }
    app.dim(&format!(
        "pack {} is ready: packllm chat --pack {name}",
        manifest.name
    ));
    Ok(ExitCode::SUCCESS)
}

fn pull(
    app: &App,
    manifest: &Manifest,
    member: &Member,
    options: &PullOptions,
) -> Result<Pulled, StoreError> {
    let mut transfer = Transfer::new(app, &member.file, true);
    packllm_store::pull(
        &app.store,
        manifest,
        member,
        options,
        &mut transfer,
        &app.cancel,
    )
}

fn report(member: &Member, pulled: &Pulled) -> Result<()> {
    let size = std::fs::metadata(&pulled.path).map_or(0, |data| data.len());
    let what = match &pulled.source {
        Some(_) => "downloaded and verified",
        None if member.sha256.is_some() => "already there, verified",
        None => "already there",
    };
    let file = printable(&member.file);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {file}, {}, {what}", member.name, file_size(size))?;
    Ok(())
}

/// Options for the network, from the environment.
fn options(offline: bool) -> Result<PullOptions> {
    let text = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|value| value.trim().to_owned())
    };
    let given = |name: &str| text(name).filter(|value| !value.is_empty());
    let mut options = PullOptions {
        hub_token: given("HF_TOKEN"),
        offline,
        ..PullOptions::default()
    };
    if let Some(endpoint) = given("HF_ENDPOINT") {
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return usage(format!(
                "HF_ENDPOINT is `{endpoint}`: it has to start with https://"
            ));
        }
        options.hub_endpoint = endpoint;
    }
    if let Some(python) = std::env::var_os("PACKLLM_PYTHON").filter(|path| !path.is_empty()) {
        options.python = python.into();
    }
    Ok(options)
}

/// Shows the licences that restrict use and asks to accept them before anything is downloaded:
/// after minutes of download the user may be gone. Models on disk are not asked about again.
fn settle_licences(app: &App, manifest: &Manifest, yes: bool) -> Result<()> {
    for member in &manifest.members {
        let Some(licence) = &member.licence else {
            continue;
        };
        if licence.is_permissive() || app.store.resolve(manifest, member).is_ok() {
            continue;
        }
        let terms = describe(licence);
        let name = &member.name;
        if yes {
            app.dim(&format!("{name}: {terms}, accepted by --yes"));
        } else if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return usage(format!(
                "{name} comes under the {terms}: read them, then accept them with --yes (there is no terminal to \
                 ask on)"
            ));
        } else if !ask(app, &format!("{name} comes under the {terms}. Accept?"))? {
            return Err(StoreError::LicenceRefused {
                member: name.clone(),
                licence: licence.id.clone(),
            }
            .into());
        }
    }
    Ok(())
}

fn describe(licence: &Licence) -> String {
    let id = printable(&licence.id);
    match &licence.url {
        Some(url) => format!("{id} ({})", printable(url)),
        None => id,
    }
}

/// Asks on the terminal; anything but yes is no.
fn ask(app: &App, question: &str) -> Result<bool> {
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    drop(terminal);
    // Another thread reads, so that Ctrl-C works here. The thread ends with the program.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        // After Ctrl-C nobody receives it.
        let _ = sender.send(read.map(|_| line));
    });
    loop {
        if app.cancel.load(Ordering::Relaxed) {
            writeln!(std::io::stderr())?;
            return Err(StoreError::Cancelled.into());
        }
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
            Ok(line) => {
                let line = line?.trim().to_ascii_lowercase();
                return Ok(line == "y" || line == "yes");
            }
        }
    }
}
