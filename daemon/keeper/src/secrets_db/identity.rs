//! What the instance is at its authorization server: its own key, the client that was registered with its secrets, and
//! its owner.
//!
//! A change is one transaction, so that a kill leaves the old credentials or the new ones. It checks no bounds: that is
//! done where requests come in.

use merlon_sandbox::secret::{Secret, SecretBuf};
use merlon_wire::identity::{Client, ClientAuth, Credential, Owner, Registration};
use rusqlite::{OptionalExtension as _, params};

use super::{SecretsDb, SecretsError};
use crate::p256;

const TABLE: &str = "identity_secrets";
/// The rows of the table.
const KEY: &str = "key";
pub(super) const CLAIM_CODE: &str = "claim-code";
const CREDENTIALS: [Credential; 3] = [Credential::ClientSecret, Credential::RegistrationToken, Credential::AccessToken];

fn row_of(which: Credential) -> &'static str {
    match which {
        Credential::ClientSecret => "client-secret",
        Credential::RegistrationToken => "registration-token",
        Credential::AccessToken => "access-token",
    }
}

impl SecretsDb {
    /// The scalar of the instance's own key, which is made at the first question.
    pub(crate) fn identity_key(&self) -> Result<Secret<32>, SecretsError> {
        if let Some(kept) = self.identity_secret(KEY)? {
            let kept: &[u8; 32] = kept.as_slice().try_into().map_err(|_| SecretsError::Mark(KEY))?;
            return Ok(Secret::init(|bytes| bytes.copy_from_slice(kept))?);
        }
        let (scalar, _) = p256::generate()?;
        self.set_identity_secret(KEY, scalar.expose())?;
        Ok(scalar)
    }

    /// The client that was registered or configured.
    pub(crate) fn client(&self) -> Result<Option<Client>, SecretsError> {
        let sql = "SELECT issuer, client_id, auth, management, metadata FROM identity_client";
        let row = self.connection.query_row(sql, (), |row| {
            let auth: String = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, auth, row.get(3)?, row.get(4)?))
        });
        let Some((issuer, client_id, auth, management, metadata)) = row.optional()? else { return Ok(None) };
        let auth = match auth.as_str() {
            "private_key_jwt" => ClientAuth::PrivateKeyJwt,
            "client_secret_basic" => ClientAuth::SecretBasic,
            "client_secret_post" => ClientAuth::SecretPost,
            _ => return Err(SecretsError::Mark("identity_client")),
        };
        Ok(Some(Client { issuer, client_id, auth, management, metadata }))
    }

    /// Who owns the instance.
    pub(crate) fn owner(&self) -> Result<Option<Owner>, SecretsError> {
        let sql = "SELECT issuer, subject, name FROM identity_owner";
        let row = self
            .connection
            .query_row(sql, (), |row| Ok(Owner { issuer: row.get(0)?, subject: row.get(1)?, name: row.get(2)? }));
        Ok(row.optional()?)
    }

    /// Replaces all that is known of the client. With another client, or another issuer, go the owner, all sessions and
    /// the access token: they were those of the earlier one.
    pub(crate) fn store_registration(&self, registration: &Registration<'_>) -> Result<(), SecretsError> {
        let Registration { client, secret, registration_token, owner } = registration;
        let transaction = self.connection.unchecked_transaction()?;
        let earlier = self.client()?;
        let same = earlier.as_ref().is_some_and(|e| (&e.issuer, &e.client_id) == (&client.issuer, &client.client_id));
        if !same {
            // Without an earlier client nobody can have signed in; an owner may have come first nevertheless.
            self.forget_people()?;
            self.forget_identity_secret(row_of(Credential::AccessToken))?;
        }
        let auth = match client.auth {
            ClientAuth::PrivateKeyJwt => "private_key_jwt",
            ClientAuth::SecretBasic => "client_secret_basic",
            ClientAuth::SecretPost => "client_secret_post",
        };
        let sql = "INSERT INTO identity_client (id, issuer, client_id, auth, management, metadata)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET
                   issuer = ?1, client_id = ?2, auth = ?3, management = ?4, metadata = ?5";
        let values = params![client.issuer, client.client_id, auth, client.management, client.metadata];
        self.connection.execute(sql, values)?;
        for (which, value) in [(Credential::ClientSecret, secret), (Credential::RegistrationToken, registration_token)]
        {
            match value.is_empty() {
                true => self.forget_identity_secret(row_of(which))?,
                false => self.set_identity_secret(row_of(which), value)?,
            }
        }
        if let Some(owner) = owner {
            self.set_owner(owner)?;
        }
        transaction.commit()?;
        // What was replaced must not be found in the log.
        self.checkpoint()
    }

    /// A secret of the client; an access token until it expires.
    pub(crate) fn credential(&self, which: Credential, now_us: i64) -> Result<Option<SecretBuf>, SecretsError> {
        if which == Credential::AccessToken {
            let sql = "SELECT access_expires_us FROM identity_client";
            let expires: Option<Option<i64>> = self.connection.query_row(sql, (), |row| row.get(0)).optional()?;
            if expires.flatten().is_none_or(|expires| expires <= now_us) {
                return Ok(None);
            }
        }
        self.identity_secret(row_of(which))
    }

    /// Keeps the instance's own access token. False without a client.
    pub(crate) fn store_access_token(&self, token: &[u8], expires_us: i64) -> Result<bool, SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        if self.connection.execute("UPDATE identity_client SET access_expires_us = ?1", [expires_us])? == 0 {
            return Ok(false);
        }
        self.set_identity_secret(row_of(Credential::AccessToken), token)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Forgets client, owner, sessions, the instance's own key and the claim code: a new one is made when it is asked for.
    pub(crate) fn reset_identity(&self) -> Result<(), SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.forget_people()?;
        self.batch("DELETE FROM identity_client")?;
        for row in CREDENTIALS.map(row_of).into_iter().chain([KEY, CLAIM_CODE]) {
            self.forget_identity_secret(row)?;
        }
        transaction.commit()?;
        self.checkpoint()
    }

    /// Ties the instance to an account; the claim code is used up by it. Inside a transaction.
    pub(super) fn set_owner(&self, owner: &Owner) -> Result<(), SecretsError> {
        let sql = "INSERT INTO identity_owner (id, issuer, subject, name) VALUES (1, ?1, ?2, ?3)
                   ON CONFLICT (id) DO UPDATE SET issuer = ?1, subject = ?2, name = ?3";
        self.connection.execute(sql, params![owner.issuer, owner.subject, owner.name])?;
        self.forget_identity_secret(CLAIM_CODE)
    }

    pub(super) fn identity_secret(&self, row: &str) -> Result<Option<SecretBuf>, SecretsError> {
        let sql = "SELECT sealed FROM identity_secrets WHERE name = ?1";
        let sealed: Option<Vec<u8>> = self.connection.query_row(sql, [row], |row| row.get(0)).optional()?;
        sealed.map(|sealed| self.unseal_bytes(TABLE, row, &sealed)).transpose()
    }

    pub(super) fn set_identity_secret(&self, row: &str, value: &[u8]) -> Result<(), SecretsError> {
        let sealed = self.seal_bytes(TABLE, row, value)?;
        let sql =
            "INSERT INTO identity_secrets (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET sealed = ?2";
        self.connection.execute(sql, params![row, sealed])?;
        Ok(())
    }

    fn forget_identity_secret(&self, row: &str) -> Result<(), SecretsError> {
        self.connection.execute("DELETE FROM identity_secrets WHERE name = ?1", [row])?;
        Ok(())
    }

    fn forget_people(&self) -> Result<(), SecretsError> {
        self.batch("DELETE FROM identity_owner; DELETE FROM session_keys; DELETE FROM sessions")
    }
}
