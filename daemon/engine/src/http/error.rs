//! Why a head was refused. Owns the messages that users read; says nothing of what the bytes were.

/// Why a head is refused. Lines count from 1, the request or status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// TLS where plain HTTP is spoken.
    #[error(
        "these are the first bytes of TLS, but this port speaks plain HTTP; set the proxy's address as http://, not https://"
    )]
    TlsOnPlain,
    /// HTTP/2 with prior knowledge.
    #[error("the client opened with the HTTP/2 preface, but HTTP/2 was not agreed on here; use HTTP/1.1")]
    Http2Preface,
    /// A request line without a version.
    #[error("the request line names no HTTP version; HTTP/0.9 has no heads and is not supported, send HTTP/1.1")]
    Http09,
    /// A version other than 1.0 and 1.1.
    #[error("the HTTP version is neither 1.0 nor 1.1; only these two are spoken here")]
    UnsupportedVersion,
    /// Not `method SP target SP version`.
    #[error("the request line is not `METHOD target HTTP/1.1` with single spaces; readers would split it differently")]
    RequestLine,
    /// Not `version SP status [SP reason]`.
    #[error("the status line is not `HTTP/1.1 NNN reason` with a status from 100 to 999")]
    StatusLine,
    /// A response that does not begin with `HTTP/`.
    #[error("the server's answer does not begin with `HTTP/`; it speaks another protocol on this port")]
    NotHttp,
    /// The head has no end within the limit.
    #[error("the head is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// More fields than allowed.
    #[error("the head has more than {limit} header fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// A line that ends in LF alone.
    #[error(
        "line {line} ends in LF without CR; readers that want CRLF would not end it there, which is how requests are smuggled"
    )]
    BareLf {
        /// Where.
        line: usize,
    },
    /// CR inside a line.
    #[error(
        "line {line} holds a CR that is not followed by LF; some readers end the line there, which is how requests are smuggled"
    )]
    BareCr {
        /// Where.
        line: usize,
    },
    /// NUL or another control byte.
    #[error("line {line} holds a NUL or another control byte; readers cut or skip such bytes differently")]
    ControlByte {
        /// Where.
        line: usize,
    },
    /// A field line that begins with a blank.
    #[error("line {line} begins with a blank (obsolete line folding); readers join or drop such lines differently")]
    ObsoleteFolding {
        /// Where.
        line: usize,
    },
    /// A blank between name and colon.
    #[error("line {line} has a blank before the colon; readers disagree on whether the field counts")]
    BlankBeforeColon {
        /// Where.
        line: usize,
    },
    /// A field line that begins with its colon.
    #[error("line {line} has an empty field name")]
    EmptyName {
        /// Where.
        line: usize,
    },
    /// A name with bytes outside a token, or no colon at all.
    #[error("line {line} is no header field: its name holds a byte that names may not have, or there is no colon")]
    FieldName {
        /// Where.
        line: usize,
    },
    /// Refused by the field reader for a reason not named above.
    #[error("the head is malformed")]
    Malformed,
    /// Content-Length and Transfer-Encoding together.
    #[error(
        "both Content-Length and Transfer-Encoding are given; the two ends could each believe another one (request smuggling)"
    )]
    LengthAndTransferEncoding,
    /// Content-Length more than once, same value.
    #[error("Content-Length is given more than once; readers take the first, the last or their sum, so send it once")]
    RepeatedContentLength,
    /// Content-Length more than once, different values.
    #[error("Content-Length is given more than once with different values (request smuggling)")]
    ConflictingContentLength,
    /// Not a plain decimal number of 64 bits.
    #[error("Content-Length is not a plain decimal number of at most 64 bits")]
    InvalidContentLength,
    /// Transfer-Encoding in HTTP/1.0.
    #[error("Transfer-Encoding is given in an HTTP/1.0 message, where readers may ignore it (request smuggling)")]
    TransferEncodingInHttp10,
    /// More than one Transfer-Encoding field.
    #[error("Transfer-Encoding is given more than once; readers join or drop the repeats differently")]
    RepeatedTransferEncoding,
    /// `chunked` spelled oddly, twice, or not last.
    #[error(
        "Transfer-Encoding is malformed: `chunked` must stand once, last, and without decoration (request smuggling)"
    )]
    InvalidTransferEncoding,
    /// A request coding other than exactly `chunked`.
    #[error("the request's Transfer-Encoding is not exactly `chunked`; no other coding is supported in requests")]
    UnsupportedTransferEncoding,
    /// Content in a CONNECT request.
    #[error(
        "a CONNECT request announces a body, which CONNECT does not have; what follows it would be read as the tunnel"
    )]
    ConnectWithBody,
    /// HTTP/1.1 without Host.
    #[error("the HTTP/1.1 request has no Host field, which HTTP/1.1 demands")]
    MissingHost,
    /// More than one Host.
    #[error("the request has more than one Host field; the two ends could each believe another one")]
    RepeatedHost,
    /// A Host value that is no host.
    #[error("the Host field is not `host` or `host:port`")]
    InvalidHost,
    /// More than one Proxy-Authorization.
    #[error("the request has more than one Proxy-Authorization field; send one")]
    RepeatedProxyAuthorization,
    /// A request target in no known form.
    #[error(
        "the request target is neither a path, `http://host/path`, `*` (OPTIONS only) nor `host:port` (CONNECT only)"
    )]
    InvalidTarget,
    /// An absolute target with another scheme.
    #[error("the request target's scheme is neither http nor https")]
    UnsupportedScheme,
    /// `user:password@` in the target.
    #[error(
        "the request target holds a user name or password before the host; readers take either side of the @ for the host, so send an Authorization field instead"
    )]
    UserInfo,
    /// The authority of a target is malformed.
    #[error("the host or port of the request target is malformed or missing")]
    InvalidAuthority,
    /// 101 to a request that asked for no upgrade.
    #[error("the server switched protocols (101) though the request asked for no upgrade")]
    UnaskedSwitch,
}

impl HeadError {
    /// The status to answer a refused *request* with. A refused response is always a 502.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::TooLarge { .. } | Self::TooManyFields { .. } => 431,
            Self::UnsupportedTransferEncoding => 501,
            Self::UnsupportedVersion | Self::Http2Preface | Self::Http09 => 505,
            Self::NotHttp | Self::StatusLine | Self::UnaskedSwitch => 502,
            _ => 400,
        }
    }
}
