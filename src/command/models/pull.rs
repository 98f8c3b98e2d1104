//! `packllm models pull`: every model of a pack, or models by their names.

use crate::app::{App, STARTER};
use crate::command::facts::file_size;
use crate::command::question;
use crate::command::transfer::{Transfers, bring};
use crate::say::printable;
use crate::settings::{network, usage};
use anyhow::Result;
use packllm_store::{Licence, Manifest, Member, PullOptions, Pulled, Source, StoreError};
use std::io::Write;
use std::process::ExitCode;

/// Packs and models, each by its name.
pub fn run(app: &App, names: &[String], yes: bool, offline: bool) -> Result<ExitCode> {
    let options = PullOptions {
        refresh: true,
        ..network(offline)?
    };
    let (mut packs, mut models) = (Vec::new(), Vec::new());
    for name in names {
        match Source::named(name).or_else(|error| usage(error.to_string()))? {
            Some(model) => models.push(model),
            None => packs.push(name.as_str()),
        }
    }
    if names.is_empty() {
        packs.push(app.default_pack.as_deref().unwrap_or(STARTER));
    }
    for pack in packs {
        pull_pack(app, pack, &options, yes)?;
    }
    if !models.is_empty() {
        pull_models(app, &models, &options)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn pull_pack(app: &App, name: &str, options: &PullOptions, yes: bool) -> Result<()> {
    let manifest = app.store.pack(name)?;
    if let Some(about) = &manifest.about {
        app.dim(&format!("pack {name}: {}", printable(about)));
    }
    if !options.offline {
        settle_licences(app, &manifest, yes)?;
    }
    let named: Vec<Source> = manifest.members.iter().filter_map(Member::named).collect();
    let stopped = |error: StoreError| {
        if let StoreError::Cancelled = error {
            app.dim(&format!(
                "stopped; `packllm models pull {name}` goes on from here"
            ));
        }
        error
    };
    for (member, pulled) in pull_all(app, &manifest, options).map_err(stopped)? {
        report(member, &pulled)?;
    }
    if !named.is_empty() {
        pull_models(app, &named, options)?;
    }
    app.dim(&format!(
        "pack {} is ready: packllm chat --pack {name}",
        manifest.name
    ));
    Ok(())
}

/// Pulls the members that have sources of their own, several at once; with each what became of it.
fn pull_all<'a>(
    app: &App,
    manifest: &'a Manifest,
    options: &PullOptions,
) -> Result<Vec<(&'a Member, Pulled)>, StoreError> {
    let members = manifest.members.iter();
    let members: Vec<&Member> = members.filter(|member| member.named().is_none()).collect();
    app.store.room_for(manifest)?;
    let transfers = Transfers::new(app);
    let transfers = &transfers;
    let pull = |member: &'a Member| {
        let mut transfer = transfers.one(&member.file);
        packllm_store::pull(
            &app.store,
            manifest,
            member,
            options,
            &mut transfer,
            &app.cancel,
        )
    };
    std::thread::scope(|scope| {
        let pull = &pull;
        let threads: Vec<_> = members
            .iter()
            .map(|&member| (member, scope.spawn(move || pull(member))))
            .collect();
        let joined = threads.into_iter().map(|(member, thread)| {
            let pulled = thread.join();
            let pulled = pulled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((member, pulled?))
        });
        // All have ended before the first error is told.
        joined.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Fetches models that are named by where they come from.
fn pull_models(app: &App, models: &[Source], options: &PullOptions) -> Result<()> {
    let fetched = bring(app, models, options)?;
    let mut out = std::io::stdout().lock();
    for one in &fetched {
        let what = match one.fresh {
            true => "downloaded and verified",
            false => "already there",
        };
        let parts = match one.parts {
            1 => String::new(),
            parts => format!(" in {parts} files"),
        };
        let (file, path) = (printable(&one.file), one.path.display().to_string());
        let size = file_size(one.size);
        writeln!(out, "{file}: {size}{parts}, {what}, {}", printable(&path))?;
    }
    drop(out);
    if let [one] = fetched.as_slice() {
        app.dim(&printable(&format!(
            "talk with it: packllm chat -m {}",
            one.file
        )));
    }
    Ok(())
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
        } else if !question::possible() {
            return usage(format!(
                "{name} comes under the {terms}: read them, then accept them with --yes (there is no terminal to \
                 ask on)"
            ));
        } else if !question::agrees(app, &format!("{name} comes under the {terms}. Accept?"))? {
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
