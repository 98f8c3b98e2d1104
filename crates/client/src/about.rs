//! What a server is.

use crate::address::Address;
use crate::error::ClientError;
use serde::Deserialize;

/// What a server is, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The model that is asked: the first, if there are several.
    pub model: String,
    /// All that there are.
    pub models: Vec<String>,
    /// The members of the pack; none where it is not loaded, or is no pack.
    pub members: Vec<String>,
    /// Tokens of context, if they are known.
    pub context: Option<usize>,
    /// The version of packllm; None for another server.
    pub version: Option<String>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    owned_by: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Props {
    build_info: String,
    members: Vec<String>,
    default_generation_settings: Defaults,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Defaults {
    n_ctx: usize,
}

impl About {
    /// By `/v1/models`.
    pub(crate) fn of_models(address: &Address, document: &[u8]) -> Result<Self, ClientError> {
        let models: Models = read(address, document)?;
        let Some(first) = models.data.first() else {
            return Err(ClientError::strange(address, "it has no model"));
        };
        let is_packllm = first.owned_by == "packllm";
        Ok(Self {
            model: first.id.clone(),
            version: is_packllm.then(String::new),
            models: models.data.into_iter().map(|model| model.id).collect(),
            ..Self::default()
        })
    }

    /// By `/props`, of packllm alone.
    pub(crate) fn learn(&mut self, address: &Address, document: &[u8]) -> Result<(), ClientError> {
        let props: Props = read(address, document)?;
        let version = props.build_info.strip_prefix("b-packllm-");
        self.version = version.map(str::to_owned).or(self.version.take());
        self.members = props.members;
        let context = props.default_generation_settings.n_ctx;
        self.context = Some(context).filter(|&tokens| tokens > 0);
        Ok(())
    }

    /// Whether it tells of members.
    #[must_use]
    pub fn is_packllm(&self) -> bool {
        self.version.is_some()
    }
}

fn read<'a, T: Deserialize<'a>>(address: &Address, document: &'a [u8]) -> Result<T, ClientError> {
    serde_json::from_slice(document).map_err(|error| ClientError::strange(address, error))
}
