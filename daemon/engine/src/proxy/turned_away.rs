//! Clients that sent credentials which are of no use, for the journal: at most one entry a second for each client, and
//! few clients at once, so that nobody fills the journal by guessing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use merlon_sandbox::journal::{self, events};

/// A client is told of once in so long.
const PAUSE: Duration = Duration::from_secs(1);
/// Clients that are remembered.
const CLIENTS: usize = 256;

/// Failed tries that are not in the journal yet.
#[derive(Default)]
pub(crate) struct TurnedAway(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// None: clients of Unix sockets.
    clients: HashMap<Option<IpAddr>, Count>,
    /// Of clients that are no longer remembered, or never were for want of room.
    others: u64,
}

struct Count {
    /// When the client was last told of.
    told: Instant,
    since: u64,
}

impl TurnedAway {
    /// Counts a failed try, and tells of it if it is time.
    pub(super) fn tell(&self, client: Option<IpAddr>) {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner).count(client, Instant::now());
        let Some((tries, others)) = counted else { return };
        let client = client.map_or_else(|| "a client on a Unix socket".to_owned(), |address| address.to_string());
        let others = if others > 0 { format!(", and {others} by other clients") } else { String::new() };
        journal::event(
            &events::PROXY_AUTHENTICATION_FAILED,
            format_args!(
                "{client} sent a wrong user name or password to the proxy (failed tries since the last entry: {tries}{others})"
            ),
        );
    }
}

impl Counts {
    /// How many tries of this client, and of others, are to be told now.
    fn count(&mut self, client: Option<IpAddr>, now: Instant) -> Option<(u64, u64)> {
        if let Some(count) = self.clients.get_mut(&client) {
            count.since += 1;
            if now.saturating_duration_since(count.told) < PAUSE {
                return None;
            }
            count.told = now;
            return Some((std::mem::take(&mut count.since), std::mem::take(&mut self.others)));
        }
        if self.clients.len() >= CLIENTS {
            let others = &mut self.others;
            self.clients.retain(|_, count| {
                let stays = now.saturating_duration_since(count.told) < PAUSE;
                *others += if stays { 0 } else { count.since };
                stays
            });
            if self.clients.len() >= CLIENTS {
                self.others += 1;
                return None;
            }
        }
        self.clients.insert(client, Count { told: now, since: 0 });
        Some((1, std::mem::take(&mut self.others)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    #[test]
    fn a_client_is_told_of_once_a_second_with_a_count() {
        let (mut counts, start) = (Counts::default(), Instant::now());
        assert_eq!(counts.count(client(1), start), Some((1, 0)));
        assert_eq!(counts.count(client(1), start), None);
        assert_eq!(counts.count(client(2), start), Some((1, 0)));
        assert_eq!(counts.count(client(1), start + PAUSE), Some((2, 0)));
    }

    #[test]
    fn many_clients_are_counted_together() {
        let (mut counts, start) = (Counts::default(), Instant::now());
        let told = (0..1000).filter(|number| counts.count(client(*number), start).is_some()).count();
        assert_eq!(told, CLIENTS);
        assert_eq!(counts.count(client(0), start), None);
        // A second later there is room again; what was counted meanwhile comes along.
        let others = 1000 - CLIENTS as u64 + 1;
        assert_eq!(counts.count(client(5000), start + PAUSE), Some((1, others)));
        assert_eq!(counts.clients.len(), 1);
    }
}
