//! Each line of the contract's list of safety.

use super::*;
use crate::client::read;
use packllm_server::Safety;
use std::io::Write;

fn guarded(safety: Safety) -> Running {
    Running::with(FakeSource::default(), |options| options.safety = safety)
}

#[test]
fn other_hosts_are_refused_also_without_a_name() {
    let server = guarded(Safety {
        hosts: vec!["host.docker.internal".into()],
        ..Safety::default()
    });
    let status = |host: &str| {
        let reply = server
            .client
            .send("GET", "/v1/models", &[("Host", host)], b"");
        reply.status
    };
    for host in [
        "localhost:8114",
        "127.0.0.1",
        "[::1]:80",
        "app.localhost",
        "host.docker.internal:1",
    ] {
        assert_eq!(status(host), 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8114",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
    ] {
        assert_eq!(status(host), 403, "{host}");
    }
    assert_eq!(status(""), 400);
    let none = b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(read(&mut server.client.raw(none)).unwrap().status, 400);
    let two = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    assert_eq!(read(&mut server.client.raw(two)).unwrap().status, 400);
    let other = b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(read(&mut server.client.raw(other)).unwrap().status, 400);
}

#[test]
fn pages_of_other_origins_may_not_ask_unless_they_are_listed() {
    let server = guarded(Safety {
        origins: vec!["https://chat.example".into()],
        ..Safety::default()
    });
    let ask = |method, origin: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("Origin", origin)];
        headers.extend(more);
        let body = question("Hello", json!({ "max_tokens": 1 })).to_string();
        server.client.send(method, CHAT, &headers, body.as_bytes())
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://chat.example",
        "https://chat.example.evil",
        "",
    ] {
        let reply = ask("POST", origin, &[]);
        assert_eq!(reply.status, 403, "{origin}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
        assert_eq!(ask("OPTIONS", origin, &[]).status, 403);
    }
    let own = format!("http://{}", server.client.0);
    let reply = ask("POST", &own, &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), None);

    let reply = ask("POST", "https://chat.example", &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://chat.example")
    );
    assert_eq!(reply.header("vary"), Some("Origin"));
    let asked = "authorization, content-type, x-api-key, x-stainless-os, x-evil";
    let asked = [("Access-Control-Request-Headers", asked)];
    let reply = ask("OPTIONS", "https://chat.example", &asked);
    assert_eq!(reply.status, 204);
    let allowed = "authorization, content-type, x-api-key, x-stainless-os";
    assert_eq!(reply.header("access-control-allow-headers"), Some(allowed));
}

#[test]
fn a_key_is_asked_for_where_there_is_one() {
    let server = guarded(Safety {
        keys: vec!["first-key".into(), "second".into()],
        ..Safety::default()
    });
    let get = |path: &str, headers: &[(&str, &str)]| server.client.send("GET", path, headers, b"");
    let status = |headers: &[(&str, &str)]| get("/v1/models", headers).status;
    assert_eq!(status(&[("Authorization", "Bearer first-key")]), 200);
    assert_eq!(status(&[("authorization", "bearer second")]), 200);
    assert_eq!(status(&[("x-api-key", "second")]), 200);
    for wrong in [
        "",
        "Bearer ",
        "Bearer first-ke",
        "Bearer first-key2",
        "Basic first-key",
        "first-key",
    ] {
        assert_eq!(status(&[("Authorization", wrong)]), 401, "{wrong:?}");
    }
    assert_eq!(status(&[("x-api-key", "SECOND")]), 401);
    let reply = get("/v1/models", &[]);
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    assert_eq!(reply.json()["error"]["code"], "invalid_api_key");
    for path in ["/", "/health"] {
        assert_eq!(get(path, &[]).status, 200, "{path}");
    }
    for path in [
        "/metrics",
        "/slots",
        "/props",
        "/openapi.json",
        "/api/tags",
        "/nowhere",
        "//health",
    ] {
        assert_eq!(get(path, &[]).status, 401, "{path}");
    }
}

#[test]
fn bodies_have_a_limit_and_a_time() {
    let server = Running::with(FakeSource::default(), |options| {
        options.limits.body = 2000;
        options.limits.read_time = Duration::from_millis(300);
    });
    let long = question(&"a".repeat(3000), json!({}));
    assert_eq!(server.client.post(CHAT, &long).status, 413);
    let host = server.client.0;
    let chunked =
        format!("POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut stream = server.client.raw(chunked.as_bytes());
    let chunk = format!("3e8\r\n{}\r\n", "a".repeat(1000));
    for _ in 0..4 {
        let _ = stream.get_mut().write_all(chunk.as_bytes());
    }
    assert_eq!(read(&mut stream).unwrap().status, 413);

    let start = Instant::now();
    let half =
        format!("POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{\"mess");
    let reply = read(&mut server.client.raw(half.as_bytes())).unwrap();
    assert_eq!(reply.status, 408);
    // Headers that never end: hyper closes.
    let slow = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nX-Slow: ");
    let mut stream = server.client.raw(slow.as_bytes());
    let closed = read(&mut stream);
    assert!(closed.is_none_or(|reply| reply.status == 408));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(server.client.get("/health").status, 200);
}

#[test]
fn connections_have_a_limit_and_others_wait() {
    let server = Running::with(FakeSource::default(), |options| {
        options.limits.connections = 3;
        options.limits.read_time = Duration::from_millis(400);
    });
    let open: Vec<_> = (0..3).map(|_| server.client.raw(b"GET ")).collect();
    // It is answered once those before it have timed out.
    let start = Instant::now();
    assert_eq!(server.client.get("/health").status, 200);
    assert!(start.elapsed() > Duration::from_millis(100));
    drop(open);
}

#[test]
fn an_answer_has_a_limit_of_the_server() {
    let server = Running::with(FakeSource::default(), |options| {
        options.limits.answer = Some(4);
    });
    let answer = chat(&server, json!({ "max_tokens": 1000, "ignore_eos": true }));
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() <= 5);
}

#[test]
fn no_path_or_template_of_a_request_is_opened() {
    let server = Running::new();
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/%2fetc%2fpasswd",
        "/.git/config",
        "/openapi.json/../etc/passwd",
    ] {
        let reply = server.client.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains("root:"));
    }
    let mut body = question("Hello", json!({ "max_tokens": 1 }));
    body["chat_template"] = json!("{% include '/etc/passwd' %}");
    assert_eq!(server.client.post(CHAT, &body).status, 200);
    let body = json!({ "prompt": "a", "template": "{{ .Prompt }} x" });
    let reply = refused(&server, "/api/generate", &body);
    assert!(
        reply.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("template")
    );
}

#[test]
fn hostile_bodies_are_refused_and_the_server_lives() {
    let server = Running::new();
    let status = |body: &[u8]| server.client.send("POST", CHAT, &[], body).status;
    for body in [
        &b""[..],
        b"{",
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"",
        b"[]",
        b"null",
        b"\"text\"",
        b"{\"messages\":[]}",
        b"{\"messages\":null}",
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}",
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]} more",
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":1e999}",
        b"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":99999999999999999999}",
        b"{\"messages\":[{\"role\":\"king\",\"content\":\"a\"}]}",
        b"{\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]}",
        b"\xef\xbb\xbf{}",
    ] {
        assert_eq!(status(body), 400, "{}", String::from_utf8_lossy(body));
    }
    let shown = server
        .client
        .send("POST", "/api/show", &[], b"[null, null]");
    assert_eq!(shown.status, 400);
    assert_eq!(status("[".repeat(100_000).as_bytes()), 400);
    assert_eq!(
        status(format!("{{\"a\":{}", "{\"a\":".repeat(10_000)).as_bytes()),
        400
    );
    for method in ["PUT", "DELETE", "PATCH", "GET", "BREW"] {
        let reply = server.client.send(method, CHAT, &[], b"");
        assert_eq!(reply.status, 405, "{method}");
    }
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        let mut stream = server.client.raw(bytes);
        stream
            .get_mut()
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
        assert!(read(&mut stream).is_none_or(|reply| reply.status == 400));
    }
    chat(&server, json!({ "max_tokens": 2 }));
}

/// Sends a body in pieces until the server has had enough; returns the status.
fn pour(server: &Running, bytes: usize) -> u16 {
    let host = server.client.0;
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {bytes}\r\n\r\n");
    let mut stream = server.client.raw(head.as_bytes());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..bytes >> 20 {
        if stream.get_mut().write_all(&piece).is_err() {
            break;
        }
    }
    read(&mut stream).map_or(413, |reply| reply.status)
}

#[test]
fn an_answer_under_way_is_not_harmed_by_what_others_send() {
    let asked = json!({ "max_tokens": 60, "stream": true });
    let body = question("Stay whole", asked.clone()).to_string();
    let text = |reply: &Reply| -> String {
        let chunks = reply.chunks();
        let pieces = chunks.iter().map(|c| &c["choices"][0]["delta"]["content"]);
        pieces.filter_map(Value::as_str).collect()
    };
    let alone = Running::new();
    let want = text(&alone.client.send("POST", CHAT, &[], body.as_bytes()));

    let server = Running::with(slow(5), |options| {
        options.limits.read_time = Duration::from_millis(200);
    });
    let mut under_way = server.client.open("POST", CHAT, &[], body.as_bytes());
    let host = server.client.0;
    // Slow ones stay open all the time.
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: {host}\r\n");
    let dripping = [
        head.clone(),
        format!("{head}Content-Length: 50\r\n\r\n{{\"messages\":"),
    ];
    let dripping = dripping.map(|bytes| server.client.raw(bytes.as_bytes()));
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        server.client.send("POST", CHAT, headers, body).status
    };
    let deep = "[".repeat(200_000);
    let deep = format!("{{\"messages\":{deep}");
    assert_eq!(post(&[], deep.as_bytes()), 400);
    assert_eq!(
        post(
            &[],
            b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xc3\x28\"}]}"
        ),
        400
    );
    assert_eq!(post(&[], b"{\"messages\":[],\"seed\":1e400}"), 400);
    assert_eq!(post(&[("Host", "evil.example")], body.as_bytes()), 403);
    assert_eq!(
        post(&[("Origin", "https://evil.example")], body.as_bytes()),
        403
    );
    assert_eq!(
        server
            .client
            .get("/v1/models/..%2f..%2fetc%2fpasswd")
            .status,
        404
    );
    assert_eq!(pour(&server, 100 << 20), 413);

    let whole = read(&mut under_way).unwrap();
    assert_eq!(text(&whole), want);
    for mut stream in dripping {
        assert!(read(&mut stream).is_none_or(|reply| reply.status == 408));
    }
}
