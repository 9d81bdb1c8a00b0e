//! The table of endpoints. The engine builds its router from it and enforces its `access` in one place; the
//! description in `docs/openapi.json` is generated from it. What is not in this table does not exist.

use schemars::{JsonSchema as _, Schema, SchemaGenerator};

use crate::{
    Access, CountQuery, CreateProject, EventsQuery, FlowCount, FlowDetail, FlowPage, FlowsQuery, Health, IdentityInfo,
    IdentityReset, PollSignIn, ProblemCode, Project, Projects, Refresh, Rotation, Scope, SessionEnded, Sessions,
    SignInPending, SignInStarted, SignOut, SignedIn, StartSignIn, Status, WhoAmI,
};

/// Names an endpoint. Whoever serves the API matches on it without a wildcard, so that none is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `GET /health`
    Health,
    /// `GET /api/v1/openapi.json`
    OpenApi,
    /// `GET /api/v1/status`
    Status,
    /// `GET /api/v1/ca.pem`
    CaCertificate,
    /// `GET /api/v1/flows`
    ListFlows,
    /// `GET /api/v1/flows/count`
    CountFlows,
    /// `GET /api/v1/flows/{id}`
    ReadFlow,
    /// `GET /api/v1/flows/{id}/request/head`
    ReadRequestHead,
    /// `GET /api/v1/flows/{id}/request/body`
    ReadRequestBody,
    /// `GET /api/v1/flows/{id}/response/head`
    ReadResponseHead,
    /// `GET /api/v1/flows/{id}/response/body`
    ReadResponseBody,
    /// `GET /api/v1/events`
    Events,
    /// `GET /api/v1/queries/help`
    QueryHelp,
    /// `GET /api/v1/projects`
    ListProjects,
    /// `POST /api/v1/projects`
    CreateProject,
    /// `POST /api/v1/projects/{id}/open`
    OpenProject,
    /// `POST /api/v1/rotation`
    AdvanceRotation,
    /// `DELETE /api/v1/projects/{id}`
    DeleteProject,
    /// `GET /api/v1/projects/{id}/backup`
    BackUpProject,
    /// `GET /api/v1/identity`
    Identity,
    /// `POST /api/v1/sign-ins`
    StartSignIn,
    /// `POST /api/v1/sign-ins/{name}/poll`
    PollSignIn,
    /// `POST /api/v1/sign-ins/refresh`
    Refresh,
    /// `POST /api/v1/sign-out`
    SignOut,
    /// `GET /api/v1/whoami`
    WhoAmI,
    /// `GET /api/v1/sessions`
    ListSessions,
    /// `DELETE /api/v1/sessions/{name}`
    EndSession,
    /// `POST /api/v1/identity/reset`
    ResetIdentity,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; `HEAD` is served wherever `GET` is.
    Get,
    /// Creates, or does something.
    Post,
    /// Deletes.
    Delete,
}

impl Method {
    /// As in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// Makes the JSON Schema of one type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a successful answer holds.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// JSON of this shape.
    Json(SchemaOf),
    /// A JSON document without a shape of ours.
    JsonDocument,
    /// Text of this media type.
    Text(&'static str),
    /// Bytes as they passed; always `application/octet-stream`, as an attachment.
    Bytes,
    /// Server-sent events.
    Events,
    /// Nothing.
    Empty,
}

/// A successful answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// One line.
    pub description: &'static str,
    /// Its content.
    pub content: Content,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Its name.
    pub operation: Operation,
    /// Its method.
    pub method: Method,
    /// Its path; `{id}` stands for a whole number, `{name}` for a word.
    pub path: &'static str,
    /// What it demands of whoever asks.
    pub access: Access,
    /// One line.
    pub summary: &'static str,
    /// Paragraphs; may be empty.
    pub description: &'static str,
    /// Query parameters: the fields of this type.
    pub query: Option<SchemaOf>,
    /// Headers that it takes: name and meaning.
    pub headers: &'static [(&'static str, &'static str)],
    /// Body that it takes.
    pub body: Option<SchemaOf>,
    /// Successful answers.
    pub answers: &'static [Answer],
    /// Problems of its own, besides those of [`Endpoint::problems`].
    pub own_problems: &'static [ProblemCode],
}

impl Endpoint {
    /// Every problem that the endpoint may answer with.
    #[must_use]
    pub fn problems(&self) -> Vec<ProblemCode> {
        let everywhere = [ProblemCode::HostRefused, ProblemCode::OriginRefused, ProblemCode::Internal];
        let mut problems = everywhere.to_vec();
        if self.access != Access::Public {
            problems.extend([
                ProblemCode::AuthorizationInvalid,
                ProblemCode::TokenMissing,
                ProblemCode::TokenMalformed,
                ProblemCode::TokenUnknown,
                ProblemCode::TokenExpired,
                ProblemCode::TokenInvalid,
                ProblemCode::SessionRevoked,
                ProblemCode::ProofInvalid,
                ProblemCode::NotShared,
                ProblemCode::InstanceDeleted,
                ProblemCode::HubUnreachable,
                ProblemCode::ClockWrong,
                ProblemCode::IssuerRefused,
                ProblemCode::SignInUnavailable,
                ProblemCode::RateLimited,
                ProblemCode::Locked,
                ProblemCode::KeeperUnreachable,
                ProblemCode::KeeperFailed,
                ProblemCode::Busy,
            ]);
        }
        if matches!(self.access, Access::Scope(_)) {
            problems.push(ProblemCode::ScopeMissing);
        }
        if self.query.is_some() || self.path.contains('{') {
            problems.push(ProblemCode::InvalidParameter);
        }
        if self.body.is_some() {
            problems.extend([
                ProblemCode::InvalidBody,
                ProblemCode::NotJson,
                ProblemCode::BodyTooLarge,
                ProblemCode::RequestTimeout,
            ]);
        }
        let own = self.own_problems.iter().filter(|own| !problems.contains(own));
        let own: Vec<_> = own.copied().collect();
        problems.extend(own);
        problems
    }
}

const DPOP: &[(&str, &str)] = &[(
    "DPoP",
    "A proof for the authorization server's token endpoint (RFC 9449, 4), to bind the tokens to a key of the client.",
)];
const READ: Access = Access::Scope(Scope::FlowsRead);
const RANGE: &[(&str, &str)] =
    &[("Range", "One range of bytes, `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-COUNT` (RFC 9110, 14.2).")];
const BODY_ANSWERS: &[Answer] = &[
    Answer { status: 200, description: "All bytes that were kept.", content: Content::Bytes },
    Answer { status: 206, description: "The range; `Content-Range` says where it lies.", content: Content::Bytes },
];
const BODY_PROBLEMS: &[ProblemCode] = &[
    ProblemCode::NoSuchFlow,
    ProblemCode::NoProjectOpen,
    ProblemCode::RangeNotSatisfiable,
    ProblemCode::StorageFailed,
];
const BODY_TEXT: &str = "Hostile bytes: always served as `application/octet-stream` and as an attachment, whatever the \
    origin declared. Bodies are as they passed, without their transfer coding (chunks), with their content coding (gzip).";
const HEAD_ANSWERS: &[Answer] = &[Answer {
    status: 200,
    description: "The exact bytes, with the empty line at their end.",
    content: Content::Bytes,
}];
const FLOW_PROBLEMS: &[ProblemCode] =
    &[ProblemCode::NoSuchFlow, ProblemCode::NoProjectOpen, ProblemCode::StorageFailed];
const QUERY_PROBLEMS: &[ProblemCode] =
    &[ProblemCode::InvalidQuery, ProblemCode::NoProjectOpen, ProblemCode::StorageFailed];

const fn get(operation: Operation, path: &'static str, access: Access, summary: &'static str) -> Endpoint {
    Endpoint {
        operation,
        method: Method::Get,
        path,
        access,
        summary,
        description: "",
        query: None,
        headers: &[],
        body: None,
        answers: &[],
        own_problems: &[],
    }
}

/// The table.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        description: "Answered to everybody, locked or not. `ready` is false until the instance is unlocked and records.",
        answers: &[Answer {
            status: 200,
            description: "Name, version, and whether the instance works.",
            content: Content::Json(|g| g.subschema_for::<Health>()),
        }],
        ..get(Operation::Health, "/health", Access::Public, "Is the instance there, and ready?")
    },
    Endpoint {
        answers: &[Answer { status: 200, description: "OpenAPI 3.1.", content: Content::JsonDocument }],
        ..get(Operation::OpenApi, "/api/v1/openapi.json", Access::Authenticated, "This description")
    },
    Endpoint {
        description: "Served while the keeper is away too (over the Unix socket); what only it knows is then null.",
        answers: &[Answer {
            status: 200,
            description: "The state.",
            content: Content::Json(|g| g.subschema_for::<Status>()),
        }],
        ..get(Operation::Status, "/api/v1/status", Access::Authenticated, "State of the whole instance")
    },
    Endpoint {
        description: "The certificate that clients of the proxy must trust. Its key never leaves the keeper.",
        answers: &[Answer {
            status: 200,
            description: "PEM (RFC 7468).",
            content: Content::Text("application/x-pem-file"),
        }],
        ..get(Operation::CaCertificate, "/api/v1/ca.pem", Access::Authenticated, "The certificate of the instance's CA")
    },
    Endpoint {
        description: "The newest first. Page with `before` set to `next` of the page before.",
        query: Some(FlowsQuery::json_schema),
        answers: &[Answer {
            status: 200,
            description: "A page of committed flows.",
            content: Content::Json(|g| g.subschema_for::<FlowPage>()),
        }],
        own_problems: QUERY_PROBLEMS,
        ..get(Operation::ListFlows, "/api/v1/flows", READ, "List flows")
    },
    Endpoint {
        query: Some(CountQuery::json_schema),
        answers: &[Answer {
            status: 200,
            description: "The number.",
            content: Content::Json(|g| g.subschema_for::<FlowCount>()),
        }],
        own_problems: QUERY_PROBLEMS,
        ..get(Operation::CountFlows, "/api/v1/flows/count", READ, "Count flows")
    },
    Endpoint {
        answers: &[Answer {
            status: 200,
            description: "The flow.",
            content: Content::Json(|g| g.subschema_for::<FlowDetail>()),
        }],
        own_problems: FLOW_PROBLEMS,
        ..get(Operation::ReadFlow, "/api/v1/flows/{id}", READ, "Read one flow, all but its bodies")
    },
    Endpoint {
        answers: HEAD_ANSWERS,
        own_problems: FLOW_PROBLEMS,
        ..get(Operation::ReadRequestHead, "/api/v1/flows/{id}/request/head", READ, "The head of the request as it came")
    },
    Endpoint {
        description: BODY_TEXT,
        headers: RANGE,
        answers: BODY_ANSWERS,
        own_problems: BODY_PROBLEMS,
        ..get(Operation::ReadRequestBody, "/api/v1/flows/{id}/request/body", READ, "The body of the request")
    },
    Endpoint {
        description: "Empty if no response came.",
        answers: HEAD_ANSWERS,
        own_problems: FLOW_PROBLEMS,
        ..get(
            Operation::ReadResponseHead,
            "/api/v1/flows/{id}/response/head",
            READ,
            "The head of the response as it came",
        )
    },
    Endpoint {
        description: BODY_TEXT,
        headers: RANGE,
        answers: BODY_ANSWERS,
        own_problems: BODY_PROBLEMS,
        ..get(Operation::ReadResponseBody, "/api/v1/flows/{id}/response/body", READ, "The body of the response")
    },
    Endpoint {
        description: "Server-sent events. `flow`: a flow was committed; data is a `Flow`. One that takes long is told of \
            when it is first stored (`duration_us` is null) and again at its end. `lagged`: the client was too slow and \
            missed flows; data is `Lagged`. `problem`: the stream ends, for the reason in its data, a `Problem`: the \
            token was revoked, or another project was opened. Comments keep the connection alive. Send the id of the \
            last event as `Last-Event-ID` to go on from there; a flow may then be told of twice.",
        query: Some(EventsQuery::json_schema),
        headers: &[("Last-Event-ID", "The id of the last event seen: what was committed since comes first.")],
        answers: &[Answer { status: 200, description: "The stream.", content: Content::Events }],
        own_problems: QUERY_PROBLEMS,
        ..get(Operation::Events, "/api/v1/events", READ, "Flows as they are committed")
    },
    Endpoint {
        answers: &[Answer {
            status: 200,
            description: "Fields, operators and examples.",
            content: Content::Text("text/plain; charset=utf-8"),
        }],
        ..get(Operation::QueryHelp, "/api/v1/queries/help", Access::Authenticated, "The query language in brief")
    },
    Endpoint {
        answers: &[Answer {
            status: 200,
            description: "All projects.",
            content: Content::Json(|g| g.subschema_for::<Projects>()),
        }],
        ..get(Operation::ListProjects, "/api/v1/projects", READ, "List projects")
    },
    Endpoint {
        method: Method::Post,
        description: "The keeper makes a random key for it. The project is not opened.",
        body: Some(|g| g.subschema_for::<CreateProject>()),
        answers: &[Answer {
            status: 201,
            description: "The new project.",
            content: Content::Json(|g| g.subschema_for::<Project>()),
        }],
        own_problems: &[ProblemCode::BadProjectName, ProblemCode::TooManyProjects],
        ..get(Operation::CreateProject, "/api/v1/projects", Access::Scope(Scope::Config), "Create a project")
    },
    Endpoint {
        method: Method::Post,
        description: "Closes the one that was open. Flows under way end in the project in which they began.",
        answers: &[Answer {
            status: 200,
            description: "The project, open now and at the next start.",
            content: Content::Json(|g| g.subschema_for::<Project>()),
        }],
        own_problems: &[ProblemCode::NoSuchProject, ProblemCode::StorageFailed],
        ..get(Operation::OpenProject, "/api/v1/projects/{id}/open", Access::Scope(Scope::Config), "Open a project")
    },
    Endpoint {
        method: Method::Post,
        description: "Gives each project the key that the keeper has made for it (`merlon keyslot rotate` asks the \
            keeper, then this); without such keys nothing happens. Recording goes on, reads of the project wait. \
            Answered after the end, or after 20 seconds with `under_way` true: the work goes on by itself, and asking \
            again waits for it.",
        answers: &[Answer {
            status: 200,
            description: "How far it is.",
            content: Content::Json(|g| g.subschema_for::<Rotation>()),
        }],
        ..get(
            Operation::AdvanceRotation,
            "/api/v1/rotation",
            Access::Scope(Scope::InstanceAdmin),
            "Put new keys of projects in place",
        )
    },
    Endpoint {
        method: Method::Delete,
        description: "For good: the keeper forgets the key, so that no copy of the files can be read again, and the \
            files are removed. The open project is refused; open another one first.",
        answers: &[Answer { status: 204, description: "It is gone.", content: Content::Empty }],
        own_problems: &[ProblemCode::NoSuchProject, ProblemCode::ProjectIsOpen, ProblemCode::StorageFailed],
        ..get(
            Operation::DeleteProject,
            "/api/v1/projects/{id}",
            Access::Scope(Scope::InstanceAdmin),
            "Delete a project for good",
        )
    },
    Endpoint {
        description: "For `merlon backup`: the project's files as they are on disk, encrypted under a key that the answer \
            does not hold, of one moment. For each file a line of JSON, `{\"part\":NAME,\"length\":BYTES}`, and its \
            bytes. One project is copied at a time.",
        answers: &[Answer { status: 200, description: "The files.", content: Content::Bytes }],
        own_problems: &[ProblemCode::NoProjectOpen, ProblemCode::StorageFailed],
        ..get(
            Operation::BackUpProject,
            "/api/v1/projects/{id}/backup",
            Access::Scope(Scope::InstanceAdmin),
            "A project's encrypted files, for a backup",
        )
    },
    Endpoint {
        description: "Answered to everybody: what a client has to know before it signs somebody in.",
        answers: &[Answer {
            status: 200,
            description: "How far the instance is with its authorization server.",
            content: Content::Json(|g| g.subschema_for::<IdentityInfo>()),
        }],
        ..get(Operation::Identity, "/api/v1/identity", Access::Public, "Can one sign in here, and where?")
    },
    Endpoint {
        method: Method::Post,
        description: "The instance asks its authorization server for a device code (RFC 8628) and keeps that to itself.",
        body: Some(|g| g.subschema_for::<StartSignIn>()),
        answers: &[Answer {
            status: 201,
            description: "What to show to the person.",
            content: Content::Json(|g| g.subschema_for::<SignInStarted>()),
        }],
        own_problems: &[
            ProblemCode::SignInUnavailable,
            ProblemCode::InstanceDeleted,
            ProblemCode::ClaimCodeNeeded,
            ProblemCode::ClaimCodeWrong,
            ProblemCode::RateLimited,
            ProblemCode::HubUnreachable,
            ProblemCode::ClockWrong,
            ProblemCode::IssuerRefused,
            ProblemCode::Locked,
            ProblemCode::KeeperUnreachable,
            ProblemCode::KeeperFailed,
            ProblemCode::Busy,
        ],
        ..get(Operation::StartSignIn, "/api/v1/sign-ins", Access::Public, "Begin to sign in")
    },
    Endpoint {
        method: Method::Post,
        description: "One poll is relayed to the authorization server, unless it came too early. Whoever has no verifier \
            learns nothing. Tokens are given once.",
        headers: DPOP,
        body: Some(|g| g.subschema_for::<PollSignIn>()),
        answers: &[
            Answer { status: 200, description: "Tokens.", content: Content::Json(|g| g.subschema_for::<SignedIn>()) },
            Answer {
                status: 202,
                description: "Nobody has approved yet.",
                content: Content::Json(|g| g.subschema_for::<SignInPending>()),
            },
        ],
        own_problems: &[
            ProblemCode::NoSuchSignIn,
            ProblemCode::SignInDenied,
            ProblemCode::ScopeMissing,
            ProblemCode::SignInExpired,
            ProblemCode::WrongAccount,
            ProblemCode::NotShared,
            ProblemCode::InstanceDeleted,
            ProblemCode::ClaimCodeWrong,
            ProblemCode::RateLimited,
            ProblemCode::ProofInvalid,
            ProblemCode::ProofNonce,
            ProblemCode::HubUnreachable,
            ProblemCode::ClockWrong,
            ProblemCode::IssuerRefused,
            ProblemCode::Locked,
            ProblemCode::KeeperUnreachable,
            ProblemCode::KeeperFailed,
            ProblemCode::Busy,
        ],
        ..get(Operation::PollSignIn, "/api/v1/sign-ins/{name}/poll", Access::Public, "Has somebody approved?")
    },
    Endpoint {
        method: Method::Post,
        description: "Relayed to the authorization server. The refresh token is used up: keep the new one before using it.",
        headers: DPOP,
        body: Some(|g| g.subschema_for::<Refresh>()),
        answers: &[Answer {
            status: 200,
            description: "New tokens of the same session.",
            content: Content::Json(|g| g.subschema_for::<SignedIn>()),
        }],
        own_problems: &[
            ProblemCode::SignInUnavailable,
            ProblemCode::InstanceDeleted,
            ProblemCode::SessionRevoked,
            ProblemCode::NotShared,
            ProblemCode::RateLimited,
            ProblemCode::ProofInvalid,
            ProblemCode::ProofNonce,
            ProblemCode::HubUnreachable,
            ProblemCode::ClockWrong,
            ProblemCode::IssuerRefused,
            ProblemCode::Locked,
            ProblemCode::KeeperUnreachable,
            ProblemCode::KeeperFailed,
            ProblemCode::Busy,
        ],
        ..get(Operation::Refresh, "/api/v1/sign-ins/refresh", Access::Public, "New tokens for a refresh token")
    },
    Endpoint {
        method: Method::Post,
        description: "Whoever has a token of a session may end it. An unknown token is no error.",
        body: Some(|g| g.subschema_for::<SignOut>()),
        answers: &[Answer {
            status: 200,
            description: "The session has ended.",
            content: Content::Json(|g| g.subschema_for::<SessionEnded>()),
        }],
        own_problems: &[
            ProblemCode::SignInUnavailable,
            ProblemCode::RateLimited,
            ProblemCode::Locked,
            ProblemCode::KeeperUnreachable,
            ProblemCode::KeeperFailed,
            ProblemCode::Busy,
        ],
        ..get(Operation::SignOut, "/api/v1/sign-out", Access::Public, "Sign out")
    },
    Endpoint {
        answers: &[Answer {
            status: 200,
            description: "The identity behind the request.",
            content: Content::Json(|g| g.subschema_for::<WhoAmI>()),
        }],
        ..get(Operation::WhoAmI, "/api/v1/whoami", Access::Authenticated, "Who am I here?")
    },
    Endpoint {
        answers: &[Answer {
            status: 200,
            description: "Sessions.",
            content: Content::Json(|g| g.subschema_for::<Sessions>()),
        }],
        ..get(Operation::ListSessions, "/api/v1/sessions", Access::Scope(Scope::InstanceAdmin), "Who is signed in?")
    },
    Endpoint {
        method: Method::Delete,
        answers: &[Answer {
            status: 200,
            description: "It has ended.",
            content: Content::Json(|g| g.subschema_for::<SessionEnded>()),
        }],
        own_problems: &[ProblemCode::NoSuchSession],
        ..get(Operation::EndSession, "/api/v1/sessions/{name}", Access::Scope(Scope::InstanceAdmin), "End a session")
    },
    Endpoint {
        method: Method::Post,
        description: "Deletes the registration at the authorization server if that can be reached, forgets owner, sessions \
            and credentials, makes a new key and a new claim code, and registers again. Data is not touched.",
        answers: &[Answer {
            status: 200,
            description: "Done.",
            content: Content::Json(|g| g.subschema_for::<IdentityReset>()),
        }],
        own_problems: &[ProblemCode::SignInUnavailable],
        ..get(
            Operation::ResetIdentity,
            "/api/v1/identity/reset",
            Access::Scope(Scope::InstanceAdmin),
            "Register the instance anew",
        )
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_stands_in_the_table_once() {
        let operations: HashSet<_> = ENDPOINTS.iter().map(|e| e.operation).collect();
        let routes: HashSet<_> = ENDPOINTS.iter().map(|e| (e.method, e.path)).collect();
        assert_eq!((operations.len(), routes.len()), (ENDPOINTS.len(), ENDPOINTS.len()));
        // `ResetIdentity` is the last variant: one more must be put here and into the table.
        assert_eq!(ENDPOINTS.len(), Operation::ResetIdentity as usize + 1);
    }

    #[test]
    fn only_health_and_signing_in_are_public() {
        let public: Vec<_> = ENDPOINTS.iter().filter(|e| e.access == Access::Public).map(|e| e.path).collect();
        let sign_in =
            ["/api/v1/sign-ins", "/api/v1/sign-ins/{name}/poll", "/api/v1/sign-ins/refresh", "/api/v1/sign-out"];
        assert_eq!(public[..2], ["/health", "/api/v1/identity"]);
        assert_eq!(public[2..], sign_in);
    }

    #[test]
    fn whatever_changes_something_demands_more_than_reading() {
        let behind_the_door = |e: &&Endpoint| e.method != Method::Get && e.access != Access::Public;
        for endpoint in ENDPOINTS.iter().filter(behind_the_door) {
            let Access::Scope(scope) = endpoint.access else { panic!("{} has no scope", endpoint.path) };
            assert!(!crate::Role::Viewer.holds(scope), "{}", endpoint.path);
        }
    }

    #[test]
    fn every_endpoint_says_what_it_answers() {
        for endpoint in ENDPOINTS {
            assert!(!endpoint.answers.is_empty() && !endpoint.summary.is_empty(), "{}", endpoint.path);
            let problems = endpoint.problems();
            let unique: HashSet<_> = problems.iter().collect();
            assert_eq!(unique.len(), problems.len(), "{} names a problem twice", endpoint.path);
        }
    }
}
