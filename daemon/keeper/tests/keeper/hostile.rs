//! An engine that is the enemy: it gets nothing, and the keeper goes on.

use std::os::fd::AsFd as _;

use merlon_sandbox::seqpacket;
use merlon_wire::keeper::{LockState, Refusal, Request, Response};
use merlon_wire::{Frame, MAX_FRAME, Role, admin, encode, parent::ToChild};

use crate::support::{Link, Running, Scratch, Starting, public_key};

fn frame<T: serde::Serialize>(body: T) -> Vec<u8> {
    let mut bytes = vec![0; MAX_FRAME];
    let used = encode(&Frame { id: 1, body }, &mut bytes).unwrap();
    bytes.truncate(used);
    bytes
}

/// The keeper still serves a well-behaved engine.
fn alive(running: &Running) {
    let (mut link, _) = running.link();
    let answer = link.ask(&Request::Status).unwrap();
    assert!(matches!(answer.link(), Response::Status(status) if status.state == LockState::Unlocked));
}

#[test]
fn frames_that_are_no_request_drop_the_peer() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let good = frame(Request::ListProjects);
    let mut cases: Vec<Vec<u8>> = vec![
        vec![0],
        vec![0xff],
        vec![0xff; 11],
        vec![0; 1000],
        vec![0xff; MAX_FRAME],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [&good[..], b"x"].concat(),
        good[..good.len() - 1].to_vec(),
        // A request that does not exist.
        vec![1, 10],
        vec![1, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // A host that says it is longer than the frame, and one that is not UTF-8.
        vec![1, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, b'a'],
        vec![1, 2, 2, 0xff, 0xfe, 0],
    ];
    // Every request of the admin socket whose form no request of the link has by chance.
    cases.push(frame(admin::Request::RemoveProxyUser("user")));
    cases.push(frame(admin::Request::ListProxyUsers));
    for case in cases {
        let (mut link, _) = running.link();
        let answer = link.send_raw(&case, None);
        assert!(answer.is_none(), "{case:02x?}: {:02x?}", answer.unwrap().bytes());
        assert!(link.ask(&Request::Status).is_none(), "dropped for good");
    }
    alive(&running);
}

#[test]
fn every_prefix_and_every_flipped_bit_of_a_request_is_harmless() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let key = public_key();
    let good = frame(Request::IssueLeaf { host: "example.com", public_key: &key });
    let (mut link, _) = running.link();
    for length in 1..good.len() {
        if link.send_raw(&good[..length], None).is_some() {
            panic!("a prefix of {length} bytes was answered");
        }
        link = running.link().0;
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match link.send_raw(&flipped, None) {
            None => link = running.link().0,
            Some(answer) => {
                let _ = answer.link();
            }
        }
    }
    alive(&running);
}

#[test]
fn an_oversized_frame_drops_the_peer() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    for length in [MAX_FRAME + 1, MAX_FRAME * 2] {
        let (mut link, _) = running.link();
        assert!(link.send_raw(&vec![0; length], None).is_none());
    }
    alive(&running);
}

#[test]
fn a_descriptor_with_a_request_drops_the_peer() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(link.send_raw(&frame(Request::Status), Some(file.as_fd())).is_none());
    let mut admin = running.admin();
    assert!(admin.send_raw(&frame(admin::Request::Status), Some(file.as_fd())).is_none());
    alive(&running);
}

#[test]
fn a_locked_keeper_answers_status_and_nothing_else() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    std::fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    let (mut link, _) = running.link();
    let key = public_key();
    let requests = [
        Request::CaCertificate,
        Request::IssueLeaf { host: "example.com", public_key: &key },
        Request::IssueApiLeaf { public_key: &key },
        Request::ListProjects,
        Request::CreateProject { name: "p" },
        Request::ProjectKey { id: 1 },
        Request::DeleteProject { id: 1 },
        Request::NextRekey { after: 0 },
        Request::Rekeyed { id: 1 },
        Request::VerifyProxyUser { user: "u", password: b"p" },
        Request::VerifyToken { token: b"t" },
    ];
    for request in &requests {
        let answer = link.ask(request).unwrap();
        assert_eq!(answer.link(), Response::Refused(Refusal::Locked), "{request:?}");
    }
    let answer = link.ask(&Request::Status).unwrap();
    assert!(
        matches!(answer.link(), Response::Status(status) if status.state == LockState::Locked && status.opened_by.is_none())
    );
    let refused = running.administer(&admin::Request::ListTokens);
    assert_eq!(refused.admin(), admin::Response::Refused(admin::AdminRefusal::Keeper(Refusal::Locked)));
}

#[test]
fn the_api_leaf_has_a_limit_per_link() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let key = public_key();
    let answered = (0..100).take_while(|_| link.ask(&Request::IssueApiLeaf { public_key: &key }).is_some()).count();
    assert_eq!(answered, 16);
    alive(&running);
}

#[test]
fn bad_hosts_keys_and_names_are_refused_with_the_reason() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let key = public_key();
    let long = "a".repeat(20_000);
    for host in ["", "*", "*.example.com", "a b", "exämple.com", "a\0b", "-\n", "1.2.3", "[::1]", &long] {
        let answer = link.ask(&Request::IssueLeaf { host, public_key: &key }).unwrap();
        assert!(matches!(answer.link(), Response::Refused(Refusal::BadHost(_))), "{host:?}");
    }
    let ca = running.link().0.ask(&Request::CaCertificate).unwrap();
    let Response::CaCertificate(ca) = ca.link() else { panic!() };
    let at = ca.windows(4).position(|w| w == [0x03, 0x42, 0x00, 0x04]).unwrap() + 3;
    let ca_key = &ca[at..at + 65];
    let mut off_curve = key.clone();
    off_curve[64] ^= 1;
    let compressed = [&[2 + (key[64] & 1)], &key[1..33]].concat();
    let infinity = [0];
    let zeros = [&[4u8][..], &[0; 64]].concat();
    for bad in [&[][..], &key[..64], &[&key[..], b"x"].concat(), &off_curve, &compressed, &infinity, &zeros, ca_key] {
        for request in
            [Request::IssueLeaf { host: "example.com", public_key: bad }, Request::IssueApiLeaf { public_key: bad }]
        {
            // A link of its own: API leaves are counted.
            let answer = running.link().0.ask(&request).unwrap();
            assert_eq!(answer.link(), Response::Refused(Refusal::BadPublicKey), "{bad:02x?}");
        }
    }
    let (mut link, _) = running.link();
    let long = "p".repeat(101);
    for name in ["", " p", "p\n", "p\u{7f}", "p\u{85}", &long] {
        let answer = link.ask(&Request::CreateProject { name }).unwrap();
        assert!(matches!(answer.link(), Response::Refused(Refusal::BadProjectName(_))), "{name:?}");
    }
    for id in [0, 1, u64::MAX] {
        let answer = link.ask(&Request::ProjectKey { id }).unwrap();
        assert_eq!(answer.link(), Response::Refused(Refusal::NoSuchProject));
        let answer = link.ask(&Request::DeleteProject { id }).unwrap();
        assert_eq!(answer.link(), Response::Refused(Refusal::NoSuchProject));
    }
}

#[test]
fn a_new_link_replaces_the_old_one() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut old, hello) = running.link();
    assert_eq!((hello.role, hello.pid), (Role::Keeper, running.child.id()));
    let (mut new, _) = running.link();
    assert!(old.receive().is_none());
    assert!(new.ask(&Request::Status).is_some());
}

#[test]
fn a_flood_of_requests_that_nobody_reads_stops_only_itself() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (flooding, _) = running.link();
    seqpacket::set_nonblocking(&flooding.socket, true).unwrap();
    let request = frame(Request::Status);
    while seqpacket::send(&flooding.socket, &request, None).is_ok() {}
    // The next link and the administrator are served at once.
    alive(&running);
    assert!(matches!(running.administer(&admin::Request::Status).admin(), admin::Response::Status(_)));
}

#[test]
fn admin_connections_are_bounded_and_given_back() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let mut held: Vec<Link> = Vec::new();
    let refused = loop {
        let mut link = running.admin();
        match link.ask(&admin::Request::Status) {
            Some(_) => held.push(link),
            None => break held.len(),
        }
        assert!(held.len() < 100);
    };
    assert_eq!(refused, 8);
    drop(held);
    // Threads end when they see the hang-up; the place is free soon after.
    while running.admin().ask(&admin::Request::Status).is_none() {
        std::thread::yield_now();
    }
    alive(&running);
}

#[test]
fn a_parent_that_speaks_nonsense_ends_the_keeper() {
    let scratch = Scratch::new();
    let mut running = Running::start(&scratch);
    seqpacket::send(&running.parent, &[9; 3], None).unwrap();
    assert_eq!(running.wait().0.code(), Some(74));
    let mut running = Running::start(&scratch);
    // A link for the dialer is not ours; it is told and left.
    let mut bytes = [0; 8];
    let used = encode(&ToChild::Link { peer: Role::Dialer }, &mut bytes).unwrap();
    seqpacket::send(&running.parent, &bytes[..used], None).unwrap();
    alive(&running);
    running.kill();
}
