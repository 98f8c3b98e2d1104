//! A pack without weights behind a server: bytes and some words by a seeded rule, as slow as it is
//! told.

mod scripted;

pub use scripted::Answers;

use packllm_engine::backend::fake::{FakeMember, FakeOptions};
use packllm_engine::backend::{
    BackendError, BatchToken, Description, Limits, Member, SeqId, Special, Token, TokenKind, Vocab,
    VocabBuilder, Watch,
};
use packllm_engine::engine::{AnswerOptions, Engine, Fusion, MemberSpec, Occupancy};
use packllm_engine::pack::{Host, Pack, PackOptions};
use packllm_engine::sample::Params;
use packllm_engine::weight::Method;
use packllm_server::{Limits as ServerLimits, Log, Options, Safety, Source};
use scripted::Scripted;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A template with a token for each role.
pub const TEMPLATE: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}\
    {% if add_generation_prompt %}<assistant>{% endif %}";

#[allow(dead_code, reason = "the example does not think")]
/// As [`TEMPLATE`], with a thought that is opened unless that is refused.
pub const THINKING: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}\
    {% if add_generation_prompt %}<assistant>{% if enable_thinking is not defined or \
    enable_thinking %}<think>\n{% endif %}{% endif %}";

/// Evaluations fail.
pub const FAIL: usize = 1;
/// Evaluations panic, and their member's thread with them.
pub const PANIC: usize = 2;

const WORDS: &[&str] = &[
    "the", " of", " and", " bread", " rises", " sky", " blue", " is", " a", "é", "→", ". ", "\n",
];

/// How the pack is made.
#[derive(Clone)]
pub struct FakeSource {
    /// What each evaluation takes at least.
    pub delay: Duration,
    pub context: u32,
    pub template: &'static str,
    /// What the members can do at most.
    pub sequences: u32,
    /// Questions that are answered with given texts.
    pub answers: Answers,
    /// Loads so far.
    pub loads: Arc<AtomicUsize>,
    /// Whether the next load fails.
    pub fails: Arc<AtomicBool>,
    /// What the next evaluations do: see [`FAIL`] and [`PANIC`].
    pub trouble: Arc<AtomicUsize>,
    /// Batches evaluated so far.
    pub decodes: Arc<AtomicUsize>,
    /// The engine that is loaded, to look at.
    pub engine: Arc<Mutex<std::sync::Weak<Engine>>>,
}

impl Default for FakeSource {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            context: 4096,
            template: TEMPLATE,
            sequences: 128,
            answers: Answers::default(),
            loads: Arc::default(),
            fails: Arc::default(),
            trouble: Arc::default(),
            decodes: Arc::default(),
            engine: Arc::default(),
        }
    }
}

impl FakeSource {
    /// What the members hold; None if no pack is loaded.
    pub fn occupancy(&self) -> Option<Vec<Occupancy>> {
        let engine = self.engine.lock().unwrap().upgrade()?;
        engine.occupancy().ok()
    }

    fn spec(&self, name: &str, seed: u64, words: &'static [&'static str]) -> MemberSpec {
        let source = self.clone();
        let loader = move |watch: &Arc<Watch>| {
            let options = FakeOptions {
                seed,
                limits: Limits {
                    context: source.context,
                    batch: 512,
                    outputs: 64,
                    sequences: source.sequences,
                },
                chat_template: Some(source.template.into()),
                watch: Arc::clone(watch),
                ..FakeOptions::default()
            };
            let fake = FakeMember::new(vocab(words), options);
            let unsure = if seed == 5 { 1 } else { 3 };
            let fake = Scripted::new(fake, source.answers, unsure);
            let (delay, decodes, trouble) = (source.delay, source.decodes, source.trouble);
            let member: Box<dyn Member> = Box::new(Slow {
                fake,
                delay,
                decodes,
                trouble,
            });
            Ok(member)
        };
        MemberSpec {
            name: name.into(),
            loader: Box::new(loader),
            prefetch: None,
            pace: Default::default(),
        }
    }
}

/// Every byte, some words, and the markup of the templates.
fn vocab(words: &[&str]) -> Vocab {
    let mut builder = VocabBuilder::default();
    (0..=255).for_each(|byte| builder.push(&[byte], TokenKind::Text));
    words
        .iter()
        .for_each(|word| builder.push(word.as_bytes(), TokenKind::Text));
    for role in ["<system>", "<user>", "<assistant>"] {
        builder.push(role.as_bytes(), TokenKind::Control);
    }
    builder.push(b"<end>", TokenKind::End);
    builder.build(Special {
        eos: Some(256 + words.len() as Token + 3),
        ..Special::default()
    })
}

impl Source for FakeSource {
    fn load(&self) -> Result<Pack, Box<dyn Error + Send + Sync>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err("told to fail".into());
        }
        let members = vec![
            self.spec("left", 5, WORDS),
            self.spec("right", 6, &WORDS[..7]),
        ];
        let engine = Engine::load(members, Arc::default(), &mut |_| {})?;
        *self.engine.lock().unwrap() = Arc::downgrade(&engine);
        let options = PackOptions {
            fusion: options().fusion,
            ..PackOptions::default()
        };
        Ok(Pack::new(engine, options, &mut ())?)
    }

    fn host(&self) -> Box<dyn Host + '_> {
        Box::new(())
    }

    fn trouble(&self, _: &str) {}
}

/// The options of a server on a free port of this machine.
pub fn options() -> Options {
    Options {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        model: "fake".into(),
        alias: None,
        answers: AnswerOptions {
            limit: Some(64),
            sampling: Params::default(),
            stops: Vec::new(),
            attribution: false,
        },
        fusion: Fusion {
            method: Method::Sim,
            ..Fusion::default()
        },
        think: true,
        seeded: false,
        text_repeat_stop: false,
        draft: false,
        parallel: 4,
        keep_alive: None,
        page: true,
        sessions: None,
        safety: Safety::default(),
        limits: ServerLimits::default(),
        log: Log::nowhere(),
    }
}

/// A fake that takes its time.
struct Slow {
    fake: Scripted,
    delay: Duration,
    decodes: Arc<AtomicUsize>,
    trouble: Arc<AtomicUsize>,
}

impl Member for Slow {
    fn vocab(&self) -> &Arc<Vocab> {
        self.fake.vocab()
    }

    fn limits(&self) -> Limits {
        self.fake.limits()
    }

    fn description(&self) -> &Description {
        self.fake.description()
    }

    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.fake.tokenize(text, markup)
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.decodes.fetch_add(1, Ordering::SeqCst);
        match self.trouble.load(Ordering::SeqCst) {
            FAIL => return Err(BackendError::Refused("/told/to/fail".into())),
            PANIC => panic!("told to panic"),
            _ => {}
        }
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        self.fake.decode(batch)
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        self.fake.logits(index)
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.fake.seq_copy(from, to, len)
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        self.fake.seq_truncate(seq, len)
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.fake.seq_len(seq)
    }

    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.fake.save()
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.fake.restore(state, len)
    }
}
