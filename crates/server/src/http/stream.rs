//! Answers that are streamed: events into the frames of a dialect.

use super::log::Entry;
use crate::desk::{Event, Message, More, Ticket};
use crate::error::Refusal;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use utoipa::ToSchema;

/// Events in the frames of a dialect.
pub trait Writer: Send + Unpin + 'static {
    /// The exact content type.
    const TYPE: &'static str;
    /// What is sent in silence, so that nobody takes the connection for dead.
    const COMMENT: &'static str;

    /// Writes an event.
    fn write(&mut self, event: Event, out: &mut String);

    /// Writes why the answer breaks off.
    fn fail(&mut self, refusal: &Refusal, out: &mut String);

    /// Writes the end, after the last event.
    fn close(&mut self, out: &mut String);
}

/// A server-sent event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "in the document: what is written is text")]
pub struct SentEvent {
    event: Option<String>,
    /// JSON, or `[DONE]` at the end.
    data: String,
}

/// A frame of server-sent events, with its name or without one.
pub fn event(name: Option<&str>, data: &impl Serialize, out: &mut String) {
    let Ok(data) = serde_json::to_string(data) else {
        return;
    };
    if let Some(name) = name {
        out.push_str("event: ");
        out.push_str(name);
        out.push('\n');
    }
    out.push_str("data: ");
    out.push_str(&data);
    out.push_str("\n\n");
}

/// Streams an answer. Errors before its first event are those of the request; where that takes
/// long, the stream begins without one.
///
/// # Errors
/// Why there is no answer.
pub async fn stream<W: Writer>(
    silence: Duration,
    entry: Arc<Entry>,
    mut ticket: Ticket,
    writer: W,
) -> Result<Response, Refusal> {
    let first = match tokio::time::timeout(silence, ticket.next()).await {
        Err(_) => None,
        Ok(None) => return Err(Refusal::unavailable("the answer was stopped")),
        Ok(Some(message)) => Some(message?),
    };
    let frames = Frames {
        writer,
        entry,
        first,
        ticket,
        whole: false,
        over: false,
        silence,
        timer: Box::pin(tokio::time::sleep(silence)),
    };
    let mut response = Body::from_stream(frames).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(W::TYPE));
    let fresh = HeaderValue::from_static("no-cache");
    headers.insert(header::CACHE_CONTROL, fresh);
    // A proxy that collects an answer would undo the streaming.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The body. Dropped, it gives up the ticket, and with it the answer.
struct Frames<W> {
    writer: W,
    entry: Arc<Entry>,
    first: Option<Event>,
    ticket: Ticket,
    /// The last event ended a choice: if no more comes, the answer is whole.
    whole: bool,
    over: bool,
    silence: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<W: Writer> Frames<W> {
    fn write(&mut self, message: Message, out: &mut String) {
        match message {
            Ok(event) => {
                self.entry.hear(&event);
                self.whole = matches!(event, Event::Ended(_));
                self.writer.write(event, out);
            }
            Err(refusal) => {
                self.writer.fail(&refusal, out);
                self.over = true;
            }
        }
    }

    /// Writes what has come by now, pieces of one text as one.
    fn write_ready(&mut self, message: Message, out: &mut String) {
        let mut held = message;
        while let Ok(next) = self.ticket.events.try_recv() {
            match (&mut held, next) {
                (Ok(Event::More(held)), Ok(Event::More(next))) if is_one(held, &next) => {
                    held.text.push_str(&next.text);
                    held.scores.extend(next.scores);
                    held.words.extend(next.words);
                }
                (_, next) => {
                    let done = std::mem::replace(&mut held, next);
                    self.write(done, out);
                }
            }
        }
        self.write(held, out);
    }
}

fn is_one(held: &More, next: &More) -> bool {
    held.choice == next.choice && held.kind == next.kind
}

impl<W: Writer> Stream for Frames<W> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        let mut out = String::new();
        if let Some(first) = this.first.take() {
            this.write_ready(Ok(first), &mut out);
        }
        while out.is_empty() && !this.over {
            match this.ticket.events.poll_recv(context) {
                Poll::Ready(Some(message)) => this.write_ready(message, &mut out),
                Poll::Ready(None) => {
                    match this.whole {
                        true => this.writer.close(&mut out),
                        false => this.writer.fail(&Refusal::broken(), &mut out),
                    }
                    this.over = true;
                }
                Poll::Pending => {
                    if this.timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    out.push_str(W::COMMENT);
                    this.timer.as_mut().reset(Instant::now() + this.silence);
                }
            }
        }
        this.timer.as_mut().reset(Instant::now() + this.silence);
        match out.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Ready(Some(Ok(out.into()))),
        }
    }
}
