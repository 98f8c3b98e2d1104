//! Server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

/// Most bytes of an event. A word of an answer has hundreds.
const LONGEST: usize = 4 << 20;

/// An event is longer than any that a server sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {LONGEST} bytes")]
pub struct TooLong;

/// Events as their bytes come. Of an event its data is kept; its name says nothing here.
#[derive(Debug, Default)]
pub struct Events {
    /// The line that is not whole yet.
    line: Vec<u8>,
    /// The data of the event that is not whole yet, each line with a line feed.
    data: Vec<u8>,
    /// The last byte was a carriage return: a line feed belongs to it.
    returned: bool,
}

impl Events {
    /// Takes more bytes, and adds the data of the events that are whole now.
    ///
    /// # Errors
    /// An event is too long. Those before it were added.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
        for &byte in bytes {
            let returned = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if returned => {}
                b'\r' | b'\n' => events.extend(self.end_line()),
                _ if self.line.len() + self.data.len() >= LONGEST => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    /// The line is whole; returns the data of the event that it ends.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        if line.is_empty() {
            self.data.pop();
            return Some(std::mem::take(&mut self.data)).filter(|data| !data.is_empty());
        }
        let value = match line {
            b"data" => &[][..],
            _ => line.strip_prefix(b"data:")?,
        };
        self.data
            .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        self.data.push(b'\n');
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let pushed = Events::default().push(text.as_bytes(), &mut found);
        assert_eq!(pushed, Ok(()));
        let text = |data| String::from_utf8(data).unwrap();
        found.into_iter().map(text).collect()
    }

    #[test]
    fn data_is_kept_and_comments_and_names_are_not() {
        assert_eq!(events("data: a\n\n"), ["a"]);
        assert_eq!(events("\u{feff}data:a\r\n\r\ndata:  b\r\r"), ["a", " b"]);
        assert_eq!(events(": \n\nevent: x\nid: 1\ndata: a\n\n"), ["a"]);
        assert_eq!(events("data: a\ndata: b\n\n"), ["a\nb"]);
        assert_eq!(events("data\n\ndatum: a\n\ndata: a\n"), [""; 0]);
    }

    #[test]
    fn no_event_is_longer_than_the_longest() {
        let (mut events, mut found) = (Events::default(), Vec::new());
        let line = vec![b'a'; LONGEST];
        assert_eq!(events.push(b"data: a\n\n", &mut found), Ok(()));
        assert_eq!(events.push(&line, &mut found), Ok(()));
        assert_eq!(events.push(b"a", &mut found), Err(TooLong));
        assert_eq!(found, [b"a"]);
        let mut events = Events::default();
        let mut pushed = Ok(());
        for _ in 0..5 {
            let mut line = b"data:".to_vec();
            line.resize(1 << 20, b'a');
            line.push(b'\n');
            pushed = pushed.and(events.push(&line, &mut found));
        }
        assert_eq!(pushed, Err(TooLong));
    }

    proptest! {
        #[test]
        fn however_the_bytes_come_the_events_are_the_same(
            lines in prop::collection::vec("(data: ?[a-z]{0,3}|: [a-z]|event: x|)(\n|\r|\r\n)", 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text: String = lines.concat();
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            Events::default().push(text.as_bytes(), &mut whole).unwrap();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut events = Events::default();
            for cut in cuts.windows(2) {
                events.push(&text.as_bytes()[cut[0]..cut[1]], &mut parts).unwrap();
            }
            prop_assert_eq!(parts, whole);
        }
    }
}
