//! JSON from a request's bytes, whatever its content type says.

use super::Served;
use crate::error::Refusal;
use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// The body of a request, read within the limits.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Served> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, served: &Served) -> Result<Self, Refusal> {
        let limits = &served.options.limits;
        let body = Limited::new(request.into_body(), limits.body);
        let read = tokio::time::timeout(limits.read_time, body.collect()).await;
        let bytes = match read {
            Err(_) => return Err(Refusal::too_slow()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(Refusal::too_large(limits.body));
            }
            Ok(Err(_)) => return Err(Refusal::invalid("the body broke off")),
            Ok(Ok(body)) => body.to_bytes(),
        };
        parse(&bytes).map(Body)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // Lists would be read as the fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Refusal::invalid("the body must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() && path != "." {
            Refusal::field(&path, format!("{path}: {inner}"))
        } else {
            Refusal::invalid(format!("the body is no JSON that is served here: {inner}"))
        }
    })?;
    let end = json.end();
    end.map_err(|error| Refusal::invalid(format!("the body goes on after its JSON: {error}")))?;
    Ok(parsed)
}
