//! The access log: method, route, status, counts and times of a request; none of its text.

use crate::config::{Log, LogFormat};
use crate::desk::{Event, Gathered};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Instant;

/// A request: its line is written when the last who answers it lets go of it.
pub struct Entry {
    log: Log,
    method: String,
    route: String,
    start: Instant,
    /// 0 while there is none.
    status: AtomicU16,
    prompt: AtomicU64,
    cached: AtomicU64,
    tokens: AtomicU64,
    /// Milliseconds to the first event, and one more; 0 before.
    first: AtomicU64,
}

/// What stands in the log for a client that left before there was a status.
const LEFT: u16 = 499;

impl Entry {
    pub fn begin(log: &Log, method: &str, route: &str) -> Arc<Self> {
        Arc::new(Self {
            log: log.clone(),
            method: method.to_owned(),
            route: route.to_owned(),
            start: Instant::now(),
            status: AtomicU16::new(0),
            prompt: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            first: AtomicU64::new(0),
        })
    }

    pub fn status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Counts what an event tells.
    pub fn hear(&self, event: &Event) {
        let millis = self.millis() + 1;
        let _ = self
            .first
            .compare_exchange(0, millis, Ordering::Relaxed, Ordering::Relaxed);
        match event {
            Event::Begun(begun) => {
                self.prompt
                    .store(begun.prompt_tokens as u64, Ordering::Relaxed);
                self.cached
                    .store(begun.cached_tokens as u64, Ordering::Relaxed);
            }
            Event::Ended(ended) => {
                self.tokens
                    .fetch_add(ended.tokens as u64, Ordering::Relaxed);
            }
            Event::More(_) | Event::Counted(_) => {}
        }
    }

    /// Counts what a whole answer tells.
    pub fn hear_all(&self, gathered: &Gathered) {
        self.hear(&Event::Begun(Box::new(gathered.begun.clone())));
        for choice in &gathered.choices {
            self.hear(&Event::Ended(Box::new(choice.ended.clone())));
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let (method, route, ms) = (&self.method, &self.route, self.millis());
        let status = match self.status.load(Ordering::Relaxed) {
            0 => LEFT,
            status => status,
        };
        let (prompt, cached, tokens) = (read(&self.prompt), read(&self.cached), read(&self.tokens));
        let first = read(&self.first).checked_sub(1);
        let line = match self.log.format {
            LogFormat::Json => {
                let time = chrono::Local::now().to_rfc3339();
                json!({
                    "time": time, "method": method, "route": route, "status": status,
                    "prompt_tokens": prompt, "cached_tokens": cached, "completion_tokens": tokens,
                    "first_ms": first, "ms": ms,
                })
                .to_string()
            }
            LogFormat::Text => {
                let time = chrono::Local::now().format("%H:%M:%S");
                let mut line = format!("{time} {method} {route} {status} {ms} ms");
                if let Some(first) = first.filter(|_| prompt > 0) {
                    line += &format!(
                        " · first {first} ms · prompt {prompt} tok ({cached} cached) · answer {tokens} tok"
                    );
                }
                line
            }
        };
        (self.log.sink)(&line);
    }
}
