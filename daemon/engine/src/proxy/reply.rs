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
    // With a body on its way the connection is out of step; without one it can go on.
    let close = head.framing != Framing::None || !head.keep_alive;
    if !tell(conn, failure, close, head.method == Method::Head).await || close {
        return After::Close;
    }
    After::KeepAlive
}

/// Sends the page for a failure; with `close` the connection is ended after it. False if the client did not get it.
pub(crate) async fn tell(conn: &mut Conn, failure: &Failure, close: bool, head_only: bool) -> bool {
    let Some(told) = failure.told() else { return false };
    let why = failure.to_string();
    let page =
        ErrorPage { status: told.status, title: told.title, why: &why, what_to_do: told.remedy, close, head_only };
    send(conn, &page).await
}

async fn send(conn: &mut Conn, page: &ErrorPage<'_>) -> bool {
    let sent = conn.writer.send(&error_page(page)).await.is_ok();
    if sent && page.close {
        conn.linger().await;
    }
    sent
}

/// Answers a request whose head cannot be parsed, and records what came.
pub(crate) async fn refuse_unread(proxy: &Proxy, conn: &mut Conn, client: &Client, route: &Route, failure: &Failure) {
    // A client that has not authenticated gets an answer, but nothing of it is kept.
    if !client.must_authenticate {
        let (scheme, host, port) = match route {
            Route::Forward => (Scheme::Http, "", 0),
            Route::Tunnel(destination) => (destination.scheme, &*destination.host, destination.port),
        };
        let opening = opening_of_unparsed(recordable(conn.reader.buffered()), scheme, host, port, client);
        record_failed(
            proxy,
            opening,
            Facts { client_tls: client.tls.clone(), ..Facts::default() },
            failure.to_string(),
        )
        .await;
    }
    // A client that is gone needs no answer.
    tell(conn, failure, true, false).await;
}

/// What may be kept of a head that cannot be parsed: a bounded part, and nothing from credentials for us on.
fn recordable(bytes: &[u8]) -> &[u8] {
    const CREDENTIALS: &[u8] = b"proxy-authorization";
    let bytes = &bytes[..bytes.len().min(UNPARSED)];
    let found = bytes.windows(CREDENTIALS.len()).position(|window| window.eq_ignore_ascii_case(CREDENTIALS));
    // A name that is cut off at the end is of no use to anybody.
    &bytes[..found.unwrap_or(bytes.len())]
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
    send(conn, &page).await;
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
    send(conn, &page).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_malformed_head_are_not_kept() {
        assert_eq!(recordable(b"GET / HTTP/1.1\nProxy-AUTHORIZATION: Basic eA==\n"), b"GET / HTTP/1.1\n");
        assert_eq!(recordable(b"GET / HTTP/1.1\n"), b"GET / HTTP/1.1\n");
        assert_eq!(recordable(&[b'a'; UNPARSED + 1]).len(), UNPARSED);
    }
}
