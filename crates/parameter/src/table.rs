//! The table itself. Entries stand in the order in which they are shown.

use super::Place::{Chat, Config, Environment, Fusion, Member, MemberAlone};
use super::declare::parameters;
use super::{
    Cache, Draft, FlashAttention, Group, Layers, OnLoss, Overflow, Parameter, Place, Range,
    RepeatStop, Think, Typed, Value, Vocab,
};
use packllm_engine::engine::MAX_HYPOTHESES;
use packllm_engine::mix::{self, Mix};
use packllm_engine::sample::Params;
use packllm_engine::vocab::cover::Budget;
use packllm_engine::weight;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::path::PathBuf;
use std::sync::LazyLock;

/// Set by flag only.
const FLAG: &[Place] = &[];
/// Not in the config file: as a permanent setting it would conflict with others.
const NOT_FOR_GOOD: &[Place] = &[Environment];
/// Also in the pack's manifest, for all members.
const FUSING: &[Place] = &[Environment, Config, Fusion];
/// Also in the pack's manifest, for each member.
const LOADING: &[Place] = &[Environment, Config, Member];
/// Also in a conversation, by `/set`.
const TALKING: &[Place] = &[Environment, Config, Chat];

parameters! {
    pack: String => Group::Pack.says("A pack by name or manifest file [env: PACKLLM_PACK=]")
        .of("NAME|FILE").at(&[Config]).instead_of(&["model", "hf-repo"]).like("\"starter\"");
    model: Vec<PathBuf> =>
        Group::Pack.says("A GGUF file, its name in the store, or a model to fetch: hf:OWNER/REPO[:QUANT|/FILE], a URL, \
                          ollama:NAME, lmstudio:NAME; repeat for a pack without a manifest")
        .short('m').of("FILE").at(FLAG);
    hf_repo: Vec<String> =>
        Group::Pack.says("A model of the Hugging Face hub (-hf) (-hfr), Q4_K_M if no QUANT is named: the same as -m hf:…, and \
                          mixed with it in the order that is typed")
        .spelled(&["-hf", "-hfr"]).of("OWNER/REPO[:QUANT]").at(FLAG);
    ctx_size: u32 => Group::Pack.says("Tokens of context per member")
        .short('c').of("N").at(LOADING).within(Range::at_least(1.0))
        .otherwise("4096, or what the member was trained with if less").like("4096");
    threads: u32 => Group::Pack.says("Threads for all members together")
        .short('t').of("N").at(&[Environment, Config, MemberAlone]).within(Range::between(1.0, 4096.0))
        .otherwise("the physical cores").like("4");
    batch_size: u32 = 512 => Group::Pack.says("Largest batch in tokens")
        .short('b').of("N").within(Range::at_least(1.0));
    ubatch_size: u32 = 512 => Group::Pack.says("Largest batch evaluated at once in tokens (-ub)")
        .spelled(&["-ub"]).of("N").within(Range::at_least(1.0));
    n_gpu_layers: Layers = Layers::Auto => Group::Pack.says("Layers on the GPU: a number, `all` or `auto` (-ngl)")
        .spelled(&["-ngl"]).of("N").at(LOADING);
    device: Vec<String> => Group::Pack.says("Devices to use, separated by commas; `none` for the CPU alone (-dev)")
        .spelled(&["-dev"]).of("NAMES").at(LOADING).commas().like("[\"none\"]");
    tensor_split: Vec<f32> => Group::Pack.says("Share of the model for each GPU, separated by commas (-ts)")
        .spelled(&["-ts"]).of("SHARES").at(LOADING).commas().within(Range::at_least(0.0))
        .checked(some_share, "and not all 0").like("[1, 1]");
    main_gpu: i32 => Group::Pack.says("The one GPU to use (-mg)")
        .spelled(&["-mg"]).of("INDEX").at(LOADING).within(Range::between(0.0, 255.0)).like("0");
    rpc: Vec<String> => Group::Pack
        .says("Machines that lend their devices, as HOST:PORT separated by commas (`packllm lend` there): RPC0, RPC1, …")
        .of("HOSTS").at(&[Environment, Config]).commas().like("[\"192.168.1.7:50052\"]");
    on_loss: OnLoss = OnLoss::End => Group::Pack
        .says("If a machine of --rpc is lost in mid-answer: end the answer, or drop its members, and the others go on")
        .of("WHAT");
    fit: bool = false => Group::Pack
        .says("Place a member anew that asks for more memory of a device than it has (-ngl, -dev)");
    no_repack: bool = false => Group::Pack
        .says("Leave weights as they lie in the file (-nr): a processor is faster with them rearranged, but rounds \
               otherwise than other devices do").spelled(&["-nr"]);
    flash_attn: FlashAttention = FlashAttention::Auto => Group::Pack.says("Flash attention (-fa)")
        .spelled(&["-fa"]).of("WHEN");
    cache_type_k: Cache = Cache::F16 => Group::Pack.says("Element type of the K cache (-ctk)")
        .spelled(&["-ctk"]).of("TYPE");
    cache_type_v: Cache = Cache::F16 =>
        Group::Pack.says("Element type of the V cache (-ctv); quantised types need flash attention")
        .spelled(&["-ctv"]).of("TYPE");
    offline: bool = false => Group::Pack.says("Never use the network");
    trust_file: bool = false => Group::Pack
        .says("Load files that were never loaded here without a trial in a process of its own").at(FLAG);

    vocab: Vocab = Vocab::Auto => Group::Fusion.says("Shared alphabet").at(FUSING);
    reference: String => Group::Fusion
        .says("With --vocab mined: the member, or the tokenizer.json, whose vocabulary is the reference")
        .of("NAME|FILE").at(NOT_FOR_GOOD).otherwise("the member with the lowest loss per token");
    mix: Mix => Group::Fusion.says("How distributions are combined: linear or log").at(FUSING)
        .otherwise("linear over bytes, log over tokens").like("\"log\"");
    weights: String = weight::Method::Auto.to_string() =>
        Group::Fusion.says("auto, uniform, top1, sim, opt, exact, adaptive, or NAME=WEIGHT,…").at(FUSING);
    follow_answer: bool = false =>
        Group::Fusion.says("Let `adaptive` follow the answer too while it is made; usually it teaches nothing")
        .at(NOT_FOR_GOOD);
    tau: f64 = weight::DEFAULT_TAU => Group::Fusion.says("Temperature of `sim`")
        .at(FUSING).within(Range::between(1e-6, 1e6));
    prior_bytes: f64 = weight::DEFAULT_PRIOR_BYTES => Group::Fusion
        .says("Bytes of text that the prior weights of `exact` are worth (the manifest's, else those by `sim`); 0 \
               ignores them")
        .of("N").at(FUSING).within(Range::between(0.0, 1e9));
    rate: f64 = weight::DEFAULT_RATE => Group::Fusion.says("How fast `adaptive` follows the text")
        .at(FUSING).within(Range::between(0.0, 1.0));
    epsilon: f64 = Budget::default().epsilon =>
        Group::Fusion.says("Smallest share of a token path that is evaluated; 0 evaluates all")
        .at(FUSING).within(Range::between(0.0, 1.0));
    heads: usize = Budget::default().hypotheses => Group::Fusion.says("Most token paths kept per member")
        .at(FUSING).within(Range::between(1.0, MAX_HYPOTHESES as f64));
    drop: f64 = weight::DEFAULT_DROP => Group::Fusion.says("Members under this weight are not evaluated")
        .at(FUSING).within(Range::between(0.0, 1.0));
    floor: f64 = mix::DEFAULT_FLOOR => Group::Fusion.says("Smallest probability a member may give in log mixing")
        .at(FUSING).within(Range::between(0.0, 0.5));
    confidence: f64 => Group::Fusion
        .says("How much more of its weight a member has where it is sure of what comes; 0: the same at every step")
        .at(FUSING).within(Range::between(0.0, 20.0)).otherwise("1 over bytes, 0 over tokens").like("0.5");

    predict: i64 = -1 => Group::Sampling
        .says("Most tokens to generate, counted by the leading member; -1 until the end")
        .short('n').spelled(&["--n-predict"]).also(&["n", "num-predict"]).of("N").at(TALKING)
        .within(Range::at_least(-1.0).noted("-1 is no limit"));
    seed: u64 => Group::Sampling.says("Seed of the draw")
        .short('s').at(TALKING).otherwise("random, shown").like("42");
    temp: f64 = Params::default().temperature => Group::Sampling.says("Temperature; 0 takes the likeliest symbol")
        .also(&["temperature"]).at(TALKING).within(Range::ALL.noted("0 takes the likeliest symbol"));
    top_k: usize = Params::default().top_k =>
        Group::Sampling.says("Keep this many of the likeliest symbols; 0 keeps all")
        .at(TALKING).within(Range::at_least(0.0).noted("0 keeps all"));
    top_p: f64 = Params::default().top_p => Group::Sampling.says("Keep the likeliest symbols up to this mass")
        .at(TALKING).within(Range::between(0.0, 1.0).noted("1 is off"));
    min_p: f64 = Params::default().min_p =>
        Group::Sampling.says("Keep symbols with this fraction of the likeliest one's probability")
        .at(TALKING).within(Range::between(0.0, 1.0).noted("0 is off"));
    repeat_penalty: f64 = Params::default().repeat_penalty =>
        Group::Sampling.says("Divide the probability of what would repeat; 1 is off")
        .at(TALKING).within(Range::above(0.0).noted("1 is off"));
    repeat_last_n: i64 = Params::default().repeat_last_n as i64 =>
        Group::Sampling.says("How many of the last tokens the penalty looks at; -1 is the whole answer")
        .at(TALKING).within(Range::ALL.noted("-1 is the whole answer"));
    repeat_stop: RepeatStop = RepeatStop::Auto => Group::Sampling
        .says("End an answer that goes in circles: it has said the same three times running, and 300 bytes of it once \
               more")
        .of("WHEN").at(TALKING);
    stop: Vec<String> => Group::Sampling.says("Text that ends the answer; repeat for several")
        .short('r').of("TEXT").at(&[Config, Chat]).verbatim().like("[\"\\nUser:\"]");
    draft: Draft = Draft::Off => Group::Sampling
        .says("Where the text repeats itself, evaluate several tokens at once; what is said follows the same \
               distribution");

    system_prompt: String => Group::Conversation.says("System prompt (-sys)")
        .spelled(&["-sys"]).of("TEXT").verbatim().like("\"Be brief.\"");

    plain: bool = false => Group::Look.says("Show Markdown as it is written, without styles").at(TALKING);
    think: Think = Think::Show => Group::Look
        .says("What a model thinks before it answers (`<think>`): show it, fold it to a line with its length, or off: \
               templates are asked to let it answer at once, and what it thinks all the same is hidden")
        .of("HOW").at(TALKING);
    attribution: bool = false => Group::Look
        .says("Show which member argued most for each word: coloured, or marked under the answer where there are no \
               colours")
        .at(TALKING);

    no_history: bool = false => Group::Conversation.says("Keep neither the session nor the history of lines");
    overflow: Overflow = Overflow::Drop =>
        Group::Conversation.says("When the context is full: drop the oldest turns, or stop").of("HOW");

    prompt_cache: PathBuf => Group::Prompt
        .says("Keep the messages before the last (a long system prompt, say) in this file, as every member has read \
               them; the next time they are taken from there, and the answer is the same as without")
        .of("FILE").at(NOT_FOR_GOOD);
}

/// The table, in the order in which it is shown.
pub fn all() -> &'static [Parameter] {
    &TABLE
}

/// The parameter of this name, as flags and the config file spell it.
#[must_use]
pub fn find(name: &str) -> Option<&'static Parameter> {
    all().iter().find(|parameter| parameter.name == name)
}

/// The parameters that may be set in a place.
pub fn known(place: Place) -> impl Iterator<Item = &'static Parameter> {
    all()
        .iter()
        .filter(move |parameter| parameter.is_set_in(place))
}

fn some_share(shares: &Value) -> bool {
    let Value::List(shares) = shares else {
        return true;
    };
    let none = |share: &Value| *share == Value::Number(0.0) || *share == Value::Whole(0);
    !shares.iter().all(none)
}

/// As a table of a manifest: the values that are set, by key.
impl Serialize for Values {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for parameter in all() {
            if let Some(value) = parameter.get(self) {
                map.serialize_entry(parameter.key, &value)?;
            }
        }
        map.end()
    }
}
