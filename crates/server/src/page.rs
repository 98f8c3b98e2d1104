//! The page at `/`: HTML, CSS and ES modules of our own, as they are written.
//!
//! It is open to anybody, as it says nothing of the pack or its conversations: what it shows it asks
//! for like any client, with a key where one is needed. Its policy lets it load from this server
//! alone, run no text as code, and make no HTML of a text (`trusted-types 'none'`).

use crate::http::Served;
use crate::llama;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! file {
    ($path:literal, $kind:expr, $name:literal) => {
        File {
            path: $path,
            kind: $kind,
            text: include_str!(concat!("page/", $name)),
        }
    };
}

/// A file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

static FILES: &[File] = &[
    file!("/", HTML, "index.html"),
    file!("/page/page.css", CSS, "page.css"),
    file!("/page/answer.css", CSS, "answer.css"),
    file!("/page/icon.svg", PICTURE, "icon.svg"),
    file!("/page/main.js", SCRIPT, "main.js"),
    file!("/page/server.js", SCRIPT, "server.js"),
    file!("/page/stream.js", SCRIPT, "stream.js"),
    file!("/page/thread.js", SCRIPT, "thread.js"),
    file!("/page/chat.js", SCRIPT, "chat.js"),
    file!("/page/facts.js", SCRIPT, "facts.js"),
    file!("/page/notices.js", SCRIPT, "notices.js"),
    file!("/page/keys.js", SCRIPT, "keys.js"),
    file!("/page/dialogs.js", SCRIPT, "dialogs.js"),
    file!("/page/markdown.js", SCRIPT, "markdown.js"),
    file!("/page/inline.js", SCRIPT, "inline.js"),
    file!("/page/words.js", SCRIPT, "words.js"),
    file!("/page/writer.js", SCRIPT, "writer.js"),
    file!("/page/turn.js", SCRIPT, "turn.js"),
    file!("/page/compare.js", SCRIPT, "compare.js"),
    file!("/page/members.js", SCRIPT, "members.js"),
    file!("/page/sessions.js", SCRIPT, "sessions.js"),
    file!("/page/settings.js", SCRIPT, "settings.js"),
    file!("/page/export.js", SCRIPT, "export.js"),
    file!("/page/scroll.js", SCRIPT, "scroll.js"),
    file!("/page/dom.js", SCRIPT, "dom.js"),
];

/// `'self'` is this server; what is not named is nowhere. No form is sent, and nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// The hash of each file, in quotes.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |file: &File| {
        let mut tag = String::from("\"");
        for byte in &Sha256::digest(file.text)[..16] {
            // Writing to a string does not fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
    };
    FILES.iter().map(tag).collect()
});

/// Whether the path is one of the page's: these are open without a key.
pub fn is_file(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// The routes of the page; without it, a greeting at `/`.
pub fn routes(router: Router<Served>, page: bool) -> Router<Served> {
    if !page {
        return router.route("/", get(llama::greeting));
    }
    let files = FILES.iter().enumerate();
    files.fold(router, |router, (i, file)| {
        let answer = move |State(_): State<Served>, headers: HeaderMap| {
            std::future::ready(answer(i, file, &headers))
        };
        router.route(file.path, get(answer))
    })
}

fn answer(i: usize, file: &File, asked: &HeaderMap) -> Response {
    let tag = &TAGS[i];
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok());
    let known = known.is_some_and(|known| {
        let mut tags = known
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
    });
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.text.into_response(),
    };
    let same_origin = HeaderValue::from_static("same-origin");
    let headers = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            same_origin.clone(),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            same_origin,
        ),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}
