//! From a file to a model, its vocabulary and a context.

use super::library::{take_log, threads_give_way};
use super::{Context, LoadOptions};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2 as sys;
use packllm_engine::backend::{
    BackendError, Limits, Special, Token, TokenKind, Vocab, VocabBuilder, Watch, context_size,
};
use packllm_engine::gguf::Header;
use std::ffi::{CString, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Answers false, which stops the load, once the watch's flag is raised. Touches atomics only:
/// nothing here may panic across the C++ frames.
unsafe extern "C" fn on_load_progress(progress: f32, watch: *mut c_void) -> bool {
    // SAFETY: `watch` is the Watch that LlamaMember::load keeps alive during the call.
    let watch = unsafe { &*watch.cast::<Watch>() };
    watch.progress.store(
        (progress.clamp(0.0, 1.0) * 1000.0) as u32,
        Ordering::Relaxed,
    );
    !watch.cancel.load(Ordering::Relaxed)
}

/// Answers true, which stops an evaluation, once the flag is raised.
unsafe extern "C" fn on_evaluate(cancel: *mut c_void) -> bool {
    // SAFETY: `cancel` is the AtomicBool in the Watch that the member keeps alive longer than its
    // context.
    unsafe { &*cancel.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}

/// How many threads wide batches get.
#[must_use]
pub fn threads_batch(options: &LoadOptions) -> u32 {
    match threads_give_way() {
        true => options.threads_batch.max(options.threads),
        false => options.threads,
    }
}

pub(super) fn load_error(path: &Path, reason: String, hint: Option<String>) -> BackendError {
    BackendError::Load {
        path: path.to_owned(),
        reason,
        hint,
    }
}

/// Reads the header with our own parser, which says what is wrong where llama.cpp only fails.
pub(super) fn check_header(path: &Path) -> Result<Header, BackendError> {
    let header = Header::read(path).map_err(|e| load_error(path, e.reason(), e.hint()))?;
    header
        .member()
        .map_err(|e| load_error(path, e.reason(), e.hint()))?;
    Ok(header)
}

pub(super) fn load_model(options: &LoadOptions) -> Result<LlamaModel, BackendError> {
    let path = options
        .path
        .to_str()
        .and_then(|p| CString::new(p).ok())
        .ok_or_else(|| load_error(&options.path, "the path is not valid UTF-8".into(), None))?;
    let placed = options
        .offload
        .resolve()
        .map_err(|(reason, hint)| load_error(&options.path, reason, Some(hint)))?;
    // SAFETY: plain functions that return values; indices come from the device list itself.
    let mut devices: Vec<sys::ggml_backend_dev_t> = placed
        .devices
        .iter()
        .map(|&i| unsafe { sys::ggml_backend_dev_get(i) })
        .chain([std::ptr::null_mut()])
        .collect();
    // SAFETY: as above.
    let (mut params, max_devices) =
        unsafe { (sys::llama_model_default_params(), sys::llama_max_devices()) };
    let mut split = options.offload.tensor_split.clone();
    split.resize(max_devices.max(split.len()), 0.0);
    params.n_gpu_layers = placed.layers;
    params.devices = devices.as_mut_ptr();
    if !options.offload.tensor_split.is_empty() {
        params.tensor_split = split.as_ptr();
    }
    if let Some(gpu) = options.offload.main_gpu {
        params.main_gpu = gpu;
        params.split_mode = sys::LLAMA_SPLIT_MODE_NONE;
    }
    params.progress_callback = Some(on_load_progress);
    params.progress_callback_user_data = Arc::as_ptr(&options.watch).cast_mut().cast();
    drop(take_log());
    // SAFETY: the path, the device list, the split and the watch outlive the call.
    let model = unsafe { sys::llama_model_load_from_file(path.as_ptr(), params) };
    let Some(model) = NonNull::new(model) else {
        if options.watch.cancel.load(Ordering::Relaxed) {
            return Err(BackendError::Cancelled);
        }
        let log = take_log();
        let reason = if log.is_empty() {
            "llama.cpp could not load it".into()
        } else {
            log
        };
        return Err(load_error(&options.path, reason, None));
    };
    // SAFETY: LlamaModel is repr(transparent) over a NonNull<llama_model> and frees it when dropped,
    // like the ones it makes itself.
    Ok(unsafe { std::mem::transmute::<NonNull<sys::llama_model>, LlamaModel>(model) })
}

/// What loads but cannot be a member.
pub(super) fn refuse_unsupported(model: &LlamaModel) -> Result<(), String> {
    // SAFETY: the model is alive; plain getters.
    let (encoder, decoder, kind) = unsafe {
        let m = raw(model);
        let vocab = sys::llama_model_get_vocab(m);
        (
            sys::llama_model_has_encoder(m),
            sys::llama_model_has_decoder(m),
            sys::llama_vocab_type(vocab),
        )
    };
    if encoder || !decoder {
        return Err("it has an encoder; only decoder-only language models can be members".into());
    }
    if model.is_recurrent() || model.is_hybrid() {
        return Err(
            "it is a recurrent or hybrid model, whose state cannot be forked at any \
                    position; only attention models can be members"
                .into(),
        );
    }
    if !matches!(kind, sys::LLAMA_VOCAB_TYPE_SPM | sys::LLAMA_VOCAB_TYPE_BPE) {
        return Err(format!(
            "its vocabulary is of a type ({kind}) that is not supported; SentencePiece and \
             byte-pair vocabularies are"
        ));
    }
    Ok(())
}

/// The model's pointer, for the calls that the safe crate lacks.
fn raw(model: &LlamaModel) -> *mut sys::llama_model {
    // SAFETY: LlamaModel is repr(transparent) over a pointer to the model.
    unsafe { *std::ptr::from_ref(model).cast::<*mut sys::llama_model>() }
}

pub(super) fn choose_context(options: &LoadOptions, train: u32) -> Result<u32, BackendError> {
    context_size(options.context, train).map_err(|error| {
        let hint = format!("use -c {train} or less");
        load_error(&options.path, error.to_string(), Some(hint))
    })
}

pub(super) fn make_context(
    model: &LlamaModel,
    options: &LoadOptions,
    context: u32,
) -> Result<(Context, Limits), BackendError> {
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
    params.abort_callback_data = Arc::as_ptr(&options.watch.cancel).cast_mut().cast();
    drop(take_log());
    // SAFETY: the model is alive and outlives the context; so does the flag.
    let pointer = unsafe { sys::llama_init_from_model(raw(model), params) };
    let Some(pointer) = NonNull::new(pointer) else {
        return Err(load_error(
            &options.path,
            format!(
                "no context of {context} tokens could be made: {}",
                take_log()
            ),
            Some("try a smaller -c".into()),
        ));
    };
    let owned = Context(pointer);
    // SAFETY: the context is alive.
    let limits = unsafe {
        Limits {
            // llama.cpp rounds up to 256 cells: more than was asked for, or than it was trained with.
            context: sys::llama_n_ctx(pointer.as_ptr()).min(context),
            batch: sys::llama_n_batch(pointer.as_ptr()),
            outputs: params.n_outputs_max,
            sequences: sys::llama_n_seq_max(pointer.as_ptr()),
        }
    };
    Ok((owned, limits))
}

/// Bytes and kind of every id. End-of-generation wins over the type; unknown, unused, control and
/// suppressed tokens are no text.
pub(super) fn read_vocab(model: &LlamaModel) -> Vocab {
    const NO_TEXT: sys::llama_token_attr = sys::LLAMA_TOKEN_ATTR_UNKNOWN
        | sys::LLAMA_TOKEN_ATTR_UNUSED
        | sys::LLAMA_TOKEN_ATTR_CONTROL;
    let vocab = model.vocab();
    let suppressed: Vec<i32> = vocab.suppress_tokens().iter().map(|t| t.0).collect();
    let mut builder = VocabBuilder::default();
    let mut piece = Vec::new();
    for token in vocab.tokens() {
        // SAFETY: the id is below the vocabulary's size and the model is alive. The safe crate's
        // `attr` panics on flags it does not know.
        let attr =
            unsafe { sys::llama_vocab_get_attr(sys::llama_model_get_vocab(raw(model)), token.0) };
        // Without an EOS in the file llama.cpp flags a plain id by default: not trusted.
        let marked = attr & (sys::LLAMA_TOKEN_ATTR_NORMAL | sys::LLAMA_TOKEN_ATTR_BYTE) == 0;
        let kind = if vocab.is_eog(token) && marked {
            TokenKind::End
        } else if attr & NO_TEXT != 0 || suppressed.contains(&token.0) {
            TokenKind::Control
        } else {
            TokenKind::Text
        };
        piece.clear();
        vocab.token_to_piece_into(token, &mut piece, kind != TokenKind::Text, None);
        match (kind, piece.as_slice()) {
            (TokenKind::Text, &[byte]) if attr & sys::LLAMA_TOKEN_ATTR_BYTE != 0 => {
                builder.push_byte_fallback(byte);
            }
            _ => builder.push(&piece, kind),
        }
    }
    let id = |t: LlamaToken| Token::try_from(t.0).ok();
    let flag = |key: &str| model.meta_val_str(key).is_ok_and(|v| v == "true");
    let spm = model
        .meta_val_str("tokenizer.ggml.model")
        .is_ok_and(|m| m == "llama");
    let prefix_key = "tokenizer.ggml.add_space_prefix";
    builder.build(Special {
        bos: id(vocab.bos()),
        eos: id(vocab.eos()),
        add_bos: vocab.should_add_bos(),
        // llama.cpp's default for SentencePiece is to add it.
        add_space_prefix: spm && (flag(prefix_key) || model.meta_val_str(prefix_key).is_err()),
    })
}
