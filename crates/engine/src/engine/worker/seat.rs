//! A conversation's place at a member: it sends calls and steps there and waits for the answers.

use super::{Call, Gone, MemberRuntime, Message, Pending, Step, TICK, Tenancy, Worker};
use crate::engine::schedule::{Presence, TenantId};
use crossbeam::channel::{RecvTimeoutError, bounded};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// See the module.
pub(in crate::engine) struct Seat {
    id: TenantId,
    steps: Pending<Step>,
    read: Arc<AtomicUsize>,
    /// Waits for an answer that is still to come and that its caller has given up.
    owed: Cell<Option<Box<dyn FnOnce() + Send>>>,
}

impl Seat {
    /// Conversation `id` moves in. Whether the thread is still there it learns with its first call.
    pub fn open(
        worker: &Worker,
        id: TenantId,
        presence: &Arc<Presence>,
        cancel: &Arc<AtomicBool>,
    ) -> Self {
        let (outbox, steps) = bounded(1);
        let read = Arc::new(AtomicUsize::new(0));
        let tenancy = Tenancy {
            presence: Arc::clone(presence),
            cancel: Arc::clone(cancel),
            read: Arc::clone(&read),
            outbox,
        };
        drop(worker.send(Message::Open(id, tenancy)));
        Self {
            id,
            steps,
            read,
            owed: Cell::default(),
        }
    }

    /// The conversation moves out. Whatever it does there is given up.
    pub fn close(&self, worker: &Worker) {
        // A thread that has ended holds nothing of it.
        drop(worker.send(Message::Close(self.id)));
    }

    /// Sends a call. Its answer has to be [waited](Seat::wait_while) for.
    ///
    /// # Errors
    /// [`Gone::Ended`].
    pub fn call<T: Send + 'static>(
        &self,
        worker: &Worker,
        call: impl Call<T>,
    ) -> Result<Pending<T>, Gone> {
        self.settle();
        let (reply, answer) = bounded(1);
        let job = boxed(move |runtime| {
            // The receiver is gone if the caller has given the answer up.
            Box::pin(async move { drop(reply.send(call(runtime).await)) })
        });
        worker.send(Message::Call(self.id, job))?;
        Ok(answer)
    }

    /// Waits for the answer as long as it is `wanted`, which is checked now and then. An answer
    /// that comes later is thrown away.
    ///
    /// # Errors
    /// [`Gone::Left`] if it is not wanted any more; the call's own, and [`Gone::Ended`].
    pub fn wait_while<T: Send + 'static>(
        &self,
        worker: &Worker,
        answer: Pending<T>,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<T, Gone> {
        if let Some(reply) = worker.spinners.soon(&answer) {
            return reply.map_err(Gone::Failed);
        }
        loop {
            match answer.recv_timeout(TICK) {
                Ok(reply) => return reply.map_err(Gone::Failed),
                Err(RecvTimeoutError::Timeout) if wanted() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.owed.set(Some(Box::new(move || drop(answer.recv()))));
                    return Err(Gone::Left);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(worker.ended()),
            }
        }
    }

    /// Sends a step. It has to be [taken back](Seat::wait_step) before anything else is asked.
    ///
    /// # Errors
    /// [`Gone::Ended`].
    pub fn step(&self, worker: &Worker, step: Step) -> Result<(), Gone> {
        self.settle();
        worker.send(Message::Step(self.id, step))
    }

    /// Takes the step back.
    ///
    /// # Errors
    /// The member's, and [`Gone::Ended`].
    pub fn wait_step(&self, worker: &Worker) -> Result<Step, Gone> {
        let soon = worker.spinners.soon(&self.steps);
        match soon.map_or_else(|| self.steps.recv(), Ok) {
            Ok(step) => step.map_err(Gone::Failed),
            Err(_) => Err(worker.ended()),
        }
    }

    /// Waits for an answer that its caller has given up, if there is one.
    pub fn settle(&self) {
        if let Some(wait) = self.owed.take() {
            wait();
        }
    }

    /// Tokens read so far of the prompt that is being evaluated, or was last.
    pub fn tokens_read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }
}

/// Says what the closure is, which the compiler does not find out by itself.
fn boxed<F>(job: F) -> super::Job
where
    F: for<'a> FnOnce(&'a mut MemberRuntime) -> super::Work<'a> + Send + 'static,
{
    Box::new(job)
}
