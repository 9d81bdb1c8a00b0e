use std::path::{Path, PathBuf};

use crate::{SandboxReport, VERSION};

use super::*;

/// A directory with the two sockets, and links that are kept over them.
struct Bed {
    directory: PathBuf,
    links: Links,
    keeping: tokio::task::JoinHandle<io::Result<()>>,
}

impl Bed {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("merlon-links-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let listen = |name: &str| seqpacket::listen(&directory.join(name), 0o600).unwrap();
        let source = LinkSource::listeners(listen("link-keeper.sock"), Some(listen("link-dialer.sock"))).unwrap();
        let (links, keeping) = links(Limits { in_flight: 8, answer: Duration::from_secs(1) });
        Self { links, keeping: tokio::spawn(keeping.run(source)), directory }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.keeping.abort();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

async fn say(socket: &Path, role: Role) -> AsyncLink {
    let link = AsyncLink::new(seqpacket::connect(socket).unwrap()).unwrap();
    link.greet(&Hello { role, version: VERSION, pid: 7, sandbox: SandboxReport::default() }).await.unwrap();
    link
}

/// Completes when the engine has dropped the link.
async fn dropped(link: &AsyncLink) {
    assert_eq!(link.recv(&mut [0; 8]).await.unwrap().len, 0);
}

#[tokio::test]
async fn whoever_claims_another_role_than_its_socket_has_is_dropped() {
    let bed = Bed::new("impostor");
    let (keeper, dialer) = (bed.socket("link-keeper.sock"), bed.socket("link-dialer.sock"));
    for (socket, claimed) in [(&dialer, Role::Keeper), (&keeper, Role::Dialer), (&keeper, Role::Engine)] {
        dropped(&say(socket, claimed).await).await;
    }
    assert!(bed.links.peers().iter().all(|(_, hello)| hello.is_none()));
    // And the true ones are taken after that.
    let _dialer = say(&dialer, Role::Dialer).await;
    bed.links.dialer().await.unwrap();
    assert!(bed.links.keeper_now().is_none());
    let _keeper = say(&keeper, Role::Keeper).await;
    bed.links.keeper().await.unwrap();
}

#[tokio::test]
async fn a_new_link_ends_the_one_before() {
    let bed = Bed::new("again");
    let socket = bed.socket("link-dialer.sock");
    let first = say(&socket, Role::Dialer).await;
    bed.links.dialer().await.unwrap();
    let _second = say(&socket, Role::Dialer).await;
    dropped(&first).await;
    bed.links.dialer().await.unwrap();
}

#[tokio::test]
async fn peers_that_never_greet_take_a_bounded_number_of_descriptors() {
    let bed = Bed::new("silent");
    let socket = bed.socket("link-dialer.sock");
    let silent: Vec<_> = (0..LINKS_AT_ONCE).map(|_| seqpacket::connect(&socket).unwrap()).collect();
    let late = AsyncLink::new(seqpacket::connect(&socket).unwrap()).unwrap();
    late.greet(&Hello { role: Role::Dialer, version: VERSION, pid: 7, sandbox: SandboxReport::default() })
        .await
        .unwrap();
    // It waits its turn, and the other peer does not wait for it.
    let _keeper = say(&bed.socket("link-keeper.sock"), Role::Keeper).await;
    bed.links.keeper().await.unwrap();
    assert!(bed.links.peers()[1].1.is_none());
    drop(silent);
    bed.links.dialer().await.unwrap();
}
