//! The names that a part may have: a closed set of shapes, so that no name leads anywhere else.

use std::fmt;
use std::path::{Path, PathBuf};

/// A part by what it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Name {
    /// The keyslots, written into both of their files.
    Keyslots,
    /// `secrets.db`.
    Secrets,
    /// The audit log, sealed.
    AuditLog,
    /// A project's database.
    Database(u64),
    /// The log of a database that was not closed.
    DatabaseLog(u64),
    /// A segment of a project.
    Segment(u64, u64),
}

impl Name {
    /// A name, if it is written exactly as [`Self::fmt`] would.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = match text {
            "keeper/keyslots" => Self::Keyslots,
            "keeper/secrets.db" => Self::Secrets,
            "keeper/audit.log.sealed" => Self::AuditLog,
            _ => {
                let rest = text.strip_prefix("store/projects/")?;
                match rest.split_once('.')? {
                    (id, "db") => Self::Database(number(id)?),
                    (id, "db-wal") => Self::DatabaseLog(number(id)?),
                    (id, rest) => {
                        let segment = rest.strip_prefix("bodies/")?.strip_suffix(".seg")?;
                        Self::Segment(number(id)?, number(segment)?)
                    }
                }
            }
        };
        Some(name)
    }

    /// The project that it belongs to.
    pub(crate) fn project(self) -> Option<u64> {
        match self {
            Self::Database(id) | Self::DatabaseLog(id) | Self::Segment(id, _) => Some(id),
            Self::Keyslots | Self::Secrets | Self::AuditLog => None,
        }
    }

    /// Where it is laid out below an instance's directory; the keyslots have two copies.
    pub(crate) fn places(self, dir: &Path) -> Vec<PathBuf> {
        match self {
            Self::Keyslots => vec![dir.join("keeper/keyslots.a"), dir.join("keeper/keyslots.b")],
            _ => vec![dir.join(self.to_string())],
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyslots => f.write_str("keeper/keyslots"),
            Self::Secrets => f.write_str("keeper/secrets.db"),
            Self::AuditLog => f.write_str("keeper/audit.log.sealed"),
            Self::Database(id) => write!(f, "store/projects/{id}.db"),
            Self::DatabaseLog(id) => write!(f, "store/projects/{id}.db-wal"),
            Self::Segment(id, segment) => write!(f, "store/projects/{id}.bodies/{segment}.seg"),
        }
    }
}

/// A number in the one way in which it is written.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_in_no_other_way() {
        use Name::{AuditLog, Database, DatabaseLog, Keyslots, Secrets, Segment};
        for name in [Keyslots, Secrets, AuditLog, Database(1), DatabaseLog(20), Segment(3, u64::MAX)] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        for wrong in [
            "",
            "manifest",
            "/etc/passwd",
            "keeper/../x",
            "keeper/file.key",
            "keeper/restore.json",
            "store/projects/../1.db",
            "store/projects/01.db",
            "store/projects/+1.db",
            "store/projects/-1.db",
            "store/projects/1.db/x",
            "store/projects/1.bodies/../2.seg",
            "store/projects/1.bodies/.seg",
            "store/projects/1.bodies/1.seg/",
            "store/projects/18446744073709551616.db",
            "store/projects/.db",
        ] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }
}
