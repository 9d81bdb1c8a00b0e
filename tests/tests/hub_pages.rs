//! The verification page of device authorizations (RFC 8628, 3.3 and 5), row by row.

use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::thread;

use merlon_tests::browser::{Browser, Page, approve_device, deny_device, first_account, invited_account};
use merlon_tests::hub::{Hub, Options};
use merlon_tests::hub_instance::Instance;

const GONE: &str = "This code is not valid. It may be mistyped, expired, or used already. Begin again in your client.";

#[test]
fn v1_whoever_approves_has_signed_in_first() {
    let hub = Hub::new();
    let instance = Instance::new(&hub, "lab");
    let (device, user) = instance.begin(&[("merlon_claim", "1")]);
    let mut nobody = Browser::new(&hub.issuer);
    let page = nobody.get(&format!("/device?user_code={user}"));
    assert!(page.path.starts_with("/sign-in?next=%2Fdevice%3Fuser_code%3D"), "{}", page.path);
    assert!(!page.text().contains("lab"), "before signing in nothing is told");
    let csrf = page.form("/sign-in").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields =
        [("csrf", csrf.as_str()), ("user_code", user.as_str()), ("decision", "approve"), ("scope", "flows:read")];
    let page = nobody.post("/device", &fields);
    assert!(page.path.starts_with("/sign-in"), "{}", page.path);
    assert_eq!(instance.poll(&device).error(), "authorization_pending");
    let mut alice = first_account(&hub, "alice");
    approve_device(&mut alice, &user);
    // One poll came before: the next one is due.
    let tokens = instance.poll(&device);
    assert!(tokens.status == 200 || tokens.error() == "slow_down", "{}", tokens.text);
}

#[test]
fn v2_wrong_codes_are_bounded_by_account_by_place_and_by_the_whole_hub() {
    let hub = Hub::with(&Options { config: "[hub]\nwrong_codes = 28\n".to_owned(), ..Options::default() });
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let mut carol = invited_account(&mut alice, "carol");
    let wrong = |browser: &mut Browser| browser.get("/device?user_code=BCDF-GHJK").status;
    let at = |last: u8| Ipv4Addr::new(127, 0, 1, last);

    let mut browser = alice.clone().from(at(1));
    assert!((0..10).all(|_| wrong(&mut browser) == 400));
    let page = browser.get("/device?user_code=BCDF-GHJK");
    assert_eq!(page.status, 429, "by place and account");
    assert!((1..=20).contains(&page.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!(wrong(&mut alice.clone().from(at(2))), 429, "the account, at another place");
    assert_eq!(wrong(&mut bob.clone().from(at(1))), 429, "the place, with another account");

    // A right code is not tried either, also by the form; no guess is answered.
    let instance = Instance::new(&hub, "lab");
    let (_, user) = instance.begin(&[("merlon_claim", "1")]);
    assert_eq!(browser.get(&format!("/device?user_code={user}")).status, 429);
    let csrf = browser.get("/device").form("/device").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields = [("csrf", csrf.as_str()), ("user_code", user.as_str()), ("decision", "approve")];
    assert_eq!(browser.post("/device", &fields).status, 429);

    // 18 are left for the hub. Those who guess from many places with many accounts empty that, too.
    let mut tried = (0..9).map(|n| wrong(&mut bob.clone().from(at(10 + n)))).collect::<Vec<_>>();
    tried.extend((0..9).map(|n| wrong(&mut carol.clone().from(at(30 + n)))));
    assert!(tried.iter().filter(|status| **status == 400).count() >= 17, "{tried:?}");
    let mut dave = invited_account(&mut alice, "dave").from(at(99));
    let statuses: Vec<u16> = (0..4).map(|_| wrong(&mut dave)).collect();
    assert!(statuses.contains(&429), "the whole hub: {statuses:?}");
    assert_eq!(bob.get("/").status, 200, "the rest of the hub goes on");
    assert_eq!(carol.get("/sessions").status, 200);
}

#[test]
fn v3_a_link_with_the_code_shows_it_and_looking_approves_nothing() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let answer = instance.form("/device_authorization", &[("merlon_claim", "1")]);
    let link = answer.json["verification_uri_complete"].as_str().unwrap().to_owned();
    let (device, user) = (answer.json["device_code"].as_str().unwrap(), answer.json["user_code"].as_str().unwrap());
    for _ in 0..3 {
        let page = alice.get(&link);
        assert_eq!(page.status, 200);
        assert!(page.text().contains(user), "{}", page.text());
        let _ = alice.get(&format!("{link}&decision=approve&scope=flows:read"));
    }
    assert_eq!(instance.poll(device).error(), "authorization_pending");
    // Typed by hand, in another manner: the same page.
    let page = alice.get("/device");
    let page = alice.submit(&page, "/device", &[("user_code", &user.to_lowercase().replace('-', " "))]);
    assert!(page.text().contains("Claim this instance?"), "{}", page.text());
}

#[test]
fn v4_the_page_names_who_asks_for_what_from_where_and_warns() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let name = "lab <b>\u{202e}evil";
    let instance = Instance::new(&hub, name);
    let (_, user) = instance.begin(&[
        ("merlon_claim", "1"),
        ("merlon_label", "merlon on <i>laptop\u{200b}"),
        ("scope", "flows:read replay"),
    ]);
    let page = alice.get(&format!("/device?user_code={user}"));
    let text = page.text();
    for part in [
        "lab <b>⟨U+202E⟩evil",
        "It calls itself so.",
        &instance.id,
        "You will become its owner.",
        "merlon on <i>laptop⟨U+200B⟩",
        "as it says itself",
        "just now",
        "from 127.0.0.1",
        "flows:read",
        "replay",
        "read the recorded traffic",
        "If somebody sent you the code or the link, refuse",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(!page.body.contains("<b>") && !page.body.contains("<i>"), "names are text");
    assert!(!text.contains("flows:write"), "only what was asked for");

    instance.claim(&mut alice);
    let (_, user) = instance.begin(&[]);
    let text = alice.get(&format!("/device?user_code={user}")).text();
    assert!(text.contains("Sign in a client?") && text.contains("Owner you"), "{text}");
}

#[test]
fn v5_wrong_expired_and_used_codes_look_alike_and_cannot_be_approved() {
    let config = "[hub]\ndevice_seconds = 30\ndevice_interval = 1\n";
    let hub = Hub::with(&Options { config: config.to_owned(), ..Options::default() });
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let (_, user) = instance.begin(&[("merlon_claim", "1")]);
    let form = alice.get(&format!("/device?user_code={user}"));
    assert!(approve_device(&mut alice, &user).text().contains("Approved"));
    let used = alice.get(&format!("/device?user_code={user}"));
    let wrong = alice.get("/device?user_code=BCDF-GHJK");
    let nonsense = alice.get("/device?user_code=hello");
    let late = alice.submit(&form, "/device", &[("decision", "approve")]);
    for page in [&used, &wrong, &nonsense, &late] {
        assert_eq!(page.status, 400);
        assert!(page.text().contains(GONE), "{}", page.text());
        assert_eq!(page.text(), wrong.text());
    }
    let deny = alice.submit(&form, "/device", &[("decision", "deny")]);
    assert_eq!(deny.text(), wrong.text(), "nor can it be denied any more");
}

#[test]
fn v6_a_denial_makes_the_next_poll_access_denied() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let (device, user) = instance.begin(&[("merlon_claim", "1")]);
    assert!(deny_device(&mut alice, &user).text().contains("Refused"));
    let answer = instance.poll(&device);
    assert_eq!((answer.status, answer.error()), (400, "access_denied"));
    assert!(alice.get("/").text().contains("None yet"), "nothing was claimed");
    assert!(alice.get("/audit").text().contains("device-denied"));
}

#[test]
fn v7_of_many_decisions_at_once_one_holds() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let (device, user) = instance.begin(&[("merlon_claim", "1")]);
    let form = alice.get(&format!("/device?user_code={user}"));
    let barrier = Barrier::new(8);
    let pages: Vec<Page> = thread::scope(|scope| {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let (mut browser, form, barrier) =
                    (alice.clone().from(Ipv4Addr::new(127, 0, 2, n + 1)), &form, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    browser.submit(form, "/device", &[("decision", if n % 2 == 0 { "approve" } else { "deny" })])
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    let done: Vec<&Page> = pages.iter().filter(|page| page.status == 200).collect();
    assert_eq!(done.len(), 1, "{:?}", pages.iter().map(Page::text).collect::<Vec<_>>());
    assert!(pages.iter().filter(|page| page.status != 200).all(|page| page.text().contains(GONE)));
    let answer = instance.poll(&device);
    if done[0].text().contains("Approved") {
        assert_eq!(answer.status, 200, "{}", answer.text);
    } else {
        assert_eq!(answer.error(), "access_denied");
    }
}
