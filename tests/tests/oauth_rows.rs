//! Every requirement of `docs/oauth-requirements.md` has a test whose name begins with its row (or rows), and the table names
//! it. `UPDATE=1 cargo test -p merlon-tests --test oauth_rows` writes the column anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/oauth-requirements.md";
/// Where tests stand.
const PLACES: &[&str] = &["tests/tests", "daemon", "cli"];

#[test]
fn every_requirement_has_a_test_named_after_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tests = tests_by_row(root);
    let page = fs::read_to_string(root.join(PAGE)).unwrap();
    let mut rows = 0;
    let mut missing = Vec::new();
    let renewed: String = page
        .lines()
        .map(|line| {
            let Some(row) = row_of(line) else { return format!("{line}\n") };
            rows += 1;
            let named = tests.get(&row.to_lowercase()).cloned().unwrap_or_default();
            if named.is_empty() {
                missing.push(row.to_owned());
            }
            let kept = line.trim_end_matches('|').rsplit_once('|').unwrap().0;
            format!("{kept}| {} |\n", named.join("<br>"))
        })
        .collect();
    assert_eq!(rows, 146, "rows of {PAGE}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root.join(PAGE), &renewed).unwrap();
    }
    assert!(missing.is_empty(), "{} rows have no test: {}", missing.len(), missing.join(" "));
    assert_eq!(page, renewed, "{PAGE} is stale; run UPDATE=1 cargo test -p merlon-tests --test oauth_rows");
}

/// `| **A1** | …`
fn row_of(line: &str) -> Option<&str> {
    line.strip_prefix("| **")?.split_once("**").map(|(row, _)| row)
}

/// Row in lower case → `file::function`, sorted.
fn tests_by_row(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut files = Vec::new();
    PLACES.iter().for_each(|place| sources(&root.join(place), &mut files));
    files.sort();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().display().to_string();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(function) = function(line) {
                for row in function.split('_').take_while(|word| is_row(word)).filter(|_| is_test) {
                    found.entry(row.to_owned()).or_default().push(format!("`{name}` `{function}`"));
                }
                is_test = false;
            }
        }
    }
    found
}

/// `a1`, `cc3`: the rows that a test shows stand before its name.
fn is_row(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_lowercase());
    (1..=2).contains(&(word.len() - digits.len())) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split_once('(').map(|(name, _)| name)
}

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
