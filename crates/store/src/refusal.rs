//! Why a server refuses, as the Hugging Face hub says it in the headers of its answer.

use super::error::{Refused, StoreError};

/// What the headers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `X-Error-Code`: `GatedRepo`, `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`.
    code: Option<String>,
    /// `X-Error-Message`.
    message: Option<String>,
    /// Seconds to wait, by `Retry-After` or `RateLimit`.
    pub wait: Option<u64>,
}

/// Reads the headers, by their names.
pub(super) fn of(header: &dyn Fn(&str) -> Option<String>) -> Refusal {
    let after = header("retry-after").and_then(|text| text.trim().parse().ok());
    let limit = || header("ratelimit").and_then(|text| reset(&text));
    Refusal {
        code: header("x-error-code"),
        message: header("x-error-message"),
        wait: after.or_else(limit),
    }
}

/// The seconds of `"api";r=0;t=55`, if nothing remains (`r`).
fn reset(limit: &str) -> Option<u64> {
    let field = |name: &str| {
        let mut fields = limit.split([';', ',']).map(str::trim);
        fields.find_map(|field| field.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    field("r=").filter(|remaining| *remaining == 0)?;
    field("t=")
}

impl Refusal {
    /// The error for a request of `url` that ended with `status`.
    pub fn error(&self, url: &str, status: u16) -> StoreError {
        let message = self.message.as_deref();
        let why = match self.code.as_deref() {
            Some("GatedRepo") if status == 401 => Refused::Gated,
            Some("GatedRepo") => Refused::NotYours,
            Some("RepoNotFound") => Refused::NoRepository,
            Some("RevisionNotFound") => Refused::NoRevision,
            Some("EntryNotFound") => Refused::NoFile,
            _ if message == Some("Access to this resource is disabled.") => Refused::Disabled,
            _ if message == Some("Invalid credentials in Authorization header") => {
                Refused::BadToken
            }
            // The hub answers so where there is nothing, too.
            None if status == 401 && is_api(url) => Refused::NoRepository,
            _ => {
                return StoreError::Status {
                    url: url.to_owned(),
                    status,
                };
            }
        };
        StoreError::Refused {
            page: page(url),
            why,
        }
    }
}

fn is_api(url: &str) -> bool {
    url.contains("/api/models/")
}

/// The page of the repository that an address of the hub is about.
fn page(url: &str) -> String {
    let start = match url.split_once("/resolve/") {
        Some((page, _)) => return page.to_owned(),
        None => url.split_once("/api/models/"),
    };
    match start {
        Some((hub, rest)) => {
            let repo: Vec<&str> = rest.split(['/', '?']).take(2).collect();
            format!("{hub}/{}", repo.join("/"))
        }
        None => url.to_owned(),
    }
}
