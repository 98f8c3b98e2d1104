//! Where a server is.

use std::fmt;
use std::str::FromStr;

/// The address of a server, as `http://127.0.0.1:8114`. A scheme that is missing is `http`, and a
/// `/v1` at the end, which clients of OpenAI have there, is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// A text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a server, as http://127.0.0.1:8114 or https://pack.example")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let short = whole.trim_end_matches('/');
        let short = short.strip_suffix("/v1").unwrap_or(short);
        let uri: ureq::http::Uri = short.parse().map_err(|_| wrong())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        // What follows the host is a port, or nothing.
        let named = uri.authority().is_some_and(|authority| {
            let host = authority.host();
            let ends = authority.port().is_some() || authority.as_str() == host;
            !host.is_empty() && ends
        });
        // A name and a password in an address would be shown with it.
        let plain = !short.contains(['@', '?', '#']);
        match is_http && named && plain {
            true => Ok(Self(short.to_owned())),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Address {
    pub(crate) fn route(&self, route: &str) -> String {
        format!("{}{route}", self.0)
    }

    /// Whether the server is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let uri = self.0.parse::<ureq::http::Uri>().ok();
        let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let ip = bare.parse::<std::net::IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether what is sent there can be read on the way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.starts_with("http://") && !self.is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_people_write_them() {
        for (text, is) in [
            ("http://127.0.0.1:8114", "http://127.0.0.1:8114"),
            ("127.0.0.1:8114/", "http://127.0.0.1:8114"),
            ("localhost:1", "http://localhost:1"),
            ("https://pack.example/v1/", "https://pack.example"),
            ("https://pack.example/chat/v1", "https://pack.example/chat"),
            ("http://[::1]:80", "http://[::1]:80"),
        ] {
            let address = text.parse::<Address>();
            assert_eq!(address.map(|a| a.to_string()), Ok(is.to_owned()), "{text}");
        }
        for text in [
            "",
            "http://",
            "ftp://a",
            "http://a:b@c",
            "a?b",
            "a b",
            "http://a:99999999",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_way_to_another_machine_is_open() {
        let is_open = |text: &str| text.parse::<Address>().unwrap().is_open();
        assert!(is_open("http://pack.example") && is_open("192.168.0.2:8114"));
        assert!(!is_open("https://pack.example"));
        assert!(!is_open("localhost:1") && !is_open("127.0.0.9:1") && !is_open("http://[::1]:1"));
    }
}
