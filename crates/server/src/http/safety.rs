//! Who may ask: the rules of `Host`, `Origin` and keys.
//!
//! A page that a browser shows may send requests to any address, this machine's too. So its origin
//! is looked at, and so is the name that it calls this server by: a name of its own that leads here
//! would make it look like our own page (DNS rebinding).

use crate::config::Safety;
use crate::error::Refusal;
use crate::page;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, Ipv6Addr};
use subtle::{Choice, ConstantTimeEq};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a client of another origin may send.
const HEADERS: &[&str] = &[
    "authorization",
    "content-type",
    "x-api-key",
    "anthropic-version",
];

/// Checks a request; returns the foreign origin whose page may read the answer.
///
/// # Errors
/// It may not be answered.
pub fn check(
    safety: &Safety,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, Refusal> {
    let host = host(uri, headers)?;
    if !is_ours(host, &safety.hosts) {
        let advice = "if it is a name of this server, start it with --allow-host";
        return Err(Refusal::forbidden(format!(
            "the request is for a host that is not served: {advice}"
        )));
    }
    let origin = origin(safety, host, headers)?;
    // A browser asks without a key whether it may ask with one.
    if method != Method::OPTIONS && !is_open(uri.path()) {
        key(safety, headers)?;
    }
    Ok(origin)
}

/// What is told to anybody.
fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/health" | "/v1/health") || page::is_file(path)
}

/// The host that is asked for; the one of the request line counts as well.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, more) = (hosts.next(), hosts.next());
    let host = first.and_then(|host| host.to_str().ok());
    let host = host.filter(|host| !host.is_empty() && more.is_none());
    let host = host.ok_or_else(|| Refusal::invalid("the request needs one Host"))?;
    match uri.authority() {
        Some(authority) if authority.as_str() != host => {
            Err(Refusal::invalid("the request names two hosts"))
        }
        _ => Ok(host),
    }
}

/// An address, `localhost`, a name below it, or one that is listed; with or without a port.
fn is_ours(host: &str, listed: &[String]) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port && address.parse::<Ipv6Addr>().is_ok();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => host,
    };
    let name = name.to_ascii_lowercase();
    name.parse::<Ipv4Addr>().is_ok()
        || name == "localhost"
        || name
            .strip_suffix(".localhost")
            .is_some_and(|sub| !sub.is_empty())
        || listed.iter().any(|ours| ours.eq_ignore_ascii_case(&name))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The foreign origin that is allowed; None for our own, or none at all.
fn origin(
    safety: &Safety,
    host: &str,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, Refusal> {
    let Some(value) = headers.get(header::ORIGIN) else {
        return Ok(None);
    };
    let origin = value.to_str().unwrap_or_default();
    let own = ["http://", "https://"]
        .iter()
        .any(|scheme| origin.strip_prefix(scheme) == Some(host));
    if own {
        return Ok(None);
    }
    match safety.origins.iter().any(|listed| listed == origin) {
        true => Ok(Some(value.clone())),
        false => Err(Refusal::forbidden(
            "pages of this origin may not ask: if it is yours, start the server with --allow-origin",
        )),
    }
}

/// Whether one of the keys was brought, in a time that says nothing of it.
fn key(safety: &Safety, headers: &HeaderMap) -> Result<(), Refusal> {
    if safety.keys.is_empty() {
        return Ok(());
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let other = headers.get(API_KEY).and_then(|value| value.to_str().ok());
    let Some(brought) = bearer.or(other) else {
        let message = "a key is needed: Authorization: Bearer KEY, or x-api-key";
        return Err(Refusal::key(message));
    };
    // Digests are of one length, whatever the keys are.
    let digest = Sha256::digest(brought);
    let known = safety.keys.iter().fold(Choice::from(0), |known, key| {
        known | digest.as_slice().ct_eq(Sha256::digest(key).as_slice())
    });
    match bool::from(known) {
        true => Ok(()),
        false => Err(Refusal::key("the key is not one of this server's")),
    }
}

/// Tells the browser that a page of this origin may read the answer.
pub fn allow(origin: &HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}

/// Tells the browser what a page of an allowed origin may send.
pub fn preflight(asked: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let asked = asked.and_then(|asked| asked.to_str().ok());
    let asked = asked.unwrap_or_default().split(',').map(str::trim);
    let may = |name: &&str| {
        let name = name.to_ascii_lowercase();
        HEADERS.contains(&&*name) || name.starts_with("x-stainless-")
    };
    let allowed: Vec<&str> = asked.filter(may).collect();
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    let methods = HeaderValue::from_static("GET, POST");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let age = HeaderValue::from_static("600");
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, age);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_localhost_and_what_is_listed() {
        let listed = ["host.docker.internal".to_owned()];
        for host in [
            "127.0.0.1",
            "127.0.0.1:8114",
            "192.168.1.7:80",
            "[::1]",
            "[::1]:8114",
            "localhost",
            "LOCALHOST:1",
            "a.localhost:8114",
            "Host.Docker.Internal:8114",
        ] {
            assert!(is_ours(host, &listed), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8114",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
            ".localhost",
            "[::1",
            "[::1]x",
            "[evil]",
            "127.0.0.1:x",
            "127.0.0.1:",
            "127.0.0.1:99999",
            "a@127.0.0.1",
            "2130706433",
        ] {
            assert!(!is_ours(host, &listed), "{host}");
        }
    }
}
