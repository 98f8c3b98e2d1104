//! The stored maps: found again, and made again where they are wrong.

use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;

use super::*;
use packllm_engine::backend::Vocab;
use packllm_engine::backend::fake::FakeMember;
use packllm_engine::vocab::mapped::Map;

fn vocabularies() -> (Vocab, Vocab) {
    let one = FakeMember::vocab_of(&[b"a", b"ab", b"abc"], true);
    let other = FakeMember::vocab_of(&[b"b", b"ab"], true);
    (one, other)
}

fn fresh((reference, member): &(Vocab, Vocab)) -> Option<Map> {
    Map::align(reference, member, 1, &|_, _| true)
}

fn must_not_be_made() -> Option<Map> {
    panic!("the map is in the store")
}

/// The only file in the folder of maps.
fn the_file(store: &Store) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(store.root().join("maps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn a_map_is_made_once() {
    let fixture = fixture();
    let both = vocabularies();
    let made = fixture
        .store
        .map(&both.0, &both.1, || fresh(&both))
        .unwrap();
    assert!(!made.found && made.trouble.is_none());
    let again = fixture
        .store
        .map(&both.0, &both.1, must_not_be_made)
        .unwrap();
    assert!(again.found && again.trouble.is_none());
    assert_eq!(again.map, made.map);
    // The other direction is another map.
    let (back, forth) = (&both.1, &both.0);
    let other = fixture
        .store
        .map(back, forth, || Map::align(back, forth, 1, &|_, _| true));
    assert!(!other.unwrap().found);
}

#[test]
fn what_is_no_such_map_is_made_again_and_told() {
    let fixture = fixture();
    let (store, both) = (&fixture.store, vocabularies());
    let map = store.map(&both.0, &both.1, || fresh(&both)).unwrap().map;
    let path = the_file(store);
    let good = fs::read(&path).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let last = good.len() - 40;
    for (bytes, why) in [
        (changed(&|b| b.truncate(100)), "damaged"),
        (changed(&|b| b.clear()), "no map of packllm"),
        (changed(&|b| b[last] ^= 0x10), "damaged"),
        (changed(&|b| b[12] = 9), "version 9"),
        (b"{\"some\": \"json\"}".to_vec(), "no map of packllm"),
    ] {
        fs::write(&path, bytes).unwrap();
        let kept = store.map(&both.0, &both.1, || fresh(&both)).unwrap();
        assert!(!kept.found);
        assert_eq!(kept.map, map);
        let trouble = kept.trouble.unwrap();
        assert!(
            trouble.contains(why) && trouble.contains("made again"),
            "{trouble}"
        );
        assert_eq!(fs::read(&path).unwrap(), good);
        assert!(store.map(&both.0, &both.1, must_not_be_made).unwrap().found);
    }
}

#[test]
fn a_store_that_cannot_be_written_is_told_and_done_without() {
    let fixture = fixture();
    let both = vocabularies();
    // A file where the folder would be: no user, not even root, can write below it.
    fs::create_dir_all(fixture.store.root()).unwrap();
    fs::write(fixture.store.root().join("maps"), "in the way").unwrap();
    let kept = fixture
        .store
        .map(&both.0, &both.1, || fresh(&both))
        .unwrap();
    assert_eq!(Some(kept.map), fresh(&both));
    let trouble = kept.trouble.unwrap();
    assert!(
        trouble.contains("not kept") && trouble.contains("maps"),
        "{trouble}"
    );
}

#[test]
fn a_stopped_alignment_leaves_nothing() {
    let fixture = fixture();
    let both = vocabularies();
    let stopped = fixture.store.map(&both.0, &both.1, || None);
    assert!(matches!(stopped, Err(StoreError::Cancelled)));
    assert!(!fixture.store.root().exists());
}

#[test]
fn who_races_gets_the_same_map() {
    let fixture = fixture();
    let (store, both) = (&fixture.store, vocabularies());
    let together = Barrier::new(8);
    let make = || {
        together.wait();
        fresh(&both)
    };
    let kept: Vec<Map> = thread::scope(|scope| {
        let races: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| store.map(&both.0, &both.1, make).unwrap()))
            .collect();
        races
            .into_iter()
            .map(|race| race.join().unwrap())
            .inspect(|kept| assert!(kept.trouble.is_none(), "{:?}", kept.trouble))
            .map(|kept| kept.map)
            .collect()
    });
    assert!(kept.iter().all(|map| *map == kept[0]));
    let path = the_file(store);
    assert!(store.map(&both.0, &both.1, must_not_be_made).unwrap().found);
    assert!(path.extension().is_some_and(|end| end == "map"));
}
