//! A `llama_context`: made, stopped from outside, freed.

use super::error::LoadError;
use super::library::take_log;
use super::load::raw;
use super::options::LoadOptions;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2 as sys;
use packllm_engine::backend::{Limits, Watch};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

/// Owns a `llama_context`.
pub(super) struct Context(NonNull<sys::llama_context>);

impl Context {
    /// The pointer, alive as long as this is.
    pub fn as_ptr(&self) -> *mut sys::llama_context {
        self.0.as_ptr()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer came from llama_init_from_model and is freed once.
        unsafe { sys::llama_free(self.0.as_ptr()) }
    }
}

/// Answers true, which stops an evaluation, once nobody waits for it. Nothing here may panic across
/// the C++ frames.
unsafe extern "C" fn on_evaluate(watch: *mut c_void) -> bool {
    // SAFETY: `watch` is the Watch that the member keeps alive longer than its context.
    unsafe { &*watch.cast::<Watch>() }.is_cancelled()
}

/// A context of `context` tokens, and what it can hold.
pub(super) fn make_context(
    model: &LlamaModel,
    options: &LoadOptions,
    context: u32,
) -> Result<(Context, Limits), LoadError> {
    // Creating contexts of one model in parallel is unsound, and of several gains nothing.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: a plain function that returns a value.
    let mut params = unsafe { sys::llama_context_default_params() };
    params.n_ctx = context;
    params.n_batch = options.batch.min(context);
    params.n_ubatch = options.ubatch.min(params.n_batch);
    params.n_seq_max = options.sequences;
    // llama.cpp asserts that every sequence can have an output.
    params.n_outputs_max = options.outputs.max(options.sequences);
    params.n_outputs_max_per_seq = params.n_outputs_max;
    params.n_threads = options.threads as i32;
    params.n_threads_batch = options.threads as i32; // changes with the batch
    params.type_k = options.cache.0.ggml();
    params.type_v = options.cache.1.ggml();
    params.flash_attn_type = match options.flash_attention {
        None => sys::LLAMA_FLASH_ATTN_TYPE_AUTO,
        Some(false) => sys::LLAMA_FLASH_ATTN_TYPE_DISABLED,
        Some(true) => sys::LLAMA_FLASH_ATTN_TYPE_ENABLED,
    };
    // One buffer for all sequences makes a fork a matter of metadata; a full-size window cache can
    // be cut back to any position.
    params.kv_unified = true;
    params.swa_full = true;
    params.no_perf = true;
    params.abort_callback = Some(on_evaluate);
    params.abort_callback_data = Arc::as_ptr(&options.watch).cast_mut().cast();
    drop(take_log());
    // SAFETY: the model is alive and outlives the context; so does the watch.
    let pointer = unsafe { sys::llama_init_from_model(raw(model), params) };
    let Some(pointer) = NonNull::new(pointer) else {
        return Err(LoadError::NoContext {
            tokens: context,
            log: take_log(),
        });
    };
    let owned = Context(pointer);
    // SAFETY: the context is alive.
    let limits = unsafe {
        Limits {
            // llama.cpp rounds up to 256 cells: more than was asked for, or than it was trained
            // with.
            context: sys::llama_n_ctx(pointer.as_ptr()).min(context),
            batch: sys::llama_n_batch(pointer.as_ptr()),
            outputs: params.n_outputs_max,
            sequences: sys::llama_n_seq_max(pointer.as_ptr()),
        }
    };
    Ok((owned, limits))
}
