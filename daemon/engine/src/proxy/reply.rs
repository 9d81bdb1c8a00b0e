//! Answers of the proxy's own: pages for what failed, the challenge for credentials. Here failures become bytes.

use super::Proxy;
use super::auth::AuthRefusal;
use super::conn::Conn;
use super::exchange::{After, opening_of_unparsed, record_failed};
use super::failure::Failure;
use super::requests::{Client, Route, Undirected};
use crate::flow::{Facts, Scheme};
use crate::http::{ErrorPage, Framing, Method, RequestHead, error_page};

/// How much of a head that cannot be parsed is recorded.
const UNPARSED: usize = 8 << 10;

/// Tells the client why its exchange failed. Its head has been consumed, its body may not have been.
pub(crate) async fn failed(conn: &mut Conn, head: &RequestHead, failure: &Failure) -> After {
    let Some(told) = failure.told() else { return After::Close };
    // With a body on its way the connection is out of step; without one it can go on.
    let close = head.framing != Framing::None || !head.keep_alive;
    let page = ErrorPage {
        status: told.status,
        title: told.title,
        why: &failure.to_string(),
        what_to_do: told.remedy,
        close,
        head_only: head.method == Method::Head,
    };
    if conn.writer.send(&error_page(&page)).await.is_err() {
        return After::Close;
    }
    if close {
        conn.linger().await;
        return After::Close;
    }
    After::KeepAlive
}

/// Answers a request whose head cannot be parsed, and records what came.
pub(crate) async fn refuse_unread(proxy: &Proxy, conn: &mut Conn, client: &Client, route: &Route, failure: &Failure) {
    let Some(told) = failure.told() else { return };
    // A client that has not authenticated gets an answer, but nothing of it is kept.
    if !client.must_authenticate {
        let (scheme, host, port) = match route {
            Route::Forward => (Scheme::Http, "", 0),
            Route::Tunnel(destination) => (destination.scheme, &*destination.host, destination.port),
        };
        let bytes = conn.reader.buffered();
        let opening = opening_of_unparsed(&bytes[..bytes.len().min(UNPARSED)], scheme, host, port, client);
        record_failed(
            proxy,
            opening,
            Facts { client_tls: client.tls.clone(), ..Facts::default() },
            failure.to_string(),
        )
        .await;
    }
    let page = ErrorPage {
        status: told.status,
        title: told.title,
        why: &failure.to_string(),
        what_to_do: told.remedy,
        close: true,
        head_only: false,
    };
    if conn.writer.send(&error_page(&page)).await.is_ok() {
        conn.linger().await;
    }
}

/// 407, or 503 where the keeper cannot be asked.
pub(crate) async fn refuse_credentials(conn: &mut Conn, head: &RequestHead, refusal: &AuthRefusal) {
    let (status, title) = match refusal {
        AuthRefusal::Missing | AuthRefusal::Malformed | AuthRefusal::Wrong => {
            (407, "This proxy needs a user name and password")
        }
        AuthRefusal::TooMany => (429, "Too many failed tries"),
        AuthRefusal::Keeper(_) => (503, "Credentials cannot be checked"),
    };
    let page = ErrorPage {
        status,
        title,
        why: &refusal.to_string(),
        what_to_do: "On the instance's host, `merlon proxy-user add NAME` makes a user; give its name and password to the client.",
        close: true,
        head_only: head.method == Method::Head,
    };
    if conn.writer.send(&error_page(&page)).await.is_ok() {
        conn.linger().await;
    }
}

/// A request that is none of a proxy's.
pub(crate) async fn explain_proxy(conn: &mut Conn, head: &RequestHead, why: Undirected) {
    let (why, what_to_do) = match why {
        Undirected::NotAProxyRequest => (
            "This is an HTTP proxy, and the request was sent to it as if it were a web server.",
            "Set this address as the HTTP and HTTPS proxy of your client. With the proxy set, http://merlon.invalid/ has the CA certificate.",
        ),
        Undirected::NestedConnect => (
            "A CONNECT request came inside a tunnel that is intercepted.",
            "Connect to the inner host through the proxy directly.",
        ),
    };
    let page = ErrorPage {
        status: 400,
        title: "Not a request for this proxy",
        why,
        what_to_do,
        close: true,
        head_only: head.method == Method::Head,
    };
    if conn.writer.send(&error_page(&page)).await.is_ok() {
        conn.linger().await;
    }
}
