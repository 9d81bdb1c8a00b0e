//! The tree of a query, already checked: every term can be evaluated as it stands.

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ast {
    /// All of them; with none, every flow (the empty query).
    And(Vec<Self>),
    /// At least one of them.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A single condition.
    Term(Term),
}

/// A condition. One about something that a flow has not (a status without a response) does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// Text that contains the value, upper and lower case alike. The value is in lower case.
    Contains(TextField, String),
    /// Text that is the value, upper and lower case alike but in a path.
    Equals(TextField, String),
    /// A number within these bounds, both included.
    Within(NumberField, i64, i64),
    /// The flow has none.
    Missing(Optional),
    /// A header field.
    Header(Part, HeaderTest),
    /// A body holds these bytes.
    Body(Part, Vec<u8>),
}

/// Texts of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextField {
    /// Host.
    Host,
    /// Path and query.
    Path,
    /// Host, then path, as one text.
    Url,
    /// Method.
    Method,
    /// Scheme.
    Scheme,
    /// What went wrong.
    Error,
}

/// Numbers of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberField {
    /// Status of the response.
    Status,
    /// Bytes of the response's body.
    ResponseBytes,
    /// Bytes of the request's body.
    RequestBytes,
    /// Port.
    Port,
    /// Microseconds since 1970.
    Time,
    /// Microseconds from request to end.
    Duration,
}

/// What a flow may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optional {
    /// A response.
    Status,
    /// An error.
    Error,
}

/// Which half of a flow is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The request.
    Request,
    /// The response.
    Response,
    /// Either of them.
    Either,
}

/// What is asked of a header field. Upper and lower case alike throughout; all bytes here are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderTest {
    /// Some field line contains this, in its name or value.
    Line(Vec<u8>),
    /// There is a field of this name.
    Named(Vec<u8>),
    /// A field of this name has a value that contains this.
    ValueContains(Vec<u8>, Vec<u8>),
    /// A field of this name has exactly this value.
    ValueEquals(Vec<u8>, Vec<u8>),
}

impl Ast {
    /// Joins by `and`, the cheap conditions first: bodies and heads are read only where all else holds.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        Self::joined(parts, Self::And)
    }

    /// Joins by `or`, the cheap conditions first.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        Self::joined(parts, Self::Or)
    }

    /// Whether a head has to be read to decide.
    pub(crate) fn uses_heads(&self) -> bool {
        self.any_term(&|term| matches!(term, Term::Header(..)))
    }

    /// Whether a body has to be read to decide.
    pub(crate) fn uses_bodies(&self) -> bool {
        self.any_term(&|term| matches!(term, Term::Body(..)))
    }

    fn joined(mut parts: Vec<Self>, join: impl FnOnce(Vec<Self>) -> Self) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        parts.sort_by_key(|part| (part.uses_bodies(), part.uses_heads()));
        join(parts)
    }

    fn any_term(&self, test: &impl Fn(&Term) -> bool) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.any_term(test)),
            Self::Not(inner) => inner.any_term(test),
            Self::Term(term) => test(term),
        }
    }
}
