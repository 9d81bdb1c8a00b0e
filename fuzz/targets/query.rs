//! Queries: no panic, mistakes lie within the query, and the SQL takes as many parameters as it is given.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "the language is included as source; a target uses a part of it"
)]

#[path = "../../daemon/engine/src/query/mod.rs"]
mod query;

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    |text: &str| match query::parse(text, 1_795_176_000_000_000) {
        Ok(ast) => {
            let filter = ast.sql();
            assert_eq!(filter.clause.matches('?').count(), filter.params.len());
            assert!(filter.clause.is_ascii() && !filter.clause.contains('\''));
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.position));
            assert_eq!(error.message.lines().count(), 1);
        }
    }
);
