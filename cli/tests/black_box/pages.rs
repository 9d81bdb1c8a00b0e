//! The manual keeps up with the errors of signing in: each has a page with its cause and its remedy.

use std::path::{Path, PathBuf};

use merlon_api::{ENDPOINTS, Operation, ProblemCode};

/// What any request may meet, signing in or not; the manual's page of the API has them.
const GENERAL: &[ProblemCode] = &[
    ProblemCode::RateLimited,
    ProblemCode::Locked,
    ProblemCode::KeeperUnreachable,
    ProblemCode::KeeperFailed,
    ProblemCode::Busy,
    // Answered by a client by itself.
    ProblemCode::ProofNonce,
];
/// What a session meets at other endpoints.
const OF_SESSIONS: &[ProblemCode] = &[
    ProblemCode::TokenExpired,
    ProblemCode::TokenInvalid,
    ProblemCode::SessionRevoked,
    ProblemCode::ScopeMissing,
    ProblemCode::ProofInvalid,
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(docs().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn codes() -> Vec<ProblemCode> {
    let signing_in = [Operation::StartSignIn, Operation::PollSignIn, Operation::Refresh, Operation::SignOut];
    let told = ENDPOINTS.iter().filter(|endpoint| signing_in.contains(&endpoint.operation));
    let mut codes: Vec<_> = told.flat_map(|endpoint| endpoint.own_problems).chain(OF_SESSIONS).copied().collect();
    codes.retain(|code| !GENERAL.contains(code));
    codes.sort_by_key(|code| code.as_str());
    codes.dedup();
    codes
}

#[test]
fn every_error_of_signing_in_has_its_page() {
    let index = read("errors/README.md");
    for code in codes() {
        let page = read(&format!("errors/{code}.md"));
        let title = page.lines().next().unwrap();
        assert!(title.starts_with(&format!("# `{code}`")), "{title}");
        assert!(title.to_lowercase().ends_with(&code.title().to_lowercase()), "{title}");
        assert!(page.contains(&format!("HTTP status {}", code.status())), "{code}");
        for part in ["\n## Cause\n", "\n## Remedy\n- "] {
            let text = page.split_once(part).unwrap_or_else(|| panic!("{code} has no `{}`", part.trim())).1;
            assert!(text.lines().next().is_some_and(|line| line.len() > 12), "{code}: {part}");
        }
        assert!(index.contains(&format!("]({code}.md)")), "{code} is not in the index");
    }
}

#[test]
fn every_page_is_of_a_code_and_the_manual_leads_to_them() {
    for entry in std::fs::read_dir(docs().join("errors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = ProblemCode::ALL.iter().any(|code| name == format!("{code}.md"));
        assert!(known || name == "README.md", "{name}");
    }
    for page in ["README.md", "troubleshooting.md", "cli-sign-in.md"] {
        assert!(read(page).contains("(errors/README.md)"), "{page}");
    }
}
