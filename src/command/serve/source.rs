//! Where the server has its pack from: the store, through llama.cpp.

use super::plan;
use crate::app::App;
use crate::cli::ServeArgs;
use crate::command::loaded::competence::{Unknown, learn};
use crate::command::loaded::{load, note_line, now};
use crate::report;
use crate::settings::PackPlan;
use anyhow::Result;
use chrono::NaiveDateTime;
use packllm_engine::backend::Vocab;
use packllm_engine::competence::Frame;
use packllm_engine::pack::{Host, Note, Pack};
use packllm_engine::vocab::mapped::Map;
use packllm_engine::weight::Method;
use packllm_server::Source;
use std::collections::HashSet;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

/// See the module.
pub struct PackSource<'a> {
    app: &'a App,
    args: &'a ServeArgs,
    /// Notes that were shown.
    said: Mutex<HashSet<String>>,
    /// Why the pack could not be loaded the last time.
    failure: Mutex<Option<anyhow::Error>>,
}

impl<'a> PackSource<'a> {
    pub fn new(app: &'a App, args: &'a ServeArgs) -> Self {
        Self {
            app,
            args,
            said: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// Why the pack could not be loaded the last time.
    pub fn failure(&self) -> Option<anyhow::Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }
}

impl PackSource<'_> {
    /// Chats are what servers are asked for: nobody waits for members to be measured at plain text.
    fn load_plan(&self, plan: &PackPlan) -> Result<Pack> {
        let mut pack = load(self.app, plan)?;
        if plan.fusion.method == Method::Auto {
            learn(self.app, plan, &mut pack, Frame::Plain, Unknown::Leave)?;
            if plan.members.len() > 1 && !pack.knows(Frame::Plain) {
                self.app.dim(
                    "note: plain text is weighed by the prompt alone; `packllm weigh --raw` measures \
                     these models at it, once",
                );
            }
        }
        Ok(pack)
    }
}

impl Source for PackSource<'_> {
    fn load(&self) -> Result<Pack, Box<dyn Error + Send + Sync>> {
        let loaded = plan(self.app, self.args).and_then(|plan| self.load_plan(&plan));
        loaded.map_err(|error| {
            let message = report::message(&error);
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            message.into()
        })
    }

    fn host(&self) -> Box<dyn Host + '_> {
        Box::new(Listener(self))
    }

    fn trouble(&self, what: &str) {
        tell!("error: {what}");
    }
}

/// The host of a conversation: notes as lines, each once, and the store's maps.
struct Listener<'a>(&'a PackSource<'a>);

impl Host for Listener<'_> {
    fn note(&mut self, note: Note) {
        let line = note_line(&note);
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(line.clone()) {
            self.0.app.dim(&format!("note: {line}"));
        }
    }

    fn map(
        &mut self,
        reference: &Vocab,
        member: &Vocab,
    ) -> Result<Map, Box<dyn Error + Send + Sync>> {
        Ok(self.0.app.map(reference, member)?.map)
    }

    fn now(&self) -> NaiveDateTime {
        now()
    }
}
