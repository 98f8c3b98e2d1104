//! The config file: what is set for good, under the names of the flags.
//!
//! Its values are held to the rules of the flags, each for itself, so that an error names its line. What a
//! manifest can say as well fills the manifest; the rest becomes the default of its flag, wherever the
//! flag listens to the environment too.

use super::{check_sizes, generation, parse_layers, settle_fusion};
use crate::cli::{ChatArgs, FusionArgs, PackArgs};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, Args, Command, FromArgMatches};
use packllm_store::Manifest;
use packllm_store::section::{Document, Section, integer, number, string};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Whole,
    Number,
    Numbers,
    Truth,
    /// A whole number or a word.
    Layers,
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Kind::Text => "a string",
            Kind::Texts => "a string or a list of strings",
            Kind::Whole => "a whole number",
            Kind::Number => "a number",
            Kind::Numbers => "a list of numbers",
            Kind::Truth => "true or false",
            Kind::Layers => "a whole number, \"all\" or \"auto\"",
        }
    }

    /// The values as they would be typed; None for anything else.
    fn read(self, value: &DeValue) -> Option<Vec<String>> {
        let one = |text: Option<String>| text.map(|text| vec![text]);
        let text = |value: &DeValue| value.as_str().map(str::to_owned);
        let figure = |value: &DeValue| number(value).map(|n| n.to_string());
        let list = |read: fn(&DeValue) -> Option<String>| {
            let items = value.as_array()?.iter();
            items.map(|item| read(item.get_ref())).collect()
        };
        match self {
            Kind::Text => one(string(value)),
            Kind::Texts => one(text(value)).or_else(|| list(text)),
            Kind::Whole => one(integer(value).map(|n| n.to_string())),
            Kind::Number => one(figure(value)),
            Kind::Numbers => list(figure),
            Kind::Truth => one(value.as_bool().map(|truth| truth.to_string())),
            Kind::Layers => {
                one(integer(value).map(|n| n.to_string())).or_else(|| one(string(value)))
            }
        }
    }
}

/// A key of the config file.
#[derive(Debug)]
pub struct Key {
    /// The flag's long name.
    pub name: &'static str,
    kind: Kind,
    /// A value, as the file would have it.
    example: &'static str,
    /// Whether a manifest can say it as well.
    pub in_manifest: bool,
}

const fn flag(name: &'static str, kind: Kind, example: &'static str) -> Key {
    Key {
        name,
        kind,
        example,
        in_manifest: false,
    }
}

const fn of_pack(name: &'static str, kind: Kind, example: &'static str) -> Key {
    Key {
        name,
        kind,
        example,
        in_manifest: true,
    }
}

/// All keys, in the order in which they are shown.
pub const KEYS: [Key; 39] = [
    flag("pack", Kind::Text, "\"starter\""),
    of_pack("ctx-size", Kind::Whole, "4096"),
    flag("threads", Kind::Whole, "4"),
    flag("batch-size", Kind::Whole, "512"),
    flag("ubatch-size", Kind::Whole, "512"),
    of_pack("n-gpu-layers", Kind::Layers, "\"auto\""),
    of_pack("device", Kind::Texts, "[\"none\"]"),
    of_pack("tensor-split", Kind::Numbers, "[1, 1]"),
    of_pack("main-gpu", Kind::Whole, "0"),
    flag("flash-attn", Kind::Text, "\"auto\""),
    flag("cache-type-k", Kind::Text, "\"f16\""),
    flag("cache-type-v", Kind::Text, "\"f16\""),
    flag("offline", Kind::Truth, "false"),
    of_pack("vocab", Kind::Text, "\"auto\""),
    of_pack("mix", Kind::Text, "\"log\""),
    of_pack("weights", Kind::Text, "\"exact\""),
    of_pack("tau", Kind::Number, "1"),
    of_pack("prior-bytes", Kind::Number, "20"),
    of_pack("rate", Kind::Number, "0.05"),
    of_pack("epsilon", Kind::Number, "0.03"),
    of_pack("heads", Kind::Whole, "8"),
    of_pack("drop", Kind::Number, "0.02"),
    of_pack("floor", Kind::Number, "1e-10"),
    flag("predict", Kind::Whole, "-1"),
    flag("seed", Kind::Whole, "42"),
    flag("temp", Kind::Number, "0.8"),
    flag("top-k", Kind::Whole, "40"),
    flag("top-p", Kind::Number, "0.95"),
    flag("min-p", Kind::Number, "0.05"),
    flag("repeat-penalty", Kind::Number, "1"),
    flag("repeat-last-n", Kind::Whole, "64"),
    flag("stop", Kind::Texts, "[\"\\nUser:\"]"),
    flag("draft", Kind::Text, "\"off\""),
    flag("system-prompt", Kind::Text, "\"Be brief.\""),
    flag("plain", Kind::Truth, "false"),
    flag("think", Kind::Text, "\"show\""),
    flag("attribution", Kind::Truth, "false"),
    flag("no-history", Kind::Truth, "false"),
    flag("overflow", Kind::Text, "\"drop\""),
];

/// A key that is set.
#[derive(Debug)]
struct Entry {
    key: &'static Key,
    line: usize,
    values: Vec<String>,
}

/// What a config file says; nothing, if there is none.
#[derive(Debug, Default)]
pub struct Config {
    path: PathBuf,
    entries: Vec<Entry>,
    pack: PackArgs,
    fusion: FusionArgs,
}

impl Config {
    /// Reads a config file. One that is not there says nothing.
    ///
    /// # Errors
    /// The file and line, the key, and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            // A PACKLLM_HOME that is no folder is told of by whoever needs it.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let title = path.display().to_string();
        let document = Document {
            origin: &title,
            text,
        };
        let table = document.parse()?;
        let section = Section {
            document: &document,
            title: "",
            line: 1,
            table: table.get_ref(),
        };
        let names: Vec<&'static str> = KEYS.iter().map(|key| key.name).collect();
        section.only(&names)?;
        let mut entries = Vec::new();
        for key in &KEYS {
            let values =
                section.get(key.name, key.kind.expected(), |value| key.kind.read(value))?;
            let place = section.table.get(key.name).map(|value| value.span().start);
            if let (Some(values), Some(place)) = (values, place) {
                let line = document.line(place);
                entries.push(Entry { key, line, values });
            }
        }
        entries.sort_by_key(|entry| entry.line);
        for entry in &entries {
            let wrong = |error| anyhow!("{title}:{}: {error:#}", entry.line);
            entry.check().map_err(wrong)?;
        }
        let ChatArgs { pack, fusion, .. } = typed(&entries)?;
        Ok(Self {
            path: path.to_owned(),
            entries,
            pack,
            fusion,
        })
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.name == name)
    }

    /// The value of a key, and where it stands: `config.toml:3`.
    pub fn get(&self, name: &str) -> Option<(String, String)> {
        let entry = self.entry(name)?;
        let place = format!("{}:{}", self.path.display(), entry.line);
        Some((entry.values.join(","), place))
    }

    /// The value of a key.
    pub fn text(&self, name: &str) -> Option<String> {
        self.entry(name).map(|entry| entry.values.join(","))
    }

    /// The commands with these values as the defaults of their flags.
    pub fn as_defaults(&self, command: Command) -> Command {
        command
            .mut_args(|arg| self.as_default(arg))
            .mut_subcommands(|command| self.as_defaults(command))
    }

    fn as_default(&self, arg: Arg) -> Arg {
        // What listens to the environment means the same thing in every command.
        let same = arg.get_env().is_some() || arg.get_id() == "stop";
        let entry = arg.get_long().and_then(|name| self.entry(name));
        match entry.filter(|entry| same && !entry.key.in_manifest) {
            Some(entry) => arg.default_values(entry.values.clone()),
            None => arg,
        }
    }

    /// Fills what a manifest leaves open.
    pub fn fill(&self, manifest: &mut Manifest) {
        let (fusion, numbers) = (&mut manifest.fusion, &self.fusion.numbers);
        fusion.vocab = fusion.vocab.take().or(self.text("vocab"));
        fusion.mix = fusion.mix.take().or(self.text("mix"));
        fusion.weights = fusion.weights.take().or(self.text("weights"));
        fusion.tau = fusion.tau.or(numbers.tau);
        fusion.prior_bytes = fusion.prior_bytes.or(numbers.prior_bytes);
        fusion.rate = fusion.rate.or(numbers.rate);
        fusion.epsilon = fusion.epsilon.or(numbers.epsilon);
        fusion.heads = fusion.heads.or(numbers.heads);
        fusion.drop = fusion.drop.or(numbers.drop);
        fusion.floor = fusion.floor.or(numbers.floor);
        let layers = self.pack.n_gpu_layers.as_deref();
        let layers = layers.and_then(|text| parse_layers(text).ok().flatten());
        let shares = Some(&self.pack.tensor_split).filter(|shares| !shares.is_empty());
        let gpu = self.pack.main_gpu.and_then(|gpu| u32::try_from(gpu).ok());
        for member in &mut manifest.members {
            member.ctx_size = member.ctx_size.or(self.pack.ctx_size);
            // −1 is all.
            let layers = layers.map(|n| i32::try_from(n).unwrap_or(-1));
            member.n_gpu_layers = member.n_gpu_layers.or(layers);
            member.device = member.device.take().or(self.text("device"));
            member.tensor_split = member.tensor_split.take().or(shares.cloned());
            member.main_gpu = member.main_gpu.or(gpu);
        }
    }
}

impl Entry {
    /// As the flag would be typed.
    fn typed(&self) -> Vec<String> {
        let name = self.key.name;
        match self.key.kind {
            Kind::Truth if self.values == ["true"] => vec![format!("--{name}")],
            Kind::Truth => Vec::new(),
            _ => {
                let values = self.values.iter();
                values.map(|value| format!("--{name}={value}")).collect()
            }
        }
    }

    /// Holds the value to what its flag is held to.
    fn check(&self) -> Result<()> {
        let ChatArgs {
            pack,
            fusion,
            sample,
            ..
        } = typed(std::slice::from_ref(self))?;
        check_sizes(&pack)?;
        pack.n_gpu_layers.as_deref().map(parse_layers).transpose()?;
        if let Some(gpu) = pack.main_gpu.filter(|gpu| *gpu < 0) {
            bail!("--main-gpu {gpu}: it must be at least 0");
        }
        if fusion.weights.as_deref().is_some_and(|w| w.contains('=')) {
            bail!("`weights` by name belong to one pack: write them in its manifest");
        }
        generation(&sample)?;
        settle_fusion(&Manifest::default(), &fusion, &[])?;
        Ok(())
    }
}

/// The flags of `chat`, which are all that the file can set.
pub fn flags() -> Command {
    ChatArgs::augment_args(Command::new("chat").no_binary_name(true))
}

/// Entries as typed flags, without the environment.
fn typed(entries: &[Entry]) -> Result<ChatArgs> {
    let command = flags().mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from(entries.iter().flat_map(Entry::typed));
    let args = matches.and_then(|matches| ChatArgs::from_arg_matches(&matches));
    args.map_err(|error| {
        let told = error.to_string();
        let lines = told.lines().take_while(|line| !line.trim().is_empty());
        let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
        anyhow!("{}", line.trim_start_matches("error: "))
    })
}

/// A config file with every key in it, commented out.
pub fn example() -> String {
    let mut text = String::from(
        "# Settings of packllm. Flags, then the environment (PACKLLM_TEMP for temp, and so on), then a pack's\n\
         # manifest win over this file. `packllm config` shows what holds, and where it is set.\n",
    );
    let flags = flags();
    let mut heading = None;
    for key in &KEYS {
        let Some(arg) = flags
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key.name))
        else {
            continue;
        };
        if heading != arg.get_help_heading() {
            heading = arg.get_help_heading();
            let title = heading.unwrap_or("Conversation");
            text.push_str(&format!("\n# ── {title} ──\n"));
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        text.push_str(&format!("\n# {help}\n# {} = {}\n", key.name, key.example));
    }
    text
}

#[cfg(test)]
mod tests;
