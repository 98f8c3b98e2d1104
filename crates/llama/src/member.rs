//! A member on llama.cpp.

use super::context::{Context, make_context};
use super::error::LoadError;
use super::library::{has_cpu_code, init, take_log};
use super::load::{check_header, load_model, read_vocab, refuse_unsupported};
use super::options::{LoadOptions, WIDE, threads_batch};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2 as sys;
use packllm_engine::backend::{
    BackendError, BatchToken, Description, Ledger, Limits, Member, PREFIX, SeqId, Token, Vocab,
    Watch, context_size,
};
use packllm_engine::engine::MemberSpec;
use packllm_engine::gguf::Header;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A model of llama.cpp with its context.
pub struct LlamaMember {
    // Dropped in this order: the context refers to the model, and reads the watch while evaluating.
    context: Context,
    model: LlamaModel,
    watch: Arc<Watch>,
    vocab: Arc<Vocab>,
    description: Description,
    ledger: Ledger,
    batch: BatchBuffers,
    /// For small and for wide batches.
    threads: [u32; 2],
}

impl LoadOptions {
    /// The member `name` of a pack, loaded on its own thread. The engine watches it.
    #[must_use]
    pub fn member(self, name: impl Into<String>) -> MemberSpec {
        let load = move |watch: &Arc<Watch>| {
            let watch = Arc::clone(watch);
            let member = LlamaMember::load(&LoadOptions { watch, ..self })?;
            Ok(Box::new(member) as Box<dyn Member>)
        };
        MemberSpec {
            name: name.into(),
            loader: Box::new(load),
            prefetch: None,
            pace: Default::default(),
        }
    }
}

/// What comes before every load: the library is ready, and the file is one that it may see.
fn begin(path: &Path) -> Result<Header, LoadError> {
    init();
    match has_cpu_code() {
        true => check_header(path),
        false => Err(LoadError::NoCpuCode),
    }
}

/// The arrays that a `llama_batch` points to.
#[derive(Default)]
struct BatchBuffers {
    tokens: Vec<sys::llama_token>,
    positions: Vec<sys::llama_pos>,
    seq_counts: Vec<i32>,
    seqs: Vec<sys::llama_seq_id>,
    seq_pointers: Vec<*mut sys::llama_seq_id>,
    outputs: Vec<i8>,
}

impl BatchBuffers {
    fn fill(&mut self, batch: &[BatchToken]) -> sys::llama_batch {
        let set = |to: &mut Vec<i32>, from: &dyn Fn(&BatchToken) -> i32| {
            to.clear();
            to.extend(batch.iter().map(from));
        };
        set(&mut self.tokens, &|e| e.token as i32);
        set(&mut self.positions, &|e| e.pos as i32);
        set(&mut self.seqs, &|e| e.seq as i32);
        set(&mut self.seq_counts, &|_| 1);
        self.outputs.clear();
        self.outputs
            .extend(batch.iter().map(|e| i8::from(e.output)));
        self.seq_pointers.clear();
        self.seq_pointers
            .extend(self.seqs.iter_mut().map(std::ptr::from_mut));
        sys::llama_batch {
            n_tokens: batch.len() as i32,
            token: self.tokens.as_mut_ptr(),
            embd: std::ptr::null_mut(),
            pos: self.positions.as_mut_ptr(),
            n_seq_id: self.seq_counts.as_mut_ptr(),
            seq_id: self.seq_pointers.as_mut_ptr(),
            logits: self.outputs.as_mut_ptr(),
        }
    }
}

impl LlamaMember {
    /// Loads the file and makes a context. Call it on the thread that will own the member.
    ///
    /// # Errors
    /// [`BackendError::Load`] with a [`LoadError`];
    /// [`BackendError::Cancelled`].
    pub fn load(options: &LoadOptions) -> Result<Self, BackendError> {
        let header = begin(&options.path).map_err(|error| error.of(&options.path))?;
        Self::of(options, &header)
    }

    /// As [`LlamaMember::load`], with as much of the context as the model was trained with.
    pub(super) fn load_within(options: &LoadOptions) -> Result<Self, BackendError> {
        let header = begin(&options.path).map_err(|error| error.of(&options.path))?;
        let trained = header.u64(&header.arch_key("context_length")).unwrap_or(0);
        let trained = u32::try_from(trained).unwrap_or(u32::MAX);
        let context = options.context.map(|tokens| tokens.min(trained));
        let options = LoadOptions {
            context,
            ..options.clone()
        };
        Self::of(&options, &header)
    }

    /// A member of a file whose header was checked.
    fn of(options: &LoadOptions, header: &Header) -> Result<Self, BackendError> {
        let refuse = |error: LoadError| error.of(&options.path);
        let model = load_model(options)?;
        refuse_unsupported(&model).map_err(refuse)?;
        let vocab = Arc::new(read_vocab(&model));
        let train = model.n_ctx_train();
        let context = context_size(options.context, train).map_err(|e| refuse(e.into()))?;
        let (context, limits) = make_context(&model, options, context).map_err(refuse)?;
        let description = Description {
            architecture: header.architecture().unwrap_or("unknown").to_owned(),
            parameters: model.n_params(),
            weight_bytes: model.size(),
            train_context: train,
            chat_template: model.meta_val_str("tokenizer.chat_template").ok(),
            placement: options.offload.describe(model.n_layer()),
        };
        Ok(Self {
            context,
            ledger: Ledger::new(limits, vocab.len()),
            model,
            watch: Arc::clone(&options.watch),
            vocab,
            description,
            batch: BatchBuffers::default(),
            threads: [options.threads, threads_batch(options)],
        })
    }

    fn memory(&self) -> sys::llama_memory_t {
        // SAFETY: the context is alive.
        unsafe { sys::llama_get_memory(self.context.as_ptr()) }
    }

    /// Cuts a sequence in the cache without looking at the ledger.
    fn cut(&self, seq: SeqId, len: u32) -> bool {
        // SAFETY: the context is alive; seq is below n_seq_max by the ledger.
        unsafe { sys::llama_memory_seq_rm(self.memory(), seq as i32, len as i32, -1) }
    }

    /// After a failed decode: removes whatever part of the batch reached the cache.
    fn roll_back(&mut self, batch: &[BatchToken]) {
        self.ledger.invalidate_rows();
        for entry in batch {
            self.cut(entry.seq, self.ledger.len(entry.seq));
        }
    }
}

impl Member for LlamaMember {
    fn vocab(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    fn limits(&self) -> Limits {
        self.ledger.limits()
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        // llama.cpp counts in 32 bits; invalid UTF-8, which aborts it, cannot be in a &str.
        if text.len() > i32::MAX as usize / 2 {
            return Err(BackendError::Refused(format!(
                "a text of {} bytes",
                text.len()
            )));
        }
        let tokens = self.model.vocab().tokenize(text.as_bytes(), false, markup);
        Ok(tokens
            .into_iter()
            .filter_map(|t| Token::try_from(t.0).ok())
            .collect())
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.ledger.check(batch)?;
        if self.watch.is_cancelled() {
            return Err(BackendError::Cancelled);
        }
        drop(take_log());
        let [small, wide] = self.threads.map(|n| n as i32);
        let is_wide = batch.len() >= WIDE && self.watch.complete.load(Ordering::Relaxed);
        let of_batch = if is_wide { wide } else { small };
        // SAFETY: the context is alive.
        unsafe { sys::llama_set_n_threads(self.context.as_ptr(), small, of_batch) };
        let raw_batch = self.batch.fill(batch);
        // SAFETY: the ledger has checked size, ids, sequences and positions; the batch's arrays
        // outlive the call.
        let code = unsafe { sys::llama_decode(self.context.as_ptr(), raw_batch) };
        if code == 0 {
            self.ledger.commit(batch);
            return Ok(());
        }
        self.roll_back(batch);
        Err(match code {
            1 => BackendError::ContextFull {
                context: self.limits().context,
            },
            2 => BackendError::Cancelled,
            code => BackendError::Decode {
                code,
                log: take_log(),
            },
        })
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        self.ledger.check_row(index)?;
        // SAFETY: the ledger knows that this row was asked for in the last successful decode.
        let row = unsafe { sys::llama_get_logits_ith(self.context.as_ptr(), index as i32) };
        if row.is_null() {
            return Err(BackendError::Refused(format!(
                "llama.cpp has no row {index}"
            )));
        }
        // SAFETY: a row holds one f32 per token of the vocabulary and stays until the next decode,
        // which needs `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts(row, self.vocab.len()) })
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.ledger.copy(from, to, len)?;
        // SAFETY: both sequences exist by the ledger; the cache is unified, so part of a sequence
        // may be copied.
        unsafe {
            sys::llama_memory_seq_cp(self.memory(), from as i32, to as i32, 0, len as i32);
        }
        Ok(())
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        self.ledger.truncate(seq, len)?;
        if self.cut(seq, len) {
            return Ok(());
        }
        Err(BackendError::Refused(format!(
            "sequence {seq} cannot be cut to {len} tokens"
        )))
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.ledger.len(seq)
    }

    /// Written as the state of the whole context: of a single sequence llama.cpp leaves out what
    /// its sliding windows no longer reach, and the prefix could not be cut back any more.
    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.ledger.only_prefix()?;
        let context = self.context.as_ptr();
        drop(take_log());
        // SAFETY: the context is alive.
        let mut state = vec![0; unsafe { sys::llama_state_get_size(context) }];
        // SAFETY: as above; it writes at most the buffer's length.
        let written =
            unsafe { sys::llama_state_get_data(context, state.as_mut_ptr(), state.len()) };
        if written != state.len() || !into_sequence(&mut state) {
            let log = take_log();
            return Err(BackendError::Refused(format!(
                "the state of the cache cannot be had: {log}"
            )));
        }
        Ok(state)
    }

    /// Read as the state of one sequence: after that of a whole context the next batch would be
    /// written from the cache's beginning, over what lies outside the sliding windows.
    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.ledger.check_restore(len)?;
        let (context, prefix) = (self.context.as_ptr(), PREFIX as i32);
        drop(take_log());
        // SAFETY: the context is alive; llama.cpp reads no further than the length, and checks the
        // shapes and types of what it finds.
        let read =
            unsafe { sys::llama_state_seq_set_data(context, state.as_ptr(), state.len(), prefix) };
        // SAFETY: the context is alive.
        let ends = unsafe {
            let memory = self.memory();
            let first = sys::llama_memory_seq_pos_min(memory, prefix);
            (first, sys::llama_memory_seq_pos_max(memory, prefix))
        };
        if read != state.len() || ends != (0, len as i32 - 1) {
            // Not by cutting the prefix: cells may have come to positions below 0.
            // SAFETY: the context is alive, and no sequence holds anything else.
            unsafe { sys::llama_memory_clear(self.memory(), false) };
            return Err(BackendError::Refused(format!(
                "{} bytes are not the state of {len} tokens: {}",
                state.len(),
                take_log()
            )));
        }
        self.ledger.restored(len);
        Ok(())
    }
}

/// What llama.cpp puts before the state of a sequence (`io_magic` in llama-context.cpp).
const SEQUENCE_MAGIC: u32 = 0xaf14_3cd8;

/// Turns the state of a context, all of it the prefix's, into that of the prefix: the same cells
/// after the magic number and the number of a sequence instead of after the architecture's name.
/// False if it cannot be.
fn into_sequence(state: &mut Vec<u8>) -> bool {
    let name = state.first_chunk().map(|n| u32::from_le_bytes(*n) as usize);
    let Some(cells) = name.map(|n| 4 + n).filter(|&at| at <= state.len()) else {
        return false;
    };
    let head = [SEQUENCE_MAGIC.to_le_bytes(), PREFIX.to_le_bytes()].concat();
    state.splice(..cells, head);
    true
}
