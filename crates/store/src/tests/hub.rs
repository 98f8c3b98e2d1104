//! Models by their names, from a stand-in for the hub: the cache, every fault in one line.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::*;
use crate::disk::room;
use crate::import::Caches;

#[path = "../../../../tests/hub/mod.rs"]
mod stand_in;

use stand_in::{COMMIT, Fault, Hub, Repo, STRANGER, TOKEN, hash};

/// A file that begins like a model.
fn gguf(count: usize) -> Vec<u8> {
    let mut content = bytes(count);
    content.splice(..4, *b"GGUF");
    content
}

/// A user: a store, the hub's cache, what was said.
struct User {
    folder: tempfile::TempDir,
    store: Store,
    said: Mutex<Vec<String>>,
    cancel: AtomicBool,
    stop_after: Mutex<Option<u64>>,
}

struct Line<'a>(&'a User);

impl Progress for Line<'_> {
    fn start(&mut self, _total: Option<u64>, _already: u64) {}
    fn advance(&mut self, bytes: u64) {
        let mut left = self.0.stop_after.lock().unwrap();
        if let Some(bytes_left) = left.as_mut() {
            *bytes_left = bytes_left.saturating_sub(bytes);
            self.0.cancel.store(*bytes_left == 0, Ordering::Relaxed);
        }
    }
    fn note(&mut self, text: &str) {
        self.0.said.lock().unwrap().push(text.to_owned());
    }
    fn accept(&mut self, _member: &str, _licence: &Licence) -> bool {
        true
    }
}

impl Watch for User {
    fn file(&self, _file: &str) -> Box<dyn Progress + Send + '_> {
        Box::new(Line(self))
    }
}

impl User {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let caches = Caches {
            hugging_face: vec![folder.path().join("hub")],
            ollama: vec![folder.path().join("ollama")],
            lm_studio: vec![folder.path().join("lmstudio")],
        };
        Self {
            store: Store::new(folder.path().join("store"), &[]).beside(caches),
            folder,
            said: Mutex::default(),
            cancel: AtomicBool::new(false),
            stop_after: Mutex::default(),
        }
    }

    fn fetch(&self, name: &str, options: &PullOptions) -> Result<Fetched, StoreError> {
        let source = name.parse().unwrap();
        let fetched = fetch(&self.store, &[source], options, self, &self.cancel);
        fetched.map(|all| all.into_iter().next().unwrap())
    }

    /// The one line of an error.
    fn fails(&self, name: &str, options: &PullOptions) -> String {
        let line = self.fetch(name, options).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    }

    fn hub(&self, path: &str) -> PathBuf {
        self.folder.path().join("hub/models--o--r").join(path)
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

fn of(hub: &Hub) -> PullOptions {
    PullOptions {
        hub_endpoint: hub.url.clone(),
        ..options()
    }
}

fn with_token(hub: &Hub, token: &str) -> PullOptions {
    PullOptions {
        hub_token: Some(token.to_owned()),
        ..of(hub)
    }
}

fn offline(hub: &Hub) -> PullOptions {
    PullOptions {
        offline: true,
        ..of(hub)
    }
}

/// A repository with three quantisations.
fn repo() -> Repo {
    let (q4, q8) = (gguf(400_000), gguf(500_000));
    Repo::new(
        "o/r",
        &[
            ("README.md", b"# a model"),
            ("m-F16.gguf", &gguf(10)),
            ("m-Q4_K_M.gguf", &q4),
            ("sub/m-Q8_0.gguf", &q8),
        ],
    )
}

#[test]
fn a_name_becomes_a_file_in_the_hubs_own_cache() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    let got = user
        .fetch("hf:o/r:Q4_K_M", &with_token(&hub, TOKEN))
        .unwrap();
    let sha256 = hash(&gguf(400_000));
    assert_eq!(
        got.path,
        user.hub(&format!("snapshots/{COMMIT}/m-Q4_K_M.gguf"))
    );
    assert_eq!(
        got.source.to_string(),
        format!("hf:o/r@{COMMIT}/m-Q4_K_M.gguf")
    );
    assert_eq!((got.sha256.as_ref(), got.size), (Some(&sha256), 400_000));
    assert_eq!(got.licence.unwrap().id, "apache-2.0");
    let blob = user.hub(&format!("blobs/{sha256}"));
    assert_eq!(fs::read(&blob).unwrap(), gguf(400_000));
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(&got.path).unwrap(),
        Path::new(&format!("../../blobs/{sha256}"))
    );
    assert_eq!(fs::read_to_string(user.hub("refs/main")).unwrap(), COMMIT);
    let lock = format!("hub/.locks/models--o--r/{sha256}.lock");
    assert!(user.folder.path().join(lock).is_file());
    assert!(user.folder.path().join("hub/CACHEDIR.TAG").is_file());

    // The token goes to the hub, and not to where it redirects.
    let asked = hub.asked();
    let storage = |one: &&stand_in::Asked| one.path.starts_with("/xet/");
    assert!(asked.iter().filter(storage).all(|one| one.token.is_none()));
    assert!(!asked.iter().all(|one| one.token.is_none()));

    // The second time nobody is asked, and offline it is the same.
    let count = hub.asked().len();
    for options in [of(&hub), offline(&hub)] {
        let again = user.fetch("hf:o/r:q4_k_m", &options).unwrap();
        assert_eq!((again.path, again.fresh), (got.path.clone(), false));
        assert_eq!(again.sha256.as_ref(), Some(&sha256));
    }
    assert_eq!(hub.asked().len(), count);
    let listed = user.store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].model.file, "m-Q4_K_M.gguf");
    assert_eq!(listed[0].path, got.path);
}

#[test]
fn the_usual_quantisation_and_files_in_folders() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    let usual = user.fetch("hf:o/r", &of(&hub)).unwrap();
    assert!(usual.path.ends_with("m-Q4_K_M.gguf"));
    let file = user.fetch("hf:o/r/sub/m-Q8_0.gguf", &of(&hub)).unwrap();
    assert!(file.path.ends_with(format!("{COMMIT}/sub/m-Q8_0.gguf")));
    assert_eq!(fs::read(&file.path).unwrap(), gguf(500_000));
    let pinned = user
        .fetch(&format!("hf:o/r@{COMMIT}:F16"), &of(&hub))
        .unwrap();
    assert_eq!(fs::read(pinned.path).unwrap(), gguf(10));
    assert_eq!(hub.downloads(), 3);
}

#[test]
fn what_huggingface_hub_has_downloaded_is_not_downloaded_again() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    let (bytes, sha256) = (gguf(400_000), hash(&gguf(400_000)));
    let snapshot = user.hub(&format!("snapshots/{COMMIT}"));
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(user.hub("refs")).unwrap();
    fs::write(user.hub("refs/main"), COMMIT).unwrap();
    fs::write(snapshot.join("m-Q4_K_M.gguf"), &bytes).unwrap();
    let got = user.fetch("hf:o/r:Q4_K_M", &offline(&hub)).unwrap();
    assert_eq!(
        (got.path, got.fresh),
        (snapshot.join("m-Q4_K_M.gguf"), false)
    );

    // Nor is what another commit of the repository has.
    let user = User::new();
    fs::create_dir_all(user.hub("blobs")).unwrap();
    fs::write(user.hub(&format!("blobs/{sha256}")), &bytes).unwrap();
    let got = user.fetch("hf:o/r:Q4_K_M", &of(&hub)).unwrap();
    assert_eq!(fs::read(got.path).unwrap(), bytes);
    assert_eq!(hub.downloads(), 0);

    // Nor is what a manifest names by its hash.
    let sources = ["hf:o/r/m-Q4_K_M.gguf".to_owned()];
    let pulled = Watcher::default().pull(&user.store, &member(&bytes, &sources), &offline(&hub));
    assert_eq!(fs::read(pulled.unwrap().path).unwrap(), bytes);
}

#[test]
fn what_a_pack_pulls_from_the_hub_other_programs_find() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    let bytes = gguf(400_000);
    let member = member(&bytes, &["hf:o/r/m-Q4_K_M.gguf".to_owned()]);
    let pulled = Watcher::default()
        .pull(&user.store, &member, &of(&hub))
        .unwrap();
    assert_eq!(
        pulled.path,
        user.hub(&format!("snapshots/{COMMIT}/m-Q4_K_M.gguf"))
    );
    assert_eq!(
        user.store.find("m.gguf").unwrap(),
        Some(pulled.path.clone())
    );
    assert_eq!(models(&user.store), [""; 0]);
    let again = user.fetch("hf:o/r:Q4_K_M", &offline(&hub)).unwrap();
    assert_eq!(again.path, pulled.path);
    let removed = user.store.remove("m.gguf").unwrap();
    assert_eq!(
        removed,
        Removed::File {
            path: pulled.path,
            bytes: 400_000
        }
    );
    assert_eq!(fs::read_dir(user.hub("blobs")).unwrap().count(), 0);
}

#[test]
fn a_split_model_is_fetched_whole() {
    let parts: Vec<Vec<u8>> = (1..=3).map(|part| gguf(100_000 + part)).collect();
    let named = |part: usize| format!("Q8_0/m-Q8_0-{part:05}-of-00003.gguf");
    let names: Vec<String> = (1..=3).map(named).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .zip(&parts)
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let (user, hub) = (User::new(), Hub::new(vec![Repo::new("o/r", &files)]));
    let got = user.fetch("hf:o/r:Q8_0", &of(&hub)).unwrap();
    assert!(got.path.ends_with(names[0].as_str()));
    assert_eq!((got.parts, got.size), (3, 300_006));
    assert_eq!(
        fs::read(got.path.with_file_name("m-Q8_0-00003-of-00003.gguf")).unwrap(),
        parts[2]
    );
    user.fetch("hf:o/r:Q8_0", &offline(&hub)).unwrap();

    let hub = Hub::new(vec![Repo::new("o/r", &files[..2])]);
    let line = User::new().fails("hf:o/r", &of(&hub));
    assert_eq!(
        line,
        "Q8_0/m-Q8_0-00001-of-00003.gguf: of the 3 files of this split model 2 are there"
    );
}

#[test]
fn a_stopped_download_goes_on_where_it_stood() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    *user.stop_after.lock().unwrap() = Some(150_000);
    let stopped = user.fetch("hf:o/r:Q4_K_M", &of(&hub));
    assert!(matches!(stopped, Err(StoreError::Cancelled)));
    let part = user.hub(&format!("blobs/{}.incomplete", hash(&gguf(400_000))));
    let kept = fs::metadata(&part).unwrap().len();
    assert!(kept >= 150_000);
    *user.stop_after.lock().unwrap() = None;
    user.cancel.store(false, Ordering::Relaxed);
    let got = user.fetch("hf:o/r:Q4_K_M", &of(&hub)).unwrap();
    assert_eq!(fs::read(got.path).unwrap(), gguf(400_000));
    assert_eq!(hub.asked().last().unwrap().range, Some(kept as usize));
    assert!(!part.exists());
}

#[test]
fn faults_that_pass_are_waited_for() {
    for fault in [
        Fault::Truncated(2),
        Fault::NoRanges,
        Fault::Slow,
        Fault::TooMany { times: 1, wait: 1 },
    ] {
        let (user, hub) = (User::new(), Hub::new(vec![repo()]));
        hub.fails(fault);
        let got = user.fetch("hf:o/r:Q4_K_M", &of(&hub)).unwrap();
        assert_eq!(fs::read(got.path).unwrap(), gguf(400_000), "{fault:?}");
        let waited = user
            .said()
            .iter()
            .any(|line| line.contains("429, wait 1 s"));
        assert_eq!(waited, matches!(fault, Fault::TooMany { .. }), "{fault:?}");
    }
}

#[test]
fn every_lasting_fault_is_one_line() {
    let page = |hub: &Hub| format!("{}/o/r: ", hub.url);
    let (wrong, real) = (
        gguf(400_000).iter().map(|b| !b).collect::<Vec<u8>>(),
        gguf(400_000),
    );
    let told = |fault| {
        let (user, hub) = (User::new(), Hub::new(vec![repo()]));
        hub.fails(fault);
        let line = user.fails("hf:o/r:Q4_K_M", &of(&hub));
        assert!(
            !user
                .hub(&format!("snapshots/{COMMIT}/m-Q4_K_M.gguf"))
                .exists()
        );
        (
            line.replace(&page(&hub), "PAGE: ").replace(&hub.url, "HUB"),
            hub,
        )
    };
    assert_eq!(
        told(Fault::Wrong).0,
        format!(
            "sha256 of the download is {}, expected {}",
            hash(&wrong),
            hash(&real)
        )
    );
    let (line, hub) = told(Fault::Changed);
    assert!(line.starts_with(&format!(
        "sha256 of the download is {}, expected ",
        hash(&real)
    )));
    // The hub's header is enough: nothing is kept of what does not fit.
    assert!(hub.downloads() <= 1);
    let api = "HUB/api/models/o/r/revision/main?blobs=true";
    assert_eq!(told(Fault::Down).0, format!("{api}: HTTP status 503"));
    assert_eq!(
        told(Fault::Disabled).0,
        "PAGE: access to the repository is disabled"
    );
    assert!(told(Fault::Closed).0.starts_with(&format!("{api}: ")));
    let often = Fault::TooMany {
        times: 9,
        wait: 3600,
    };
    let asks = "too many requests; the server asks to wait 3600 s";
    assert_eq!(told(often).0, format!("{api}: {asks}"));
}

#[test]
fn refusals_name_the_page_and_the_reason() {
    let gated = Repo {
        gated: true,
        ..repo()
    };
    let (user, hub) = (User::new(), Hub::new(vec![gated]));
    let name = "hf:o/r:Q4_K_M";
    let page = format!("{}/o/r: ", hub.url);
    let line = user.fails(name, &of(&hub));
    assert!(
        line.starts_with(&page) && line.contains("have accepted its terms"),
        "{line}"
    );
    let line = user.fails(name, &with_token(&hub, STRANGER));
    assert!(
        line.starts_with(&page) && line.contains("owner has not been given access"),
        "{line}"
    );
    let line = user.fails(name, &with_token(&hub, "hf_nobody"));
    assert_eq!(line, format!("{page}the token is not valid"));
    let line = user.fails("hf:o/r@v9:Q4_K_M", &with_token(&hub, TOKEN));
    assert_eq!(line, format!("{page}no such revision"));
    user.fetch(name, &with_token(&hub, TOKEN)).unwrap();
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let near = ["own/Small-Model-GGUF", "own/Small-Model-V2-GGUF", "else/x"];
    let repos = near.map(|name| Repo::new(name, &[("a-Q4_0.gguf", &gguf(9))]));
    let hub = Hub::new(repos.into_iter().chain([repo()]).collect());
    let user = User::new();
    let like = "; there is own/Small-Model-GGUF, own/Small-Model-V2-GGUF";
    for options in [of(&hub), with_token(&hub, TOKEN)] {
        assert_eq!(
            user.fails("hf:own/Smal-Model-GGUF", &options),
            format!("hf:own/Smal-Model-GGUF: no such repository on the hub{like}")
        );
    }
    assert_eq!(
        user.fails("hf:o/r:Q4_K_S", &of(&hub)),
        "hf:o/r:Q4_K_S: no such GGUF file there; there is Q4_K_M, F16, Q8_0"
    );
    assert_eq!(
        user.fails("hf:o/r/n.gguf", &of(&hub)),
        "hf:o/r/n.gguf: no such GGUF file there; there is F16, Q4_K_M, Q8_0"
    );
    let bare = Hub::new(vec![Repo::new("o/r", &[("model.safetensors", b"x")])]);
    assert_eq!(
        user.fails("hf:o/r", &of(&bare)),
        "hf:o/r: no such GGUF file there; there is none at all"
    );
    let plain = PullOptions {
        hub_endpoint: "http://192.0.2.1".to_owned(),
        ..options()
    };
    let line = user.fails("hf:o/r", &plain);
    assert!(
        line.ends_with(": https: plain http is for this machine only"),
        "{line}"
    );
    assert_eq!(
        user.fails("hf:o/r", &offline(&hub)),
        "model `hf:o/r` would have to be downloaded, but offline mode is on"
    );
}

#[test]
fn a_hub_out_of_reach_leaves_what_is_on_disk() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    user.fetch("hf:o/r:Q8_0", &of(&hub)).unwrap();
    let away = PullOptions {
        hub_endpoint: "http://127.0.0.1:1".to_owned(),
        ..options()
    };
    let began = Instant::now();
    // Q8_0 is not what would be taken, so the hub is asked first.
    let got = user.fetch("hf:o/r", &away).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(got.path.ends_with("sub/m-Q8_0.gguf"));
    let said = user.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("; using what is on disk"), "{said:?}");
    assert!(
        user.fails("hf:o/r:F16", &away)
            .contains("127.0.0.1:1/api/models/o/r")
    );
}

#[test]
fn names_of_other_programs_and_plain_addresses() {
    let (user, hub) = (User::new(), Hub::new(vec![repo()]));
    let folder = user.folder.path().join("lmstudio/pub/repo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("x-Q4_K_M.gguf"), gguf(20)).unwrap();
    fs::write(folder.join("x-Q8_0.gguf"), gguf(30)).unwrap();
    let path = |name: &str| user.fetch(name, &offline(&hub)).unwrap().path;
    assert_eq!(path("lmstudio:pub/repo"), folder.join("x-Q4_K_M.gguf"));
    assert_eq!(path("lmstudio:pub/repo:Q8_0"), folder.join("x-Q8_0.gguf"));
    assert_eq!(
        user.fails("lmstudio:pub/other", &of(&hub)),
        "lmstudio:pub/other: no such GGUF file there; there is lmstudio:pub/repo"
    );
    assert_eq!(
        user.fails("ollama:gemma3", &of(&hub)),
        "ollama:gemma3:latest: no such GGUF file there; there is none at all"
    );

    let url = format!("{}/o/r/resolve/main/m-Q4_K_M.gguf", hub.url);
    let got = user.fetch(&url, &of(&hub)).unwrap();
    assert_eq!(got.path, user.store.model_path("m-Q4_K_M.gguf"));
    assert_eq!(user.fetch(&url, &offline(&hub)).unwrap().path, got.path);
    assert_eq!(hub.downloads(), 1);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_too_small_is_noticed_before() {
    let user = User::new();
    let folder = user.folder.path().join("not/made/yet");
    let line = room(&folder, u64::MAX).unwrap_err().to_string();
    assert!(
        line.contains("18446744073709551615 more bytes are needed"),
        "{line}"
    );
    room(&folder, 1).unwrap();
}
