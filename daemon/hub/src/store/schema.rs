//! The tables of `hub.db`. Whoever reads them out of the file finds ciphertext; whoever reads them decrypted finds no
//! secret that could be used: tokens, codes and secrets are kept as SHA-256 (they are random, 160 bits or more),
//! passwords as Argon2id.
//!
//! Times are microseconds since 1970-01-01 UTC. Hashes are SHA-256, 32 bytes. Scopes are space-separated.

/// Each brings a database from version `n` to `n + 1`.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE meta (
        name  TEXT PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- `id` is the `sub` of tokens: acc_ and 24 hex digits, so that no client id can equal it.
    CREATE TABLE accounts (
        id          TEXT PRIMARY KEY,
        name        TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password    TEXT NOT NULL,
        admin       INTEGER NOT NULL,
        locked      INTEGER NOT NULL DEFAULT 0,
        created_us  INTEGER NOT NULL,
        password_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- `hash` of a code that makes an account. The setup code of the first account is one without a maker.
    CREATE TABLE invitations (
        id         TEXT PRIMARY KEY,
        hash       BLOB NOT NULL UNIQUE,
        made_by    TEXT REFERENCES accounts ON DELETE CASCADE,
        admin      INTEGER NOT NULL,
        created_us INTEGER NOT NULL,
        expires_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- A browser that signed in at the hub itself. `grant_id`: what the dashboard, a client like others, was granted in it.
    CREATE TABLE browsers (
        id         TEXT PRIMARY KEY,
        hash       BLOB NOT NULL UNIQUE,
        account    TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        csrf       TEXT NOT NULL,
        agent      TEXT NOT NULL,
        address    TEXT NOT NULL,
        grant_id   TEXT,
        created_us INTEGER NOT NULL,
        seen_us    INTEGER NOT NULL,
        expires_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX browsers_by_account ON browsers (account);

    -- `kind`: instance (made by a Merlon instance), other (any other registration), dashboard (our own, one).
    -- `metadata` is JSON as registered (RFC 7591), defaults filled in. `thumbprint` (RFC 7638) is that of the one key in
    -- `jwks` whose possession was proved at registration. `owner` is who claimed it.
    -- A rotation of the registration token is over at the first use of `next_registration`, which `rotation_key` derives
    -- from the one before, so that a lost answer can be given once more.
    -- `given_name` is the owner's, in place of what the client calls itself. `rotate`: the owner asked for new
    -- credentials; the client gets them at its next use of the registration token.
    CREATE TABLE clients (
        id                TEXT PRIMARY KEY,
        kind              TEXT NOT NULL CHECK (kind IN ('instance', 'other', 'dashboard')),
        metadata          TEXT NOT NULL,
        auth              TEXT NOT NULL,
        secret            BLOB,
        registration      BLOB,
        next_registration BLOB,
        rotation_key      BLOB NOT NULL,
        thumbprint        TEXT,
        owner             TEXT REFERENCES accounts ON DELETE SET NULL,
        version           TEXT NOT NULL DEFAULT '',
        address           TEXT NOT NULL DEFAULT '',
        given_name        TEXT NOT NULL DEFAULT '',
        rotate            INTEGER NOT NULL DEFAULT 0,
        created_us        INTEGER NOT NULL,
        used_us           INTEGER,
        seen_us           INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX clients_by_thumbprint ON clients (thumbprint);
    CREATE INDEX clients_by_owner ON clients (owner);
    CREATE INDEX clients_by_registration ON clients (registration);

    -- With whom the owner shares an instance, and as what.
    CREATE TABLE members (
        client  TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
        account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        role    TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
        PRIMARY KEY (client, account)
    ) STRICT, WITHOUT ROWID;

    -- Initial access tokens (RFC 7591): whoever registers with one is owned by its maker at once.
    CREATE TABLE registration_keys (
        id         TEXT PRIMARY KEY,
        hash       BLOB NOT NULL UNIQUE,
        account    TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        label      TEXT NOT NULL,
        single_use INTEGER NOT NULL,
        used       INTEGER NOT NULL DEFAULT 0,
        created_us INTEGER NOT NULL,
        expires_us INTEGER
    ) STRICT, WITHOUT ROWID;

    -- A device authorization (RFC 8628). `state`: pending, approved, denied, redeemed. `interval_us` grows by slow_down;
    -- `polled_us` is the last poll that was not too early.
    CREATE TABLE device_codes (
        hash           BLOB PRIMARY KEY,
        user_code      TEXT NOT NULL UNIQUE,
        client         TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
        scope          TEXT NOT NULL,
        resource       TEXT,
        claim          INTEGER NOT NULL,
        label          TEXT NOT NULL,
        address        TEXT NOT NULL,
        state          TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'redeemed')),
        account        TEXT REFERENCES accounts ON DELETE CASCADE,
        approved_scope TEXT,
        grant_id       TEXT,
        interval_us    INTEGER NOT NULL,
        polled_us      INTEGER,
        created_us     INTEGER NOT NULL,
        expires_us     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- An authorization code (RFC 6749, 4.1, with PKCE). `used_us`: redeemed; a second use revokes `grant_id`.
    CREATE TABLE codes (
        hash         BLOB PRIMARY KEY,
        client       TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
        account      TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        redirect_uri TEXT NOT NULL,
        challenge    TEXT NOT NULL,
        scope        TEXT NOT NULL,
        resource     TEXT,
        thumbprint   TEXT,
        grant_id     TEXT,
        used_us      INTEGER,
        expires_us   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What was granted: a session of a person at a client (`sid` of its tokens), or the client for itself (no account).
    -- `chain_key` derives each refresh token from the one before it, so that a lost answer can be given once more.
    CREATE TABLE grants (
        id         TEXT PRIMARY KEY,
        client     TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
        account    TEXT REFERENCES accounts ON DELETE CASCADE,
        via        TEXT NOT NULL CHECK (via IN ('device', 'code', 'client')),
        scope      TEXT NOT NULL,
        audience   TEXT NOT NULL,
        label      TEXT NOT NULL,
        thumbprint TEXT,
        chain_key  BLOB,
        created_us INTEGER NOT NULL,
        used_us    INTEGER NOT NULL,
        expires_us INTEGER NOT NULL,
        ended_us   INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX grants_by_account ON grants (account);
    CREATE INDEX grants_by_client ON grants (client);

    -- Refresh tokens: the newest one of a grant, and those before it, to tell reuse. `successor_used`: the next one came.
    CREATE TABLE refresh_tokens (
        hash       BLOB PRIMARY KEY,
        grant_id   TEXT NOT NULL REFERENCES grants ON DELETE CASCADE,
        created_us INTEGER NOT NULL,
        rotated_us INTEGER,
        successor  BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);

    -- Access tokens that were given out and have not expired: `jti` of the JWT.
    CREATE TABLE access_tokens (
        jti        TEXT PRIMARY KEY,
        grant_id   TEXT NOT NULL REFERENCES grants ON DELETE CASCADE,
        expires_us INTEGER NOT NULL,
        revoked    INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id);

    -- Personal access tokens: they approve device codes at the hub's own API, and never go to an instance.
    CREATE TABLE personal_tokens (
        id         TEXT PRIMARY KEY,
        hash       BLOB NOT NULL UNIQUE,
        account    TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        label      TEXT NOT NULL,
        scope      TEXT NOT NULL,
        created_us INTEGER NOT NULL,
        used_us    INTEGER,
        expires_us INTEGER
    ) STRICT, WITHOUT ROWID;

    -- `jti` of assertions and proofs that were seen, hashed with who sent them.
    CREATE TABLE seen (
        hash       BLOB PRIMARY KEY,
        expires_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX seen_by_expiry ON seen (expires_us);

    -- What happened. `account` sees the entries that are about it; administrators see all.
    CREATE TABLE audit (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        time_us INTEGER NOT NULL,
        event   TEXT NOT NULL,
        actor   TEXT NOT NULL,
        account TEXT,
        client  TEXT,
        address TEXT NOT NULL,
        details TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_account ON audit (account, id);
    CREATE INDEX audit_by_client ON audit (client, id);
"];
