//! What the flags mean, and what is refused.

use super::*;

#[test]
fn others_may_ask_only_with_a_key_or_a_word() {
    let user = User::new();
    let (bpe, _) = user.models();
    let err = user.misused(&["serve", "-m", &bpe, "--host", "0.0.0.0", "--port", "0"]);
    assert!(
        err.contains("--api-key-file") && err.contains("--no-auth"),
        "{err}"
    );
    let served = Served::new(&user, &["--host", "0.0.0.0", "--no-auth"]);
    let here = Client(([127, 0, 0, 1], served.client.0.port()).into());
    assert_eq!(here.get("/v1/models").status, 200);
}

#[test]
fn keys_come_from_a_file_and_names_and_origins_from_flags() {
    let user = User::new();
    let file = user.path("keys.txt");
    std::fs::write(&file, "\nfirst\n second \n").unwrap();
    let flags = [
        "--api-key-file",
        file.to_str().unwrap(),
        "--allow-host",
        "pack.example",
        "--allow-origin",
        "https://chat.example",
        "--alias",
        "mine",
        "--log-format",
        "json",
    ];
    let served = Served::new(&user, &flags);
    assert!(served.curl.contains("Authorization"));
    assert_eq!(served.client.get("/v1/models").status, 401);
    let headers = [
        ("Host", "pack.example"),
        ("Origin", "https://chat.example"),
        ("Authorization", "Bearer second"),
    ];
    let reply = served.client.send("GET", "/v1/models", &headers, b"");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["data"][0]["id"], "mine");
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://chat.example")
    );
}

#[test]
fn wrong_flags_are_refused_before_anything_is_loaded() {
    let user = User::new();
    let (bpe, _) = user.models();
    let empty = user.path("empty.txt");
    std::fs::write(&empty, "\n \n").unwrap();
    let empty = empty.to_str().unwrap();
    for flags in [
        ["--api-key-file", empty],
        ["--api-key", "two words"],
        ["--allow-origin", "chat.example"],
        ["--allow-origin", "https://*"],
        ["--host", "example.com"],
        ["--keep-alive", "soon"],
        ["--parallel", "0"],
        ["--temp", "hot"],
    ] {
        let line = ["serve", "-m", &bpe, "--port", "0", flags[0], flags[1]];
        let err = user.misused(&line);
        assert!(
            err.contains(flags[0]) || err.contains("key"),
            "{flags:?}: {err}"
        );
    }
}

#[test]
fn an_address_that_is_taken_is_said() {
    let user = User::new();
    let (bpe, _) = user.models();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let err = user.fails(&["serve", "-m", &bpe, "--port", &port]);
    assert!(err.contains(&port) && err.contains("--port"), "{err}");
}

#[test]
fn an_idle_pack_is_unloaded() {
    let user = User::new();
    let served = Served::new(&user, &["-n", "2", "--keep-alive", "0"]);
    served.chat(json!({}));
    let sleeps = || served.client.get("/props").json()["is_sleeping"] == true;
    let start = Instant::now();
    while !sleeps() {
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    served.chat(json!({}));
}

#[test]
fn there_is_a_page_with_the_sessions_of_chat() {
    let user = User::new();
    let mut served = Served::new(&user, &["-n", "2"]);
    let mut line = String::new();
    served._out.read_line(&mut line).unwrap();
    let address = served.client.0;
    assert_eq!(line, format!("in a browser: http://{address}/\n"));
    assert!(
        served
            .client
            .get("/")
            .text()
            .contains("<title>packllm</title>")
    );
    let message = json!({ "role": "user", "content": "said on the page" });
    let sessions = "/packllm/sessions";
    let begun = served
        .client
        .post(sessions, &json!({ "messages": [message] }));
    let begun = begun.json();
    // The terminal goes on with it.
    let name = begun["id"].as_str().unwrap();
    let (bpe, spm) = user.models();
    let chat = ["chat", "-m", &bpe, "-m", &spm, "--session", name];
    let done = user.run_with(&chat, b"/exit\n");
    assert!(done.out.contains("said on the page"), "{}", done.out);
}

#[test]
fn the_page_can_be_turned_off_and_strangers_see_no_sessions() {
    let user = User::new();
    for flag in ["--no-page", "--no-webui"] {
        let served = Served::new(&user, &["-n", "2", flag]);
        assert_eq!(served.client.get("/").text(), "packllm is running");
        assert_eq!(served.client.get("/packllm/sessions").status, 404);
    }
    let open = Served::new(&user, &["-n", "2", "--host", "0.0.0.0", "--no-auth"]);
    let port = open.client.0.port();
    let here = Client(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(here.get("/packllm/pack").json()["sessions"], false);
    assert_eq!(here.get("/packllm/sessions").status, 404);
}
