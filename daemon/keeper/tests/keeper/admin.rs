//! The admin socket: names, roles, lists.

use merlon_wire::admin::{AdminRefusal, MAX_LABEL, Request, Response};

use crate::support::{Running, Scratch};

#[test]
fn roles_and_names_are_checked() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let answer = running.administer(&Request::CreateToken { role: "root", label: "x" });
    assert_eq!(answer.admin(), Response::Refused(AdminRefusal::NoSuchRole("root".into())));
    let long = "x".repeat(MAX_LABEL + 1);
    for name in ["", " x", "a:b", "a\nb", "a\0", &long] {
        let answer = running.administer(&Request::CreateProxyUser(name));
        assert_eq!(answer.admin(), Response::Refused(AdminRefusal::BadLabel), "{name:?}");
        let answer = running.administer(&Request::CreateToken { role: "viewer", label: name });
        assert_eq!(answer.admin(), Response::Refused(AdminRefusal::BadLabel), "{name:?}");
    }
}

#[test]
fn the_longest_lists_fit_a_frame() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let mut admin = running.admin();
    let label = "x".repeat(MAX_LABEL);
    let made = (0..1000)
        .take_while(|n| {
            let name = format!("{n:0width$}", width = MAX_LABEL);
            let token = admin.ask(&Request::CreateToken { role: "operator", label: &label }).unwrap();
            let user = admin.ask(&Request::CreateProxyUser(&name)).unwrap();
            let full = |response| matches!(response, Response::Refused(AdminRefusal::TooMany(_)));
            assert_eq!(full(token.admin()), full(user.admin()));
            !full(token.admin())
        })
        .count();
    assert_eq!(made, 256);
    let tokens = admin.ask(&Request::ListTokens).unwrap();
    assert!(matches!(tokens.admin(), Response::Tokens(list) if list.len() == 256));
    let users = admin.ask(&Request::ListProxyUsers).unwrap();
    assert!(matches!(users.admin(), Response::ProxyUsers(list) if list.len() == 256));
}

#[test]
fn keyslots_are_listed_with_what_people_need() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    crate::support::add_recovery(&running);
    let answer = running.administer(&Request::ListKeyslots);
    let Response::Keyslots(list) = answer.admin() else { panic!() };
    let facts: Vec<_> =
        list.iter().map(|s| (s.id, s.kind.as_str(), s.confirmed, s.in_use, s.detail.as_str())).collect();
    assert_eq!(facts, [(1, "file", false, true, "file.key"), (2, "recovery", false, false, "not typed back yet")]);
    assert!(list.iter().all(|slot| slot.created_us > 1_600_000_000_000_000));
}

#[test]
fn keyslots_are_bounded() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let mut admin = running.admin();
    let refused = (0..100).find(|_| {
        let answer = admin.ask(&Request::AddKeyslot(merlon_wire::admin::NewKeyslot::Recovery)).unwrap();
        matches!(answer.admin(), Response::Refused(AdminRefusal::TooMany(_)))
    });
    assert_eq!(refused, Some(31));
}
