//! Sitting on the wire between the process and its TPM: seeing, altering, holding up and cutting.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::swtpm::Swtpm;

/// Relays to the TPM's two ports from two others in a row.
pub(crate) struct Tap {
    port: u16,
    pub(crate) wire: Arc<Wire>,
    pub(crate) tell: Sender<Event>,
    pub(crate) events: Receiver<Event>,
}

/// What passes, and what happens to it.
pub(crate) struct Wire {
    tpm: SocketAddr,
    seen: Mutex<Vec<u8>>,
    pub(crate) alteration: Mutex<Alteration>,
    /// Commands that still pass; libtss2 makes a connection for each. The next one is held up, and those after it pass.
    pub(crate) pass: AtomicUsize,
    /// It is not held up: its connection breaks, as if the TPM had died.
    pub(crate) cut: AtomicBool,
}

/// Parts of what the TPM says that become others.
#[derive(Default)]
pub(crate) struct Alteration {
    pub(crate) parts: Vec<(Vec<u8>, Vec<u8>)>,
    /// At which of the messages that have the first part, from 1.
    pub(crate) at: Vec<usize>,
    pub(crate) found: usize,
}

pub(crate) enum Event {
    /// A command is held up; its connection, for [`Wire::relay`].
    Stalled(TcpStream),
    /// A process has answered, or has hung up.
    Ended(Vec<u8>),
}

impl Tap {
    pub(crate) fn on(tpm: &Swtpm) -> Self {
        let (commands, control) = loop {
            let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = first.local_addr().unwrap().port();
            if let Ok(second) = TcpListener::bind((Ipv4Addr::LOCALHOST, port.wrapping_add(1))) {
                break (first, second);
            }
        };
        let port = commands.local_addr().unwrap().port();
        let wire = Arc::new(Wire {
            tpm: tpm.address(),
            seen: Mutex::default(),
            alteration: Mutex::default(),
            pass: AtomicUsize::new(usize::MAX),
            cut: AtomicBool::new(false),
        });
        let (tell, events) = channel();
        let (taking, telling) = (Arc::clone(&wire), tell.clone());
        std::thread::spawn(move || {
            for client in commands.incoming().flatten() {
                if taking.pass.fetch_sub(1, Ordering::SeqCst) > 0 {
                    taking.relay(client);
                } else if !taking.cut.load(Ordering::SeqCst) {
                    // The test may have ended.
                    drop(telling.send(Event::Stalled(client)));
                }
            }
        });
        let controlling = Arc::clone(&wire);
        std::thread::spawn(move || {
            for client in control.incoming().flatten() {
                controlling.join(client, controlling.tpm.port() + 1);
            }
        });
        Self { port, wire, tell, events }
    }

    /// The configuration that leads here.
    pub(crate) fn config(&self) -> String {
        format!("[tpm]\ntcti = \"swtpm:host=127.0.0.1,port={}\"\nallow_emulator = true\n", self.port)
    }

    /// How often something has passed.
    pub(crate) fn times(&self, what: &[u8]) -> usize {
        self.wire.seen.lock().unwrap().windows(what.len()).filter(|window| *window == what).count()
    }
}

impl Wire {
    /// Lets a command pass.
    pub(crate) fn relay(self: &Arc<Self>, client: TcpStream) {
        self.join(client, self.tpm.port());
    }

    fn join(self: &Arc<Self>, client: TcpStream, port: u16) {
        let tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let asked = (client.try_clone().unwrap(), tpm.try_clone().unwrap(), false);
        for (mut from, mut to, answer) in [asked, (tpm, client, true)] {
            let wire = Arc::clone(self);
            std::thread::spawn(move || {
                let mut bytes = [0; 8192];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    wire.seen.lock().unwrap().extend_from_slice(&bytes[..count]);
                    if answer {
                        wire.alteration.lock().unwrap().apply(&mut bytes[..count]);
                    }
                    if to.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                // The other side may have gone first.
                drop(to.shutdown(Shutdown::Both));
            });
        }
    }
}

impl Alteration {
    fn apply(&mut self, bytes: &mut [u8]) {
        let Some((first, _)) = self.parts.first() else { return };
        if !bytes.windows(first.len()).any(|window| window == first) {
            return;
        }
        self.found += 1;
        if !self.at.contains(&self.found) {
            return;
        }
        for (from, to) in &self.parts {
            let place = bytes.windows(from.len()).position(|window| window == from).unwrap();
            bytes[place..place + to.len()].copy_from_slice(to);
        }
    }
}
