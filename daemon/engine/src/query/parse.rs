//! Text to tree. Owns the grammar and its bounds; what fields and values mean is in `value`.
//!
//! ```text
//! query  = [ either ]
//! either = both *( "or" both )
//! both   = single *( [ "and" ] single )
//! single = "not" single / "(" either ")" / field operator value / value
//! ```

use super::ast::{Ast, Term, TextField};
use super::value::{Field, Operator, Value, condition, shown};
use super::{MAX_DEPTH, MAX_LENGTH, MAX_TERMS, QueryError};

/// Reads a query. `now` is the present in microseconds since 1970, for relative times. The empty query matches all.
///
/// # Errors
/// What is wrong and at which byte.
pub(crate) fn parse(query: &str, now: i64) -> Result<Ast, QueryError> {
    if query.len() > MAX_LENGTH {
        let message = format!("the query is longer than {MAX_LENGTH} bytes");
        return Err(QueryError::new(MAX_LENGTH, message));
    }
    let mut parser = Parser { query, at: 0, now, depth: 0, terms: 0 };
    parser.skip_blanks();
    if parser.at == query.len() {
        return Ok(Ast::And(Vec::new()));
    }
    let ast = parser.either()?;
    match parser.peek() {
        None => Ok(ast),
        // `either` stops at nothing else.
        Some(_) => Err(parser.wrong("this parenthesis was never opened; remove it")),
    }
}

struct Parser<'a> {
    query: &'a str,
    at: usize,
    now: i64,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> Result<Ast, QueryError> {
        let mut parts = vec![self.both()?];
        while self.keyword("or") {
            parts.push(self.both()?);
        }
        Ok(Ast::any(parts))
    }

    fn both(&mut self) -> Result<Ast, QueryError> {
        let mut parts = vec![self.single()?];
        loop {
            if self.keyword("and") {
                parts.push(self.single()?);
            } else if matches!(self.peek(), None | Some(')')) || self.at_keyword("or") {
                return Ok(Ast::all(parts));
            } else {
                parts.push(self.single()?);
            }
        }
    }

    fn single(&mut self) -> Result<Ast, QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("parentheses and `not` nest deeper than {MAX_DEPTH}");
            return Err(self.wrong(&message));
        }
        let ast = if self.keyword("not") {
            Ast::Not(Box::new(self.single()?))
        } else if self.peek() == Some('(') {
            let opened = self.at;
            self.advance(1);
            let inner = self.either()?;
            if self.peek() != Some(')') {
                return Err(QueryError::new(opened, "this parenthesis is never closed; add `)`"));
            }
            self.advance(1);
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(ast)
    }

    fn term(&mut self) -> Result<Ast, QueryError> {
        for word in ["and", "or"] {
            if self.at_keyword(word) {
                return Err(
                    self.wrong(&format!("`{word}` needs a condition on both sides; to search for the word, quote it"))
                );
            }
        }
        match self.peek() {
            None => return Err(self.wrong("a condition is missing here")),
            Some(')') => return Err(self.wrong("a condition is missing before this parenthesis")),
            Some(_) => {}
        }
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(self.wrong(&format!("the query has more than {MAX_TERMS} conditions")));
        }
        let start = self.at;
        if let Some((field, operator, at)) = self.field_and_operator()? {
            let value = self.value()?;
            return condition(field, operator, at, &value, self.now);
        }
        let value = self.value()?;
        let text = String::from_utf8(value.bytes).map_err(|_| {
            QueryError::new(start, "bytes that are not UTF-8 can only be searched for in headers and bodies")
        })?;
        Ok(Ast::Term(Term::Contains(TextField::Url, text.to_ascii_lowercase())))
    }

    /// The field and operator that stand here and where the operator is; none if this is a bare word.
    fn field_and_operator(&mut self) -> Result<Option<(Field, Operator, usize)>, QueryError> {
        let word = self.word();
        let name_length = word.find([':', '=', '<', '>', '!', '~']).unwrap_or(word.len());
        let name = &word[..name_length];
        let field = Field::named(name);
        let after_name = &self.query[self.at + name_length..];
        let blanks = after_name.len() - after_name.trim_start().len();
        let operator = operator(&after_name[blanks..]);
        match (field, operator) {
            // Blanks before an operator only count after a field: `size > 10k`.
            (Some(field), Some((operator, length))) => {
                let at = self.at + name_length + blanks;
                self.advance(name_length + blanks + length);
                // `size:>10k` is often typed for `size>10k`.
                let twice = (operator == Operator::Has && matches!(field, Field::Number(_)))
                    .then(|| self::operator(self.rest()))
                    .flatten()
                    .filter(|(second, _)| *second != Operator::Has);
                if let Some((second, length)) = twice {
                    self.advance(length);
                    return Ok(Some((field, second, at)));
                }
                Ok(Some((field, operator, at)))
            }
            (Some(_), None) if after_name.starts_with('~') => {
                let at = self.at + name_length;
                Err(QueryError::new(at, "regular expressions are not supported; use `:` (contains)"))
            }
            (None, Some(_)) if blanks == 0 && name.is_empty() => {
                Err(self.wrong("an operator needs a field before it; to search for this text, quote it"))
            }
            (None, Some(_)) if blanks == 0 => Err(self.wrong(&format!(
                "there is no field `{}`; fields are {}. To search for text with such a sign in it, quote it",
                shown(name),
                Field::names()
            ))),
            _ => Ok(None),
        }
    }

    fn value(&mut self) -> Result<Value, QueryError> {
        let before = self.at;
        self.skip_blanks();
        let position = self.at;
        if self.rest().starts_with('"') {
            let bytes = self.quoted()?;
            return Ok(Value { position, bytes, quoted: true });
        }
        let word = self.word();
        // `host: and x` has forgotten its value; `host:and` means the word.
        let forgotten = position > before && ["and", "or"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
        if word.is_empty() || forgotten {
            return Err(self.wrong("a value is missing here; an empty text is written \"\""));
        }
        self.advance(word.len());
        Ok(Value { position, bytes: word.as_bytes().to_vec(), quoted: false })
    }

    fn quoted(&mut self) -> Result<Vec<u8>, QueryError> {
        let opened = self.at;
        self.advance(1);
        let mut bytes = Vec::new();
        loop {
            let Some(character) = self.rest().chars().next() else {
                return Err(QueryError::new(opened, "this quote is never closed; add `\"`"));
            };
            let at = self.at;
            self.advance(character.len_utf8());
            match character {
                '"' => return Ok(bytes),
                '\\' => {
                    let (byte, length) = escape(self.rest().as_bytes()).ok_or_else(|| {
                        QueryError::new(
                            at,
                            "after a backslash comes one of \" \\ n r t 0 or xHH; write \\\\ for a backslash",
                        )
                    })?;
                    bytes.push(byte);
                    self.advance(length);
                }
                character => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// The text from here to the next blank, parenthesis or quote.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"');
        &rest[..rest.find(end).unwrap_or(rest.len())]
    }

    fn at_keyword(&mut self, keyword: &str) -> bool {
        self.skip_blanks();
        self.word().eq_ignore_ascii_case(keyword)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let is_here = self.at_keyword(keyword);
        if is_here {
            self.advance(keyword.len());
        }
        is_here
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_blanks();
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        &self.query[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn wrong(&self, message: &str) -> QueryError {
        QueryError::new(self.at, message)
    }
}

/// The operator at the beginning of `text`, and its length.
fn operator(text: &str) -> Option<(Operator, usize)> {
    Some(match text.as_bytes() {
        [b'!', b'=', ..] => (Operator::NotEqual, 2),
        [b'<', b'=', ..] => (Operator::AtMost, 2),
        [b'>', b'=', ..] => (Operator::AtLeast, 2),
        [b':', ..] => (Operator::Has, 1),
        [b'=', ..] => (Operator::Equal, 1),
        [b'<', ..] => (Operator::Less, 1),
        [b'>', ..] => (Operator::More, 1),
        _ => return None,
    })
}

/// The byte that the escape after a backslash stands for, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    Some(match *text {
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'0', ..] => (0, 1),
        [byte @ (b'"' | b'\\'), ..] => (byte, 1),
        [b'x', high, low, ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            (digit(high)? << 4 | digit(low)?, 3)
        }
        _ => return None,
    })
}
