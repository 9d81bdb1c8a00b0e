//! A query against one flow: the last word on whether it matches.

use super::ast::{Ast, HeaderTest, NumberField, Optional, Part, Term, TextField};

/// A flow as queries see it. Heads and bodies are asked for only if all that is cheaper has not decided yet.
pub(crate) trait FlowView {
    /// Microseconds since 1970.
    fn time_us(&self) -> i64;
    /// Microseconds from request to end; none while under way.
    fn duration_us(&self) -> Option<i64>;
    /// `http`, `https` or `tunnel`.
    fn scheme(&self) -> &str;
    /// As sent.
    fn method(&self) -> &str;
    /// Lower case.
    fn host(&self) -> &str;
    /// Port.
    fn port(&self) -> u16;
    /// Path and query.
    fn path(&self) -> &str;
    /// None without a response.
    fn status(&self) -> Option<u16>;
    /// Bytes of the request's body.
    fn request_bytes(&self) -> u64;
    /// Bytes of the response's body.
    fn response_bytes(&self) -> u64;
    /// None if nothing went wrong.
    fn error(&self) -> Option<&str>;
    /// The request's head as recorded.
    fn request_head(&self) -> &[u8];
    /// The response's head as recorded; empty without a response.
    fn response_head(&self) -> &[u8];
    /// Whether the body of the request ([`Part::Request`]) or response ([`Part::Response`]; never
    /// [`Part::Either`]) holds these bytes. See [`super::Finder`].
    fn body_contains(&self, part: Part, needle: &[u8]) -> bool;
}

impl Ast {
    /// Whether this flow matches.
    pub(crate) fn matches(&self, flow: &impl FlowView) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(flow)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(flow)),
            Self::Not(inner) => !inner.matches(flow),
            Self::Term(term) => term.holds(flow),
        }
    }
}

impl Term {
    fn holds(&self, flow: &impl FlowView) -> bool {
        match self {
            Self::Contains(TextField::Url, value) => {
                let text = [flow.host(), flow.path()].concat();
                contains(text.as_bytes(), value.as_bytes())
            }
            Self::Contains(field, value) => {
                text(flow, *field).is_some_and(|text| contains(text.as_bytes(), value.as_bytes()))
            }
            Self::Equals(TextField::Path, value) => flow.path() == value,
            Self::Equals(field, value) => text(flow, *field).is_some_and(|text| text.eq_ignore_ascii_case(value)),
            Self::Within(field, min, max) => number(flow, *field).is_some_and(|number| (*min..=*max).contains(&number)),
            Self::Missing(Optional::Status) => flow.status().is_none(),
            Self::Missing(Optional::Error) => flow.error().is_none(),
            Self::Header(part, test) => {
                part.has_request() && test.holds(flow.request_head())
                    || part.has_response() && test.holds(flow.response_head())
            }
            Self::Body(part, needle) => {
                part.has_request() && flow.body_contains(Part::Request, needle)
                    || part.has_response() && flow.body_contains(Part::Response, needle)
            }
        }
    }
}

impl Part {
    fn has_request(self) -> bool {
        self != Self::Response
    }

    fn has_response(self) -> bool {
        self != Self::Request
    }
}

impl HeaderTest {
    fn holds(&self, head: &[u8]) -> bool {
        // The first line is no field; the blank one at the end is left out.
        let mut lines = head.split(|&byte| byte == b'\n').skip(1).map(<[u8]>::trim_ascii);
        lines.any(|line| !line.is_empty() && self.holds_in(line))
    }

    fn holds_in(&self, line: &[u8]) -> bool {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()),
            None => (line, &line[line.len()..]),
        };
        match self {
            Self::Line(needle) => contains(line, needle),
            Self::Named(expected) => name.eq_ignore_ascii_case(expected),
            Self::ValueContains(expected, needle) => name.eq_ignore_ascii_case(expected) && contains(value, needle),
            Self::ValueEquals(expected, whole) => {
                name.eq_ignore_ascii_case(expected) && value.eq_ignore_ascii_case(whole)
            }
        }
    }
}

fn text(flow: &impl FlowView, field: TextField) -> Option<&str> {
    match field {
        TextField::Host => Some(flow.host()),
        // `Url` is two texts and is handled where it is asked for.
        TextField::Path | TextField::Url => Some(flow.path()),
        TextField::Method => Some(flow.method()),
        TextField::Scheme => Some(flow.scheme()),
        TextField::Error => flow.error(),
    }
}

fn number(flow: &impl FlowView, field: NumberField) -> Option<i64> {
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    match field {
        NumberField::Status => flow.status().map(i64::from),
        NumberField::ResponseBytes => Some(bytes(flow.response_bytes())),
        NumberField::RequestBytes => Some(bytes(flow.request_bytes())),
        NumberField::Port => Some(i64::from(flow.port())),
        NumberField::Time => Some(flow.time_us()),
        NumberField::Duration => flow.duration_us(),
    }
}

/// Whether `text` contains `needle` (in lower case), ASCII letters of both cases alike.
fn contains(text: &[u8], needle: &[u8]) -> bool {
    let Some((&first, rest)) = needle.split_first() else {
        return true;
    };
    let upper = first.to_ascii_uppercase();
    let mut from = 0;
    while let Some(at) = memchr::memchr2(first, upper, &text[from..]) {
        from += at + 1;
        if text[from..].get(..rest.len()).is_some_and(|part| part.eq_ignore_ascii_case(rest)) {
            return true;
        }
    }
    false
}
