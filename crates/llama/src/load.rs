//! From a file to a model and its vocabulary.

use super::error::LoadError;
use super::library::take_log;
use super::options::LoadOptions;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2 as sys;
use packllm_engine::backend::{
    BackendError, Special, Token, TokenKind, Vocab, VocabBuilder, Watch,
};
use packllm_engine::gguf::{GgufError, Header};
use std::ffi::{CString, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Answers false, which stops the load, once nobody waits for it: nothing here may panic across the C++ frames.
unsafe extern "C" fn on_load_progress(progress: f32, watch: *mut c_void) -> bool {
    // SAFETY: `watch` is the Watch that LlamaMember::load keeps alive during the call.
    let watch = unsafe { &*watch.cast::<Watch>() };
    watch.progress.store(
        (progress.clamp(0.0, 1.0) * 1000.0) as u32,
        Ordering::Relaxed,
    );
    !watch.is_cancelled()
}

/// Reads the header with our own parser, which says what is wrong where llama.cpp only fails.
pub(super) fn check_header(path: &Path) -> Result<Header, LoadError> {
    let of_header = |error: GgufError| LoadError::Header(error.fault);
    let header = Header::read(path).map_err(of_header)?;
    let summary = header.member().map_err(of_header)?;
    // Known by name: llama.cpp need not load it to say so.
    match summary.family.rolls_back() {
        true => Ok(header),
        false => Err(LoadError::Recurrent),
    }
}

/// The model of the file, on the devices asked for.
pub(super) fn load_model(options: &LoadOptions) -> Result<LlamaModel, BackendError> {
    let refuse = |error: LoadError| error.of(&options.path);
    let path = options.path.to_str().and_then(|p| CString::new(p).ok());
    let path = path.ok_or_else(|| refuse(LoadError::Path))?;
    let placed = options.offload.resolve();
    let placed = placed.map_err(|error| refuse(error.into()))?;
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
    params.use_extra_bufts = options.repack;
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
        if options.watch.is_cancelled() {
            return Err(BackendError::Cancelled);
        }
        return Err(refuse(LoadError::Refused { log: take_log() }));
    };
    // SAFETY: LlamaModel is repr(transparent) over a NonNull<llama_model> (see the check below) and
    // frees it when dropped, like the ones it makes itself.
    Ok(unsafe { std::mem::transmute::<NonNull<sys::llama_model>, LlamaModel>(model) })
}

/// What loads but cannot be a member.
pub(super) fn refuse_unsupported(model: &LlamaModel) -> Result<(), LoadError> {
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
        return Err(LoadError::Encoder);
    }
    if model.is_recurrent() || model.is_hybrid() {
        return Err(LoadError::Recurrent);
    }
    if !matches!(kind, sys::LLAMA_VOCAB_TYPE_SPM | sys::LLAMA_VOCAB_TYPE_BPE) {
        return Err(LoadError::Vocabulary { kind: kind.into() });
    }
    Ok(())
}

// Guards `load_model`, which makes a `LlamaModel` of a pointer, and `raw`, which reads the pointer
// back: the bindings have no call for either. Both rely on `LlamaModel` being `repr(transparent)`
// over a pointer that is never null. The compiler cannot check that, but it checks size, alignment,
// and that null is free to mean `None`.
const _: () = {
    type Pointer = NonNull<sys::llama_model>;
    assert!(size_of::<LlamaModel>() == size_of::<Pointer>());
    assert!(align_of::<LlamaModel>() == align_of::<Pointer>());
    assert!(size_of::<Option<LlamaModel>>() == size_of::<Pointer>());
};

/// The model's pointer, for the calls that the safe crate lacks.
pub(super) fn raw(model: &LlamaModel) -> *mut sys::llama_model {
    // SAFETY: LlamaModel is repr(transparent) over a pointer to the model; see the check above.
    unsafe { *std::ptr::from_ref(model).cast::<*mut sys::llama_model>() }
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
