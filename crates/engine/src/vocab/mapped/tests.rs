use super::symbols::symbols;
use super::*;
use crate::backend::{Special, VocabBuilder};
use proptest::prelude::*;

fn align(reference: &Vocab, member: &Vocab) -> Map {
    Map::align(reference, member, 2, &|_, _| true).unwrap()
}

/// A vocabulary of text pieces; those at `fallbacks` are byte fallbacks.
fn vocab(pieces: &[&[u8]], fallbacks: &[u8]) -> Vocab {
    let mut builder = VocabBuilder::default();
    pieces
        .iter()
        .for_each(|piece| builder.push(piece, TokenKind::Text));
    fallbacks
        .iter()
        .for_each(|&byte| builder.push_byte_fallback(byte));
    builder.build(Special::default())
}

/// The definition of the edit distance, cell by cell.
fn distance(a: &[u8], b: &[u8]) -> u32 {
    let (a, b): (Vec<u32>, Vec<u32>) = (symbols(a).collect(), symbols(b).collect());
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i][j] = match (i, j) {
                (0, j) => j as u32,
                (i, 0) => i as u32,
                (i, j) => {
                    let replaced = d[i - 1][j - 1] + u32::from(a[i - 1] != b[j - 1]);
                    replaced.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1)
                }
            };
        }
    }
    d[a.len()][b.len()]
}

/// The definition of the map for text tokens: all pairs.
fn brute(reference: &Vocab, member: &Vocab) -> Vec<Link> {
    let link = |token: Token| {
        let cost = |&own: &Token| {
            let apart = distance(reference.piece(token), member.piece(own));
            (apart, member.is_byte_fallback(own), own)
        };
        let text = (0..member.len() as Token).filter(|&t| member.kind(t) == TokenKind::Text);
        match text.map(|own| cost(&own)).min() {
            None => Link::Unreachable,
            Some((0, _, own)) => Link::Equal(own),
            Some((apart, _, own)) => Link::Near(own, apart),
        }
    };
    (0..reference.len() as Token)
        .map(|token| match reference.kind(token) {
            TokenKind::Text => link(token),
            _ => Link::Unreachable,
        })
        .collect()
}

fn links(map: &Map) -> Vec<Link> {
    (0..map.len() as Token).map(|t| map.link(t)).collect()
}

/// Pieces of few symbols, so that they are often alike: letters, longer characters, lone bytes.
fn pieces(longest: usize, count: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let symbol = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", " ", "é", "猫"]).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::sample::select(vec![vec![0x80u8], vec![0xff]]),
    ];
    let piece = prop::collection::vec(symbol, 0..=longest).prop_map(|symbols| symbols.concat());
    prop::collection::vec(piece, 0..=count)
}

fn of_pieces(pieces: &[Vec<u8>], fallbacks: &[u8]) -> Vocab {
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    vocab(&pieces, fallbacks)
}

proptest! {
    #[test]
    fn the_search_finds_what_all_pairs_give(
        reference in pieces(9, 40),
        member in pieces(9, 40),
        fallbacks in prop::collection::vec(prop::sample::select(b"abz\x80".to_vec()), 0..3),
    ) {
        let (reference, member) = (of_pieces(&reference, &[]), of_pieces(&member, &fallbacks));
        prop_assert_eq!(links(&align(&reference, &member)), brute(&reference, &member));
    }

    /// All widths of words, and the scan beyond them.
    #[test]
    fn long_pieces_too(reference in pieces(150, 12), member in pieces(150, 12)) {
        let (reference, member) = (of_pieces(&reference, &[]), of_pieces(&member, &[]));
        prop_assert_eq!(links(&align(&reference, &member)), brute(&reference, &member));
    }

    #[test]
    fn equal_vocabularies_align_to_the_identity(all in pieces(6, 60)) {
        let mut seen = std::collections::HashSet::new();
        let distinct: Vec<Vec<u8>> = all.into_iter().filter(|p| !p.is_empty() && seen.insert(p.clone())).collect();
        let vocab = of_pieces(&distinct, &[]);
        let identity: Vec<Link> = (0..vocab.len() as Token).map(Link::Equal).collect();
        prop_assert_eq!(links(&align(&vocab, &vocab)), identity);
    }
}

#[test]
fn patterns_of_every_length_fill_their_words() {
    // At 16, 32, 64 and 128 symbols the last row is the highest bit.
    for length in [15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300] {
        let run = |n: usize| "ab".repeat(n).as_bytes()[..n].to_vec();
        let reference = of_pieces(&[[run(length), b"x".to_vec()].concat(), run(length)], &[]);
        let member = of_pieces(&[b"q".to_vec(), run(length - 1), run(length + 3)], &[]);
        assert_eq!(
            links(&align(&reference, &member)),
            brute(&reference, &member)
        );
    }
}

#[test]
fn a_normal_token_goes_before_a_byte_fallback() {
    let reference = vocab(&[b":", b"?", b"\n"], &[]);
    let mut builder = VocabBuilder::default();
    builder.push_byte_fallback(b':');
    builder.push_byte_fallback(b'\n');
    builder.push(b":", TokenKind::Text);
    builder.push(b":", TokenKind::Text);
    let member = builder.build(Special::default());
    let expected = [Link::Equal(2), Link::Near(2, 1), Link::Equal(1)];
    assert_eq!(links(&align(&reference, &member)), expected);
}

#[test]
fn a_lone_byte_is_no_character() {
    // 0xC3 begins "é" but is not half of it.
    let reference = vocab(&["é".as_bytes(), b"\xc3", b"x\xc3"], &[]);
    let member = vocab(&[b"a", b"\xc3a", b"\xc3"], &[]);
    let expected = [Link::Near(0, 1), Link::Equal(2), Link::Near(2, 1)];
    assert_eq!(links(&align(&reference, &member)), expected);
}

/// Text `a`, then markup: (name, kind).
fn marked(markup: &[(&str, TokenKind)], bos: Option<Token>, eos: Option<Token>) -> Vocab {
    let mut builder = VocabBuilder::default();
    builder.push(b"a", TokenKind::Text);
    markup
        .iter()
        .for_each(|(name, kind)| builder.push(name.as_bytes(), *kind));
    builder.build(Special {
        bos,
        eos,
        ..Special::default()
    })
}

#[test]
fn control_tokens_are_mapped_by_their_role_only() {
    use TokenKind::{Control, End};
    let reference = marked(
        &[
            ("<bos>", Control),
            ("<sep>", Control),
            ("<only>", Control),
            ("<eos>", End),
            ("<eot>", End),
            ("<b>", Control),
        ],
        Some(1),
        Some(4),
    );
    let member = marked(
        &[
            ("<eot>", End),
            ("</s>", End),
            ("<sep>", Control),
            ("<s>", Control),
            ("<b>", End),
        ],
        Some(4),
        Some(2),
    );
    let expected = [
        Link::Equal(0),
        Link::Equal(4),
        Link::Equal(3),
        Link::Unreachable,
        Link::Equal(2),
        Link::Equal(1),
        Link::Unreachable,
    ];
    assert_eq!(links(&align(&reference, &member)), expected);
    // A piece that looks like markup is text, and never becomes markup.
    let text = vocab(&[b"<eot>"], &[]);
    assert_eq!(links(&align(&text, &member)), [Link::Near(0, 5)]);
    // No end token, and BOS is text: nothing to map to.
    let bare = vocab(&[b"a"], &[]);
    assert_eq!(
        links(&align(&reference, &bare))[1..],
        [Link::Unreachable; 6]
    );
}

#[test]
fn a_raised_flag_stops_it() {
    let (reference, member) = (vocab(&[b"ab"], &[]), vocab(&[b"a"], &[]));
    assert_eq!(Map::align(&reference, &member, 2, &|_, _| false), None);
}

fn sample() -> (Map, Fingerprint, Fingerprint) {
    let (reference, member) = (vocab(&[b"ab", b"a"], &[]), vocab(&[b"a"], &[]));
    let prints = (Fingerprint::of(&reference), Fingerprint::of(&member));
    (align(&reference, &member), prints.0, prints.1)
}

#[test]
fn a_file_is_the_map_again_and_nothing_else_is() {
    let (map, a, b) = sample();
    let bytes = map.encode(a, b);
    assert_eq!(Map::decode(&bytes, a, b, (2, 1)), Ok(map));
    for length in 0..bytes.len() {
        assert!(Map::decode(&bytes[..length], a, b, (2, 1)).is_err());
    }
    for i in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[i] ^= 1;
        let expected = match i {
            0..12 => BadMap::Foreign,
            12..16 => BadMap::Version(1 ^ (1 << (8 * (i - 12)))),
            _ => BadMap::Damaged,
        };
        assert_eq!(Map::decode(&flipped, a, b, (2, 1)), Err(expected), "{i}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Map::decode(&longer, a, b, (2, 1)), Err(BadMap::Damaged));
    assert_eq!(Map::decode(&bytes, b, a, (2, 1)), Err(BadMap::Other));
    assert_eq!(Map::decode(&bytes, a, b, (1, 1)), Err(BadMap::Other));
}

#[test]
fn a_fingerprint_sees_everything_that_the_map_depends_on() {
    use TokenKind::{Control, End, Text};
    let build = |tokens: &[(&str, TokenKind)], bos| {
        let mut builder = VocabBuilder::default();
        tokens
            .iter()
            .for_each(|(piece, kind)| builder.push(piece.as_bytes(), *kind));
        builder.build(Special {
            bos,
            ..Special::default()
        })
    };
    let all = [
        build(&[("ab", Text), ("c", Text)], None),
        build(&[("a", Text), ("bc", Text)], None),
        build(&[("c", Text), ("ab", Text)], None),
        build(&[("ab", Text), ("c", Control)], None),
        build(&[("ab", Text), ("c", End)], None),
        build(&[("ab", Text), ("c", Text)], Some(0)),
        vocab(&[b"ab"], b"c"),
    ];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(Fingerprint::of(a) == Fingerprint::of(b), i == j);
        }
    }
}
