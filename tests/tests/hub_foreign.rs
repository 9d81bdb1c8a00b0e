//! Other people's OAuth clients against the hub: each registers, gets tokens in its own right and for a person, refreshes
//! them, asks about them, revokes them, and judges every answer by its own understanding of the RFCs.

use merlon_tests::TempDir;
use merlon_tests::browser::{Browser, first_account};
use merlon_tests::foreign::{release, run};
use merlon_tests::hub::{Hub, Options};
use serde_json::json;

/// A hub with an account, and the file that tells a script of both.
fn hub() -> (Hub, TempDir, String) {
    let config = "[hub]\ndevice_interval = 1\nwrong_codes = 10000\n".to_owned();
    let hub = Hub::with(&Options { config, ..Options::default() });
    let mut browser = first_account(&hub, "ann");
    let dir = TempDir::new("foreign");
    let settings = dir.path().join("settings.json");
    let told = json!({ "issuer": hub.issuer, "personal_token": personal_token(&mut browser) });
    std::fs::write(&settings, told.to_string()).unwrap();
    let settings = settings.to_str().unwrap().to_owned();
    (hub, dir, settings)
}

/// A token by which a script decides in the account's name.
fn personal_token(browser: &mut Browser) -> String {
    let page = browser.get("/tokens");
    let scopes = ["flows:read", "replay", "offline_access"].map(|scope| ("scope", scope));
    let page = browser.submit(&page, "/tokens", &[&[("label", "script"), ("days", "7")], &scopes[..]].concat());
    let text = page.text();
    let token = text.split_whitespace().find(|word| word.starts_with("mhp_"));
    token.unwrap_or_else(|| panic!("no token: {text}")).to_owned()
}

/// The steps of one way to authenticate.
fn steps<'a>(way: &'a str, steps: &'a [&'a str]) -> impl Iterator<Item = String> + use<'a> {
    steps.iter().map(move |step| format!("{way}: {step}"))
}

#[test]
fn oauth4webapi_does_everything_in_each_way_to_authenticate() {
    let (_hub, _dir, settings) = hub();
    let done = run("node", "clients/oauth4webapi.mjs", &[&settings]);
    let mut expected = vec!["discovery".to_owned()];
    for (way, device) in [
        ("client_secret_basic", "device flow"),
        ("client_secret_post", "device flow"),
        ("private_key_jwt", "device flow with DPoP"),
    ] {
        expected.extend(steps(way, &["registered", "client credentials"]));
        expected.extend(steps(way, if way == "private_key_jwt" { &[] } else { &["wrong credentials"] }));
        expected.extend(steps(way, &[device, "token verified offline", "introspection", "refresh", "reuse"]));
        expected.extend(steps(way, &["revocation", "code used twice", "denial", "management"]));
    }
    assert_eq!(done, expected);
    println!("oauth4webapi {}", release("oauth4webapi"));
}

#[test]
fn openid_client_signs_in_refreshes_and_revokes_with_and_without_dpop() {
    let (_hub, _dir, settings) = hub();
    let done = run("node", "clients/openid-client.mjs", &[&settings]);
    let mut expected = vec!["registered".to_owned(), "discovery".to_owned(), "client credentials".to_owned()];
    for kind in ["Bearer", "DPoP"] {
        expected.extend(steps(kind, &["device flow", "refresh", "introspection", "revocation", "reuse"]));
    }
    expected.push("denial".to_owned());
    assert_eq!(done, expected);
    println!("openid-client {}", release("openid-client"));
}

#[test]
fn authlib_does_the_same_from_python() {
    let (_hub, _dir, settings) = hub();
    // Debian's own, for which `scripts/setup-test` installs the package.
    let done = run("/usr/bin/python3", "clients/authlib_client.py", &[&settings]);
    let mut expected = vec!["discovery".to_owned()];
    for way in ["client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let all =
            ["registered", "client credentials", "device flow", "refresh", "introspection", "revocation", "reuse"];
        expected.extend(steps(way, &all));
    }
    assert_eq!(done, expected);
}
