//! The packs of the folder `models`: what their manifests have to say, and what a pull asks the hub.

use std::fs;
use std::path::Path;

use super::server::{Server, whole};
use super::*;

/// What a pull asks the hub for, by pack and member.
const ASKED: [(&str, &str, &str); 10] = [
    (
        "coder",
        "qwen2.5-coder-7b",
        "/Qwen/Qwen2.5-Coder-7B-Instruct-GGUF/resolve/main/qwen2.5-coder-7b-instruct-q4_k_m.gguf",
    ),
    (
        "coder",
        "llama-3.1-8b",
        "/bartowski/Meta-Llama-3.1-8B-Instruct-GGUF/resolve/main/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
    ),
    (
        "laptop-16gb",
        "llama-3.1-8b",
        "/bartowski/Meta-Llama-3.1-8B-Instruct-GGUF/resolve/main/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
    ),
    (
        "laptop-16gb",
        "qwen2.5-7b",
        "/bartowski/Qwen2.5-7B-Instruct-GGUF/resolve/main/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
    ),
    (
        "laptop-8gb",
        "llama-3.2-3b",
        "/bartowski/Llama-3.2-3B-Instruct-GGUF/resolve/main/Llama-3.2-3B-Instruct-Q4_K_M.gguf",
    ),
    (
        "laptop-8gb",
        "gemma-2-2b",
        "/bartowski/gemma-2-2b-it-GGUF/resolve/main/gemma-2-2b-it-Q4_K_M.gguf",
    ),
    (
        "polyglot",
        "gemma-3-4b",
        "/unsloth/gemma-3-4b-it-GGUF/resolve/5a3566e716d80f709ed7b79817eaf7733d2a1fce/gemma-3-4b-it-Q4_K_M.gguf",
    ),
    (
        "polyglot",
        "qwen3-4b",
        "/unsloth/Qwen3-4B-Instruct-2507-GGUF/resolve/a06e946bb6b655725eafa393f4a9745d460374c9/\
         Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
    ),
    (
        "starter",
        "qwen-1.5b",
        "/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    ),
    (
        "starter",
        "qwen-0.5b",
        "/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    ),
];

/// Every manifest of the folder, in the order of their names.
fn shipped() -> Vec<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut packs: Vec<Manifest> = files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let pack = Manifest::parse(&text, path.to_str().unwrap(), Origin::Shipped).unwrap();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(pack.name.as_str()));
            pack
        })
        .collect();
    packs.sort_by(|a, b| a.name.cmp(&b.name));
    packs
}

fn is_hub(source: &Source) -> bool {
    matches!(source, Source::Hub { .. })
}

#[test]
fn all_of_a_shipped_member_can_be_had_checked_and_read_about() {
    for pack in shipped() {
        let about = pack.about.unwrap();
        for member in &pack.members {
            let name = format!("{}/{}", pack.name, member.name);
            assert!(member.sha256.is_some() && member.size.is_some(), "{name}");
            assert!(!member.sources.is_empty(), "{name}");
            let licence = member.licence.as_ref().unwrap();
            assert!(
                licence.url.as_ref().unwrap().starts_with("https://"),
                "{name}"
            );
            // What only a hub has could not be tried where the packs are made.
            let tried = member.sources.iter().any(|source| !is_hub(source));
            assert_eq!(tried, !about.contains("not measured here"), "{name}");
        }
        assert!(pack.members.len() >= 2, "{}", pack.name);
    }
}

#[test]
fn starter_is_under_1_75_gigabytes_and_permissive() {
    let packs = shipped();
    let starter = packs.iter().find(|pack| pack.name == "starter").unwrap();
    let sizes = starter.members.iter().filter_map(|member| member.size);
    assert!(sizes.sum::<u64>() < 1_750_000_000);
    let licences = starter.members.iter().map(|one| one.licence.as_ref());
    assert!(licences.flatten().all(Licence::is_permissive));
}

#[test]
fn a_pull_asks_the_hub_for_the_files_of_the_shipped_packs() {
    let mut asked = Vec::new();
    for pack in shipped() {
        for member in pack.members {
            let Some(hub) = member.sources.iter().find(|source| is_hub(source)) else {
                continue;
            };
            assert_eq!(hub, &member.sources[0], "the hub comes first");
            let content = format!("what stands for {}", member.file).into_bytes();
            let (fixture, body) = (fixture(), content.clone());
            let server = Server::new(move |_, _| whole(&body));
            let options = PullOptions {
                hub_endpoint: server.url.clone(),
                ..options()
            };
            let alone = Member {
                sources: vec![hub.clone()],
                ..member
            };
            let refused = |member: &Member| {
                let pulled = Watcher::default().pull(&fixture.store, member, &options);
                pulled.unwrap_err().to_string()
            };
            let wrong_size = refused(&alone);
            assert!(wrong_size.contains(" bytes, expected "), "{wrong_size}");
            let of_any_size = Member {
                size: None,
                ..alone.clone()
            };
            let wrong_hash = refused(&of_any_size);
            assert!(
                wrong_hash.contains("sha256 of the download is"),
                "{wrong_hash}"
            );
            let right = Member {
                sha256: Some(sha256(&content)),
                ..of_any_size
            };
            let pulled = Watcher::default().pull(&fixture.store, &right, &options);
            assert_eq!(fs::read(pulled.unwrap().path).unwrap(), content);
            let paths = server.asked();
            assert!(paths.iter().all(|one| one.path == paths[0].path));
            asked.push((pack.name.clone(), right.name, paths[0].path.clone()));
        }
    }
    let expected = ASKED.map(|(pack, member, path)| (pack.into(), member.into(), path.into()));
    assert_eq!(asked, expected);
}
