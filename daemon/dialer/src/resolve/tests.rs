//! Resolving, against files of the test and a name server on loopback that the test plays.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use super::ResolveError::{NoAddress, NoSuchName, TimedOut};
use super::*;

type Answer = Result<Vec<IpAddr>, ResolveError>;

fn addresses_of(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

async fn after(milliseconds: u64, answer: Answer) -> Answer {
    sleep(Duration::from_millis(milliseconds)).await;
    answer
}

fn four(milliseconds: u64) -> impl Future<Output = Answer> {
    after(milliseconds, Ok(addresses_of(&["192.0.2.1"])))
}

fn six(milliseconds: u64) -> impl Future<Output = Answer> {
    after(milliseconds, Ok(addresses_of(&["2001:db8::1"])))
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_about_ipv6_is_waited_for_50_ms_and_about_ipv4_always() {
    let start = Instant::now();
    assert_eq!(both(four(10), six(40)).await.unwrap(), addresses_of(&["2001:db8::1", "192.0.2.1"]));
    assert_eq!(start.elapsed().as_millis(), 40);
    let start = Instant::now();
    assert_eq!(both(four(10), six(4000)).await.unwrap(), addresses_of(&["192.0.2.1"]));
    assert_eq!(start.elapsed().as_millis(), 60);
    let start = Instant::now();
    assert_eq!(both(four(4000), six(10)).await.unwrap(), addresses_of(&["2001:db8::1", "192.0.2.1"]));
    assert_eq!(start.elapsed().as_millis(), 4000);
}

#[tokio::test(start_paused = true)]
async fn one_family_is_enough_and_two_failures_give_the_more_telling_reason() {
    assert_eq!(both(after(1, Err(NoAddress)), six(500)).await.unwrap().len(), 1);
    assert_eq!(both(four(1), after(2, Err(TimedOut))).await.unwrap().len(), 1);
    let reason = |four, six| both(after(1, Err(four)), after(2, Err(six)));
    assert!(matches!(reason(NoSuchName, NoAddress).await, Err(NoSuchName)));
    assert!(matches!(reason(NoAddress, TimedOut).await, Err(TimedOut)));
    assert!(matches!(reason(NoAddress, NoAddress).await, Err(NoAddress)));
}

/// Files of one test.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, hosts: &str, resolv_conf: Option<&str>) -> Self {
        let dir = std::env::temp_dir().join(format!("merlon-resolve-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("hosts"), hosts).unwrap();
        if let Some(text) = resolv_conf {
            std::fs::write(dir.join("resolv.conf"), text).unwrap();
        }
        Self(dir)
    }

    fn resolver(&self) -> Resolver {
        Resolver::open(&self.0.join("hosts"), &self.0.join("resolv.conf"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn resolve(resolver: &Resolver, host: &str) -> Answer {
    resolver.resolve(&Target::parse(host).unwrap()).await
}

#[tokio::test]
async fn without_name_servers_literals_localhost_and_the_hosts_file_work() {
    for (name, resolv_conf) in [("none", None), ("empty", Some("")), ("no-server", Some("search lan\n"))] {
        let files = Files::new(name, "10.0.0.1 app.test\n127.0.0.9 localhost\n", resolv_conf);
        let resolver = files.resolver();
        assert_eq!(resolve(&resolver, "192.0.2.1").await.unwrap(), addresses_of(&["192.0.2.1"]));
        assert_eq!(resolve(&resolver, "::1").await.unwrap(), addresses_of(&["::1"]));
        assert_eq!(resolve(&resolver, "localhost").await.unwrap(), addresses_of(&["::1", "127.0.0.1"]));
        assert_eq!(resolve(&resolver, "a.localhost").await.unwrap(), addresses_of(&["::1", "127.0.0.1"]));
        assert_eq!(resolve(&resolver, "App.Test.").await.unwrap(), addresses_of(&["10.0.0.1"]));
        assert!(matches!(resolve(&resolver, "other.test").await, Err(ResolveError::NoServers(_))));
    }
}

#[tokio::test]
async fn a_changed_hosts_file_counts_at_once() {
    let files = Files::new("changed", "10.0.0.1 app.test\n", None);
    let resolver = files.resolver();
    assert_eq!(resolve(&resolver, "app.test").await.unwrap(), addresses_of(&["10.0.0.1"]));
    std::fs::write(files.0.join("hosts"), "10.0.0.22 app.test\n").unwrap();
    assert_eq!(resolve(&resolver, "app.test").await.unwrap(), addresses_of(&["10.0.0.22"]));
}

/// A name server that knows `dual.test`, `four.test` and `none.test`, is silent about `silent.test`, and fails for
/// `broken.test`. Counts questions.
async fn name_server() -> (SocketAddr, Arc<AtomicU32>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let question = Message::from_vec(&buffer[..len]).unwrap();
            let query = question.queries[0].clone();
            let name = query.name().to_ascii();
            let record = |data: RData| Record::from_rdata(query.name().clone(), 300, data);
            let (code, record) = match (name.as_str(), query.query_type()) {
                ("dual.test." | "four.test.", RecordType::A) => {
                    (ResponseCode::NoError, Some(record(RData::A(A::new(192, 0, 2, 1)))))
                }
                ("dual.test.", RecordType::AAAA) => {
                    (ResponseCode::NoError, Some(record(RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))))
                }
                ("four.test." | "none.test.", _) => (ResponseCode::NoError, None),
                ("silent.test.", _) => continue,
                ("broken.test.", _) => (ResponseCode::ServFail, None),
                _ => (ResponseCode::NXDomain, None),
            };
            let mut answer = Message::new(question.id, MessageType::Response, question.op_code);
            answer.add_query(query.clone());
            answer.metadata.response_code = code;
            answer.metadata.recursion_desired = true;
            answer.metadata.recursion_available = true;
            answer.answers.extend(record);
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    });
    (address, asked)
}

/// A resolver that asks this server.
fn asking(files: &Files, server: SocketAddr) -> Resolver {
    let mut udp = ConnectionConfig::udp();
    udp.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![udp]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_millis(200);
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
    *builder.options_mut() = options;
    let mut resolver = files.resolver();
    resolver.dns = Watched::fixed(Ok(builder.build().unwrap()));
    resolver
}

#[tokio::test]
async fn a_name_server_is_asked_for_both_families_once() {
    let files = Files::new("both", "", None);
    let (server, asked) = name_server().await;
    let resolver = asking(&files, server);
    assert_eq!(resolve(&resolver, "dual.test").await.unwrap(), addresses_of(&["2001:db8::1", "192.0.2.1"]));
    assert_eq!(resolve(&resolver, "four.test").await.unwrap(), addresses_of(&["192.0.2.1"]));
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(resolve(&resolver, "dual.test").await.unwrap().len(), 2);
    assert_eq!(asked.load(Ordering::Relaxed), before, "an answer is remembered for as long as it says");
}

#[tokio::test]
async fn each_failure_of_a_name_server_has_its_reason() {
    let files = Files::new("failures", "", None);
    let (server, _) = name_server().await;
    let resolver = asking(&files, server);
    assert!(matches!(resolve(&resolver, "none.test").await, Err(NoAddress)));
    assert!(matches!(resolve(&resolver, "unknown.test").await, Err(NoSuchName)));
    assert!(matches!(resolve(&resolver, "broken.test").await, Err(ResolveError::Servers(_))));
    assert!(matches!(resolve(&resolver, "silent.test").await, Err(TimedOut)));
}
