//! Values of the command line, parsed once.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// One side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// Client to origin.
    Request,
    /// Origin to client.
    Response,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// `A-B` (both included) or `A-`, as in HTTP's Range header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) first: u64,
    pub(crate) last: Option<u64>,
}

impl ByteRange {
    pub(crate) const ALL: Self = Self { first: 0, last: None };
}

impl FromStr for ByteRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range; write FIRST-LAST or FIRST-, counted from 0, for example 0-1023");
        let number = |digits: &str| -> Result<u64, String> {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(wrong());
            }
            digits.parse().map_err(|_| wrong())
        };
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let range = Self { first: number(first)?, last: if last.is_empty() { None } else { Some(number(last)?) } };
        match range.last {
            Some(last) if last < range.first => Err(format!("`{text}` ends before it begins")),
            _ => Ok(range),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!("0-9".parse(), Ok(ByteRange { first: 0, last: Some(9) }));
        assert_eq!("5-5".parse(), Ok(ByteRange { first: 5, last: Some(5) }));
        assert_eq!("100-".parse(), Ok(ByteRange { first: 100, last: None }));
        for wrong in ["", "-", "-5", "9-5", "1", "a-b", "1-2-3", "+1-2", "0x1-2", "99999999999999999999-"] {
            assert!(wrong.parse::<ByteRange>().is_err(), "{wrong}");
        }
    }
}
