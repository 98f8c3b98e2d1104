//! The thread that templates are compiled and rendered on, for its deep stack: one for the whole
//! process, started when the first template needs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::TemplateError;

/// Bytes of address space. The engine recurses once for every operator of a chain such as `- - -
/// 1`, and for every `elif`, at up to three kilobytes each in a debug build.
const STACK: usize = 128 * 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Sends jobs to the thread, once it runs.
static JOBS: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// Runs `work` on the deep stack and waits for it. A panic of the work ends that work alone.
///
/// # Errors
/// Those of `work`; [`TemplateError::Engine`] where the thread could not be started or the work
/// panicked.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    let (reply, done) = sync_channel(1);
    submit(Box::new(move || {
        // The caller waits for the answer.
        drop(reply.send(work()));
    }))?;
    // A panic drops the reply's sender.
    done.recv()
        .unwrap_or_else(|_| Err(failure("the template engine panicked".to_owned())))
}

fn submit(job: Job) -> Result<(), TemplateError> {
    let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    let sender = jobs.take().map_or_else(start, Ok)?;
    let sent = sender.send(job);
    *jobs = Some(sender);
    sent.map_err(|_| failure("its thread has ended".to_owned()))
}

fn start() -> Result<Sender<Job>, TemplateError> {
    let (sender, jobs) = channel::<Job>();
    let serve = move || {
        for job in jobs {
            // A job owns all that it touches, and takes it along. The panic's message is on stderr.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    };
    std::thread::Builder::new()
        .name("chat template".to_owned())
        .stack_size(STACK)
        .spawn(serve)
        .map_err(|error| failure(format!("cannot start a thread: {error}")))?;
    Ok(sender)
}

fn failure(message: String) -> TemplateError {
    TemplateError::Engine { message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{ThreadId, current, scope};

    fn here() -> ThreadId {
        run(|| Ok(current().id())).unwrap()
    }

    #[test]
    fn one_thread_does_all_the_work_and_survives_a_panic() {
        let first = here();
        assert_ne!(first, current().id());
        let panicked = run(|| -> Result<(), TemplateError> { panic!("told to") });
        assert_eq!(
            panicked,
            Err(failure("the template engine panicked".to_owned()))
        );
        let raised = TemplateError::Raised {
            line: 1,
            message: "no".to_owned(),
        };
        let error = raised.clone();
        assert_eq!(run(move || Err::<(), _>(error)), Err(raised));
        assert_eq!(here(), first);
    }

    #[test]
    fn everybody_gets_the_answer_to_their_own_question() {
        scope(|scope| {
            for asked in 0..8 {
                scope.spawn(move || {
                    for i in 0..50 {
                        assert_eq!(run(move || Ok(asked * i)), Ok(asked * i));
                    }
                });
            }
        });
    }

    #[test]
    fn the_stack_is_deep() {
        fn nested(levels: u32) -> u64 {
            let frame = std::hint::black_box([u64::from(levels); 128]);
            match levels {
                0 => frame[0],
                _ => nested(levels - 1) + frame[1],
            }
        }
        assert_eq!(run(|| Ok(nested(50_000))), Ok(50_000 * 50_001 / 2));
    }
}
