//! Approval by a personal access token: this program does at the hub what a person would do on the hub's page.
//!
//! The token is for one hub, which the user names. An instance may say what it likes: if it names another issuer, nothing
//! is sent anywhere. (On the instance's own host its configuration is the user's, and so is the issuer in it.)

use std::path::PathBuf;

use hyper::header::HeaderValue;
use merlon_api::{IdentityInfo, SignInStarted};

use crate::args::LoginArgs;
use crate::client::Hub;
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::secret;
use crate::target::Target;

/// Ready to approve.
pub(super) struct Approval {
    hub: Hub,
    scope: Option<String>,
}

impl Approval {
    /// None if a person approves in a browser.
    ///
    /// # Errors
    /// The token cannot be read, or it is not for the hub of this instance.
    pub(super) fn of(
        args: &LoginArgs,
        target: &Target,
        info: &IdentityInfo,
        printer: &Printer,
    ) -> Result<Option<Self>, CliError> {
        let Some(file) = &args.with_token_file else { return Ok(None) };
        let told = info.issuer.as_deref().unwrap_or_default();
        let issuer = match (&args.issuer, target) {
            (Some(issuer), _) => issuer.as_str(),
            (None, Target::Local(_)) => told,
            (None, Target::Remote(_)) => {
                return Err(CliError::usage("--with-token-file needs --issuer")
                    .because("a remote instance could name a hub of its own choice, and get your token by that")
                    .hint("merlon login --with-token-file FILE --issuer https://YOUR-HUB"));
            }
        };
        if issuer.trim_end_matches('/') != told.trim_end_matches('/') {
            return Err(CliError::new(Exit::Refused, "the personal access token was not sent")
                .because(format!("the instance signs people in at `{told}`, not at `{issuer}`"))
                .hint("is it the right instance? merlon identity show"));
        }
        let authorization: HeaderValue = secret::token(file, printer)?;
        let ca_file: Option<PathBuf> = args.issuer_ca_file.clone();
        let scope = args.scope.as_ref().map(|scope| scope.replace(',', " "));
        Ok(Some(Self { hub: Hub::new(issuer, ca_file, authorization)?, scope }))
    }

    /// Approves, and says what.
    ///
    /// # Errors
    /// The hub refuses.
    pub(super) async fn give(
        &self,
        started: &SignInStarted,
        target: &Target,
        printer: &Printer,
    ) -> Result<(), CliError> {
        let about = self.hub.device(&started.user_code).await?;
        let text = |member: &str| about[member].as_str().filter(|text| !text.is_empty());
        let owner = text("owner").map(|owner| format!(", owned by {owner}")).unwrap_or_default();
        printer.say(&format!(
            "approving the sign-in at `{}`{owner}, for the {target}",
            text("client_name").unwrap_or("an instance without a name")
        ));
        self.hub.approve(&started.user_code, self.scope.as_deref()).await
    }
}
