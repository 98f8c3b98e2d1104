//! `packllm align`: coverage, the stored map, bad input.

use super::*;

fn files(user: &User) -> (String, String) {
    let bare = TinyModel::spm(2).vocabulary_only();
    let (bpe, spm) = (user.path("files/bpe.gguf"), user.path("files/spm.gguf"));
    (text(&TinyModel::bpe(1).write(bpe)), text(&bare.write(spm)))
}

#[test]
fn coverage_is_counted_and_the_map_is_kept() {
    let user = User::new();
    let (bpe, spm) = files(&user);
    let fresh = user.json(&["align", &bpe, &spm, "--json", "--examples", "1"]);
    let number = |key: &str| fresh[key].as_u64().unwrap();
    let all = fresh["reference"]["tokens"].as_u64().unwrap();
    assert_eq!(
        number("equal") + number("near") + number("unreachable"),
        all
    );
    // All bytes are in both; <|im_start|> is in one.
    assert!(number("equal") >= 256 && number("unreachable") == 1);
    assert_eq!(fresh["unreachable_examples"][0]["piece"], "<|im_start|>");
    let distances = fresh["distances"].as_array().unwrap();
    let tokens = |d: &serde_json::Value| d["tokens"].as_u64().unwrap();
    assert_eq!(distances.iter().map(tokens).sum::<u64>(), number("near"));
    assert!(
        distances
            .iter()
            .all(|d| d["examples"].as_array().unwrap().len() == 1)
    );
    assert_eq!(fresh["cached"], false);

    let again = user.json(&["align", &bpe, &spm, "--json", "--examples", "1"]);
    assert_eq!(again["cached"], true);
    assert_eq!(again["distances"], fresh["distances"]);
    let shown = user.ok(&["align", &bpe, &spm]);
    says(
        &shown,
        &[
            "equal",
            "by distance",
            " → ",
            "unreachable",
            "from the store",
        ],
    );
}

#[test]
fn a_vocabulary_covers_itself() {
    let user = User::new();
    let (bpe, _) = files(&user);
    let document = user.json(&["align", &bpe, &bpe, "--json"]);
    assert_eq!(document["equal"], document["reference"]["tokens"]);
    assert_eq!(document["distances"], serde_json::json!([]));
}

#[test]
fn a_damaged_map_is_told_and_made_again() {
    let user = User::new();
    let (bpe, spm) = files(&user);
    let good = user.ok(&["align", &bpe, &spm, "--json"]);
    let map = fs::read_dir(user.path("store/maps")).unwrap().next();
    let map = map.unwrap().unwrap().path();
    fs::write(&map, "half of it").unwrap();
    let done = user.run(&["align", &bpe, &spm, "--json"]);
    assert_eq!(done.code, 0);
    says(&done.err, &["note: ", "made again"]);
    assert_eq!(done.err.lines().count(), 1);
    let equal =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["equal"].clone();
    assert_eq!(equal(&done.out), equal(&good));
    assert_eq!(user.json(&["align", &bpe, &spm, "--json"])["cached"], true);
}

#[test]
fn a_store_that_cannot_be_written_is_told_once() {
    let user = User::new();
    let (bpe, spm) = files(&user);
    fs::write(user.path("store"), "a file").unwrap();
    let done = user.run(&["align", &bpe, &spm, "--json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["note: ", "not kept"]);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}

#[test]
fn what_has_no_vocabulary_is_named() {
    let user = User::new();
    let (bpe, _) = files(&user);
    let fails = |file: &str, parts: &[&str]| {
        for pair in [[file, &bpe], [&bpe, file]] {
            let error = user.fails(&["align", pair[0], pair[1]]);
            says(&error, &["error: ", file]);
            says(&error, parts);
        }
    };
    fails("nowhere.gguf", &["no such file"]);
    fs::write(user.path("foreign.gguf"), "<!doctype html>").unwrap();
    fails("foreign.gguf", &["not a GGUF file"]);
    let unigram = TinyModel::spm(1).with_tokenizer("t5");
    fails(
        &text(&unigram.write(user.path("t5.gguf"))),
        &["tokenizer type \"t5\""],
    );
    user.misused(&["align", &bpe]);
}
