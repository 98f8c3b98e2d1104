//! Packs of fakes, and hooks into what their members are asked.

use packllm_engine::backend::Watch;
use packllm_engine::backend::fake::{FakeMember, FakeOptions};
use packllm_engine::backend::{
    BackendError, BatchToken, Description, Limits, Member, SeqId, Special, Token, TokenKind, Vocab,
    VocabBuilder,
};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Answer, AnswerOptions, Ending, Engine, EngineError, Event, Fusion, Lockstep, MemberSpec,
    ScoreRequest,
};
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::mapped::Map;
use packllm_engine::weight::Method;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

/// Tokens that nest, so that most texts have many segmentations.
pub const NESTED: &[&[u8]] = &[b"a", b"ab", b"b", b"abc", b"c", b"bc", b"ca", b" ", b" a"];

/// One token a byte: one segmentation a text.
pub const LETTERS: &[&[u8]] = &[b"a", b"b", b"c", b" ", b"\n"];

/// The same letters under other ids.
pub const LETTERS_MOVED: &[&[u8]] = &[b"\n", b" ", b"c", b"b", b"a"];

/// Some of the pieces of [`NESTED`] and some others; nothing of the usual texts is lost.
pub const WHOLE: &[&[u8]] = &[b" a", b"b", b"bb", b"c", b"cab", b"a", b"  ", b" "];

/// Characters of two to four bytes, whole and in pieces.
pub const MULTIBYTE: &[&[u8]] = &[
    b"a",
    b" ",
    b"\xc3",
    b"\xa9",
    "é".as_bytes(),
    b"\xc3\xa9a",
    b"\xe2\x82",
    b"\xac",
    b"\xe2",
    b"\x82\xac",
    b"\xf0\x9f",
    b"\x98",
    b"\x80",
    b"\x98\x80",
];

/// The same characters cut elsewhere.
pub const MULTIBYTE_MOVED: &[&[u8]] = &[
    b" ",
    b"a",
    b"\xa9 ",
    b"\xa9",
    b"\xc3",
    "€".as_bytes(),
    b"\xe2\x82",
    b"\xac",
    b"\xf0",
    b"\x9f\x98",
    b"\x80",
    b"\x9f",
];

/// Called before every decode with its number, from 1, and its batch.
pub type Hook = Box<dyn FnMut(usize, &[BatchToken]) -> Result<(), BackendError> + Send>;

/// A member to be made on its thread.
pub struct Fake {
    pub vocab: Vocab,
    pub options: FakeOptions,
    pub hook: Option<Hook>,
    /// As the hook, after the decode.
    pub after: Option<Hook>,
    pub dropped: Option<Sender<()>>,
    /// Whether its state can be saved.
    pub saves: bool,
}

impl Fake {
    /// A fake of these pieces and an END.
    pub fn new(pieces: &[&[u8]], seed: u64) -> Self {
        Self::of(FakeMember::vocab_of(pieces, true), seed)
    }

    pub fn of(vocab: Vocab, seed: u64) -> Self {
        let options = FakeOptions {
            seed,
            ..FakeOptions::default()
        };
        Self {
            vocab,
            options,
            hook: None,
            after: None,
            dropped: None,
            saves: true,
        }
    }

    pub fn without_end(pieces: &[&[u8]], seed: u64) -> Self {
        Self::of(FakeMember::vocab_of(pieces, false), seed)
    }

    pub fn with_context(mut self, context: u32) -> Self {
        self.options.limits.context = context;
        self
    }

    pub fn with_template(mut self, template: &str) -> Self {
        self.options.chat_template = Some(template.into());
        self
    }

    pub fn with_spread(mut self, spread: f32) -> Self {
        self.options.spread = spread;
        self
    }

    pub fn with_hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The bare member, to ask for its rule.
    pub fn bare(&self) -> FakeMember {
        FakeMember::new(self.vocab.clone(), self.options.clone())
    }

    pub fn make(mut self, watch: &Arc<Watch>) -> Box<dyn Member> {
        self.options.watch = Arc::clone(watch);
        Box::new(Hooked {
            fake: FakeMember::new(self.vocab, self.options),
            decodes: 0,
            hook: self.hook,
            after: self.after,
            dropped: self.dropped,
            saves: self.saves,
        })
    }

    /// The member `name` of a pack.
    pub fn spec(self, name: &str) -> MemberSpec {
        let loader = Box::new(move |watch: &Arc<Watch>| Ok(self.make(watch)));
        MemberSpec {
            name: name.into(),
            loader,
            prefetch: None,
            pace: Default::default(),
        }
    }
}

/// A fake that calls a hook before it decodes, and says when it is dropped.
struct Hooked {
    fake: FakeMember,
    decodes: usize,
    hook: Option<Hook>,
    after: Option<Hook>,
    dropped: Option<Sender<()>>,
    saves: bool,
}

impl Drop for Hooked {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            dropped.send(()).unwrap();
        }
    }
}

impl Member for Hooked {
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
        self.decodes += 1;
        if let Some(hook) = &mut self.hook {
            hook(self.decodes, batch)?;
        }
        self.fake.decode(batch)?;
        match &mut self.after {
            Some(after) => after(self.decodes, batch),
            None => Ok(()),
        }
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
        match self.saves {
            true => self.fake.save(),
            false => Err(BackendError::Refused("a state that cannot be saved".into())),
        }
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.fake.restore(state, len)
    }
}

/// Names by position: a, b, c, …
pub fn specs(fakes: Vec<Fake>) -> Vec<MemberSpec> {
    ('a'..)
        .zip(fakes)
        .map(|(name, fake)| fake.spec(&name.to_string()))
        .collect()
}

/// A conversation with these members; the flag stops the load and the conversation.
pub fn try_load(specs: Vec<MemberSpec>, cancel: &Arc<AtomicBool>) -> Result<Lockstep, EngineError> {
    Engine::load(specs, Arc::clone(cancel), &mut |_| {})?.lockstep(Arc::clone(cancel))
}

pub fn load(fakes: Vec<Fake>) -> Lockstep {
    try_load(specs(fakes), &Arc::default()).unwrap()
}

/// Members for several conversations.
pub fn load_engine(fakes: Vec<Fake>) -> Arc<Engine> {
    Engine::load(specs(fakes), Arc::default(), &mut |_| {}).unwrap()
}

/// A pack over the given alphabet, all weights equal.
pub fn pack(fakes: Vec<Fake>, alphabet: Alphabet) -> Lockstep {
    let mut engine = load(fakes);
    set(
        &mut engine,
        Fusion {
            alphabet: Some(alphabet),
            ..uniform()
        },
    );
    engine
}

pub fn uniform() -> Fusion {
    Fusion {
        method: Method::Uniform,
        ..Fusion::default()
    }
}

/// Fuses in this way; every member with an end token can end.
pub fn set(engine: &mut Lockstep, fusion: Fusion) {
    let can_end = engine
        .members()
        .iter()
        .map(|m| m.vocab.ends().next().is_some())
        .collect();
    engine.configure(fusion, can_end).unwrap();
}

pub fn greedy(limit: usize) -> AnswerOptions {
    let sampling = Params {
        temperature: 0.0,
        ..Params::default()
    };
    AnswerOptions {
        limit: Some(limit),
        sampling,
        stops: Vec::new(),
        attribution: false,
    }
}

pub const SCORES: ScoreRequest = ScoreRequest {
    scores: true,
    ..ScoreRequest::NOTHING
};

/// Reads plain text that the answer goes on from.
pub fn read(engine: &mut Lockstep, text: &str) {
    let prompts = plain_text(text, engine.members().len(), Ending::Continue);
    engine.prepare(prompts).unwrap();
    let request = engine.score_request_for(&engine.fusion().method.clone());
    engine.read(request).unwrap();
    engine.weigh().unwrap();
}

/// Reads plain text and goes on; what was streamed is what is returned.
pub fn ask(engine: &mut Lockstep, text: &str, generation: &AnswerOptions) -> Answer {
    read(engine, text);
    answer(engine, generation)
}

/// The text that an event brings.
pub fn text_of(event: Event<'_>) -> &str {
    match event {
        Event::Text(text, _) => text,
        other => panic!("{other:?}"),
    }
}

pub fn answer(engine: &mut Lockstep, generation: &AnswerOptions) -> Answer {
    let mut streamed = String::new();
    let answer = engine
        .answer(generation, &mut |event| streamed.push_str(text_of(event)))
        .unwrap();
    assert_eq!(answer.text, streamed);
    answer
}

/// Tokens that each member has spent so far.
pub fn spent(engine: &Lockstep) -> Vec<usize> {
    engine.spent().unwrap().iter().map(|s| s.tokens).collect()
}

/// A vocabulary for chats: pieces of text, and the markup of [`TEMPLATE`].
pub fn chat_vocab(pieces: &[&[u8]]) -> Vocab {
    let mut builder = VocabBuilder::default();
    pieces
        .iter()
        .for_each(|piece| builder.push(piece, TokenKind::Text));
    builder.push(b"<user>", TokenKind::Control);
    builder.push(b"<reply>", TokenKind::Control);
    builder.push(b"<end>", TokenKind::End);
    let end = pieces.len() as Token + 2;
    builder.build(Special {
        eos: Some(end),
        ..Special::default()
    })
}

/// A template of control tokens.
pub const TEMPLATE: &str = "{% for m in messages %}\
    {{ ('<user>' if m.role == 'user' else '<reply>') + m.content + '<end>' }}{% endfor %}\
    {% if add_generation_prompt %}<reply>{% endif %}";

/// The map of a vocabulary to the reference's.
pub fn map(reference: &Vocab, member: &Vocab) -> Option<Arc<Map>> {
    Map::align(reference, member, 1, &|_, _| true).map(Arc::new)
}

/// A pack over the tokens of member `reference`.
pub fn mined(fakes: Vec<Fake>, reference: usize, method: Method) -> Lockstep {
    let vocabs: Vec<Vocab> = fakes.iter().map(|fake| fake.vocab.clone()).collect();
    let maps = vocabs.iter().enumerate();
    let maps: Vec<_> = maps
        .map(|(k, own)| map(&vocabs[reference], own).filter(|_| k != reference))
        .collect();
    let mut engine = load(fakes);
    set(
        &mut engine,
        Fusion {
            alphabet: Some(Alphabet::Mapped),
            method,
            drop: 0.0,
            ..Fusion::default()
        },
    );
    engine.refer_to(reference, &maps).unwrap();
    engine
}
