//! One exchange: a request goes to its origin, the answer comes back, both are recorded. The bytes of a head are
//! relayed as they came; what little changes is in `http::rewrite`.

use std::borrow::Cow;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Mutex;

use super::conn::{Conn, Reader, Writer};
use super::failure::Failure;
use super::relay::{BodyError, Direction, SharedRecord};
use super::requests::Client;
use super::upstream::{Destination, Upstream};
use super::{Proxy, reply};
use crate::flow::{Facts, Opening, Outcome, Scheme, Side};
use crate::http::{Framing, Method, RequestHead, ResponseHead, Target};

/// Interim answers (1xx) that one request may get.
const MAX_INTERIM: u32 = 32;

/// A tunnel in which neither side says a word for so long is closed.
const TUNNEL_IDLE: Duration = Duration::from_secs(3600);

/// What becomes of the client's connection.
pub(crate) enum After {
    /// The next request may come.
    KeepAlive,
    /// It ends.
    Close,
}

/// The parts of one exchange.
pub(crate) struct Exchange<'a> {
    /// The proxy.
    pub(crate) proxy: &'a Proxy,
    /// Who asks.
    pub(crate) client: &'a Client,
    /// The client's connection; the request head is at the front of its buffer.
    pub(crate) conn: &'a mut Conn,
    /// The connection of the request before, if it stands.
    pub(crate) upstream: &'a mut Option<Upstream>,
}

/// What is learned during an exchange.
struct Progress {
    started: Instant,
    facts: Facts,
    /// The final head has gone to the client: a page of ours can no longer be sent.
    answered: bool,
}

/// A final answer that was relayed whole.
struct Answered {
    origin_keeps: bool,
    client_keeps: bool,
    /// Both sides speak something else now.
    tunnel: bool,
}

impl Exchange<'_> {
    /// Runs the exchange to its end and records it.
    pub(crate) async fn run(self, head: &RequestHead, destination: Destination) -> After {
        let buffer = self.conn.reader.buffered();
        let opening = opening(head, buffer, &destination, self.client);
        let wire_head = upstream_bytes(head, buffer);
        let record = Mutex::new(self.proxy.recorder.begin(opening));
        drop(self.conn.reader.take_mut(head.head_len));
        let facts = Facts { client_tls: self.client.tls.clone(), ..Facts::default() };
        let mut progress = Progress { started: Instant::now(), facts, answered: false };

        let mut upstream = self.upstream.take();
        let result =
            exchange(self.proxy, self.conn, &mut upstream, head, &destination, &wire_head, &record, &mut progress)
                .await;

        let mut after = After::Close;
        let error = match result {
            Ok(answered) if !answered.tunnel => {
                if answered.origin_keeps {
                    *self.upstream = upstream;
                }
                if answered.client_keeps {
                    after = After::KeepAlive;
                }
                None
            }
            Ok(_) => None,
            Err(failure) => {
                if !progress.answered {
                    after = reply::failed(self.conn, head, &failure).await;
                }
                Some(failure.to_string().into_boxed_str())
            }
        };
        let duration_us = i64::try_from(progress.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        record.into_inner().finish(Outcome { duration_us, facts: progress.facts, error }).await;
        after
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one exchange, borrowed apart so that both directions can run at once"
)]
async fn exchange(
    proxy: &Proxy,
    conn: &mut Conn,
    kept: &mut Option<Upstream>,
    head: &RequestHead,
    destination: &Destination,
    wire_head: &[u8],
    record: &SharedRecord,
    progress: &mut Progress,
) -> Result<Answered, Failure> {
    // What of the body came with the head goes out with the head, in one write.
    let body_here = match head.framing {
        Framing::Length(length) => usize::try_from(length).unwrap_or(usize::MAX).min(conn.reader.buffered().len()),
        _ => 0,
    };
    let body = conn.reader.take_mut(body_here).freeze();
    let whole = match head.framing {
        Framing::None => true,
        Framing::Length(length) => length == body.len() as u64,
        _ => false,
    };
    let mut first = Vec::with_capacity(wire_head.len() + body.len());
    first.extend_from_slice(wire_head);
    first.extend_from_slice(&body);
    if !body.is_empty() {
        record.lock().await.body(Side::Request, body.clone()).await;
    }
    let rest = match head.framing {
        Framing::Length(length) => Framing::Length(length - body.len() as u64),
        other => other,
    };

    loop {
        let reused = match kept {
            Some(upstream) => upstream.destination == *destination && !upstream.conn.reader.is_stale(),
            None => false,
        };
        if !reused {
            *kept = None;
            *kept = Some(Upstream::open(proxy, destination.clone()).await?);
        }
        let Some(upstream) = kept.as_mut() else { return Err(Failure::ClosedBeforeAnswer) };
        progress.facts.server = Some(upstream.address);
        progress.facts.server_tls.clone_from(&upstream.tls);
        progress.facts.server_certificate_sha256.clone_from(&upstream.certificate_sha256);
        progress.facts.connection_reused = reused;
        upstream.used = true;

        let sent = upstream.conn.writer.send(&first).await;
        let answered = match sent {
            Ok(()) => both_ways(proxy, conn, &mut upstream.conn, head, rest, whole, record, progress).await,
            Err(e) => Err(Failure::Origin(e)),
        };
        match answered {
            // An idle connection may be closed by its origin just as we use it. What is safe to send twice is sent once
            // more, on a new connection (RFC 9112, 9.3.1).
            Err(Failure::ClosedBeforeAnswer | Failure::Origin(_))
                if reused && whole && !progress.answered && is_idempotent(head) =>
            {
                *kept = None;
            }
            other => return other,
        }
    }
}

/// The rest of the request one way, the answer the other way, at the same time.
#[expect(clippy::too_many_arguments, reason = "as in `exchange`")]
async fn both_ways(
    proxy: &Proxy,
    conn: &mut Conn,
    origin: &mut Conn,
    head: &RequestHead,
    rest: Framing,
    whole: bool,
    record: &SharedRecord,
    progress: &mut Progress,
) -> Result<Answered, Failure> {
    let mut answer =
        Answer { proxy, head, reader: &mut origin.reader, writer: &mut conn.writer, record, progress: &mut *progress };
    let mut answered = if whole {
        answer.relay().await?
    } else {
        let mut up = Direction { side: Side::Request, reader: &mut conn.reader, writer: &mut origin.writer, record };
        let mut upload = pin!(up.body(rest));
        let mut download = pin!(answer.relay());
        tokio::select! {
            biased;
            early = &mut download => {
                // The answer is complete and the request is not: neither connection can carry another message.
                let early = early?;
                Answered { origin_keeps: false, client_keeps: false, ..early }
            }
            uploaded = &mut upload => match uploaded {
                Ok(()) => download.await?,
                Err(BodyError::Read(e)) => return Err(Failure::Client(e)),
                Err(BodyError::Short) => {
                    return Err(Failure::Client(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed in the middle of its request")));
                }
                Err(BodyError::Chunked(e)) => return Err(Failure::RequestBody(e)),
                // The origin takes no more: it may have answered early, so its answer is still wanted.
                Err(BodyError::Write(_)) => {
                    let early = download.await?;
                    Answered { origin_keeps: false, client_keeps: false, ..early }
                }
            },
        }
    };
    if answered.tunnel {
        relay_tunnel(conn, origin, record).await;
        answered.client_keeps = false;
    }
    Ok(answered)
}

/// Both directions as they are, until both have ended or one has failed.
pub(crate) async fn relay_tunnel(conn: &mut Conn, origin: &mut Conn, record: &SharedRecord) {
    conn.reader.set_stall(TUNNEL_IDLE);
    origin.reader.set_stall(TUNNEL_IDLE);
    let mut up = Direction { side: Side::Request, reader: &mut conn.reader, writer: &mut origin.writer, record };
    let mut down = Direction { side: Side::Response, reader: &mut origin.reader, writer: &mut conn.writer, record };
    // How a tunnel ends is its users' affair: a reset is as good as an end.
    drop(tokio::try_join!(up.until_close(), down.until_close()));
}

/// The answer's way back.
struct Answer<'a> {
    proxy: &'a Proxy,
    head: &'a RequestHead,
    reader: &'a mut Reader,
    writer: &'a mut Writer,
    record: &'a SharedRecord,
    progress: &'a mut Progress,
}

impl Answer<'_> {
    async fn relay(&mut self) -> Result<Answered, Failure> {
        let (answer, framing) = self.final_head().await?;
        self.progress.answered = true;
        let mut here = answer.head_len;
        if let Framing::Length(length) = framing {
            let available = self.reader.buffered().len() - here;
            here += usize::try_from(length).unwrap_or(usize::MAX).min(available);
        }
        let first = self.reader.take_mut(here).freeze();
        let body = first.slice(answer.head_len..);
        let head = &first[..answer.head_len];
        {
            let mut record = self.record.lock().await;
            record.response_head(answer.status, Bytes::copy_from_slice(head));
            if !body.is_empty() {
                record.body(Side::Response, body.clone()).await;
            }
        }
        let rest = match framing {
            Framing::Length(length) => Framing::Length(length - body.len() as u64),
            other => other,
        };
        let delimited = framing != Framing::UntilClose && framing != Framing::Tunnel;
        let mut client_keeps = delimited && answer.keep_alive && self.head.keep_alive;
        if client_keeps && self.proxy.is_stopping() {
            // So the client sends its next request elsewhere, and not into a connection that is about to end.
            client_keeps = false;
            let told = [&crate::http::closing(head), &body[..]].concat();
            self.writer.send(&told).await.map_err(Failure::Client)?;
        } else {
            self.writer.send(&first).await.map_err(Failure::Client)?;
        }
        drop(first);
        if framing != Framing::Tunnel {
            let mut down = Direction {
                side: Side::Response,
                reader: &mut *self.reader,
                writer: &mut *self.writer,
                record: self.record,
            };
            down.body(rest).await.map_err(|e| match e {
                BodyError::Read(e) if e.kind() == io::ErrorKind::TimedOut => self.stalled(),
                BodyError::Read(e) => Failure::Origin(e),
                BodyError::Write(e) => Failure::Client(e),
                BodyError::Short => Failure::ClosedInAnswer,
                BodyError::Chunked(e) => Failure::AnswerBody(e),
            })?;
        }
        Ok(Answered { origin_keeps: delimited && answer.keep_alive, client_keeps, tunnel: framing == Framing::Tunnel })
    }

    /// Relays interim heads as they come; the final head stays in the buffer.
    async fn final_head(&mut self) -> Result<(ResponseHead, Framing), Failure> {
        let mut interim = 0;
        loop {
            let parsed =
                ResponseHead::parse(self.reader.buffered(), &self.proxy.head_limits).map_err(Failure::Answer)?;
            let Some(answer) = parsed else {
                self.more().await?;
                continue;
            };
            if answer.is_interim() {
                interim += 1;
                if interim > MAX_INTERIM {
                    return Err(Failure::TooManyInterim(MAX_INTERIM));
                }
                let bytes = self.reader.take_mut(answer.head_len);
                self.writer.send(&bytes).await.map_err(Failure::Client)?;
                continue;
            }
            let framing = answer.framing(self.head.method, self.head.upgrade.is_some()).map_err(Failure::Answer)?;
            return Ok((answer, framing));
        }
    }

    async fn more(&mut self) -> Result<(), Failure> {
        let nothing_yet = self.reader.buffered().is_empty();
        match self.reader.fill().await {
            Ok(0) if nothing_yet => Err(Failure::ClosedBeforeAnswer),
            Ok(0) => Err(Failure::ClosedInAnswer),
            Ok(_) => {
                self.progress.facts.first_byte_us.get_or_insert_with(|| {
                    u32::try_from(self.progress.started.elapsed().as_micros()).unwrap_or(u32::MAX)
                });
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(self.stalled()),
            Err(_) if nothing_yet => Err(Failure::ClosedBeforeAnswer),
            Err(e) => Err(Failure::Origin(e)),
        }
    }

    fn stalled(&self) -> Failure {
        Failure::OriginStalled(self.proxy.limits.stall_seconds.into())
    }
}

/// Safe to send twice (RFC 9110, 9.2.2).
fn is_idempotent(head: &RequestHead) -> bool {
    matches!(head.method, Method::Get | Method::Head | Method::Options | Method::Put) && head.upgrade.is_none()
}

fn upstream_bytes(head: &RequestHead, buffer: &[u8]) -> Vec<u8> {
    let bytes = match head.target {
        Target::Absolute { .. } => crate::http::upstream_head(buffer, head),
        _ if head.proxy_authorization.is_some() => crate::http::redacted(buffer, head),
        _ => Cow::Borrowed(head.bytes(buffer)),
    };
    bytes.into_owned()
}

fn opening(head: &RequestHead, buffer: &[u8], destination: &Destination, client: &Client) -> Opening {
    let path = match head.target {
        Target::Absolute { path, .. } if path.start == path.end => b"/",
        Target::Absolute { path, .. } => path.of(buffer),
        _ => head.target_span.of(buffer),
    };
    Opening {
        time_us: now_us(),
        scheme: destination.scheme,
        method: String::from_utf8_lossy(head.method_span.of(buffer)).into(),
        host: destination.host.clone(),
        port: destination.port,
        path: String::from_utf8_lossy(path).into(),
        head: Bytes::copy_from_slice(&crate::http::redacted(buffer, head)),
        client: client.address,
    }
}

/// Microseconds since 1970; 0 on a clock before that.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A record of something that never became an exchange (a malformed request, a refused tunnel).
pub(crate) async fn record_failed(proxy: &Proxy, opening: Opening, facts: Facts, error: String) {
    let record = proxy.recorder.begin(opening);
    record.finish(Outcome { duration_us: 0, facts, error: Some(error.into_boxed_str()) }).await;
}

/// An opening for what could not be parsed.
pub(crate) fn opening_of_unparsed(bytes: &[u8], scheme: Scheme, host: &str, port: u16, client: &Client) -> Opening {
    Opening {
        time_us: now_us(),
        scheme,
        method: "-".into(),
        host: host.into(),
        port,
        path: "-".into(),
        head: Bytes::copy_from_slice(bytes),
        client: client.address,
    }
}
