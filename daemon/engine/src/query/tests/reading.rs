//! What is accepted, what is refused and where.

use super::read;
use crate::query::ast::{Ast, Term, TextField};
use crate::query::{HELP, MAX_DEPTH, MAX_LENGTH, MAX_TERMS};

fn word(text: &str) -> Ast {
    Ast::Term(Term::Contains(TextField::Url, text.to_owned()))
}

#[test]
fn not_binds_closer_than_and_closer_than_or() {
    let not = |ast| Ast::Not(Box::new(ast));
    let expected = Ast::Or(vec![
        word("a"),
        Ast::And(vec![word("b"), not(word("c")), word("d")]),
        Ast::And(vec![word("e"), Ast::Or(vec![word("f"), word("g")])]),
    ]);
    assert_eq!(read("a or b and not c D OR e(f Or g)"), Ok(expected));
    assert_eq!(read("not(not a)"), Ok(not(not(word("a")))));
    assert_eq!(read("  \n "), Ok(Ast::And(vec![])));
    assert_eq!(read("\"and\" \"a \\\"\\\\\\x41\""), Ok(Ast::And(vec![word("and"), word("a \"\\a")])));
    assert_eq!(read("android order nothing"), Ok(Ast::And(["android", "order", "nothing"].map(word).into())));
    assert_eq!(read("host status"), Ok(Ast::And(vec![word("host"), word("status")])));
}

#[test]
fn blanks_around_operators_and_doubled_operators() {
    for (one, other) in [
        ("size>10k", "size > 10240"),
        ("size:>=10k", "size>=10k"),
        ("HOST:A", "host : a"),
        ("status:!=200", "status!=200"),
        ("path:a=b", "path:\"a=b\""),
        ("path::", "path:\":\""),
    ] {
        assert_eq!(read(one), read(other), "{one}");
        assert!(read(one).is_ok(), "{one}");
    }
}

#[test]
fn mistakes_are_placed_and_explained() {
    for (query, position, message) in [
        ("hots:a", 0, "no field `hots`"),
        ("a hots=b", 2, "no field"),
        ("https://x", 0, "quote it"),
        (":a", 0, "needs a field"),
        ("a =b", 2, "needs a field"),
        ("host:", 5, "value is missing"),
        ("host: and b", 6, "value is missing"),
        ("host:a size> OR b", 13, "value is missing"),
        ("(a or b", 0, "never closed"),
        ("a)", 1, "never opened"),
        ("a ()", 3, "missing before this parenthesis"),
        ("a and", 5, "missing here"),
        ("or a", 0, "both sides"),
        ("a or or b", 5, "both sides"),
        ("not", 3, "missing here"),
        ("a \"b", 2, "never closed"),
        ("\"\\q\"", 1, "backslash"),
        ("\"\\x4\"", 1, "backslash"),
        ("\"\\xff\"", 0, "not UTF-8"),
        ("host:\"\\xff\"", 5, "not UTF-8"),
        ("host<a", 4, "no order"),
        ("error>none", 5, "no order"),
        ("header>a", 6, "no order"),
        ("header:\": b\"", 7, "name is missing"),
        ("body=a", 4, "only be searched"),
        ("url=a", 3, "only be searched"),
        ("path~x", 4, "regular expressions"),
        ("status:abc", 7, "no status"),
        ("status:4x", 7, "no status"),
        ("status:1000", 7, "no status"),
        ("status<none", 7, "no order"),
        ("port:65536", 5, "no port"),
        ("port:+80", 5, "no port"),
        ("size:\"1\\n2\"", 5, "`1\\n2` is no size"),
        ("size:10q", 5, "no size"),
        ("size:-1", 5, "no size"),
        ("size:9223372036854775807G", 5, "no size"),
        ("duration:5", 9, "no duration"),
        ("time:yesterday", 5, "no time"),
        ("time:2026-02-30", 5, "no time"),
        ("time:2026-02-01T10", 5, "no time"),
        ("time:2026-02-01T10:00:00+25:00", 5, "no time"),
        ("time:-1y", 5, "no relative time"),
        ("time:-99999999999999d", 5, "no relative time"),
        ("time:\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", 5, "no time"),
    ] {
        let error = read(query).expect_err(query);
        assert_eq!(error.position, position, "{query}: {error}");
        assert!(error.message.contains(message), "{query}: {error}");
    }
}

#[test]
fn bounds_hold() {
    assert!(read(&"a".repeat(MAX_LENGTH)).is_ok());
    assert_eq!(read(&"a".repeat(MAX_LENGTH + 1)).unwrap_err().position, MAX_LENGTH);
    assert!(read(&"a ".repeat(MAX_TERMS)).is_ok());
    assert!(read(&"a ".repeat(MAX_TERMS + 1)).unwrap_err().message.contains("conditions"));
    let nested = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
    assert!(read(&nested(MAX_DEPTH)).unwrap_err().message.contains("nest deeper"));
    assert!(read(&format!("{}a", "not ".repeat(2000))[..4000]).is_err());
    assert!(read(&"(".repeat(MAX_LENGTH)).is_err());
}

#[test]
fn queries_in_the_reference_can_be_read() {
    let mut seen = 0;
    for line in HELP.lines().filter_map(|line| line.trim().strip_prefix("merlon flows '")) {
        assert!(read(line.trim_end_matches('\'')).is_ok(), "{line}");
        seen += 1;
    }
    for text in HELP.split('`').skip(1).step_by(2).filter(|text| text.contains(':')) {
        assert!(text == ":" || read(text).is_ok(), "{text}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
    assert!(HELP.lines().all(|line| line.chars().count() < 80));
    for name in crate::query::value::Field::names().split(", ") {
        assert!(HELP.contains(name), "{name} is not in the reference");
    }
    let limits = format!("{MAX_LENGTH} bytes, {MAX_TERMS} conditions, {MAX_DEPTH} levels");
    assert!(HELP.contains(&limits));
}
