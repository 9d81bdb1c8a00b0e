//! Flows as the API shows them. [`Flow`] is also the line that `merlon flows --json` prints; scripts rely on its names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// One request with its response, in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// Rises in the order in which requests began; unique within the project.
    pub id: i64,
    /// When the head of the request was complete.
    pub time: Timestamp,
    /// As sent.
    pub method: String,
    /// `http`, `https`, or `tunnel` for a connection that was relayed unread.
    pub scheme: String,
    /// Lower case, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query as sent; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// None if no response came.
    pub status: Option<u16>,
    /// Bytes of the request's body on the wire.
    pub request_bytes: u64,
    /// Bytes of the response's body on the wire.
    pub response_bytes: u64,
    /// Microseconds from `time` to the end of the response; none while the flow is under way, and for one that a stop of
    /// the engine interrupted.
    pub duration_us: Option<i64>,
    /// What went wrong, in words; none if nothing did.
    pub error: Option<String>,
}

/// A page of flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowPage {
    /// The newest first; with `after`, the oldest first.
    pub flows: Vec<Flow>,
    /// More may follow: ask again with this as `before` (or as `after`, if this page was asked for with `after`).
    /// A page may hold fewer flows than asked for, even none, and still have a next one: a rare match is looked for
    /// in bounded steps.
    pub next: Option<i64>,
}

/// How many flows match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowCount {
    /// Committed flows that match.
    pub count: u64,
}

/// One flow with all that is known of it but the bodies, which are read apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowDetail {
    /// The flow in brief.
    #[serde(flatten)]
    pub flow: Flow,
    /// What the client sent.
    pub request: Message,
    /// What the origin sent; none if no response head came.
    pub response: Option<Message>,
    /// Address and port of the client; none on a Unix socket or where it was not kept.
    pub client_address: Option<String>,
    /// Address and port of the origin that was connected.
    pub server_address: Option<String>,
    /// TLS with the client.
    pub client_tls: Option<Tls>,
    /// TLS with the origin.
    pub server_tls: Option<Tls>,
    /// SHA-256 of the origin's certificate in DER, in hex.
    pub server_certificate_sha256: Option<String>,
    /// Microseconds from the complete request head to the first byte of the response.
    pub first_byte_us: Option<u32>,
    /// The request went out on a connection that had served one before.
    pub connection_reused: bool,
}

/// One side of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Start line and fields as text; bytes that are not UTF-8 are replaced.
    pub head: String,
    /// The exact bytes of the head as they passed, in base64 (RFC 4648, section 4).
    pub head_base64: String,
    /// Bytes of the body on the wire.
    pub body_bytes: u64,
    /// Bytes of the body that were kept and can be read.
    pub body_stored: u64,
}

/// Facts of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// `TLSv1.3` and so on.
    pub version: String,
    /// Cipher suite.
    pub cipher: String,
    /// Server name sent (SNI).
    pub server_name: Option<String>,
    /// Protocol agreed (ALPN).
    pub alpn: Option<String>,
}

/// Which flows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowsQuery {
    /// A query; `GET /api/v1/queries/help` explains the language. Empty: all flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub query: Option<String>,
    /// Only flows with a smaller id. Not together with `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Only flows with a larger id, the oldest first. Not together with `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Flows of the page. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// Which flows to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountQuery {
    /// As in a list of flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub query: Option<String>,
}

/// Which flows to be told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only flows that match; as in a list of flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub query: Option<String>,
    /// First all flows with a larger id, then what comes. The header `Last-Event-ID` does the same and goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// Data of a `lagged` event: the client read too slowly, and flows were committed that it was not told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lagged {
    /// Ask for flows with `after` set to this to get what was missed, among some that were told.
    pub after: i64,
    /// The same in words.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_flow_has_the_names_that_scripts_rely_on() {
        let line = serde_json::to_string(&Flow {
            id: 7,
            time: Timestamp(0),
            method: "GET".into(),
            scheme: "https".into(),
            host: "a.example".into(),
            port: 443,
            path: "/".into(),
            status: None,
            request_bytes: 0,
            response_bytes: 0,
            duration_us: None,
            error: None,
        })
        .unwrap();
        assert_eq!(
            line,
            r#"{"id":7,"time":"1970-01-01T00:00:00.000000Z","method":"GET","scheme":"https","host":"a.example","port":443,"path":"/","status":null,"request_bytes":0,"response_bytes":0,"duration_us":null,"error":null}"#
        );
    }

    #[test]
    fn inputs_refuse_what_they_do_not_know() {
        assert!(serde_json::from_str::<FlowsQuery>(r#"{"limit":3}"#).is_ok());
        for wrong in [r#"{"limits":3}"#, r#"{"limit":-3}"#, r#"{"before":"x"}"#] {
            assert!(serde_json::from_str::<FlowsQuery>(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<CountQuery>(r#"{"limit":3}"#).is_err());
        assert!(serde_json::from_str::<EventsQuery>(r#"{"before":3}"#).is_err());
        assert!(serde_json::from_str::<crate::CreateProject>(r#"{"name":"x","open":true}"#).is_err());
        assert!(serde_json::from_str::<crate::CreateProject>("{}").is_err());
    }
}
