//! The requests of one client connection, one after the other: read a head, decide where it goes, exchange, repeat.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Proxy;
use super::conn::Conn;
use super::exchange::{After, Exchange};
use super::failure::Failure;
use super::upstream::{Destination, Upstream};
use super::{own, reply};
use crate::flow::{Scheme, TlsFacts};
use crate::http::{RequestHead, Target, TargetScheme};

/// What is known of the client for the whole connection.
#[derive(Clone)]
pub(crate) struct Client {
    /// Its address; none on Unix sockets.
    pub(crate) address: Option<SocketAddr>,
    /// It must authenticate and has not yet.
    pub(crate) must_authenticate: bool,
    /// TLS with us, inside a tunnel.
    pub(crate) tls: Option<TlsFacts>,
}

/// Where the requests of a connection may go.
pub(crate) enum Route {
    /// A client of the proxy: absolute targets, CONNECT.
    Forward,
    /// Inside CONNECT: one destination.
    Tunnel(Destination),
}

/// How the requests of a connection ended.
pub(crate) enum End {
    /// The connection is done with.
    Closed,
    /// CONNECT was asked for and permitted; nothing has been answered yet.
    Connect {
        /// The client's connection.
        conn: Box<Conn>,
        /// Host to dial.
        host: Box<str>,
        /// Port to dial.
        port: u16,
        /// The request head, credentials removed.
        head: bytes::Bytes,
        /// The client.
        client: Client,
    },
}

/// Serves the connection until it ends or becomes a tunnel.
pub(crate) async fn serve(proxy: &Proxy, mut conn: Conn, route: Route, mut client: Client) -> End {
    let mut upstream: Option<Upstream> = None;
    loop {
        let head = match next_head(proxy, &mut conn).await {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(failure) => {
                reply::refuse_unread(proxy, &mut conn, &client, &route, &failure).await;
                break;
            }
        };
        if proxy.ca.get().is_none() {
            reply::failed(&mut conn, &head, &Failure::Locked).await;
            break;
        }
        let verdict = if client.must_authenticate {
            proxy.authenticate(head.proxy_authorization.map(|s| s.of(conn.reader.buffered()))).await
        } else {
            Ok(())
        };
        if let (Some(password), Route::Forward) = (head.proxy_authorization, &route) {
            // It is for us alone and was looked at; the buffer goes on to hold other things, and is not wiped when freed.
            conn.reader.overwrite(password.start..password.end);
        }
        match verdict {
            Ok(()) => client.must_authenticate = false,
            Err(refusal) => {
                if refusal.is_failed_try() {
                    proxy.turned_away.tell(client.address.map(|address| address.ip()));
                }
                reply::refuse_credentials(&mut conn, &head, &refusal).await;
                break;
            }
        }
        let destination = match destination(&head, conn.reader.buffered(), &route) {
            Ok(Choice::Origin(destination)) => destination,
            Ok(Choice::Connect { host, port }) => {
                let bytes = crate::http::redacted(conn.reader.buffered(), &head).into_owned().into();
                drop(conn.reader.take_mut(head.head_len));
                return End::Connect { conn: Box::new(conn), host, port, head: bytes, client };
            }
            Err(why) => {
                reply::explain_proxy(&mut conn, &head, why).await;
                break;
            }
        };
        if &*destination.host == own::HOST {
            if own::serve(proxy, &mut conn, &head).await {
                continue;
            }
            break;
        }
        let exchange = Exchange { proxy, client: &client, conn: &mut conn, upstream: &mut upstream };
        // Apart, so that a connection without a request does not hold room for one.
        match Box::pin(exchange.run(&head, destination)).await {
            After::KeepAlive => {}
            After::Close => break,
        }
    }
    conn.writer.finish().await;
    End::Closed
}

/// The next request head; none if the client closed between requests (or never sent one).
async fn next_head(proxy: &Proxy, conn: &mut Conn) -> Result<Option<RequestHead>, Failure> {
    let limits = &proxy.limits;
    if conn.reader.buffered().is_empty() {
        let idle = Duration::from_secs(limits.idle_seconds.into());
        tokio::select! {
            biased;
            filled = conn.reader.fill_within(idle) => match filled {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            },
            // Nothing is under way, so the connection can end.
            () = proxy.last_call() => return Ok(None),
        }
    }
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some(head) = RequestHead::parse(conn.reader.buffered(), &proxy.head_limits)? {
            return Ok(Some(head));
        }
        let limit = Duration::from_secs(limits.head_seconds.into());
        let left = deadline.get_or_insert_with(|| Instant::now() + limit).saturating_duration_since(Instant::now());
        let filled = tokio::select! {
            biased;
            filled = conn.reader.fill_within(left) => filled,
            // A head that is only begun is no request yet.
            () = proxy.last_call() => return Ok(None),
        };
        match filled {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                return Err(Failure::SlowHead(limits.head_seconds.into()));
            }
            Err(e) => return Err(Failure::Client(e)),
        }
    }
}

enum Choice {
    Origin(Destination),
    Connect { host: Box<str>, port: u16 },
}

/// Why a well-formed request has no destination here.
#[derive(Clone, Copy)]
pub(crate) enum Undirected {
    /// A request to the proxy as if it were a server.
    NotAProxyRequest,
    /// CONNECT inside CONNECT.
    NestedConnect,
}

fn destination(head: &RequestHead, buffer: &[u8], route: &Route) -> Result<Choice, Undirected> {
    match (route, head.target) {
        (Route::Forward, Target::Authority(authority)) => {
            let port = authority.port.unwrap_or(443);
            Ok(Choice::Connect { host: authority.host_name(buffer).into(), port })
        }
        (Route::Forward, Target::Absolute { scheme, authority, .. }) => {
            let host: Box<str> = authority.host_name(buffer).into();
            Ok(Choice::Origin(Destination {
                scheme: match scheme {
                    TargetScheme::Http => Scheme::Http,
                    TargetScheme::Https => Scheme::Https,
                },
                server_name: host.clone(),
                host,
                port: authority.port.unwrap_or(scheme.default_port()),
            }))
        }
        (Route::Forward, Target::Origin | Target::Asterisk) => Err(Undirected::NotAProxyRequest),
        (Route::Tunnel(_), Target::Authority(_)) => Err(Undirected::NestedConnect),
        (Route::Tunnel(destination), _) => Ok(Choice::Origin(destination.clone())),
    }
}
