//! Why a configuration cannot be used: always the file (or variable, or flag), the key, and what to do.

/// An unusable configuration; programs end with exit code 78.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not TOML, an unknown field, or a value of the wrong kind.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands.
        origin: String,
        /// The parser's words: key, line and what was expected.
        message: String,
    },
    /// A value outside its bounds.
    #[error("{origin}: `{key}` {problem}; {remedy}")]
    OutOfBounds {
        /// Where it stands.
        origin: String,
        /// Dotted key.
        key: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
}
