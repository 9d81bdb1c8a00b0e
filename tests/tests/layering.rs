//! Who may depend on whom: the table of ARCHITECTURE.md, held against what cargo says. A new edge is a reviewed line
//! there and here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// One row: crate, internal crates it may use, third-party crates that it must never link, however deep.
struct Row {
    name: &'static str,
    internal: &'static [&'static str],
    never: &'static [&'static str],
}

/// Libraries in C that one program is made for, and that no other links.
const OF_ONE: [(&str, &str); 4] = [
    ("tss-esapi", "merlon-seal"),
    ("cryptoki", "merlon-seal"),
    ("systemd", "merlon-cli"),
    ("libsystemd-sys", "merlon-cli"),
];

const TABLE: &[Row] = &[
    Row { name: "merlon-sandbox", internal: &[], never: &["serde", "tokio", "aws-lc-rs", "sha2", "rusqlite"] },
    Row { name: "merlon-config", internal: &[], never: &["tokio", "axum", "rusqlite", "aws-lc-rs", "sha2"] },
    Row { name: "merlon-api", internal: &[], never: &["tokio", "axum", "rusqlite", "aws-lc-rs", "sha2"] },
    Row {
        name: "merlon-jose",
        internal: &[],
        never: &["tokio", "hyper", "axum", "rusqlite", "rsa", "openssl", "ring"],
    },
    Row { name: "merlon-wire", internal: &["merlon-sandbox"], never: &["tokio", "rusqlite", "hyper", "httparse"] },
    Row { name: "merlon-cipherdb", internal: &["merlon-sandbox"], never: &["tokio", "hyper", "httparse"] },
    Row {
        name: "merlon-seal",
        internal: &["merlon-sandbox", "merlon-config", "merlon-wire"],
        never: &["tokio", "rusqlite", "hyper", "rustls", "httparse"],
    },
    Row {
        name: "merlon-keeper",
        internal: &["merlon-sandbox", "merlon-config", "merlon-wire", "merlon-cipherdb"],
        never: &["tokio", "hyper", "h2", "rustls", "httparse"],
    },
    Row {
        name: "merlon-dialer",
        internal: &["merlon-sandbox", "merlon-config", "merlon-wire"],
        never: &["rusqlite", "rustls", "hyper", "httparse"],
    },
    Row {
        name: "merlon-engine",
        internal: &[
            "merlon-sandbox",
            "merlon-config",
            "merlon-wire",
            "merlon-api",
            "merlon-cipherdb",
            "merlon-jose",
            "merlon-parent",
        ],
        never: &["merlon-keeper", "merlon-seal", "rcgen"],
    },
    Row {
        name: "merlon-parent",
        internal: &["merlon-sandbox", "merlon-config", "merlon-wire"],
        never: &["rusqlite", "hyper", "httparse", "rustls", "aws-lc-rs"],
    },
    Row {
        name: "merlon-hub",
        internal: &[
            "merlon-sandbox",
            "merlon-config",
            "merlon-wire",
            "merlon-api",
            "merlon-cipherdb",
            "merlon-jose",
            "merlon-parent",
        ],
        never: &["merlon-keeper", "merlon-engine", "merlon-seal", "rcgen"],
    },
    Row { name: "merlon-generator", internal: &["merlon-config"], never: &["tokio", "rusqlite", "hyper", "aws-lc-rs"] },
    Row {
        name: "merlon-cli",
        internal: &["merlon-api", "merlon-config", "merlon-wire", "merlon-sandbox", "merlon-jose"],
        never: &["merlon-engine", "merlon-keeper", "merlon-dialer", "merlon-seal", "rusqlite"],
    },
];

/// Crates that stand outside the product.
const OUTSIDE: &[&str] = &["merlon-tests", "merlon-inside", "merlon-bench", "merlon-manual"];

struct Graph {
    /// Normal dependencies that are declared, internal ones only.
    declared: BTreeMap<String, BTreeSet<String>>,
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn graph() -> Graph {
    let metadata: Value =
        serde_json::from_slice(&cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"])).unwrap();
    let mut declared = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let internal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        let internal = internal.filter_map(|d| d["name"].as_str()).filter(|n| n.starts_with("merlon-"));
        declared.insert(package["name"].as_str().unwrap().to_owned(), internal.map(str::to_owned).collect());
    }
    Graph { declared }
}

/// Everything that a crate links when it is built alone, so that no other crate's features hide an edge.
fn links(name: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--locked", "-p", name, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    String::from_utf8(tree).unwrap().lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_crate_of_the_product_has_a_row() {
    let known: BTreeSet<&str> = TABLE.iter().map(|row| row.name).chain(OUTSIDE.iter().copied()).collect();
    let found: BTreeSet<String> = graph().declared.into_keys().collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn internal_edges_are_those_of_the_table() {
    let graph = graph();
    for row in TABLE {
        let allowed: BTreeSet<String> = row.internal.iter().map(|n| (*n).to_owned()).collect();
        let extra: Vec<_> = graph.declared[row.name].difference(&allowed).collect();
        assert!(extra.is_empty(), "{} depends on {extra:?}, which the table does not allow", row.name);
    }
}

#[test]
fn nothing_links_what_it_must_never_link() {
    for row in TABLE {
        let links = links(row.name);
        assert!(links.contains(row.name), "cargo tree does not know {}", row.name);
        let others = OF_ONE.iter().filter(|(_, owner)| *owner != row.name).map(|(library, _)| library);
        for never in row.never.iter().chain(others) {
            assert!(!links.contains(*never), "{} links {never}", row.name);
        }
    }
}

#[test]
fn the_table_of_the_architecture_is_this_one() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md")).unwrap();
    for row in TABLE {
        let short = |name: &str| name.trim_start_matches("merlon-").to_owned();
        let internal: Vec<String> = row.internal.iter().map(|n| short(n)).collect();
        let internal = if internal.is_empty() { "–".to_owned() } else { internal.join(", ") };
        let line = format!("| {} | {internal} |", short(row.name));
        assert!(text.contains(&line), "ARCHITECTURE.md lacks the row `{line}`");
    }
}
