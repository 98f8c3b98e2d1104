//! `packllm serve`: the pack behind the interfaces that clients already speak.

mod source;

use crate::app::App;
use crate::cli::{ServeArgs, ServeFormat};
use crate::settings::{self, PackPlan, usage};
use anyhow::Result;
use packllm_engine::engine::MAX_SEQUENCES;
use packllm_parameter::{Draft, Think};
use packllm_server::{Handle, Limits, Log, LogFormat, Options, Safety, ServeError, Server};
use source::PackSource;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub fn run(app: &App, args: &ServeArgs) -> Result<ExitCode> {
    let safety = safety(args)?;
    let plan = plan(app, args)?;
    let server = Server::bind(options(app, args, &plan, safety)?)?;
    let (address, handle) = (server.address(), server.handle());
    let loaded = Arc::new(AtomicBool::new(false));
    end_by_signals(app, &handle, &loaded)?;
    let source = PackSource::new(app, args);
    let ready = || {
        loaded.store(true, Ordering::Relaxed);
        announce(address, args);
    };
    match server.run(&source, &ready) {
        Err(ServeError::Load(error)) => Err(source
            .failure()
            .unwrap_or_else(|| anyhow::Error::msg(error.to_string()))),
        done => {
            done?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// How the pack is loaded: for several conversations at once.
fn plan(app: &App, args: &ServeArgs) -> Result<PackPlan> {
    let mut plan = settings::plan(&app.sources(), &args.given)?;
    let at_once = args.parallel.min(MAX_SEQUENCES) as u32;
    for member in &mut plan.members {
        // Conversations that rest keep one each.
        let sequences = member.load.sequences.saturating_mul(at_once) + at_once;
        member.load.sequences = sequences.min(MAX_SEQUENCES as u32);
    }
    Ok(plan)
}

fn options(app: &App, args: &ServeArgs, plan: &PackPlan, safety: Safety) -> Result<Options> {
    let repeat_stop = args.given.repeat_stop();
    Ok(Options {
        address: SocketAddr::new(args.host, args.port),
        model: plan.manifest.name.clone(),
        alias: args.alias.clone(),
        answers: settings::generation(&args.given)?,
        fusion: plan.fusion.clone(),
        think: args.given.think() != Think::Off,
        seeded: args.given.seed.is_some(),
        text_repeat_stop: repeat_stop.ends(true),
        draft: args.given.draft() == Draft::Auto,
        parallel: args.parallel,
        keep_alive: args.keep_alive,
        page: !args.no_page,
        sessions: keeps_sessions(args).then(|| app.state.join("sessions")),
        safety,
        limits: Limits {
            queue: args.max_queue,
            answer: args.max_answer,
            ..Limits::default()
        },
        log: log(args.log_format),
    })
}

/// Whether the page has the user's conversations: not where strangers may ask without a key.
fn keeps_sessions(args: &ServeArgs) -> bool {
    !args.no_page && (args.host.is_loopback() || !args.no_auth)
}

fn log(format: ServeFormat) -> Log {
    let format = match format {
        ServeFormat::Text => LogFormat::Text,
        ServeFormat::Json => LogFormat::Json,
        ServeFormat::Off => return Log::nowhere(),
    };
    Log {
        format,
        sink: Arc::new(|line| tell!("{line}")),
    }
}

/// Who may ask. An address that others reach needs a key, or a word that none is wanted.
fn safety(args: &ServeArgs) -> Result<Safety> {
    let mut keys = settings::plain_keys(args.api_key.clone())?;
    if let Some(path) = &args.api_key_file {
        keys.extend(settings::keys_of(path)?);
    }
    if !args.host.is_loopback() && keys.is_empty() && !args.no_auth {
        let host = args.host;
        return usage(format!(
            "--host {host} lets other machines ask: give --api-key-file FILE, or --no-auth if all of them may"
        ));
    }
    for origin in &args.allow_origin {
        let rest = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['/', '*'])) {
            return usage(format!(
                "--allow-origin {origin}: an origin is a scheme, a name and perhaps a port, as https://chat.example"
            ));
        }
    }
    Ok(Safety {
        keys,
        hosts: args.allow_host.clone(),
        origins: args.allow_origin.clone(),
    })
}

/// Says where the server is, and a line to try it.
fn announce(address: SocketAddr, args: &ServeArgs) {
    let shown = match address.ip().is_unspecified() {
        true => SocketAddr::new([127, 0, 0, 1].into(), address.port()),
        false => address,
    };
    let key = match args.api_key.is_empty() && args.api_key_file.is_none() {
        true => "",
        false => "-H \"Authorization: Bearer $PACKLLM_API_KEY\" ",
    };
    // Nobody reads it, perhaps; the server is there all the same.
    let _ = say!("http://{address}");
    let _ = say!(
        "curl http://{shown}/v1/chat/completions {key}-d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
    );
    if !args.no_page {
        let _ = say!("in a browser: http://{shown}/");
    }
}

/// The first Ctrl-C or SIGTERM lets answers under way end; before there are any, and the second
/// time, the program ends.
fn end_by_signals(app: &App, handle: &Handle, loaded: &Arc<AtomicBool>) -> Result<()> {
    let (interrupted, drains) = (Arc::clone(&app.cancel), handle.clone());
    let watch = move || {
        // Ctrl-C raises the flag, and a second one ends the program.
        while !interrupted.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        tell!("answers under way are finished; once more ends at once");
        drains.drain();
    };
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(watch)?;
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGTERM;
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM])?;
        let (handle, loaded) = (handle.clone(), Arc::clone(loaded));
        let watch = move || {
            for (count, signal) in signals.forever().enumerate() {
                if count > 0 || !loaded.load(Ordering::Relaxed) {
                    let code = u8::try_from(128 + signal).unwrap_or(1);
                    crate::app::leave(code);
                }
                handle.drain();
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(watch)?;
    }
    #[cfg(not(unix))]
    let _ = loaded;
    Ok(())
}
