//! How sources are spelled.

use super::*;

#[test]
fn sources_read_back_as_written() {
    for text in [
        "hf:owner/repo/model.gguf",
        "hf:o/r@v1.0/dir/model q4.gguf",
        "https://example.org/a.gguf?x=1",
        "http://127.0.0.1:80/a",
        "http://[::1]:80/a",
        "hf:owner/repo",
        "hf:owner/repo:Q4_K_M",
        "hf:owner/repo@v1:IQ4_XS",
        "ollama:gemma3:270m",
        "ollama:user/model:latest",
        "lmstudio:publisher/repo",
        "lmstudio:publisher/repo:Q8_0",
        "lmstudio:publisher/repo/m.gguf",
        "pypi:a-b==1.0!a/*.gguf",
        "pypi:a==1.0!x+b==2!*/y",
    ] {
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
}

#[test]
fn the_hub_url_is_encoded() {
    let source: Source = "hf:o/r/d/a b%c.gguf".parse().unwrap();
    assert_eq!(
        source.url("http://hub/").unwrap(),
        "http://hub/o/r/resolve/main/d/a%20b%25c.gguf"
    );
}

#[test]
fn bad_sources_are_refused() {
    for text in [
        "",
        "model.gguf",
        "ftp://a/b",
        "hf:owner",
        "hf:owner/",
        "hf:o/r:",
        "hf:o/r:Q4/x",
        "lmstudio:o/r@main",
        "ollama:",
        "ollama:a:b:c",
        "ollama:../x",
        "hf:o/r/",
        "hf:o/r/../x",
        "hf:o/../x",
        "hf:-o/r/x",
        "hf:o/r@/x",
        "http://example.org/a",
        "http://127.0.0.1.example.org/a",
        "http://localhost@example.org/a",
        "https://u:p@h/a",
        "https:///a",
        "https://h/a b",
        "https://h/a\nb",
        "https://h/ä",
        "pypi:a",
        "pypi:a==1",
        "pypi:a==1!",
        "pypi:a>=1!x",
        "pypi:-r==1!x",
        "pypi:a==1!x+",
        "pypi:a==--no-deps!x",
        "pypi:a b==1!x",
    ] {
        assert!(
            matches!(text.parse::<Source>(), Err(StoreError::BadSource { .. })),
            "{text:?}"
        );
    }
}

#[test]
fn what_people_copy_is_understood() {
    for (typed, meant) in [
        ("ollama:gemma3", "ollama:gemma3:latest"),
        ("hf:o/r:latest", "hf:o/r"),
        ("https://huggingface.co/o/r", "hf:o/r"),
        ("https://hf.co/o/r/", "hf:o/r"),
        ("https://huggingface.co/o/r/tree/dev", "hf:o/r@dev"),
        (
            "https://huggingface.co/o/r/blob/main/d/a.gguf",
            "hf:o/r/d/a.gguf",
        ),
        (
            "https://huggingface.co/o/r/resolve/v1/a.gguf?download=true",
            "hf:o/r@v1/a.gguf",
        ),
    ] {
        assert_eq!(typed.parse::<Source>().unwrap().to_string(), meant);
    }
    for path in ["a.gguf", "./hf", "models/hf:x", "pypi:a==1!x"] {
        assert_eq!(Source::named(path).unwrap(), None, "{path}");
    }
    assert!(Source::named("hf:nobody").is_err());
}
