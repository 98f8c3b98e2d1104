//! Parameters as command-line arguments: made from the table, and read back into [`Values`].

use clap::builder::{PathBufValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};
use packllm_parameter::{Group, Kind, Parameter, Place, Typed, Value, Values, Word, all};
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::PathBuf;

/// The parameters of the selection `S` that were set: by a flag, in the environment, or, for those
/// that no manifest can set, in the config file.
#[derive(Debug, Clone, Default)]
pub struct Given<S> {
    /// Large, and part of small commands as well.
    values: Box<Values>,
    some: PhantomData<S>,
}

impl<S> Deref for Given<S> {
    type Target = Values;

    fn deref(&self) -> &Values {
        &self.values
    }
}

/// Which parameters a command takes.
pub trait Selection {
    /// Whether the command takes this parameter.
    fn takes(parameter: &Parameter) -> bool;
}

macro_rules! selections {
    ($($(#[$about:meta])* $name:ident: $takes:expr;)+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Default)]
        pub struct $name;

        impl Selection for $name {
            fn takes(parameter: &Parameter) -> bool {
                let takes: fn(&Parameter) -> bool = $takes;
                takes(parameter)
            }
        }
    )+};
}

selections! {
    /// How models are loaded.
    Loading: |p| p.group == Group::Pack;
    /// How they are loaded and fused.
    Packs: |p| matches!(p.group, Group::Pack | Group::Fusion);
    /// Everything that an answer depends on.
    Answers: |p| p.group != Group::Conversation;
    /// What the answers of a server depend on.
    Serving: |p| matches!(p.group, Group::Pack | Group::Fusion | Group::Sampling) || p.key == "think";
    /// What a conversation begins with.
    Opening: |p| p.key == "system_prompt";
    /// What happens to it later.
    Keeping: |p| p.group == Group::Conversation && p.key != "system_prompt";
    /// The numbers of a fusion, the same for every way of fusing.
    Numbers: |p| p.group == Group::Fusion && matches!(p.kind, Kind::Number | Kind::Whole { .. });
    /// Whose vocabulary is shared.
    Reference: |p| p.key == "reference";
    /// Whether tokens are evaluated ahead.
    Drafting: |p| p.key == "draft";
    /// Where a draw by chance begins.
    Seed: |p| p.key == "seed";
    /// Whether the network is used.
    Network: |p| p.key == "offline";
    /// Which models a new pack has, and whether they may be fetched.
    Models: |p| matches!(p.key, "model" | "hf_repo" | "offline");
}

impl<S: Selection> Args for Given<S> {
    fn augment_args(command: Command) -> Command {
        command.args(all().iter().filter(|p| S::takes(p)).map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Selection> FromArgMatches for Given<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = Values::default();
        for parameter in all().iter().filter(|p| S::takes(p)) {
            if let Some(value) = typed(parameter, matches) {
                let wrong =
                    |wrong| clap::Error::raw(ErrorKind::ValueValidation, format!("--{wrong}\n"));
                parameter.set(&mut values, &value).map_err(wrong)?;
            }
        }
        if let Some(repositories) = values.hf_repo.take() {
            let files = values.model.take().unwrap_or_default();
            values.model = Some(in_order(files, repositories, matches));
        }
        Ok(Self {
            values: Box::new(values),
            some: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The models of `-m` and `-hf`, in the order in which they were typed.
fn in_order(files: Vec<PathBuf>, repositories: Vec<String>, matches: &ArgMatches) -> Vec<PathBuf> {
    let places = |name| matches.indices_of(name).into_iter().flatten();
    let named = repositories.into_iter().map(|name| {
        let bare = name.strip_prefix("hf:").unwrap_or(&name);
        PathBuf::from(format!("hf:{bare}"))
    });
    let files = places("model").zip(files);
    let mut all: Vec<(usize, PathBuf)> = files.chain(places("hf-repo").zip(named)).collect();
    all.sort();
    all.into_iter().map(|(_, model)| model).collect()
}

/// The entry of the table that an argument was made from.
#[derive(Debug, Clone, Copy)]
struct Entry(&'static Parameter);

impl clap::builder::ArgExt for Entry {}

/// The parameter that an argument sets.
pub fn parameter_of(arg: &Arg) -> Option<&'static Parameter> {
    arg.get::<Entry>().map(|entry| entry.0)
}

/// The argument that sets a parameter.
fn argument(parameter: &'static Parameter) -> Arg {
    let value_name = parameter.value_name.map(str::to_owned);
    // A manifest may set it, and is not read yet.
    let settled = !parameter.in_manifest() && parameter.kind != Kind::Switch;
    let default = parameter.default.as_ref().filter(|_| settled);
    let arg = Arg::new(&*parameter.name)
        .long(&*parameter.name)
        .short(parameter.short)
        .env(parameter.variable())
        .help(parameter.told())
        .help_heading(parameter.group.heading())
        .value_name(value_name.unwrap_or_else(|| parameter.key.to_uppercase()))
        .default_values(default.map(Value::to_string))
        .value_delimiter(parameter.commas.then_some(','))
        .allow_negative_numbers(takes_negative(parameter))
        .conflicts_with_all(parameter.instead_of)
        .add(Entry(parameter));
    match parameter.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        Kind::List(item) => read_as(*item, arg.action(ArgAction::Append)),
        kind => read_as(kind, arg.allow_hyphen_values(parameter.verbatim)),
    }
}

/// An argument whose values are of this kind.
fn read_as(kind: Kind, arg: Arg) -> Arg {
    match kind {
        Kind::Words(words) => arg.value_parser(one_of(words).map(Value::Text)),
        Kind::Path => arg
            .value_parser(PathBufValueParser::new().map(Value::Path))
            .value_hint(ValueHint::AnyPath),
        kind => arg.value_parser(move |text: &str| kind.read(text)),
    }
}

fn takes_negative(parameter: &Parameter) -> bool {
    let number = matches!(
        parameter.kind,
        Kind::Number | Kind::Whole { least: ..0, .. }
    );
    number && parameter.range.contains(-1.0)
}

fn one_of(words: &'static [Word]) -> PossibleValuesParser {
    PossibleValuesParser::new(words.iter().map(|word| {
        let value = PossibleValue::new(word.name);
        match word.help {
            Some(help) => value.help(help),
            None => value,
        }
    }))
}

/// Reads one of a parameter's words, for an argument that is declared beside the table.
pub fn word<T: Typed + Send + Sync + 'static>() -> impl TypedValueParser<Value = T> {
    let read = |word| T::read(&Value::Text(word)).map_err(|_| std::fmt::Error);
    one_of(T::KIND.words()).try_map(read)
}

/// The value that was typed, or that of the config file; None where the table's own default holds, so
/// that what is asked of a server is not taken for a wish.
fn typed(parameter: &Parameter, matches: &ArgMatches) -> Option<Value> {
    let is_default = matches.value_source(&parameter.name) == Some(ValueSource::DefaultValue);
    let value = value(parameter, matches)?;
    Some(value).filter(|value| !is_default || parameter.default.as_ref() != Some(value))
}

fn value(parameter: &Parameter, matches: &ArgMatches) -> Option<Value> {
    let name = &*parameter.name;
    match parameter.kind {
        Kind::Switch => Some(Value::Switch(true)).filter(|_| matches.get_flag(name)),
        Kind::List(_) => {
            let values = matches.get_many::<Value>(name)?;
            Some(Value::List(values.cloned().collect()))
        }
        _ => matches.get_one::<Value>(name).cloned(),
    }
}

/// llama.cpp's spellings of flags: one dash and several letters, which clap cannot express.
pub fn spellings() -> impl Iterator<Item = (&'static str, String)> {
    all().iter().flat_map(|parameter| {
        let to = |spelling: &&'static str| (*spelling, format!("--{}", parameter.name));
        parameter.spellings.iter().map(to)
    })
}

/// Whether the value of this flag may look like a flag.
pub fn takes_any_text(flag: &str) -> bool {
    let mut verbatim = all().iter().filter(|parameter| parameter.verbatim);
    verbatim.any(|parameter| {
        let long = flag.strip_prefix("--") == Some(&*parameter.name);
        let short = parameter
            .short
            .is_some_and(|letter| flag == format!("-{letter}"));
        long || short || parameter.spellings.contains(&flag)
    })
}

/// The parameter of an argument, if the config file can set it.
pub fn takes_config(arg: &Arg) -> Option<&'static Parameter> {
    parameter_of(arg).filter(|parameter| parameter.is_set_in(Place::Config))
}
