//! `merlon instance create`: configuration and users, or nothing of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use merlon_config::{Config, InstanceName, Layer, Layers, Paths};
use serde_json::json;

use super::ports::{self, Listeners};
use super::{must_be_root, reload_manager, run_tool, users_file};
use crate::args::{Daemon, InstanceCreateArgs};
use crate::error::CliError;
use crate::file;
use crate::output::Printer;

const READABLE: u32 = 0o644;

pub(super) fn run(args: &InstanceCreateArgs, printer: &mut Printer) -> Result<(), CliError> {
    let name = &args.name;
    must_be_root("create an instance", &format!("merlon instance create {name}"))?;
    let paths = Paths::system(name);
    let exists = |path: &Path| fs::symlink_metadata(path).is_ok();
    if exists(&paths.config) {
        return Err(CliError::failed(format!("there is an instance `{name}` already"))
            .because(format!("{} exists", paths.config.display()))
            .hint("merlon instance list"));
    }
    let listeners = ports::choose(args, printer)?;
    let text = configuration(name, &listeners)?;
    let mut made = Made::default();
    make_directory(Path::new(Paths::SYSTEM_CONFIG))?;
    make_directory(Path::new("/etc/sysusers.d"))?;
    made.file(&users_file(name), &users(name))?;
    run_tool("/usr/bin/systemd-sysusers", &[&users_file(name).display().to_string()])?;
    made.file(&paths.config, &text)?;
    reload_manager()?;
    made.keep();

    if printer.is_json() {
        let Listeners { proxy, api } = &listeners;
        let (proxy, api) = (proxy.to_string(), api.to_string());
        let config = paths.config.display().to_string();
        printer.json(&json!({ "name": name.as_str(), "config": config, "proxy": [proxy], "api": [api] }))?;
    }
    printer.say(&format!("created instance `{name}`: proxy {}, API {}", listeners.proxy, listeners.api));
    for data in [&paths.keeper, &paths.store] {
        if exists(data) {
            printer.warn(&format!("{} is there from an earlier instance, and is taken over", data.display()));
        }
    }
    printer.say(&format!("its settings are in {}", paths.config.display()));
    printer.say(&format!("to start it, now and at each boot: sudo systemctl enable --now merlond@{name}"));
    Ok(())
}

/// What was made so far; removed again unless all of it succeeds. Users stay: nothing is lost by a user too many.
#[derive(Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn file(&mut self, path: &Path, text: &str) -> Result<(), CliError> {
        file::place_new(path, text.as_bytes(), READABLE)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(path);
        }
    }
}

fn make_directory(path: &Path) -> Result<(), CliError> {
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(CliError::failed(format!("{} cannot be made", path.display())).because(e)),
    }
}

/// A user for each service, without a home or a shell; seal's may use the TPM.
fn users(name: &InstanceName) -> String {
    let mut text = format!("# Users of the Merlon instance `{name}`, made by `merlon instance create`.\n");
    for daemon in Daemon::ALL {
        text.push_str(&format!("u {} - \"Merlon {daemon} ({name})\"\n", daemon.user(name)));
    }
    text.push_str(&format!("m {} tss\n", Daemon::Seal.user(name)));
    text
}

/// The instance's addresses, and every other setting commented out at its default.
fn configuration(name: &InstanceName, listeners: &Listeners) -> Result<String, CliError> {
    let failed = |e: merlon_config::ConfigError| CliError::failed("the configuration cannot be written").because(e);
    let mut text = format!(
        "# Settings of the Merlon instance `{name}`, made by `merlon instance create`.\n\
         # A setting that is commented out stands at its default. `man 5 merlon.toml` explains each.\n\
         # After a change:  merlon config check /etc/merlon/{name}.toml && sudo systemctl reload merlond@{name}\n\
         # After a change of an address:  sudo systemctl daemon-reload && sudo systemctl stop merlond@{name} && \
         sudo systemctl start merlond@{name}\n"
    );
    let mut section = "";
    let defaults = Layers::default().resolve().map_err(failed)?.values;
    for (key, value) in &defaults {
        let Some((of, key)) = key.split_once('.') else { continue };
        if of != section {
            text.push_str(&format!("\n[{of}]\n"));
            section = of;
        }
        match (of, key) {
            ("proxy", "listen") => text.push_str(&format!("listen = [\"{}\"]\n", listeners.proxy)),
            ("api", "listen") => text.push_str(&format!("listen = [\"{}\"]\n", listeners.api)),
            _ => text.push_str(&format!("#{key} = {value}\n")),
        }
    }
    // What is written must be what was meant.
    let mut layers = Layers::default();
    layers.push(Layer::file("the new configuration", &text).map_err(failed)?);
    let written = layers.resolve().map_err(failed)?.config;
    let mut meant = Config::default();
    meant.proxy.listen = vec![listeners.proxy.clone()];
    meant.api.listen = vec![listeners.api.clone()];
    if written == meant {
        Ok(text)
    } else {
        Err(CliError::failed("the configuration cannot be written").because("it would not say what was asked for"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners() -> Listeners {
        Listeners { proxy: "127.0.0.1:8081".parse().unwrap(), api: "[::1]:8444".parse().unwrap() }
    }

    #[test]
    fn a_new_configuration_sets_its_addresses_and_shows_every_default() {
        let text = configuration(&"work".parse().unwrap(), &listeners()).unwrap();
        assert!(text.contains("\n[proxy]\n") && text.contains("\nlisten = [\"127.0.0.1:8081\"]\n"), "{text}");
        assert!(
            text.contains("\nlisten = [\"[::1]:8444\"]\n") && text.contains("\n#allow_public_bind = false\n"),
            "{text}"
        );
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
            .map(|l| format!("{l}\n"))
            .collect();
        let mut layers = Layers::default();
        layers.push(Layer::file("x", &uncommented).unwrap());
        let all = layers.resolve().unwrap();
        assert_eq!(all.origins.len(), all.values.len(), "every setting that has a default is there");
    }

    #[test]
    fn each_service_gets_a_user_and_only_seal_the_tpm() {
        let text = users(&"work".parse().unwrap());
        for user in ["engine", "keeper", "dialer", "seal"] {
            assert_eq!(text.matches(&format!("\nu merlon-{user}-work - ")).count(), 1, "{text}");
        }
        assert!(text.ends_with("\nm merlon-seal-work tss\n") && text.matches("tss").count() == 1, "{text}");
    }
}
