//! The desk's own thread: it loads and unloads the pack, and starts who is next.

use super::shelf::Kept;
use super::talk::Talk;
use super::{Desk, Job, Order, Phase, Running, Source};
use crate::error::Refusal;
use crate::facts::Facts;
use crate::request::Prompt;
use packllm_engine::engine::EngineError;
use packllm_engine::pack::Pack;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Scope;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What the desk does next.
enum Next {
    Start(Order),
    Unload,
    End,
}

impl Desk {
    /// Works until it is [closed](Desk::close) and everything was answered. `ready` is called once
    /// the pack is there.
    ///
    /// # Errors
    /// The pack cannot be loaded at the start.
    pub fn run(
        self: &Arc<Self>,
        source: &dyn Source,
        runtime: &Handle,
        ready: &dyn Fn(),
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut pack = Some(self.load(source)?);
        ready();
        std::thread::scope(|scope| {
            loop {
                match self.wait(pack.is_some()) {
                    Next::End => break,
                    Next::Unload => self.unload(&mut pack),
                    Next::Start(order) => self.start(order, &mut pack, source, scope, runtime),
                }
            }
        });
        self.unload(&mut pack);
        Ok(())
    }

    fn load(&self, source: &dyn Source) -> Result<Pack, Box<dyn Error + Send + Sync>> {
        self.state().phase = Phase::Loading;
        let loaded = source.load();
        let mut state = self.state();
        match &loaded {
            Ok(pack) => {
                state.facts = Some(Arc::new(Facts::of(pack, &self.options.fusion)));
                state.phase = Phase::Ready;
            }
            Err(_) => state.phase = Phase::Failed,
        }
        state.used = Instant::now();
        self.step();
        loaded
    }

    fn unload(&self, pack: &mut Option<Pack>) {
        let resting = self.state().shelf.empty();
        drop(resting);
        // Who sees that it is gone finds it asleep.
        self.state().phase = Phase::Asleep;
        *pack = None;
    }

    /// Waits for something to do.
    fn wait(&self, loaded: bool) -> Next {
        let mut state = self.state();
        loop {
            if state.broken && state.running.is_empty() {
                state.broken = false;
                return Next::Unload;
            }
            if !state.broken
                && state.running.len() < self.options.parallel
                && let Some(order) = state.waiting.pop_front()
            {
                // It counts from now on: nobody may think that the desk is idle.
                let cancel = Arc::default();
                let slot = state.free_slot();
                state.running.insert(order.id, Running { cancel, slot });
                state.used = Instant::now();
                return Next::Start(order);
            }
            let idle = state.running.is_empty() && state.waiting.is_empty();
            if state.closing && idle {
                return Next::End;
            }
            let patience = self.options.keep_alive.filter(|_| idle && loaded);
            let left = patience.map(|patience| patience.saturating_sub(state.used.elapsed()));
            if left == Some(Duration::ZERO) {
                return Next::Unload;
            }
            // Now and then whoever left is noticed in any case.
            let left = left.unwrap_or(Duration::from_secs(3600));
            let (changed, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            state = changed;
        }
    }

    /// Starts an order on a thread of its own.
    fn start<'scope, 'env>(
        self: &Arc<Self>,
        order: Order,
        pack: &mut Option<Pack>,
        source: &'env dyn Source,
        scope: &'scope Scope<'scope, 'env>,
        runtime: &Handle,
    ) {
        let id = order.id;
        let kept = match self.conversation(&order, pack, source) {
            Ok(kept) => kept,
            Err(refusal) => {
                let _ = order.to.try_send(Err(refusal));
                self.end(id, None);
                return;
            }
        };
        let Some(facts) = self.facts() else {
            return self.end(id, Some(kept));
        };
        let (desk, runtime) = (Arc::clone(self), runtime.clone());
        // A client may have gone while the pack was loaded.
        self.watch(id, &kept);
        let to = order.to.clone();
        let work = move || {
            let talk = Talk {
                desk: &desk,
                facts: &facts,
                runtime,
                order,
                kept,
            };
            let worked = catch_unwind(AssertUnwindSafe(|| talk.work(source)));
            let (kept, last) = worked.ok().unzip();
            // Who reads the last event and asks again finds the conversation.
            desk.end(id, kept.flatten());
            if let Some(last) = last {
                last.send();
            }
        };
        let thread = std::thread::Builder::new().name("conversation".into());
        if thread.spawn_scoped(scope, work).is_err() {
            let _ = to.try_send(Err(Refusal::internal("no thread could be started")));
            self.end(id, None);
        }
    }

    /// Its client stops this conversation from now on, and has perhaps gone already.
    fn watch(&self, id: u64, kept: &Kept) {
        if let Some(running) = self.state().running.get_mut(&id) {
            let gone = running.cancel.load(Ordering::Relaxed);
            running.cancel = Arc::clone(&kept.cancel);
            kept.cancel.store(gone, Ordering::Relaxed);
        }
    }

    /// The conversation for an order: one that goes on, or a new one, with a pack that is loaded
    /// for it.
    fn conversation(
        &self,
        order: &Order,
        pack: &mut Option<Pack>,
        source: &dyn Source,
    ) -> Result<Kept, Refusal> {
        let pack = match pack {
            Some(pack) => pack,
            None => {
                let failed = |error: Box<dyn Error + Send + Sync>| {
                    source.trouble(&format!("the pack could not be loaded: {error}"));
                    // The next request tries again.
                    self.state().phase = Phase::Asleep;
                    Refusal::unavailable("the pack could not be loaded")
                };
                pack.insert(self.load(source).map_err(failed)?)
            }
        };
        let none = Prompt::Text(String::new());
        let prompt = match &order.job {
            Job::Answer(request) => &request.prompt,
            Job::Count(_) => &none,
        };
        if let Some(kept) = self.state().shelf.take(prompt) {
            return Ok(kept);
        }
        let cancel = Arc::default();
        let open = pack.conversation(Arc::clone(&cancel));
        let conversation = open.map_err(|error: EngineError| {
            source.trouble(&error.to_string());
            self.state().broken = true;
            Refusal::broken()
        })?;
        Ok(Kept {
            conversation,
            cancel,
            read: None,
        })
    }

    /// An order is done; its conversation rests, if it is still good.
    fn end(&self, id: u64, kept: Option<Kept>) {
        let mut state = self.state();
        state.running.remove(&id);
        state.used = Instant::now();
        self.step();
        let leaves = kept.and_then(|kept| {
            kept.cancel.store(false, Ordering::Relaxed);
            state.shelf.put(kept, self.options.parallel)
        });
        drop(state);
        drop(leaves);
        self.changed.notify_all();
    }
}
