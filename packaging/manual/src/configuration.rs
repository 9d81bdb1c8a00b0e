//! merlon.toml(5) out of docs/configuration.md, so that the words stand in one place. Knows the few forms of Markdown
//! that this document uses, and nothing more.

use std::fmt::Write as _;

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

const HEAD: &str = r#".TH merlon.toml 5 "" "Merlon" "Merlon"
.SH NAME
merlon.toml \- configuration of a Merlon instance, and of the hub
.SH DESCRIPTION
An instance of the system, merlond@NAME.service, is configured by \fI/etc/merlon/NAME.toml\fR; one of \fBmerlond run\fR by
the file \fImerlon.toml\fR of its directory. The system's hub, merlon\-hub.service, is configured by
\fI/etc/merlon\-hub.toml\fR, of which the sections [hub], [keeper], [tpm], [pkcs11] and [sandbox] are for it, and
\fBlimits.drain_seconds\fR.
.PP
"#;

const FOOT: &str = r#".SH FILES
.TP
\fI/etc/merlon/NAME.toml\fR
The configuration of the system's instance NAME.
.TP
\fI/etc/merlon\-hub.toml\fR
The configuration of the system's hub.
.TP
\fI/usr/share/doc/merlon\fR
The documents that are named above.
.SH "SEE ALSO"
merlon(1), merlond(8), merlon\-generator(8)
"#;

/// The page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut lines = DOCUMENT.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            let _ = writeln!(page, ".SH \"{}\"", inline(heading));
        } else if line.starts_with("# ") {
            // The page has its own title.
        } else if line.starts_with("```") {
            page.push_str(".PP\n.nf\n.RS 4\n");
            for code in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                page.push_str(&escaped(code));
                page.push('\n');
            }
            page.push_str(".RE\n.fi\n.PP\n");
        } else if line.starts_with('|') {
            let header = cells(line);
            // The line of dashes.
            lines.next();
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                page.push_str(&entry(&header, &cells(row)));
            }
        } else if line.is_empty() {
            page.push_str(".PP\n");
        } else {
            page.push_str(&inline(line));
            page.push('\n');
        }
    }
    page.push_str(FOOT);
    page
}

/// One row of a table: its first cell is the term, its last the explanation, those between are told by their headings.
fn entry(header: &[String], row: &[String]) -> String {
    let mut text = String::from(".TP\n");
    let Some(((term, explanation), between)) = row
        .split_first()
        .and_then(|(term, rest)| rest.split_last().map(|(explanation, between)| ((term, explanation), between)))
    else {
        return text;
    };
    text.push_str(&inline(term));
    for (name, value) in header.iter().skip(1).zip(between).filter(|(_, value)| !value.is_empty()) {
        // Writing into a string does not fail.
        let _ = write!(text, "  ({} {})", inline(name), inline(value));
    }
    text.push('\n');
    text.push_str(&inline(explanation));
    text.push('\n');
    text
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// A line of prose: code and stress in bold, of a link its words.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, from) = rest.split_at(at);
        let piece = ["`", "**"].into_iter().find_map(|mark| {
            let (inside, after) = from.strip_prefix(mark)?.split_once(mark)?;
            Some((format!("\\fB{}\\fR", escaped(inside)), after))
        });
        let link = || {
            let (words, after) = from.strip_prefix('[')?.split_once("](")?;
            let (_, after) = after.split_once(')')?;
            (!words.contains(']')).then(|| (inline(words), after))
        };
        out.push_str(&escaped(before));
        match piece.or_else(link) {
            Some((piece, after)) => {
                out.push_str(&piece);
                rest = after;
            }
            None => {
                out.push_str(&escaped(&from[..1]));
                rest = &from[1..];
            }
        }
    }
    out.push_str(&escaped(rest));
    out
}

/// Text that roff shows as it is.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use merlon_config::{Config, Layer, Layers};
    use toml::Value;

    use super::*;

    const DEFAULT: &str = include_str!("../../etc/default.toml");
    const HUB: &str = include_str!("../../etc/merlon-hub.toml");
    /// Sections of the hub's file; but the first they are an instance's too.
    const OF_THE_HUB: [&str; 5] = ["hub", "keeper", "tpm", "pkcs11", "sandbox"];
    /// Keys that have no default; the packaged files show an example.
    const UNSET: [(&str, &str); 14] = [
        ("api", "tls_cert"),
        ("api", "tls_key"),
        ("pkcs11", "module"),
        ("pkcs11", "pin_file"),
        ("identity", "issuer"),
        ("identity", "client_id"),
        ("identity", "client_secret_file"),
        ("identity", "registration_key_file"),
        ("identity", "name"),
        ("identity", "resource"),
        ("identity", "proxy"),
        ("hub", "issuer"),
        ("hub", "tls_cert"),
        ("hub", "tls_key"),
    ];

    /// Keys with a default, `section.key`; those without one are added by hand.
    fn keys() -> Vec<(String, String)> {
        let Value::Table(sections) = Value::try_from(Config::default()).unwrap() else { panic!("no table") };
        let mut keys = Vec::new();
        for (section, settings) in sections {
            let Value::Table(settings) = settings else { panic!("{section} is no section") };
            keys.extend(settings.into_iter().map(|(key, _)| (section.clone(), key)));
        }
        keys.extend(UNSET.map(|(section, key)| (section.to_owned(), key.to_owned())));
        keys
    }

    #[test]
    fn the_page_names_every_key_in_its_section() {
        let page = page();
        for (section, key) in keys() {
            let (_, text) =
                page.split_once(&format!(".SH \"[{section}]\"\n")).unwrap_or_else(|| panic!("no [{section}]"));
            let text = text.split(".SH ").next().unwrap();
            assert!(text.contains(&format!("\\fB{key}\\fR")), "merlon.toml(5) lacks {section}.{key}");
        }
    }

    #[test]
    fn the_packaged_configurations_set_nothing() {
        assert_eq!(resolved(DEFAULT), Config::default());
        assert_eq!(resolved(HUB), Config::default());
    }

    #[test]
    fn the_packaged_configurations_name_every_key_with_its_default() {
        let unset = UNSET.map(|(_, key)| key);
        for (file, of_the_hub) in [(DEFAULT, false), (HUB, true)] {
            let named: toml::Table = uncommented(file, &[]).parse().unwrap();
            for (section, key) in keys() {
                let hubs = OF_THE_HUB.contains(&section.as_str()) || (section == "limits" && key == "drain_seconds");
                let wanted = if of_the_hub { hubs } else { section != "hub" };
                let found = named.get(&section).is_some_and(|settings| settings.get(&key).is_some());
                assert_eq!(found, wanted, "{section}.{key}, hub: {of_the_hub}");
            }
            assert_eq!(resolved(&uncommented(file, &unset)), Config::default());
        }
    }

    /// A file with all settings in force but those named.
    fn uncommented(file: &str, but: &[&str]) -> String {
        let setting = |line: &&str| {
            line.strip_prefix('#').and_then(|rest| rest.split_once(" = ")).is_some_and(|(key, _)| {
                !but.contains(&key) && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            })
        };
        let line = |line: &str| if setting(&line) { line[1..].to_owned() } else { line.to_owned() };
        file.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    fn resolved(text: &str) -> Config {
        let mut layers = Layers::default();
        layers.push(Layer::file("default.toml", text).unwrap());
        layers.resolve().unwrap().config
    }

    #[test]
    fn markdown_becomes_roff() {
        assert_eq!(inline("see [`a-b`](x.md), **not** [c]"), "see \\fBa\\-b\\fR, \\fBnot\\fR [c]");
        assert_eq!(inline(".start \\ *"), "\\&.start \\e *");
        let row = entry(&cells("| key | default | meaning |"), &cells("| `k` | `1` | what it is |"));
        assert_eq!(row, ".TP\n\\fBk\\fR  (default \\fB1\\fR)\nwhat it is\n");
    }
}
