//! Projects: encrypted databases of flows, of which one is open.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Never used again after deletion.
    pub id: u64,
    /// As the user named it.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Flows are recorded into it now. At most one project is open.
    pub open: bool,
}

/// All projects of the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Projects {
    /// In the order of their creation.
    pub projects: Vec<Project>,
}

/// How far the replacement of the keys of projects is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rotation {
    /// The work goes on; ask again.
    pub under_way: bool,
    /// Projects that got their new key by this request.
    pub rekeyed: u32,
    /// Projects that still wait for theirs.
    pub waiting: u32,
    /// Why the first of those that failed did; those wait on.
    pub problem: Option<String>,
}

/// A project to create. It gets a random key of its own and is not opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// 1 to 100 bytes, no control characters, not taken.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
}
