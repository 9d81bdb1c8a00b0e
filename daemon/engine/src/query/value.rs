//! The fields of the language, the operators each takes, and how its values are read.

use super::QueryError;
use super::ast::{Ast, HeaderTest, NumberField, Optional, Part, Term, TextField};

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `:`
    Has,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A value as written.
pub(super) struct Value {
    /// Where it begins.
    pub(super) position: usize,
    /// The bytes, escapes resolved.
    pub(super) bytes: Vec<u8>,
    /// It stood in quotes, so words like `none` are plain text.
    pub(super) quoted: bool,
}

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Text(TextField),
    Number(NumberField),
    Header(Part),
    Body(Part),
}

/// Names of fields, in the order in which messages list them.
const FIELDS: [(&str, Field); 18] = [
    ("host", Field::Text(TextField::Host)),
    ("path", Field::Text(TextField::Path)),
    ("url", Field::Text(TextField::Url)),
    ("method", Field::Text(TextField::Method)),
    ("status", Field::Number(NumberField::Status)),
    ("scheme", Field::Text(TextField::Scheme)),
    ("port", Field::Number(NumberField::Port)),
    ("size", Field::Number(NumberField::ResponseBytes)),
    ("request_size", Field::Number(NumberField::RequestBytes)),
    ("time", Field::Number(NumberField::Time)),
    ("duration", Field::Number(NumberField::Duration)),
    ("error", Field::Text(TextField::Error)),
    ("header", Field::Header(Part::Either)),
    ("req.header", Field::Header(Part::Request)),
    ("resp.header", Field::Header(Part::Response)),
    ("body", Field::Body(Part::Either)),
    ("req.body", Field::Body(Part::Request)),
    ("resp.body", Field::Body(Part::Response)),
];

impl Field {
    /// The field of this name, upper and lower case alike.
    pub(super) fn named(name: &str) -> Option<Self> {
        FIELDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| *field)
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        FIELDS.map(|(name, _)| name).join(", ")
    }
}

/// The condition `field operator value`; `at` is where the operator stands, `now` the present in microseconds.
pub(super) fn condition(
    field: Field,
    operator: Operator,
    at: usize,
    value: &Value,
    now: i64,
) -> Result<Ast, QueryError> {
    let negated = operator == Operator::NotEqual;
    let term = match field {
        Field::Text(field) => text(field, operator, at, value)?,
        Field::Number(field) => number(field, operator, value, now)?,
        Field::Header(part) => header(part, operator, at, value)?,
        Field::Body(part) => match operator {
            Operator::Has => Term::Body(part, value.bytes.clone()),
            _ => {
                return Err(QueryError::new(at, "a body can only be searched: write `body:\"text\"`"));
            }
        },
    };
    let term = Ast::Term(term);
    Ok(if negated { Ast::Not(Box::new(term)) } else { term })
}

fn text(field: TextField, operator: Operator, at: usize, value: &Value) -> Result<Term, QueryError> {
    let value_text = value.text()?;
    if field == TextField::Error && !value.quoted && value_text.eq_ignore_ascii_case("none") {
        return match operator {
            Operator::Has | Operator::Equal | Operator::NotEqual => Ok(Term::Missing(Optional::Error)),
            _ => Err(no_order(at)),
        };
    }
    // What an exact comparison compares with is stored in lower case, or compared without regard to case.
    let lower = value_text.to_ascii_lowercase();
    match (operator, field) {
        // `scheme:http` would contain-match https, and `method:GET` TARGET: nobody means that.
        (Operator::Has, TextField::Scheme | TextField::Method) => Ok(Term::Equals(field, lower)),
        (Operator::Has, _) => Ok(Term::Contains(field, lower)),
        (Operator::Equal | Operator::NotEqual, TextField::Url) => {
            Err(QueryError::new(at, "url can only be searched with `:`; compare host and path instead"))
        }
        (Operator::Equal | Operator::NotEqual, TextField::Path) => Ok(Term::Equals(field, value_text.to_owned())),
        (Operator::Equal | Operator::NotEqual, _) => Ok(Term::Equals(field, lower)),
        _ => Err(no_order(at)),
    }
}

fn no_order(at: usize) -> QueryError {
    QueryError::new(at, "this field is a text and has no order; use `:` (contains), `=` or `!=`")
}

fn header(part: Part, operator: Operator, at: usize, value: &Value) -> Result<Term, QueryError> {
    let whole = match operator {
        Operator::Has => false,
        Operator::Equal | Operator::NotEqual => true,
        _ => return Err(no_order(at)),
    };
    let text = value.bytes.to_ascii_lowercase();
    let test = match (memchr::memchr(b':', &text), whole) {
        (Some(colon), whole) => {
            let name = text[..colon].trim_ascii().to_vec();
            let rest = text[colon + 1..].trim_ascii().to_vec();
            if name.is_empty() {
                let message = "a header is given as \"name: value\"; here the name is missing";
                return Err(QueryError::new(value.position, message));
            }
            if whole { HeaderTest::ValueEquals(name, rest) } else { HeaderTest::ValueContains(name, rest) }
        }
        (None, true) => HeaderTest::Named(text.trim_ascii().to_vec()),
        (None, false) => HeaderTest::Line(text),
    };
    Ok(Term::Header(part, test))
}

fn number(field: NumberField, operator: Operator, value: &Value, now: i64) -> Result<Term, QueryError> {
    let text = value.text()?;
    let wrong = |message: &str| QueryError::new(value.position, format!("`{}` is no {message}", shown(text)));
    let exactly = |number: i64| (number, number);
    let (first, last) = match field {
        NumberField::Status if text.eq_ignore_ascii_case("none") => {
            return match operator {
                Operator::Has | Operator::Equal | Operator::NotEqual => Ok(Term::Missing(Optional::Status)),
                _ => Err(QueryError::new(value.position, "`none` has no order; use `status:none`")),
            };
        }
        NumberField::Status => status(text).ok_or_else(|| wrong("status; write 404, 4xx or none"))?,
        NumberField::Port => Some(text)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<u16>().ok())
            .map(|port| exactly(i64::from(port)))
            .ok_or_else(|| wrong("port; write a number up to 65535"))?,
        NumberField::ResponseBytes | NumberField::RequestBytes => {
            size(text).map(exactly).ok_or_else(|| wrong("size; write bytes, or 10k, 1M, 2G (powers of 1024)"))?
        }
        NumberField::Duration => duration(text)
            .map(exactly)
            .ok_or_else(|| wrong("duration; write a number with its unit: 500us, 20ms, 3s or 1m"))?,
        NumberField::Time => {
            if let Some(ago) = text.strip_prefix('-') {
                let ago = relative(ago).ok_or_else(|| wrong("relative time; write -90s, -15m, -1h or -7d"))?;
                let moment = now.saturating_sub(ago);
                // `time:-1h` says "within the last hour": nobody asks for one microsecond.
                if operator == Operator::Has {
                    return Ok(Term::Within(field, moment, i64::MAX));
                }
                exactly(moment)
            } else {
                time(text).ok_or_else(|| wrong("time; write 2026-01-31, 2026-01-31T23:59:59Z or -1h"))?
            }
        }
    };
    let (min, max) = match operator {
        Operator::Has | Operator::Equal | Operator::NotEqual => (first, last),
        Operator::Less => (i64::MIN, first.saturating_sub(1)),
        Operator::AtMost => (i64::MIN, last),
        Operator::More => (last.saturating_add(1), i64::MAX),
        Operator::AtLeast => (first, i64::MAX),
    };
    Ok(Term::Within(field, min, max))
}

/// Text of the query for a message: one line of it, and not all of a long one.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

impl Value {
    fn text(&self) -> Result<&str, QueryError> {
        std::str::from_utf8(&self.bytes).map_err(|_| {
            QueryError::new(self.position, "bytes that are not UTF-8 can only be searched for in headers and bodies")
        })
    }
}

fn status(text: &str) -> Option<(i64, i64)> {
    match text.as_bytes() {
        [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => {
            let first = i64::from(class - b'0') * 100;
            Some((first, first + 99))
        }
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => text.parse().ok().map(|status| (status, status)),
        _ => None,
    }
}

fn size(text: &str) -> Option<i64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn duration(text: &str) -> Option<i64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn relative(text: &str) -> Option<i64> {
    let (number, unit) = split_unit(text)?;
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.checked_mul(seconds)?.checked_mul(1_000_000)
}

fn split_unit(text: &str) -> Option<(i64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// A day, or a moment as exact as it is written (minute, second or fraction), as its first and last microsecond.
fn time(text: &str) -> Option<(i64, i64)> {
    const SECOND: i64 = 1_000_000;
    let moment = |text: String| text.parse::<merlon_api::Timestamp>().ok().map(|time| time.0);
    if text.len() == 10 {
        let first = moment(format!("{text}T00:00:00Z"))?;
        return Some((first, first + 86_400 * SECOND - 1));
    }
    let split = text.find(['Z', 'z', '+']).or_else(|| text.rfind('-').filter(|&at| at > 10))?;
    let (local, zone) = text.split_at_checked(split)?;
    let (local, length) = match local.len() {
        16 => (format!("{local}:00"), 60 * SECOND),
        19 => (local.to_owned(), SECOND),
        length @ 21..=26 => (local.to_owned(), 10i64.pow(u32::try_from(26 - length).ok()?)),
        _ => return None,
    };
    let first = moment(format!("{}Z", local.to_ascii_uppercase()))? - offset(zone)?;
    Some((first, first + length - 1))
}

/// `Z`, `+hh:mm` or `-hh:mm` in microseconds.
fn offset(zone: &str) -> Option<i64> {
    let (sign, hours, minutes) = match zone.as_bytes() {
        b"Z" | b"z" => return Some(0),
        [sign @ (b'+' | b'-'), h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] => {
            let two = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            (if *sign == b'-' { -1 } else { 1 }, two(*h1, *h2), two(*m1, *m2))
        }
        _ => return None,
    };
    (hours < 24).then_some(sign * (hours * 3600 + minutes * 60) * 1_000_000)
}
