//! The tables of `secrets.db`. A step is never changed once released; the next release adds one.

/// Step `n` leads from schema version `n` to `n + 1`.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (
        name  TEXT PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE secrets (
        name   TEXT PRIMARY KEY CHECK (name IN ('ca-key')),
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE ca (
        id           INTEGER PRIMARY KEY CHECK (id = 1),
        name         TEXT NOT NULL,
        certificate  BLOB NOT NULL,
        not_after_us INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE projects (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        name       TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        key        BLOB NOT NULL
    ) STRICT;

    CREATE TABLE tokens (
        id         TEXT PRIMARY KEY,
        role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
        label      TEXT NOT NULL,
        created_us INTEGER NOT NULL,
        hash       BLOB NOT NULL UNIQUE
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE proxy_users (
        name       TEXT PRIMARY KEY,
        created_us INTEGER NOT NULL,
        hash       BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE slot_secrets (
        slot  INTEGER PRIMARY KEY,
        auth  BLOB NOT NULL,
        other BLOB NOT NULL
    ) STRICT;
",
    // Replacing all keys: what a project's key is to become, and the keys of hashes, which outlive the master key that
    // they were derived from, because nobody can hash again what was shown once.
    "
    ALTER TABLE projects ADD COLUMN next_key BLOB;

    CREATE TABLE hash_keys (
        name   TEXT PRIMARY KEY CHECK (name IN ('token', 'proxy')),
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    // The audit log's key may be stored. SQLite cannot change a CHECK, so the table is made anew.
    "
    CREATE TABLE named_secrets (
        name   TEXT PRIMARY KEY CHECK (name IN ('ca-key', 'audit-key')),
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO named_secrets (name, sealed) SELECT name, sealed FROM secrets;
    DROP TABLE secrets;
    ALTER TABLE named_secrets RENAME TO secrets;
",
    // What the instance is at its authorization server, who owns it, and who is signed in; and a hub's signing keys.
    "
    CREATE TABLE identity_secrets (
        name   TEXT PRIMARY KEY CHECK (name IN ('key', 'claim-code', 'client-secret', 'registration-token', 'access-token')),
        sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE identity_client (
        id                INTEGER PRIMARY KEY CHECK (id = 1),
        issuer            TEXT NOT NULL,
        client_id         TEXT NOT NULL,
        auth              TEXT NOT NULL CHECK (auth IN ('private_key_jwt', 'client_secret_basic', 'client_secret_post')),
        management        TEXT,
        metadata          TEXT NOT NULL,
        access_expires_us INTEGER
    ) STRICT;

    CREATE TABLE identity_owner (
        id      INTEGER PRIMARY KEY CHECK (id = 1),
        issuer  TEXT NOT NULL,
        subject TEXT NOT NULL,
        name    TEXT NOT NULL
    ) STRICT;

    CREATE TABLE sessions (
        number       INTEGER PRIMARY KEY AUTOINCREMENT,
        id           TEXT NOT NULL UNIQUE,
        sid          TEXT,
        issuer       TEXT NOT NULL,
        subject      TEXT NOT NULL,
        name         TEXT NOT NULL,
        label        TEXT NOT NULL,
        role         TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
        bound        INTEGER NOT NULL,
        created_us   INTEGER NOT NULL,
        refreshed_us INTEGER NOT NULL,
        expires_us   INTEGER NOT NULL,
        ended        INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE session_keys (
        number  INTEGER PRIMARY KEY AUTOINCREMENT,
        hash    BLOB NOT NULL UNIQUE,
        session INTEGER NOT NULL,
        kind    TEXT NOT NULL CHECK (kind IN ('access', 'refresh'))
    ) STRICT;
    CREATE INDEX session_keys_of ON session_keys (session, kind);

    CREATE TABLE signing_keys (
        kid        TEXT PRIMARY KEY,
        algorithm  TEXT NOT NULL CHECK (algorithm IN ('ES256', 'RS256')),
        state      TEXT NOT NULL CHECK (state IN ('next', 'current', 'previous')),
        created_us INTEGER NOT NULL,
        public     BLOB NOT NULL,
        sealed     BLOB NOT NULL,
        UNIQUE (algorithm, state)
    ) STRICT, WITHOUT ROWID;
",
];
