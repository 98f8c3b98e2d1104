//! `packllm pack list`, `show`, `new` and `check`.

use super::*;

#[test]
fn a_pack_is_made_shown_checked_and_listed() {
    let user = User::new();
    let (bpe, spm) = user.models();
    user.ok(&["models", "import", &spm]);
    let made = user.run(&["pack", "new", "mine", "-m", &bpe, "-m", "spm.gguf"]);
    assert_eq!(made.code, 0, "{}", made.err);
    says(&made.out, &["packs/mine.toml", "2 members"]);

    let shown = user.ok(&["pack", "show", "mine"]);
    let manifest: toml::Table = shown.parse().unwrap();
    let members = manifest["member"].as_array().unwrap();
    assert_eq!(members[0]["file"].as_str(), Some(bpe.as_str()));
    assert_eq!(members[1]["file"].as_str(), Some("spm.gguf"));
    assert_eq!(members[1]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        members[0]["size"].as_integer(),
        Some(fs::metadata(&bpe).unwrap().len() as i64)
    );

    let checked = user.ok(&["pack", "check", "mine"]);
    says(
        &checked,
        &[
            "sha256        as the manifest says",
            "llama, ",
            "yes, in the file",
            "none: a plain one",
        ],
    );
    says(&checked, &["those of bpe and spm differ", "2048 tokens"]);
    says(
        &user.ok(&["models", "list"]),
        &["spm.gguf", "verified", "imported from"],
    );

    let listed = user.json(&["pack", "list", "--json"]);
    let packs = listed["packs"].as_array().unwrap();
    let named = |name: &str| packs.iter().find(|pack| pack["name"] == name).unwrap();
    let mine = named("mine");
    assert_eq!(mine["place"], "store");
    assert_eq!(mine["members"], serde_json::json!(["bpe", "spm"]));
    assert_eq!(mine["missing"], serde_json::json!([]));
    assert_eq!(mine["about"], Value::Null);
    let shipped = packs.iter().filter(|pack| pack["place"] == "shipped");
    let shipped: Vec<&str> = shipped.map(|pack| pack["name"].as_str().unwrap()).collect();
    assert_eq!(
        shipped,
        [
            "coder",
            "laptop-16gb",
            "laptop-8gb",
            "polyglot",
            "starter",
            "tiny"
        ]
    );
    assert_eq!(named("tiny")["missing"].as_array().map(Vec::len), Some(2));
    says(
        named("coder")["about"].as_str().unwrap(),
        &["not measured here"],
    );
    let table = user.ok(&["pack", "list"]);
    says(&table, &["comes with packllm", "2 of 2 missing", "present"]);
    assert_eq!(table.matches("not measured here").count(), 4, "{table}");
}

#[test]
fn names_are_checked_before_anything_is_written() {
    let user = User::new();
    let (bpe, _) = user.models();
    user.ok(&["pack", "new", "mine", "-m", &bpe]);
    says(
        &user.fails(&["pack", "new", "mine", "-m", &bpe]),
        &["already exists", "--replace"],
    );
    user.ok(&["pack", "new", "mine", "-m", &bpe, "--replace"]);
    says(
        &user.fails(&["pack", "new", "tiny", "-m", &bpe]),
        &["comes with packllm", "--replace"],
    );
    let done = user.run(&["pack", "new", "a/b", "-m", &bpe]);
    assert_eq!(done.code, 2);
    says(
        &done.err,
        &["\"a/b\" cannot name a pack", "letters, digits"],
    );
    assert_eq!(user.run(&["pack", "new", "x"]).code, 2);
    says(
        &user.fails(&["pack", "new", "x", "-m", "no.gguf"]),
        &["no.gguf", "not found"],
    );
    fs::write(user.path("text.gguf"), "hello").unwrap();
    says(
        &user.fails(&["pack", "new", "x", "-m", "text.gguf"]),
        &["text.gguf: not a GGUF file"],
    );
    assert!(!user.path("store/packs/x.toml").exists());

    // A file's name may begin with a letter that a member's name may not; two files with the same
    // stem get different names.
    TinyModel::bpe(1).write(user.path("_odd.gguf"));
    user.ok(&[
        "pack",
        "new",
        "odd",
        "-m",
        "_odd.gguf",
        "-m",
        &bpe,
        "-m",
        &bpe,
    ]);
    says(
        &user.ok(&["pack", "show", "odd"]),
        &["name = \"odd\"", "name = \"bpe\"", "name = \"bpe-2\""],
    );
}

#[test]
fn a_pack_that_is_not_there_is_named_with_the_nearest() {
    let user = User::new();
    for command in ["show", "check"] {
        let err = user.fails(&["pack", command, "startr"]);
        says(
            &err,
            &["unknown pack `startr`", "did you mean `starter`?", "hint: "],
        );
    }
    says(
        &user.fails(&["pack", "check", "./no.toml"]),
        &["no.toml", "No such file"],
    );
    says(
        &user.fails(&["pack", "check", "tiny"]),
        &["2 faults found in pack tiny"],
    );
    says(
        &user.run(&["pack", "check", "tiny"]).out,
        &["WRONG", "packllm models pull"],
    );
}

#[test]
fn a_broken_manifest_is_named_with_its_line() {
    let user = User::new();
    let (bpe, _) = user.models();
    let write = |text: &str| fs::write(user.path("p.toml"), text).unwrap();
    let cases: [(&str, &[&str]); 4] = [
        ("name = \"p\"\n[[member]\n", &["p.toml:2: "]),
        (
            "name = \"p\"\nmenber = []\n",
            &["p.toml:2: unknown key `menber`", "did you mean `member`?"],
        ),
        (
            "name = \"p\"\n[[member]]\nname = \"a\"\nfile = \"FILE\"\nsha265 = \"x\"\n",
            &[
                "p.toml:5: unknown key `sha265`",
                "did you mean `sha256`?",
                "known keys here",
            ],
        ),
        (
            "name = \"p\"\n[fusion]\ntau = -1\n",
            &["p.toml:3: `tau` must be"],
        ),
    ];
    for (text, parts) in cases {
        write(&text.replace("FILE", &bpe));
        for command in ["show", "check"] {
            says(&user.fails(&["pack", command, "./p.toml"]), parts);
        }
    }
    fs::create_dir_all(user.path("store/packs")).unwrap();
    fs::write(user.path("store/packs/bad.toml"), "name = ").unwrap();
    let done = user.run(&["pack", "list"]);
    assert_eq!(done.code, 0);
    says(&done.out, &["broken manifest", "starter"]);
    says(&done.err, &["bad.toml:1:"]);
    let listed = user.json(&["pack", "list", "--json"]);
    says(
        listed["packs"][0]["error"].as_str().unwrap(),
        &["bad.toml:1:"],
    );
}

#[test]
fn check_finds_what_would_fail_later() {
    let user = User::new();
    let (bpe, spm) = user.models();
    user.ok(&["pack", "new", "mine", "-m", &bpe, "-m", &spm]);
    TinyModel::bpe(7).write(&bpe);
    let done = user.run(&["pack", "check", "mine"]);
    assert_eq!(done.code, 1);
    says(
        &done.out,
        &["WRONG: ", "sha256 is", "the manifest says", "bpe.gguf"],
    );
    says(&done.err, &["1 fault found in pack mine"]);

    let check = |fusion: &str, member: &str| {
        let text = format!(
            "name = \"p\"\n[fusion]\n{fusion}\n[[member]]\nname = \"a\"\nfile = \"files/bpe.gguf\"\n{member}\n\
             [[member]]\nname = \"b\"\nfile = \"files/spm.gguf\"\n"
        );
        fs::write(user.path("p.toml"), text).unwrap();
        user.run(&["pack", "check", "./p.toml"])
    };
    assert_eq!(check("", "").code, 0);
    let cases: [(&str, &str, &[&str]); 6] = [
        (
            "vocab = \"tokens\"",
            "",
            &["needs members with one vocabulary", "a and b differ"],
        ),
        ("vocab = \"letters\"", "", &["letters"]),
        ("mix = \"salad\"", "", &["salad"]),
        ("", "ctx_size = 100000", &["trained with 2048"]),
        (
            "",
            "chat_template = \"{% if %}\"",
            &["chat template, line 1"],
        ),
        ("", "chat_template_file = \"no.jinja\"", &["no.jinja"]),
    ];
    for (fusion, member, parts) in cases {
        let done = check(fusion, member);
        assert_eq!(done.code, 1, "{fusion} {member}: {}", done.out);
        // A value that a manifest cannot have is reported before anything is checked.
        says(&(done.out + &done.err), parts);
    }
}

#[test]
fn vocabularies_of_one_make_may_be_identical() {
    let user = User::new();
    let (bpe, _) = user.models();
    let twin = text(&TinyModel::bpe(5).write(user.path("files/twin.gguf")));
    user.ok(&["pack", "new", "twins", "-m", &bpe, "-m", &twin]);
    says(&user.ok(&["pack", "check", "twins"]), &["may be identical"]);
}
