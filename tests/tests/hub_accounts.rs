//! Accounts of a hub: how they come to be, how a browser becomes theirs, and what keeps strangers out of it.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use merlon_tests::browser::{Browser, PASSWORD, first_account, form, invited_account, setup_code, sign_in, signed_in};
use merlon_tests::hub::{Hub, Options};

/// What a wrong name, a wrong password and a locked account are answered.
const WRONG: &str = "The name or the password is wrong, or the account is locked.";

#[test]
fn the_first_account_takes_the_setup_code_and_nobody_else_can_sign_up() {
    let mut hub = Hub::new();
    let file = hub.dir().join("store/setup-code");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let code = setup_code(&hub);
    hub.kill();
    hub.restart(&Options::default());
    assert_eq!(setup_code(&hub), code, "a code that somebody wrote down stays good");

    let mut stranger = Browser::new(&hub.issuer);
    let page = stranger.get("/setup");
    let fields = [("name", "mallory"), ("password", PASSWORD), ("again", PASSWORD)];
    for wrong in ["", "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", &code[..33]] {
        let refused = stranger.submit(&page, "/setup", &[&[("code", wrong)], &fields[..]].concat());
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains("The code is wrong, used or expired."), "{}", refused.text());
    }
    let mut alice = first_account(&hub, "alice");
    assert!(!file.exists(), "the code goes with the first account");
    assert!(alice.get("/accounts").text().contains("alice administrator"));

    let again = stranger.submit(&page, "/setup", &[&[("code", code.as_str())], &fields[..]].concat());
    assert_eq!(again.status, 403, "the setup code makes one account");
    assert_eq!(stranger.get("/setup").path, "/sign-in");
    let page = stranger.get("/join");
    let refused = stranger.submit(&page, "/join", &[&[("code", "")], &fields[..]].concat());
    assert_eq!(refused.status, 403, "nobody signs up without an invitation");
    hub.kill();
    hub.restart(&Options::default());
    assert!(!file.exists());
    let _ = signed_in(&hub.issuer, "ALICE", PASSWORD);
}

#[test]
fn an_invitation_makes_one_account_and_may_be_withdrawn() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    for page in ["/accounts", "/audit?all=yes"] {
        let seen = bob.get(page);
        assert!(seen.status == 404 || !seen.text().contains("alice"), "{page} is an administrator's: {}", seen.text());
    }
    let form = bob.get("/account").form("/sign-out");
    let token = form.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    assert_eq!(bob.post("/invitations", &[("csrf", &token), ("admin", "yes")]).status, 404);
    assert_eq!(bob.post("/accounts/change", &[("csrf", &token), ("act", "promote"), ("id", "x")]).status, 404);

    let page = alice.get("/accounts");
    let text = alice.submit(&page, "/invitations", &[]).text();
    let code = text.split("/join?code=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let page = alice.get("/accounts");
    let page = alice.submit(&page, "/invitations/withdraw", &[]);
    assert!(page.text().contains("The invitation is withdrawn."));
    let mut carol = Browser::new(&hub.issuer);
    let page = carol.get(&format!("/join?code={code}"));
    let fields = [("name", "carol"), ("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(carol.submit(&page, "/join", &fields).status, 403, "it was withdrawn");

    let page = alice.get("/accounts");
    let text = alice.submit(&page, "/invitations", &[]).text();
    let code = text.split("/join?code=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let page = carol.get(&format!("/join?code={code}"));
    for (name, password, again, why) in [
        ("bob", PASSWORD, PASSWORD, "Another account has this name."),
        ("c", PASSWORD, PASSWORD, "An account name has 2 to 32"),
        ("carol", "short", "short", "at least 12 characters"),
        ("carol", PASSWORD, "another password", "The two passwords differ."),
    ] {
        let refused = carol.submit(&page, "/join", &[("name", name), ("password", password), ("again", again)]);
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains(why), "{}", refused.text());
    }
    assert!(carol.submit(&page, "/join", &fields).text().contains("Instances"));
    let mut again = Browser::new(&hub.issuer);
    let page = again.get(&format!("/join?code={code}"));
    let refused = again.submit(&page, "/join", &[("name", "dave"), ("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!(refused.status, 403, "it was used");
}

#[test]
fn a_wrong_name_a_wrong_password_and_a_locked_account_look_alike() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let page = alice.get("/accounts");
    let id = page.body.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(alice.submit(&page, "/accounts/change", &[("act", "lock"), ("id", &id)]).text().contains("locked"));
    assert!(bob.get("/").path.starts_with("/sign-in"), "a locked account's browsers are out at once");

    let mut answers = Vec::new();
    for (name, password) in [("nobody", PASSWORD), ("alice", "a wrong password"), ("bob", PASSWORD), ("-", "")] {
        let mut browser = Browser::new(&hub.issuer);
        let page = sign_in(&mut browser, name, password);
        assert_eq!(page.status, 403);
        let text = page.text();
        assert!(text.contains(WRONG), "{text}");
        answers.push(text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);

    let page = alice.get("/accounts");
    let _ = alice.submit(&page, "/accounts/change", &[("act", "unlock"), ("id", &id)]);
    let _ = signed_in(&hub.issuer, "bob", PASSWORD);
    let trail = alice.get("/audit?all=yes").text();
    for event in
        ["account-made", "invitation-made", "account-locked", "account-unlocked", "sign-in-failed", "signed-in"]
    {
        assert!(trail.contains(event), "{event}: {trail}");
    }
    let page = alice.get("/accounts");
    let _ = alice.submit(&page, "/accounts/change", &[("act", "delete"), ("id", &id)]);
    let mut gone = Browser::new(&hub.issuer);
    assert!(sign_in(&mut gone, "bob", PASSWORD).text().contains(WRONG));
}

#[test]
fn guessing_is_throttled_and_never_keeps_the_true_owner_out() {
    let hub = Hub::new();
    let alice = first_account(&hub, "alice");
    let mut stranger = Browser::new(&hub.issuer).from(Ipv4Addr::new(127, 0, 0, 2));
    let statuses: Vec<u16> = (0..11).map(|_| sign_in(&mut stranger, "alice", "a wrong password").status).collect();
    assert_eq!(statuses[..10], [403; 10]);
    assert_eq!(statuses[10], 429);
    let refused = sign_in(&mut stranger.clone().from(Ipv4Addr::new(127, 0, 0, 3)), "alice", PASSWORD);
    assert_eq!(refused.status, 429, "by account, from any place, with the right password, too");
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds));

    // The browser in which she was signed in before is not kept out.
    let mut known = alice;
    let page = known.get("/");
    let _ = known.submit(&page, "/sign-out", &[]);
    let page = sign_in(&mut known, "alice", PASSWORD);
    assert!(page.text().contains("Instances"), "{}", page.text());

    // By place, whatever the name.
    let mut other = Browser::new(&hub.issuer).from(Ipv4Addr::new(127, 0, 0, 4));
    let statuses: Vec<u16> = (0..21).map(|n| sign_in(&mut other, &format!("nobody{n}"), "x").status).collect();
    assert_eq!(statuses[..20], [403; 20]);
    assert_eq!(statuses[20], 429);
}

#[test]
fn a8_what_follows_a_form_with_credentials_is_a_303() {
    let hub = Hub::new();
    let _ = first_account(&hub, "alice");
    let mut browser = Browser::new(&hub.issuer);
    let page = browser.get("/sign-in?next=/sessions");
    let mut fields = page.form("/sign-in");
    fields.retain(|(name, _)| !matches!(name.as_str(), "name" | "password"));
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend([("name", "alice"), ("password", PASSWORD)]);
    let answer = browser.post_only("/sign-in", &fields);
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/sessions"));
    assert!(answer.body.is_empty());
}

#[test]
fn a9_every_page_forbids_framing_and_everything_it_does_not_need() {
    let hub = Hub::new();
    let mut nobody = Browser::new(&hub.issuer);
    let mut seen = vec![nobody.get("/setup"), nobody.get("/sign-in"), nobody.get("/join"), nobody.get_only("/")];
    let mut alice = first_account(&hub, "alice");
    for path in [
        "/",
        "/device",
        "/device?user_code=BCDF-GHJK",
        "/sessions",
        "/keys",
        "/tokens",
        "/accounts",
        "/audit",
        "/account",
    ] {
        seen.push(alice.get_only(path));
    }
    seen.push(alice.get_only("/instances/none"));
    seen.push(alice.post_only("/keys", &[]));
    for page in seen {
        let csp = page.header("content-security-policy").unwrap_or_else(|| panic!("{page:?}"));
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(csp.contains(part), "{}: {csp}", page.path);
        }
        assert!(!csp.contains("unsafe") && !csp.contains("script"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        for inline in ["<script", " style=\"", "<style", " onclick", "javascript:"] {
            assert!(!page.body.contains(inline), "{}: {inline}", page.path);
        }
    }
}

#[test]
fn a10_a_form_without_its_token_or_from_another_site_changes_nothing() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let foreign = bob.get("/keys").form("/keys");
    let foreign = foreign.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let own = alice.get("/keys").form("/keys").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields = |token: &str| form(&[("csrf", token), ("label", "x"), ("days", "7")]);
    for token in ["", "x", &foreign, &own[1..]] {
        assert_eq!(alice.send("POST", "/keys", &[], Some(&fields(token))).status, 403, "{token}");
    }
    for headers in [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Origin", "http://localhost:1")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/json")],
    ] {
        let status = alice.send("POST", "/keys", &headers, Some(&fields(&own))).status;
        assert!(matches!(status, 403 | 415), "{headers:?}: {status}");
    }
    assert!(alice.get("/keys").text().contains("None."), "nothing was made");
    // Each form, signed in or not, wants its token.
    for path in [
        "/sign-in",
        "/sign-out",
        "/setup",
        "/join",
        "/device",
        "/keys",
        "/keys/revoke",
        "/tokens",
        "/tokens/revoke",
        "/sessions/end",
        "/sessions/end-all",
        "/browsers/end",
        "/accounts/change",
        "/invitations",
        "/invitations/withdraw",
        "/account/password",
        "/instances/cli_x/delete",
    ] {
        assert_eq!(alice.post_only(path, &[]).status, 403, "{path}");
        assert_eq!(Browser::new(&hub.issuer).post_only(path, &[("csrf", &own)]).status, 403, "{path}");
    }
    let page = alice.send("POST", "/keys", &[], Some(&fields(&own)));
    assert!(page.status == 200 && page.text().contains("mhk_"), "the right one works: {}", page.text());
}

#[test]
fn a_session_begins_with_a_new_cookie_that_scripts_and_other_sites_do_not_get() {
    let hub = Hub::new();
    let _ = first_account(&hub, "alice");
    let mut browser = Browser::new(&hub.issuer);
    browser.cookies.insert("merlon-hub".into(), "fixed-beforehand".into());
    let page = browser.get("/sign-in");
    let fields = page.form("/sign-in");
    let csrf = fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let answer = browser.post_only("/sign-in", &[("csrf", &csrf), ("name", "alice"), ("password", PASSWORD)]);
    let cookie = |name: &str| {
        answer.headers.iter().find(|(n, v)| n == "set-cookie" && v.starts_with(name)).map(|(_, v)| v.clone())
    };
    let session = cookie("merlon-hub=").unwrap();
    assert!(session.contains("; HttpOnly") && session.contains("; SameSite=Lax") && !session.contains("fixed"));
    assert_eq!(browser.cookies["merlon-hub"].len(), 43, "256 random bits");

    // Signing out ends it at the hub, not only in the browser.
    let kept = browser.clone();
    let page = browser.get("/");
    let _ = browser.submit(&page, "/sign-out", &[]);
    assert!(!browser.cookies.contains_key("merlon-hub"));
    assert!(kept.clone().get("/").path.starts_with("/sign-in"));
}

#[test]
fn with_https_cookies_are_of_this_host_alone() {
    let config = "[hub]\nissuer = \"https://hub.example\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
    let hub = Hub::with(&Options { config: config.to_owned(), ..Options::default() });
    let answer = hub.request("GET", "/sign-in", &[("X-Forwarded-Proto", "https")], b"");
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cookie = answer.field("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-merlon-hub-form="), "{cookie}");
    assert!(cookie.contains("; Path=/") && cookie.contains("; Secure") && !cookie.contains("Domain"), "{cookie}");
}

#[test]
fn another_password_ends_every_other_browser() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut other = signed_in(&hub.issuer, "alice", PASSWORD);
    assert_eq!(other.get("/").status, 200);
    let page = alice.get("/account");
    let new = "another horse, another battery";
    let fields = |current: &'static str| [("current", current), ("password", new), ("again", new)];
    let refused = alice.submit(&page, "/account/password", &fields("not the present one"));
    assert_eq!(refused.status, 403);
    let done = alice.submit(&page, "/account/password", &fields(PASSWORD));
    assert!(done.text().contains("The password is changed."), "{}", done.text());
    assert_eq!(alice.get("/").path, "/", "this browser stays");
    assert!(other.get("/").path.starts_with("/sign-in"), "the other one does not");
    assert_eq!(sign_in(&mut Browser::new(&hub.issuer), "alice", PASSWORD).status, 403);
    let _ = signed_in(&hub.issuer, "alice", new);
}

#[test]
fn browsers_are_listed_and_signed_out_one_by_one() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut other = signed_in(&hub.issuer, "alice", PASSWORD);
    let page = alice.get("/sessions");
    assert!(page.text().contains("this one") && page.text().contains("127.0.0.1"));
    let page = alice.submit(&page, "/browsers/end", &[]);
    assert!(page.text().contains("That browser is signed out."));
    assert!(other.get("/").path.starts_with("/sign-in"));
    assert_eq!(alice.get("/sessions").path, "/sessions");
}

#[test]
fn z7_after_signing_in_a_browser_goes_to_own_pages_only() {
    let hub = Hub::new();
    let _ = first_account(&hub, "alice");
    for next in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
    ] {
        let mut browser = Browser::new(&hub.issuer);
        let page = browser.get("/sign-in");
        let csrf = page.form("/sign-in").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
        let fields = [("csrf", csrf.as_str()), ("name", "alice"), ("password", PASSWORD), ("next", next)];
        let answer = browser.post_only("/sign-in", &fields);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{next}");
        let answer = browser.get_only(&format!("/sign-in?next={}", merlon_tests::hub::encode(next)));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{next}");
    }
}

/// The dashboard's sign-in, as far as it goes by itself: where `/authorize` sends a signed-in browser.
fn answer_of_authorize(browser: &mut Browser) -> String {
    let begun = browser.get_only("/");
    assert_eq!(begun.status, 303);
    let authorize = begun.header("location").unwrap().to_owned();
    assert!(authorize.starts_with("/authorize?"), "{authorize}");
    let answer = browser.get_only(&authorize);
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// A browser that is signed in at the hub, and not yet at the dashboard.
fn before_the_dashboard(hub: &Hub) -> Browser {
    let mut browser = Browser::new(&hub.issuer);
    let page = browser.get_only("/sign-in");
    let csrf = page.form("/sign-in").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields = [("csrf", csrf.as_str()), ("name", "alice"), ("password", PASSWORD)];
    assert_eq!(browser.post_only("/sign-in", &fields).status, 303);
    browser
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    Some(pair.replace("%3A", ":").replace("%2F", "/"))
}

#[test]
fn z4_the_dashboard_is_a_public_client_with_a_fresh_verifier_each_time() {
    let hub = Hub::new();
    let _ = first_account(&hub, "alice");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut browser = Browser::new(&hub.issuer);
        let begun = browser.get_only("/");
        let location = begun.header("location").unwrap();
        assert_eq!(parameter(location, "code_challenge_method").unwrap(), "S256");
        let kept = &browser.cookies["merlon-hub-flow"];
        let verifier = kept.split('.').next().unwrap().to_owned();
        assert!((43..=128).contains(&verifier.len()));
        assert!(verifier.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c)));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let challenge = data_encoding::BASE64URL_NOPAD.encode(digest.as_ref());
        assert_eq!(parameter(location, "code_challenge"), Some(challenge));
        assert!(!location.contains(&verifier));
        seen.push((verifier, parameter(location, "state").unwrap()));
    }
    assert!(seen[0].0 != seen[1].0 && seen[1].0 != seen[2].0 && seen[0].1 != seen[1].1 && seen[1].1 != seen[2].1);
}

#[test]
fn z8_an_answer_is_taken_only_in_the_browser_that_asked_and_only_from_this_hub() {
    let hub = Hub::new();
    let _ = first_account(&hub, "alice");
    let mut browser = before_the_dashboard(&hub);
    let answer = answer_of_authorize(&mut browser);
    assert!(answer.starts_with(&format!("{}/callback?", hub.issuer)), "{answer}");
    assert_eq!(parameter(&answer, "iss"), Some(hub.issuer.clone()));
    let state = parameter(&answer, "state").unwrap();

    let mut other = before_the_dashboard(&hub);
    let _ = answer_of_authorize(&mut other);
    assert_eq!(other.get_only(&answer).status, 400, "another browser, which asked for something else");
    assert_eq!(before_the_dashboard(&hub).get_only(&answer).status, 400, "a browser that asked for nothing");
    for wrong in [
        answer.replace(&state, "x"),
        answer.replace(&format!("&state={state}"), ""),
        answer.replace("iss=http%3A%2F%2F127.0.0.1", "iss=http%3A%2F%2Fevil.example"),
        answer.split("&iss=").next().unwrap().to_owned(),
        answer.replace("code=", "code=x"),
    ] {
        assert_ne!(wrong, answer);
        let mut copy = browser.clone();
        assert_eq!(copy.get_only(&wrong).status, 400, "{wrong}");
    }
    let mut copy = browser.clone();
    let done = browser.get_only(&answer);
    assert_eq!((done.status, done.header("location")), (303, Some("/")), "{}", done.text());
    assert!(!browser.cookies.contains_key("merlon-hub-flow"));
    assert_eq!(browser.get_only("/").status, 200);
    assert_eq!(copy.get_only(&answer).status, 400, "a code is taken once");
    assert_eq!(browser.get_only("/").status, 303, "and what it gave ends with the second use");
}

#[test]
fn the_dashboard_comes_back_to_the_page_that_was_asked_for() {
    let hub = Hub::new();
    let _ = first_account(&hub, "alice");
    let mut browser = Browser::new(&hub.issuer);
    let page = browser.get("/keys");
    assert!(page.path.starts_with("/sign-in?"), "{}", page.path);
    let page = browser.submit(&page, "/sign-in", &[("name", "alice"), ("password", PASSWORD)]);
    assert_eq!((page.status, page.path.as_str()), (200, "/keys"));
    // With an issuer that has a path, everything is below it.
    let config = "[hub]\nissuer = \"https://hub.example/a/b\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
    let hub = Hub::with(&Options { config: config.to_owned(), ..Options::default() });
    let answer = hub.request("GET", "/a/b/?x", &[("X-Forwarded-Proto", "https")], b"");
    assert_eq!((answer.status, answer.field("location")), (303, Some("/a/b?x")));
    let answer = hub.request("GET", "/a/b", &[("X-Forwarded-Proto", "https")], b"");
    assert!(answer.field("location").unwrap().starts_with("/a/b/authorize?"), "{answer:?}");
    let answer = hub.request("GET", "/a/b/sign-in", &[("X-Forwarded-Proto", "https")], b"");
    assert!(answer.text.contains("href=\"/a/b/style.css\"") && answer.text.contains("action=\"/a/b/sign-in\""));
    assert_eq!(hub.request("GET", "/a/b/style.css", &[("X-Forwarded-Proto", "https")], b"").status, 200);
}
