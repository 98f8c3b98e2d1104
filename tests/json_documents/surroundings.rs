//! The documents about settings, the machine and the store.

use super::{held, line, setting};
use crate::tiny::TinyModel;
use crate::user::text;
use serde_json::Value;
use std::fs;

#[test]
fn align() {
    let (user, pack) = setting();
    let document = user.json(&["align", &pack[1], &pack[3], "--json"]);
    held("align --json", &["Example"], &[document]);
}

#[test]
fn config() {
    let (user, pack) = setting();
    let typed = ["config", "--temp", "0.5", "--json"];
    let plain = user.json(&typed);
    fs::create_dir_all(user.path("store")).unwrap();
    fs::write(user.path("store/config.toml"), "top-k = 3\n").unwrap();
    let with_pack = user.json(&line(&typed, &pack, &[]));
    assert_eq!(with_pack["exists"], true);
    held("config --json", &[], &[plain, with_pack]);
}

#[test]
fn doctor() {
    let (user, pack) = setting();
    // Nobody lends there.
    let machine = user.json(&["doctor", "--json", "--rpc", "127.0.0.1:1"]);
    let fit = user.json(&line(&["doctor"], &pack, &["--json"]));
    let adapter = TinyModel::bpe(1).adapter();
    let adapter = text(&adapter.write(user.path("files/lora.gguf")));
    let done = user.run(&line(&["doctor"], &pack, &["-m", &adapter, "--json"]));
    assert_eq!(done.code, 1);
    let unfit: Value = serde_json::from_str(&done.out).unwrap();
    held("doctor --json", &["Memory"], &[machine, fit, unfit]);
}

#[test]
fn models_list() {
    let (user, pack) = setting();
    user.ok(&["models", "import", &pack[1]]);
    fs::create_dir_all(user.path("store/models")).unwrap();
    fs::copy(&pack[3], user.path("store/models/spm.gguf")).unwrap();
    fs::write(user.path("store/models/half.gguf.part"), b"GGUF").unwrap();
    held(
        "models list --json",
        &[],
        &[user.json(&["models", "list", "--json"])],
    );
}

#[test]
fn pack_list() {
    let (user, pack) = setting();
    user.ok(&line(&["pack", "new", "mine"], &pack, &[]));
    fs::write(user.path("store/packs/broken.toml"), "name = 3\n").unwrap();
    let document = user.json(&["pack", "list", "--json"]);
    let shipped = document["packs"].as_array().unwrap();
    assert!(shipped.iter().any(|pack| pack["place"] == "shipped"));
    held("pack list --json", &[], &[document]);
}
