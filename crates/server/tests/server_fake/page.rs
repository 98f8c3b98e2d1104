//! The page at `/`: its headers, and who may have it.

use super::*;
use packllm_server::Safety;

/// Files that the page loads, by what refers to them.
fn files(server: &Running) -> Vec<String> {
    let mut known = vec!["/".to_owned()];
    let mut next = 0;
    while next < known.len() {
        let text = server.client.get(&known[next]).text();
        let quoted = text
            .split('"')
            .filter(|word| !word.contains(char::is_whitespace));
        for word in quoted {
            let path = match word.strip_prefix("./") {
                Some(name) => format!("/page/{name}"),
                None => word.to_owned(),
            };
            let is_file = path.starts_with("/page/") && path.contains('.');
            if is_file && !known.contains(&path) {
                known.push(path);
            }
        }
        next += 1;
    }
    known
}

#[test]
fn every_file_comes_with_its_type_and_a_policy_that_lets_nothing_in() {
    let server = Running::new();
    let files = files(&server);
    assert!(files.len() > 10, "{files:?}");
    for path in files {
        let reply = server.client.get(&path);
        assert_eq!(reply.status, 200, "{path}");
        let kind = match path.rsplit_once('.').map(|(_, end)| end) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(reply.header("content-type"), Some(kind), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        let policy = reply.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.split("; ").any(|p| p == part), "{path}: {part}");
        }
        // Nothing of the page is inside its HTML, and nothing comes from elsewhere.
        let text = reply.text();
        for never in ["innerHTML", "eval(", "style=", "onclick=\"", "src=\"http"] {
            assert!(!text.contains(never), "{path}: {never}");
        }
    }
}

#[test]
fn what_is_known_is_not_sent_again() {
    let server = Running::new();
    let get = |path: &str, known: &str| {
        let headers = [("If-None-Match", known)];
        server.client.send("GET", path, &headers, b"")
    };
    for path in ["/", "/page/main.js"] {
        let first = server.client.get(path);
        let tag = first.header("etag").unwrap();
        assert!(tag.starts_with('"') && tag.len() > 20);
        for known in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let again = get(path, known);
            assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
            assert_eq!(again.header("etag"), Some(tag));
        }
        assert_eq!(get(path, "\"other\"").body, first.body);
    }
    let tags = ["/", "/page/main.js"].map(|path| server.client.get(path));
    assert_ne!(tags[0].header("etag"), tags[1].header("etag"));
}

#[test]
fn head_tells_what_get_would() {
    let server = Running::new();
    for path in ["/", "/page/page.css"] {
        let whole = server.client.get(path);
        let mut stream = server.client.open("HEAD", path, &[], b"");
        let mut head = String::new();
        std::io::Read::read_to_string(&mut stream, &mut head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = format!("content-length: {}", whole.body.len());
        assert!(head.to_lowercase().contains(&length), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(server.client.send("POST", path, &[], b"").status, 405);
    }
}

#[test]
fn it_is_open_without_a_key_and_nothing_beside_it_is() {
    let server = Running::with(FakeSource::default(), |options| {
        options.safety = Safety {
            keys: vec!["the-key".into()],
            ..Safety::default()
        };
    });
    for path in files(&server) {
        assert_eq!(server.client.get(&path).status, 200, "{path}");
    }
    for path in [
        "/page/",
        "/page",
        "/page/none.js",
        "/page/../v1/models",
        "/page/%2e%2e/v1/models",
        "/packllm/pack",
        "/packllm/parameters",
        "/packllm/sessions",
        "/packllm/sessions/x",
    ] {
        assert_eq!(server.client.get(path).status, 401, "{path}");
    }
    let key = [("Authorization", "Bearer the-key")];
    let reply = server.client.send("GET", "/packllm/pack", &key, b"");
    assert_eq!(reply.status, 200);
}

#[test]
fn pages_of_others_get_nothing_of_it() {
    let server = Running::new();
    let ask = |path: &str, header: (&str, &str)| {
        let reply = server.client.send("GET", path, &[header], b"");
        reply.status
    };
    for path in ["/", "/page/main.js", "/packllm/pack", "/packllm/sessions"] {
        assert_eq!(ask(path, ("Origin", "https://evil.example")), 403, "{path}");
        assert_eq!(ask(path, ("Host", "evil.example")), 403, "{path}");
    }
}

#[test]
fn without_a_page_there_is_a_greeting() {
    let server = Running::with(FakeSource::default(), |options| options.page = false);
    assert_eq!(server.client.get("/").text(), "packllm is running");
    assert_eq!(server.client.get("/page/main.js").status, 404);
}

#[test]
fn the_pack_is_told() {
    let server = Running::with(FakeSource::default(), |options| {
        options.alias = Some("ours".into());
    });
    let told = server.client.get("/packllm/pack").json();
    assert_eq!(told["name"], "ours");
    assert_eq!(told["sessions"], false);
    let members = told["members"].as_array().unwrap();
    let names: Vec<&Value> = members.iter().map(|m| &m["name"]).collect();
    assert_eq!(names, ["left", "right"]);
    assert_eq!(
        (&members[1]["mark"], &members[1]["colour"]),
        (&json!(2), &json!(1))
    );
    assert!(members.iter().all(|member| member["template"] == true));
}

/// A body that sets a field of a request, inside `packllm` after a dot.
fn setting(field: &str, value: &Value) -> Value {
    let more = match field.strip_prefix("packllm.") {
        Some(own) => json!({ "packllm": { own: value } }),
        None => json!({ field: value }),
    };
    let mut body = question("Hello", json!({ "max_tokens": 1 }));
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn parameters_are_those_that_a_request_may_set() {
    let server = Running::with(FakeSource::default(), |options| {
        options.answers.sampling.temperature = 0.3;
    });
    let told = server.client.get("/packllm/parameters").json();
    let told = told.as_array().unwrap();
    assert!(told.len() > 15);
    let find = |name: &str| told.iter().find(|p| p["name"] == name).unwrap();
    assert_eq!(find("temp")["default"], 0.3);
    assert_eq!(find("mix")["words"], json!(["log", "linear"]));
    assert_eq!(find("top-p")["most"], 1.0);
    for parameter in told {
        let field = parameter["field"].as_str().unwrap();
        let default = &parameter["default"];
        if !default.is_null() {
            let reply = server.client.post(CHAT, &setting(field, default));
            assert_eq!(reply.status, 200, "{field} = {default}: {}", reply.text());
        }
        // What is out of its range is refused by the name of the field.
        let wrong = match (&parameter["least"], &parameter["most"]) {
            (_, Value::Number(most)) => json!(most.as_f64().unwrap() + 1.0),
            (Value::Number(least), _) => json!(least.as_f64().unwrap() - 1.0),
            _ => continue,
        };
        let wrong = match parameter["kind"].as_str() {
            Some("whole") => json!(wrong.as_f64().unwrap() as i64),
            _ => wrong,
        };
        // Numbers below these are taken for "all", as llama-server does.
        if ["max_tokens", "top_k", "seed"].contains(&field) {
            continue;
        }
        let reply = refused(&server, CHAT, &setting(field, &wrong));
        assert_eq!(reply.json()["error"]["param"], field, "{wrong}");
    }
}

#[test]
fn the_weights_of_an_answer_have_a_reason() {
    let server = Running::new();
    let reason = |own: Value| {
        let told = chat(&server, json!({ "max_tokens": 1, "packllm": own }));
        told["packllm"]["fusion"]["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(reason(json!({})), "by sim on 11 bytes of what was written");
    assert_eq!(
        reason(json!({ "members": ["left"] })),
        "the other members are off"
    );
    assert_eq!(
        reason(json!({ "weights": "left=3,right=1" })),
        "they were given"
    );
    assert_eq!(
        reason(json!({ "weights": "uniform" })),
        "all members count the same"
    );
}
