//! `packllm models list`, `import` and `remove`.

use super::*;

#[test]
fn an_empty_store_says_what_to_do_next() {
    let user = User::new();
    let done = user.run(&["models", "list"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""));
    says(
        &done.err,
        &["no models", "packllm models pull", "packllm models import"],
    );
    let document = user.json(&["models", "list", "--json"]);
    assert_eq!(document["models"], serde_json::json!([]));
    assert!(!user.path("store").exists(), "looking made a folder");
}

#[test]
fn an_imported_file_is_listed_found_and_never_deleted() {
    let user = User::new();
    let (bpe, _) = user.models();
    says(
        &user.ok(&["models", "import", &bpe]),
        &["bpe.gguf: imported from", &bpe],
    );
    says(
        &user.ok(&["models", "import", "files/bpe.gguf"]),
        &["already in the store"],
    );
    says(
        &user.ok(&["models", "list"]),
        &["bpe.gguf", "unverified", "imported from"],
    );
    let model = &user.json(&["models", "list", "--json"])["models"][0];
    assert_eq!(model["place"], "imported");
    assert_eq!(model["present"], true);

    says(
        &user.fails(&["models", "remove", "bpe.guf"]),
        &["did you mean `bpe.gguf`?"],
    );
    says(&user.ok(&["models", "remove", "bpe.gguf"]), &["stays"]);
    assert!(Path::new(&bpe).is_file());
    says(
        &user.fails(&["models", "remove", "bpe.gguf"]),
        &["no model `bpe.gguf`"],
    );
}

#[test]
fn a_reference_that_is_gone_is_marked() {
    let user = User::new();
    let (bpe, _) = user.models();
    user.ok(&["models", "import", &bpe]);
    fs::remove_file(&bpe).unwrap();
    let done = user.run(&["models", "list"]);
    says(&done.out, &["missing"]);
    says(&done.err, &["import it again"]);
    let document = user.json(&["models", "list", "--json"]);
    assert_eq!(document["models"][0]["state"], "missing");
    user.ok(&["models", "remove", "bpe.gguf"]);
}

#[test]
fn a_file_of_the_store_is_deleted_and_a_stopped_download_shown() {
    let user = User::new();
    TinyModel::bpe(1).write(user.path("store/models/own.gguf"));
    fs::write(user.path("store/models/half.gguf.part"), b"GGUF").unwrap();
    says(
        &user.ok(&["models", "list"]),
        &["own.gguf", "store", "half.gguf", "unfinished"],
    );
    TinyModel::bpe(1)
        .vocabulary_only()
        .write(user.path("store/models/words.gguf"));
    let listed = user.run(&["models", "list"]).err;
    says(&listed, &["words.gguf: cannot be used: ", "vocabulary"]);
    assert!(!listed.contains("own.gguf"), "{listed}");
    says(&user.ok(&["models", "remove", "own.gguf"]), &["are free"]);
    assert!(!user.path("store/models/own.gguf").exists());
    user.ok(&["models", "remove", "half.gguf"]);
    assert!(!user.path("store/models/half.gguf.part").exists());
}

#[test]
fn what_cannot_be_a_member_is_refused_with_the_reason() {
    let user = User::new();
    let write = |name: &str, model: TinyModel| {
        model.write(user.path(name));
    };
    write("cut.gguf", TinyModel::bpe(1).truncated(100));
    write("words.gguf", TinyModel::bpe(1).vocabulary_only());
    write("part.gguf", TinyModel::bpe(1).split(3));
    write("lora.gguf", TinyModel::bpe(1).adapter());
    write("bert.gguf", TinyModel::bpe(1).with_architecture("bert"));
    write("mamba.gguf", TinyModel::bpe(1).mamba());
    write("big-00002-of-00003.gguf", TinyModel::bpe(1));
    fs::write(user.path("page.gguf"), "<!doctype html><title>404</title>").unwrap();
    fs::write(user.path("empty.gguf"), "").unwrap();
    fs::create_dir(user.path("nothing")).unwrap();
    let cases: [(&str, &[&str]); 11] = [
        ("cut.gguf", &["truncated", "hint: download the file again"]),
        ("words.gguf", &["vocabulary without weights"]),
        ("part.gguf", &["split into 3 files", "llama-gguf-split"]),
        ("lora.gguf", &["a LoRA adapter"]),
        ("bert.gguf", &["`bert`", "an encoder"]),
        ("mamba.gguf", &["`mamba`", "cannot be forked"]),
        (
            "big-00002-of-00003.gguf",
            &["part 2 of 3", "llama-gguf-split"],
        ),
        ("page.gguf", &["a web page"]),
        ("empty.gguf", &["the file is empty"]),
        ("nothing", &["no GGUF file in this folder"]),
        ("missing.gguf", &["no such file"]),
    ];
    for (file, parts) in cases {
        let err = user.fails(&["models", "import", file]);
        says(&err, &[file, "error: "]);
        says(&err, parts);
    }
    assert_eq!(
        user.json(&["models", "list", "--json"])["models"],
        serde_json::json!([])
    );
}

#[test]
fn a_folder_gives_what_can_be_used_and_says_what_not() {
    let user = User::new();
    user.models();
    TinyModel::bpe(1)
        .adapter()
        .write(user.path("files/deep/lora.gguf"));
    let done = user.run(&["models", "import", "files"]);
    assert_eq!(done.code, 0);
    says(&done.out, &["bpe.gguf: imported", "spm.gguf: imported"]);
    says(&done.err, &["skipped lora.gguf", "LoRA"]);
}

#[test]
fn two_files_of_one_name_need_another_name() {
    let user = User::new();
    let (bpe, _) = user.models();
    let other = text(&TinyModel::bpe(9).write(user.path("other/bpe.gguf")));
    user.ok(&["models", "import", &bpe]);
    let err = user.fails(&["models", "import", &other]);
    says(
        &err,
        &["already has another `bpe.gguf`", "under another name"],
    );
    user.ok(&["models", "import", &other, "--name", "other.gguf"]);
    assert_eq!(
        user.json(&["models", "list", "--json"])["models"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let done = user.run(&["models", "import", &bpe, &other, "--name", "x.gguf"]);
    assert_eq!(done.code, 2);
    says(&done.err, &["--name is for a single file"]);
    says(
        &user.fails(&["models", "import", &other, "--name", "../x"]),
        &["`../x`"],
    );
}

#[cfg(unix)]
#[test]
fn caches_are_searched_listed_and_imported_by_number_or_name() {
    let user = User::new();
    says(
        &user.run(&["models", "import"]).err,
        &["no GGUF files in the caches"],
    );
    let repo = "home/.cache/huggingface/hub/models--owner--name";
    let blob = TinyModel::bpe(1).write(user.path(&format!("{repo}/blobs/0a1b2c")));
    let link = user.path(&format!("{repo}/snapshots/main/model.gguf"));
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(blob, &link).unwrap();
    TinyModel::spm(1).write(user.path("home/.lmstudio/models/them/it/lm.gguf"));
    TinyModel::spm(1)
        .adapter()
        .write(user.path("home/.lmstudio/models/them/it/lora.gguf"));

    let listed = user.run(&["models", "import"]);
    says(
        &listed.out,
        &[
            "1  model.gguf",
            "hf:owner/name",
            "2  lm.gguf",
            "lmstudio:them/it",
        ],
    );
    says(&listed.out, &["cannot be used", "LoRA"]);
    says(
        &user.ok(&["models", "import", "1"]),
        &["model.gguf: imported"],
    );
    says(
        &user.fails(&["models", "import", "lm.guf"]),
        &["did you mean `lm.gguf`?"],
    );
    let all = user.run(&["models", "import", "--all"]);
    assert_eq!(all.code, 0);
    says(
        &all.out,
        &["model.gguf: already in the store", "lm.gguf: imported"],
    );
    says(&all.err, &["skipped lora.gguf"]);
    says(
        &user.ok(&["models", "import"]),
        &["hf:owner/name     imported"],
    );

    // A link is listed by its own name, not by the blob's.
    user.ok(&["models", "remove", "model.gguf"]);
    says(
        &user.ok(&["models", "import", &text(&link)]),
        &["model.gguf: imported"],
    );
}

#[test]
fn a_file_whose_trial_went_wrong_is_marked() {
    let user = User::new();
    // Of an architecture that is nothing without experts, which llama.cpp asserts.
    let model = TinyModel::bpe(1).with_architecture("smallthinker");
    model.write(user.path("store/models/deadly.gguf"));
    says(&user.ok(&["models", "list"]), &["unverified"]);
    user.fails(&["run", "-m", "deadly.gguf", "-p", "Hello"]);
    let done = user.run(&["models", "list"]);
    says(&done.out, &["faulty"]);
    says(
        &done.err,
        &["get it from another source", "models show deadly.gguf"],
    );
    let document = user.json(&["models", "list", "--json"]);
    assert_eq!(document["models"][0]["state"], "faulty");
    let shown = user.ok(&["models", "show", "deadly.gguf"]);
    says(&shown, &["can be used", "no: loading it ends the process"]);
}
