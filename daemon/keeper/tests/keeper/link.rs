//! What a well-behaved engine gets: projects, tokens, proxy users.

use merlon_wire::admin;
use merlon_wire::keeper::{MAX_PROJECTS, Refusal, Request, Response, TokenIdentity};

use crate::support::{Link, Running, Scratch};

fn create(link: &mut Link, name: &str) -> u64 {
    let answer = link.ask(&Request::CreateProject { name }).unwrap();
    match answer.link() {
        Response::Project(project) => project.id,
        other => panic!("{other:?}"),
    }
}

fn key(link: &mut Link, id: u64) -> Option<Vec<u8>> {
    let answer = link.ask(&Request::ProjectKey { id }).unwrap();
    match answer.link() {
        Response::ProjectKey(key) => Some(key.to_vec()),
        Response::Refused(Refusal::NoSuchProject) => None,
        other => panic!("{other:?}"),
    }
}

fn last_project(link: &mut Link) -> Option<u64> {
    let answer = link.ask(&Request::Status).unwrap();
    let Response::Status(status) = answer.link() else { panic!() };
    status.last_project
}

#[test]
fn every_project_has_a_key_of_its_own_until_it_is_deleted() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, hello) = running.link();
    assert!(hello.sandbox.seccomp && hello.sandbox.no_new_privs && hello.sandbox.core_dumps_off, "{:?}", hello.sandbox);
    assert_eq!(last_project(&mut link), None);
    let (a, b) = (create(&mut link, "a"), create(&mut link, "b"));
    let (key_a, key_b) = (key(&mut link, a).unwrap(), key(&mut link, b).unwrap());
    assert_eq!((key_a.len(), key_b.len()), (32, 32));
    assert_ne!(key_a, key_b);
    assert_eq!(last_project(&mut link), Some(b));
    let taken = link.ask(&Request::CreateProject { name: "a" }).unwrap();
    assert!(matches!(taken.link(), Response::Refused(Refusal::BadProjectName(_))));
    running.stop();

    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(last_project(&mut link), Some(b));
    assert_eq!(key(&mut link, a).unwrap(), key_a);
    assert_eq!(link.ask(&Request::DeleteProject { id: b }).unwrap().link(), Response::Done);
    assert_eq!(key(&mut link, b), None);
    assert_eq!(last_project(&mut link), Some(a));
    // A deleted project's id and key never come back.
    let again = create(&mut link, "b");
    assert!(again > b);
    assert_ne!(key(&mut link, again).unwrap(), key_b);
    let answer = link.ask(&Request::ListProjects).unwrap();
    let Response::Projects(projects) = answer.link() else { panic!() };
    assert_eq!(projects.iter().map(|p| (p.id, p.name.as_str())).collect::<Vec<_>>(), [(a, "a"), (again, "b")]);
}

#[test]
fn the_longest_list_of_projects_fits_a_frame() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    for n in 0..MAX_PROJECTS {
        create(&mut link, &format!("{n:0100}"));
    }
    let refused = link.ask(&Request::CreateProject { name: "one more" }).unwrap();
    assert_eq!(refused.link(), Response::Refused(Refusal::TooManyProjects));
    let answer = link.ask(&Request::ListProjects).unwrap();
    assert!(matches!(answer.link(), Response::Projects(list) if list.len() == MAX_PROJECTS));
}

#[test]
fn a_token_is_known_until_it_is_revoked() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let answer = running.administer(&admin::Request::CreateToken { role: "operator", label: "ci" });
    let admin::Response::Token { id, token } = answer.admin() else { panic!() };
    assert!(token.starts_with("merlon_") && token.len() == 47 && !token.contains(id), "{token}");
    let (mut link, _) = running.link();
    let verify = |link: &mut Link, token: &str| {
        let answer = link.ask(&Request::VerifyToken { token: token.as_bytes() }).unwrap();
        match answer.link() {
            Response::Token(identity) => identity,
            other => panic!("{other:?}"),
        }
    };
    let identity = TokenIdentity { id: id.to_owned(), role: "operator".into(), label: "ci".into() };
    assert_eq!(verify(&mut link, token), Some(identity.clone()));
    for wrong in ["", "merlon_", &token[..46], &token.to_uppercase(), &format!("{token}a"), id] {
        assert_eq!(verify(&mut link, wrong), None, "{wrong}");
    }
    assert_eq!(verify(&mut link, token), Some(identity));
    assert_eq!(running.administer(&admin::Request::RevokeToken(id)).admin(), admin::Response::Done);
    assert_eq!(verify(&mut link, token), None);
    let refused = running.administer(&admin::Request::RevokeToken(id));
    assert_eq!(refused.admin(), admin::Response::Refused(admin::AdminRefusal::NotFound(id.to_owned())));
}

#[test]
fn failed_tokens_are_limited_and_a_right_one_passes_all_the_same() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let answer = running.administer(&admin::Request::CreateToken { role: "viewer", label: "x" });
    let admin::Response::Token { token, .. } = answer.admin() else { panic!() };
    let (mut link, _) = running.link();
    let limited = (0..10_000).any(|_| {
        let answer = link.ask(&Request::VerifyToken { token: b"merlon_wrong" }).unwrap();
        answer.link() == Response::Refused(Refusal::RateLimited)
    });
    assert!(limited);
    let answer = link.ask(&Request::VerifyToken { token: token.as_bytes() }).unwrap();
    assert!(matches!(answer.link(), Response::Token(Some(_))));
}

#[test]
fn a_proxy_user_is_verified_and_guessing_is_limited() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let answer = running.administer(&admin::Request::CreateProxyUser("alice"));
    let admin::Response::ProxyPassword(password) = answer.admin() else { panic!() };
    assert_eq!(password.len(), 26);
    let (mut link, _) = running.link();
    let mut verify = |user: &str, password: &str| {
        let answer = link.ask(&Request::VerifyProxyUser { user, password: password.as_bytes() }).unwrap();
        match answer.link() {
            Response::Verified(verified) => Some(verified),
            Response::Refused(Refusal::RateLimited) => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(verify("alice", password), Some(true));
    assert_eq!(verify("alice", &password[1..]), Some(false));
    assert_eq!(verify("bob", password), Some(false));
    assert_eq!(verify(&"a".repeat(65), password), Some(false));
    // Once guessed at too fast, the right password is refused too (the bucket may fill a little in between).
    let refused = (0..100).any(|_| {
        assert!((0..10_000).any(|_| verify("alice", "wrong").is_none()));
        verify("alice", password).is_none()
    });
    assert!(refused);
    assert_eq!(verify("carol", password), Some(false), "others are not touched");

    let taken = running.administer(&admin::Request::CreateProxyUser("alice"));
    assert_eq!(taken.admin(), admin::Response::Refused(admin::AdminRefusal::Taken("alice".into())));
    assert_eq!(running.administer(&admin::Request::RemoveProxyUser("alice")).admin(), admin::Response::Done);
    let listed = running.administer(&admin::Request::ListProxyUsers);
    assert_eq!(listed.admin(), admin::Response::ProxyUsers(vec![]));
}
