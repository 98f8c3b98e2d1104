//! A server that has no place now.

use crate::app::App;
use anyhow::Result;
use packllm_client::ClientError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the cancel flag is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long is waited for a place in all.
const PATIENCE: Duration = Duration::from_secs(600);

/// Asks, and as long as the server says when to come again, waits and asks again. That is said, and
/// Ctrl-C ends it.
pub fn ask<T>(app: &App, mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T> {
    let start = Instant::now();
    let mut spinner = None;
    let answered = loop {
        let error = match ask() {
            Err(error) if start.elapsed() < PATIENCE => error,
            answered => break answered,
        };
        let again = error.refusal().and_then(|refused| refused.again);
        let Some(again) = again else {
            break Err(error);
        };
        spinner.get_or_insert_with(|| {
            app.dim("the server has no place now: waiting, Ctrl-C ends that");
            app.spinner("waiting for a place")
        });
        if !rest(app, again.clamp(LOOK, Duration::from_secs(60))) {
            break Err(ClientError::Cancelled);
        }
    };
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    Ok(answered?)
}

/// Waits; false if Ctrl-C ended it.
fn rest(app: &App, time: Duration) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if app.cancel.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}
