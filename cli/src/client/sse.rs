//! Server-sent events: bytes in, events out. Pure.

/// The longest line, and the longest data of one event. A flow with the longest path fits many times.
const MAX_EVENT: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `message` if the stream does not say.
    pub(crate) name: String,
    pub(crate) data: String,
}

/// What comes next in the stream is longer than anything an instance sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Reads a stream piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    name: String,
    data: String,
    pending_id: Option<String>,
    last_id: Option<String>,
}

impl Parser {
    /// The id of the last whole event, to go on from after a reconnection.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// A new connection: what was incomplete is gone, the last id stays.
    pub(crate) fn reconnected(&mut self) {
        let last_id = self.last_id.take();
        *self = Self { last_id, ..Self::default() };
    }

    /// Takes the next bytes and adds the events that they complete.
    ///
    /// # Errors
    /// [`TooLong`]; the stream cannot be read on.
    pub(crate) fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => {}
                b'\n' | b'\r' => self.end_of_line(events)?,
                _ if self.line.len() >= MAX_EVENT => return Err(TooLong),
                _ => self.line.push(byte),
            }
            self.after_cr = byte == b'\r';
        }
        Ok(())
    }

    fn end_of_line(&mut self, events: &mut Vec<Event>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            self.end_of_event(events);
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" if self.data.len() + value.len() >= MAX_EVENT => return Err(TooLong),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.pending_id = Some(value.to_owned()),
            // Comments (an empty field name), `retry`, and what a newer server may add.
            _ => {}
        }
        Ok(())
    }

    fn end_of_event(&mut self, events: &mut Vec<Event>) {
        if let Some(id) = self.pending_id.take() {
            self.last_id = Some(id);
        }
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        if data.pop().is_some() {
            events.push(Event { name: if name.is_empty() { "message".to_owned() } else { name }, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&str]) -> (Vec<(String, String)>, Option<String>) {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.feed(piece.as_bytes(), &mut events).unwrap();
        }
        (events.into_iter().map(|e| (e.name, e.data)).collect(), parser.last_id().map(str::to_owned))
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn events_are_found_however_the_stream_is_cut() {
        let stream =
            ": hello\n\nevent: flow\nid: 7\ndata: {\"a\":1}\n\nevent: lagged\r\ndata:x\r\ndata: y\r\n\r\ndata: z\r\r";
        let expected = vec![pair("flow", "{\"a\":1}"), pair("lagged", "x\ny"), pair("message", "z")];
        assert_eq!(parse(&[stream]), (expected.clone(), Some("7".into())));
        for cut in 1..stream.len() {
            assert_eq!(parse(&[&stream[..cut], &stream[cut..]]).0, expected, "cut at {cut}");
        }
    }

    #[test]
    fn the_last_id_is_that_of_a_whole_event() {
        assert_eq!(parse(&["id: 7\ndata: a\n\n", "id: 8\ndata: b\n"]), (vec![pair("message", "a")], Some("7".into())));
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        parser.feed(b"id: 7\ndata: a\n\nid: 8\ndata: half", &mut events).unwrap();
        parser.reconnected();
        parser.feed(b"data: c\n\n", &mut events).unwrap();
        assert_eq!(events.last().unwrap().data, "c");
        assert_eq!(parser.last_id(), Some("7"));
    }

    #[test]
    fn an_endless_line_or_event_is_refused() {
        let mut events = Vec::new();
        let line = vec![b'a'; MAX_EVENT + 1];
        assert_eq!(Parser::default().feed(&line, &mut events), Err(TooLong));
        let mut parser = Parser::default();
        let piece = format!("data: {}\n", "a".repeat(1 << 20));
        let refused = (0..8).any(|_| parser.feed(piece.as_bytes(), &mut events).is_err());
        assert!(refused && events.is_empty());
    }
}
