//! The manifest of a pack: a TOML file, read strictly.
//!
//! Parameters are checked against their table. The names in `weights` are checked by the settings,
//! which know the members.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::disk::plain_file_name;
use super::error::{StoreError, io_error};
use super::section::{Document, Section, describe, integer, number, string};
use super::source::Source;
use packllm_parameter::{Place, Values, known};

/// Where a manifest came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Compiled into the program, or made by it: members are in the store.
    #[default]
    Shipped,
    /// A file in the store's folder of packs.
    Store(PathBuf),
    /// A file anywhere else; members may lie beside it.
    File(PathBuf),
}

/// A pack: its members and how they are fused.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Manifest {
    /// What it is called by: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// What it is for, in a few words.
    pub about: Option<String>,
    /// The `[fusion]` table.
    #[serde(skip_serializing_if = "is_silent")]
    pub fusion: Values,
    /// At least one, with distinct names.
    #[serde(rename = "member")]
    pub members: Vec<Member>,
    /// Where it was read.
    #[serde(skip)]
    pub origin: Origin,
}

/// One model of a pack.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Member {
    /// Unique in the pack: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Path relative to the manifest, a file name in the store, or a [`Source`].
    pub file: String,
    /// 64 lower-case hexadecimal digits; there whenever `sources` is not empty.
    pub sha256: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Where to get it, in order of preference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Terms of the model, shown before a download.
    #[serde(flatten)]
    pub licence: Option<Licence>,
    /// How it is loaded.
    #[serde(flatten)]
    pub settings: Values,
    /// A Jinja chat template instead of the model's own.
    pub chat_template: Option<String>,
    /// The same from a file, relative to the manifest.
    pub chat_template_file: Option<String>,
    /// Prior weight, at least 0, in any unit: the settings normalise.
    pub prior: Option<f64>,
}

/// The terms under which a model is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// A short name, for example `Apache-2.0`.
    #[serde(rename = "licence")]
    pub id: String,
    /// Where the text is.
    #[serde(rename = "licence_url")]
    pub url: Option<String>,
}

impl Licence {
    /// Whether it is one of the well-known licences that restrict no use, so that the user need not
    /// be asked.
    pub fn is_permissive(&self) -> bool {
        const PERMISSIVE: [&str; 8] = [
            "apache-2.0",
            "mit",
            "bsd-2-clause",
            "bsd-3-clause",
            "isc",
            "cc0-1.0",
            "cc-by-4.0",
            "unlicense",
        ];
        PERMISSIVE.contains(&self.id.to_ascii_lowercase().as_str())
    }
}

impl Member {
    /// The name that `file` is, if it is one and no path.
    pub fn named(&self) -> Option<Source> {
        Source::named(&self.file).ok().flatten()
    }
}

impl Manifest {
    /// Reads a manifest from a file.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        Self::read(path, Origin::File(path.to_owned()))
    }

    pub(super) fn read(path: &Path, origin: Origin) -> Result<Self, StoreError> {
        let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
        Self::parse(&text, &path.display().to_string(), origin)
    }

    /// Reads a manifest from text; `title` names it in errors.
    pub fn parse(text: &str, title: &str, origin: Origin) -> Result<Self, StoreError> {
        let document = Document {
            origin: title,
            text,
        };
        let table = document.parse()?;
        let top = Section {
            document: &document,
            title: "",
            line: 1,
            table: table.get_ref(),
        };
        top.only(&["name", "about", "fusion", "member"])?;
        let name = top.need("name", VALID_NAME, |value| {
            string(value).filter(|text| valid_name(text))
        })?;
        let about = top.get("about", "a string", string)?;
        let fusion = match top.table.get("fusion") {
            None => Values::default(),
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => {
                    let line = document.line(value.span().start);
                    fusion(&Section {
                        document: &document,
                        title: "[fusion]",
                        line,
                        table,
                    })?
                }
                other => {
                    return Err(top.bad("fusion", value.span().start, "a table", describe(other)));
                }
            },
        };
        let mut members: Vec<Member> = Vec::new();
        for value in top.array("member", TABLES)? {
            let DeValue::Table(table) = value.get_ref() else {
                return Err(top.bad(
                    "member",
                    value.span().start,
                    TABLES,
                    describe(value.get_ref()),
                ));
            };
            let line = document.line(value.span().start);
            let section = Section {
                document: &document,
                title: "[[member]]",
                line,
                table,
            };
            let member = read_member(&section, &origin)?;
            if members.iter().any(|other| other.name == member.name) {
                return Err(section.clash(
                    "name",
                    "unique in the pack",
                    &format!("{:?} again", member.name),
                ));
            }
            members.push(member);
        }
        if members.is_empty() {
            return Err(top.missing("member"));
        }
        Ok(Self {
            name,
            about,
            fusion,
            members,
            origin,
        })
    }

    /// The manifest as TOML; [`Manifest::parse`] reads it back.
    pub fn to_toml(&self) -> Result<String, StoreError> {
        toml::to_string(self).map_err(|error| StoreError::Syntax {
            origin: self.name.clone(),
            line: 1,
            reason: error.to_string(),
        })
    }

    /// Whether its members have these names, in that order.
    pub fn has_members(&self, names: &[String]) -> bool {
        self.members.iter().map(|member| &member.name).eq(names)
    }

    /// The folder that relative paths start from; none for a shipped pack.
    pub fn folder(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Shipped => None,
            Origin::Store(path) | Origin::File(path) => path.parent(),
        }
    }
}

/// What is said of a member beside its parameters.
const OF_MEMBER: [&str; 10] = [
    "name",
    "file",
    "sha256",
    "size",
    "sources",
    "licence",
    "licence_url",
    "chat_template",
    "chat_template_file",
    "prior",
];

/// What packs and members may be called.
pub const VALID_NAME: &str =
    "a name of letters, digits, `.`, `_` and `-` that starts with a letter or digit";
const TABLES: &str = "a list of tables, each begun by [[member]]";

/// Whether a pack or member may be called so.
#[must_use]
pub fn valid_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
}

/// Whether nothing is said.
fn is_silent(values: &Values) -> bool {
    *values == Values::default()
}

/// Where members say how they are loaded.
const LOADING: [Place; 2] = [Place::Member, Place::MemberAlone];

fn fusion(section: &Section) -> Result<Values, StoreError> {
    let keys: Vec<&str> = known(Place::Fusion)
        .map(|parameter| parameter.key)
        .collect();
    section.only(&keys)?;
    section.values(&[Place::Fusion])
}

fn read_member(section: &Section, origin: &Origin) -> Result<Member, StoreError> {
    let parameters = LOADING.iter().flat_map(|place| known(*place));
    let keys = OF_MEMBER
        .into_iter()
        .chain(parameters.map(|parameter| parameter.key));
    section.only(&keys.collect::<Vec<_>>())?;
    let id = section.get("licence", "a string", string)?;
    let url = section.get("licence_url", "a string", string)?;
    let member = Member {
        name: section.need("name", VALID_NAME, |value| {
            string(value).filter(|text| valid_name(text))
        })?,
        file: section.need("file", "a path", string)?,
        sha256: section.get("sha256", "64 hexadecimal digits", |value| {
            let digits = value.as_str().filter(|text| {
                text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            digits.map(str::to_ascii_lowercase)
        })?,
        size: section.get("size", "a number of bytes above 0", whole(1, i64::MAX))?,
        sources: sources(section)?,
        licence: id.map(|id| Licence {
            id,
            url: url.clone(),
        }),
        settings: section.values(&LOADING)?,
        chat_template: section.get("chat_template", "a string", string)?,
        chat_template_file: section.get("chat_template_file", "a path", string)?,
        prior: section.get("prior", "a number that is not negative", |value| {
            number(value).filter(|prior| *prior >= 0.0)
        })?,
    };
    if member.chat_template.is_some() && member.chat_template_file.is_some() {
        return Err(section.clash(
            "chat_template_file",
            "left out",
            "given beside `chat_template`",
        ));
    }
    if member.licence.is_none() && url.is_some() {
        return Err(section.clash("licence_url", "given beside `licence`", "alone"));
    }
    if let Err(StoreError::BadSource { text, reason }) = Source::named(&member.file) {
        return Err(section.clash("file", reason, &format!("{text:?}")));
    }
    if !member.sources.is_empty() && member.named().is_some() {
        return Err(section.clash(
            "sources",
            "left out, since `file` says where the model is",
            "given",
        ));
    }
    if !member.sources.is_empty() && member.sha256.is_none() {
        return Err(section.missing("sha256"));
    }
    if !member.sources.is_empty() && !plain_file_name(&member.file) {
        return Err(section.clash(
            "file",
            "a plain file name, since the member has sources",
            &format!("{:?}", member.file),
        ));
    }
    let climbs = Path::new(&member.file)
        .components()
        .any(|part| part == Component::ParentDir);
    if climbs && !matches!(origin, Origin::File(_)) {
        return Err(section.clash("file", "a path without `..`", &format!("{:?}", member.file)));
    }
    Ok(member)
}

fn sources(section: &Section) -> Result<Vec<Source>, StoreError> {
    const EXPECTED: &str = "a list of strings";
    let read = |value: &toml::Spanned<DeValue>| {
        let Some(text) = value.get_ref().as_str() else {
            return Err(section.bad(
                "sources",
                value.span().start,
                EXPECTED,
                describe(value.get_ref()),
            ));
        };
        text.parse().map_err(|error| match error {
            StoreError::BadSource { text, reason } => {
                section.bad("sources", value.span().start, reason, format!("{text:?}"))
            }
            other => other,
        })
    };
    section
        .array("sources", EXPECTED)?
        .iter()
        .map(read)
        .collect()
}

/// A reader of whole numbers from `least` to `most`, both included.
fn whole<T: TryFrom<i64>>(least: i64, most: i64) -> impl Fn(&DeValue) -> Option<T> {
    move |value| {
        integer(value)
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| T::try_from(number).ok())
    }
}
