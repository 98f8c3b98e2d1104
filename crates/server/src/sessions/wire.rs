//! What is said of sessions, and asked.

use packllm_engine::chat::Role;
use packllm_engine::chat::history::History;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A session in the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// The user's first words.
    pub title: String,
    /// Messages that stand.
    pub messages: usize,
    pub pack: String,
    /// When it was changed, in seconds since 1970.
    pub changed: u64,
    /// Where the text that is searched for was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// What is looked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// A text, large or small letters alike.
    pub search: Option<String>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub struct Opened {
    pub id: String,
    /// To be sent along with a change.
    pub revision: u64,
    pub pack: String,
    pub members: Vec<String>,
    /// When it began, local time.
    pub began: String,
    pub system: Option<String>,
    /// Every message that was ever said; several that follow the same one are versions of a turn.
    pub messages: Vec<SaidBefore>,
    /// Those that stand, by index.
    pub standing: Vec<usize>,
    /// How many of these have left the context.
    pub left: usize,
}

/// A message of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaidBefore {
    /// Index of the message before it; null: it is a first one.
    pub follows: Option<usize>,
    /// `user` or `assistant`.
    pub role: &'static str,
    pub content: String,
}

impl Opened {
    pub fn new(id: &str, history: History) -> Self {
        let said = history.versions.into_iter().map(|version| SaidBefore {
            follows: version.follows,
            role: version.message.role.as_str(),
            content: version.message.content,
        });
        Self {
            id: id.to_owned(),
            revision: history.size,
            pack: history.header.pack,
            members: history.header.members,
            began: history.header.began,
            system: history.system,
            messages: said.collect(),
            standing: history.standing,
            left: history.left,
        }
    }
}

/// Who says a message of a session: its system prompt is none of them.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    User,
    Assistant,
}

impl From<Speaker> for Role {
    fn from(speaker: Speaker) -> Self {
        match speaker {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        }
    }
}

/// A message that is added.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Said {
    pub role: Speaker,
    pub content: String,
}

/// A session that begins.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Begin {
    /// The system prompt.
    pub system: Option<String>,
    /// At least one.
    pub messages: Vec<Said>,
}

/// A change to a session.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Change {
    /// As it was when it was read.
    pub revision: u64,
    /// How many of the messages that stand remain; all where it does not say.
    pub keep: Option<usize>,
    /// Messages that are added.
    #[serde(default)]
    pub messages: Vec<Said>,
    /// Another system prompt; empty: none.
    pub system: Option<String>,
    /// How many messages have left the context.
    pub left: Option<usize>,
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Rename {
    pub name: String,
}

/// A session after a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Revised {
    pub id: String,
    pub revision: u64,
}
