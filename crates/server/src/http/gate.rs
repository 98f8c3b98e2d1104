//! What every request passes: the log, the rules of safety, and errors in the words of a dialect.

use super::log::Entry;
use super::{Served, safety};
use crate::error::Refusal;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub async fn gate(State(served): State<Served>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("(no route)", MatchedPath::as_str);
    let entry = Entry::begin(&served.options.log, request.method().as_str(), route);
    request.extensions_mut().insert(entry.clone());
    let asked = request
        .headers()
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned();
    let rules = &served.options.safety;
    let checked = safety::check(rules, request.method(), request.uri(), request.headers());
    let mut response = match checked {
        Err(refusal) => refusal.dressed(&path),
        Ok(Some(origin)) if request.method() == Method::OPTIONS => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            safety::preflight(asked.as_ref(), response.headers_mut());
            safety::allow(&origin, response.headers_mut());
            response
        }
        Ok(origin) => {
            let mut response = next.run(request).await;
            if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
                response = refusal.dressed(&path);
            }
            if let Some(origin) = origin {
                safety::allow(&origin, response.headers_mut());
            }
            response
        }
    };
    let headers = response.headers_mut();
    let sniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, sniff);
    entry.status(response.status().as_u16());
    response
}
