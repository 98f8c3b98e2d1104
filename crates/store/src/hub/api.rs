//! What the hub says of a repository: its commit, files, licence.
//!
//! `GET /api/models/OWNER/REPO/revision/REVISION?blobs=true`, as `HfApi.model_info` with
//! `files_metadata` asks it. `GET /api/models?search=…&filter=gguf`, or `author=…`, finds names.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Refused, StoreError};
use crate::http;
use crate::job::Job;
use crate::manifest::Licence;
use crate::source::{Named, encode, inner_path};

use super::cache::is_commit;
use packllm_engine::nearest;

/// A repository at one commit.
#[derive(Debug)]
pub(crate) struct Info {
    pub commit: String,
    pub files: Vec<RepoFile>,
    pub licence: Option<Licence>,
}

/// A file of it.
#[derive(Debug)]
pub(crate) struct RepoFile {
    pub path: String,
    pub size: Option<u64>,
    /// Of a file that git itself does not keep, as of every large one.
    pub sha256: Option<String>,
    /// Its name among the blobs of the cache.
    pub etag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelInfo {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default)]
    tags: Vec<String>,
    card_data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Hit {
    id: String,
}

/// Asks about a repository.
pub(crate) fn info(named: &Named, job: &mut Job) -> Result<Info, StoreError> {
    let endpoint = job.options.hub_endpoint.trim_end_matches('/').to_owned();
    let url = format!(
        "{endpoint}/api/models/{}/revision/{}?blobs=true",
        named.repo,
        encode(named.revision(), "")
    );
    let token = job.options.hub_token.clone();
    let bytes = match http::document(&url, token.as_deref(), job) {
        Err(StoreError::Refused {
            why: Refused::NoRepository,
            ..
        }) => {
            let near = alike(&named.repo, job);
            return Err(StoreError::NoRepository {
                repo: named.repo.clone(),
                near,
            });
        }
        outcome => outcome?,
    };
    let bad = |reason: String| StoreError::BadAnswer {
        url: url.clone(),
        reason,
    };
    let info: ModelInfo = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if !is_commit(&info.sha) {
        return Err(bad("`sha` is no commit".to_owned()));
    }
    let licence = licence(&info, &format!("{endpoint}/{}", named.repo));
    let files = info.siblings.into_iter().filter_map(file).collect();
    Ok(Info {
        commit: info.sha,
        files,
        licence,
    })
}

/// A file whose path and hashes can be trusted to be no other paths.
fn file(sibling: Sibling) -> Option<RepoFile> {
    inner_path(&sibling.rfilename)?;
    let hex = |text: &String, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let sha256 = sibling.lfs.as_ref().and_then(|lfs| lfs.sha256.clone());
    let sha256 = sha256.filter(|text| hex(text, 64));
    let git = sibling.blob_id.filter(|text| hex(text, 40));
    Some(RepoFile {
        size: sibling.lfs.and_then(|lfs| lfs.size).or(sibling.size),
        etag: sha256.clone().or(git),
        sha256,
        path: sibling.rfilename,
    })
}

/// The licence that the model card names: `other` has a name and a link of its own.
fn licence(info: &ModelInfo, page: &str) -> Option<Licence> {
    let card = |key: &str| {
        let text = info.card_data.as_ref()?.get(key)?.as_str()?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let tag = || {
        let mut tags = info.tags.iter();
        tags.find_map(|tag| tag.strip_prefix("license:").map(str::to_owned))
    };
    let id = card("license").or_else(tag)?;
    let id = match id.as_str() {
        "other" => card("license_name").unwrap_or(id),
        _ => id,
    };
    let link = card("license_link").filter(|link| link.starts_with("https://"));
    Some(Licence {
        id,
        url: Some(link.unwrap_or_else(|| page.to_owned())),
    })
}

/// Names of repositories with GGUF files that are like this one; none if the hub does not say.
fn alike(repo: &str, job: &mut Job) -> Vec<String> {
    let (owner, name) = repo.split_once('/').unwrap_or(("", repo));
    let search = |by: &str, text: &str, job: &mut Job| -> Vec<String> {
        let endpoint = job.options.hub_endpoint.trim_end_matches('/');
        let text = encode(text, "");
        let url = format!("{endpoint}/api/models?{by}={text}&filter=gguf&limit=50");
        let found = http::document(&url, None, job).ok();
        let hits: Vec<Hit> = found
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        hits.into_iter().map(|hit| hit.id).collect()
    };
    let mut found = search("search", name, job);
    if found.is_empty() {
        found = search("author", owner, job);
    }
    found.retain(|id| id.chars().all(|char| char.is_ascii_graphic()));
    let best = nearest(repo, &found);
    found.retain(|id| Some(id) != best.as_ref());
    best.into_iter().chain(found).take(3).collect()
}
