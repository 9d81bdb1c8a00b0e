//! Who must be signed in. Extractors for pages, and the same questions to a form: a browser that is not signed in is sent
//! to sign in, and back.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::dashboard;
use super::failure::PageError;
use super::visitor::{Posted, Visitor};
use crate::app::App;
use crate::store::accounts::Account;
use crate::store::browsers::Browser;

/// Somebody who is signed in at the hub.
pub(crate) struct SignedIn {
    /// Who looks.
    pub(crate) visitor: Visitor,
    /// Their account.
    pub(crate) account: Account,
}

/// Somebody who is signed in at the dashboard.
pub(super) struct AtDashboard {
    pub(super) visitor: Visitor,
    pub(super) account: Account,
}

impl Visitor {
    /// The browser, if it is signed in; else the way to sign in and then to come to `next`.
    ///
    /// # Errors
    /// A redirect.
    pub(super) fn browser(&self, next: &str) -> Result<&Browser, PageError> {
        self.browser.as_ref().ok_or_else(|| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            PageError::go(format!("{}/sign-in?{query}", self.app.issuer().path()))
        })
    }

    /// The browser, if the dashboard has its grant in it; else the way to get one and then to come to `next`.
    ///
    /// # Errors
    /// A redirect.
    pub(super) fn at_dashboard(&self, next: &str) -> Result<&Browser, PageError> {
        match &self.browser {
            Some(browser) if browser.grant.is_some() => Ok(browser),
            _ => Err(dashboard::begin(self, next)?),
        }
    }
}

impl Posted {
    /// The account that sent the form.
    ///
    /// # Errors
    /// A redirect to sign in.
    pub(super) fn account(&self) -> Result<Account, PageError> {
        Ok(self.visitor.browser("/")?.account.clone())
    }

    /// The account that sent the form of the dashboard, and its browser.
    ///
    /// # Errors
    /// A redirect to sign in.
    pub(super) fn at_dashboard(&self) -> Result<(Account, Browser), PageError> {
        let browser = self.visitor.at_dashboard("/")?;
        Ok((browser.account.clone(), browser.clone()))
    }

    /// The administrator who sent the form.
    ///
    /// # Errors
    /// As [`Self::at_dashboard`]; for others there is no such page.
    pub(super) fn admin(&self) -> Result<Account, PageError> {
        let (account, _) = self.at_dashboard()?;
        if account.admin { Ok(account) } else { Err(PageError::not_found()) }
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let account = visitor.browser(&visitor.target)?.account.clone();
        Ok(Self { visitor, account })
    }
}

impl FromRequestParts<App> for AtDashboard {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let account = visitor.at_dashboard(&visitor.target)?.account.clone();
        Ok(Self { visitor, account })
    }
}
