//! Questions on a terminal.

use crate::app::App;
use anyhow::Result;
use packllm_store::StoreError;
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Whether somebody can be asked.
pub fn possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks, and returns the line without spaces around it; empty if the input has ended.
pub fn ask(app: &App, question: &str) -> Result<String> {
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{question} ")?;
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
            Err(RecvTimeoutError::Disconnected) => return Ok(String::new()),
            Ok(line) => return Ok(line?.trim().to_owned()),
        }
    }
}

/// Asks for a yes; anything else is no.
pub fn agrees(app: &App, question: &str) -> Result<bool> {
    let line = ask(app, &format!("{question} [y/N]"))?.to_ascii_lowercase();
    Ok(line == "y" || line == "yes")
}
