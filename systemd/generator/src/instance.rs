//! From the text of one configuration to the drop-ins of its units. No IO.
//!
//! Owned here: that what is written is a valid unit whatever the configuration says, and that a proxy which would be
//! public without permission gets no address at all. The engine judges again what it is handed. Only the file counts: a
//! unit's `Environment=` is not known here.

use std::path::{Component, Path};

use merlon_config::{InstanceName, ListenAddress, Paths, judge_proxy_bind};

use crate::units::{Units, configuration, tcp};

/// The units of the instance `name`, whose configuration is `text`; `file` is its path, for messages.
pub(crate) fn units(name: &InstanceName, file: &str, text: &str) -> Units {
    let config = match configuration(file, text) {
        Ok(config) => config,
        Err(why) => {
            let refused = vec![format!("{why}\ninstance {name} gets no TCP address and no proxy until that is mended")];
            return Units { drop_ins: Vec::new(), refused };
        }
    };
    let mut units = Units::default();
    let judged = config.proxy.listen.iter().map(|address| {
        if let ListenAddress::Tcp(address) = address {
            judge_proxy_bind(*address, config.proxy.allow_public_bind).map_err(|public| public.to_string())?;
        }
        stream(name, address)
    });
    let who = format!("instance {name}");
    units.listen(&format!("merlon-proxy@{name}"), &who, file, "proxy.listen", judged.collect());
    let api = config.api.listen.iter().map(|address| stream(name, address)).collect();
    units.listen(&format!("merlon-api@{name}"), &who, file, "api.listen", api);
    units.stop(&format!("merlond@{name}"), file, &config);
    units
}

/// An address as `ListenStream=` takes it.
fn stream(name: &InstanceName, address: &ListenAddress) -> Result<String, String> {
    match address {
        ListenAddress::Tcp(address) => tcp(*address, "merlond run"),
        ListenAddress::Unix(path) => unix(name, path),
    }
}

/// systemd removes whatever is in the way of a Unix socket. So it has to be where nothing but sockets is.
fn unix(name: &InstanceName, path: &Path) -> Result<String, String> {
    const MOST: usize = 107;
    let refused = |why: &str| Err(format!("unix:{}: {why}", path.display()));
    let plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'\\' | b'"' | b'\'');
    let Some(text) = path.to_str().filter(|text| text.len() <= MOST && text.bytes().all(plain)) else {
        return refused("a socket of systemd needs a path of at most 107 plain ASCII characters, without blanks");
    };
    let below_run =
        path.starts_with("/run") && path.components().skip(2).all(|part| matches!(part, Component::Normal(_)));
    if !below_run || path.components().count() < 3 {
        return refused("a socket of systemd has to lie below /run, because systemd removes what is in its place");
    }
    let own = Paths::system(name);
    if [own.api_socket(), own.admin_socket(), own.keeper_link_socket(), own.dialer_link_socket(), own.seal_socket()]
        .iter()
        .any(|socket| socket == path)
    {
        return refused("that is another socket of this instance; choose another name");
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Units {
        units(&"lab-1".parse().unwrap(), "/etc/merlon/lab-1.toml", text)
    }

    fn listens(units: &Units, service: &str) -> Vec<String> {
        let path = format!("merlon-{service}@lab-1.socket.d/50-listen.conf");
        let of = units.drop_ins.iter().filter(|drop_in| drop_in.path == path);
        of.flat_map(|drop_in| drop_in.text.lines())
            .filter_map(|l| l.strip_prefix("ListenStream="))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let units = made("");
        assert_eq!(listens(&units, "proxy"), ["127.0.0.1:8080"]);
        assert_eq!(listens(&units, "api"), ["127.0.0.1:8443"]);
        assert_eq!(units.refused, [""; 0]);
        let stop =
            units.drop_ins.iter().find(|drop_in| drop_in.path == "merlond@lab-1.service.d/50-stop.conf").unwrap();
        assert!(stop.text.ends_with("[Service]\nTimeoutStopSec=30s\n"), "{}", stop.text);
    }

    #[test]
    fn one_public_address_that_is_not_permitted_takes_the_whole_proxy() {
        let text = "[proxy]\nlisten = ['127.0.0.1:1', '0.0.0.0:8080', '127.0.0.1:2']\n";
        let units = made(text);
        assert_eq!(listens(&units, "proxy"), [""; 0]);
        assert_eq!(listens(&units, "api"), ["127.0.0.1:8443"]);
        assert_eq!(units.refused.len(), 1);
        for word in ["0.0.0.0:8080", "proxy.allow_public_bind", "lab-1"] {
            assert!(units.refused[0].contains(word), "{word} in {}", units.refused[0]);
        }
        let units = made(&format!("{text}allow_public_bind = true\n"));
        assert_eq!(listens(&units, "proxy"), ["127.0.0.1:1", "0.0.0.0:8080", "127.0.0.1:2"]);
        assert_eq!(units.refused, [""; 0]);
    }

    #[test]
    fn a_mapped_address_is_what_it_maps() {
        assert_eq!(listens(&made("[proxy]\nlisten = ['[::ffff:10.0.0.1]:1']"), "proxy"), [""; 0]);
        assert_eq!(listens(&made("[proxy]\nlisten = ['[::ffff:127.0.0.1]:1']"), "proxy"), ["[::ffff:127.0.0.1]:1"]);
    }

    #[test]
    fn a_file_that_cannot_be_used_gives_nothing_and_a_reason() {
        for text in
            ["[proxy", "[proxy]\nlisen = []", "[proxy]\nlisten = []", "[api]\ntls = false\nlisten = ['0.0.0.0:1']"]
        {
            let units = made(text);
            assert_eq!(units.drop_ins, [], "{text}");
            assert!(units.refused[0].contains("/etc/merlon/lab-1.toml"), "{}", units.refused[0]);
        }
    }

    #[test]
    fn a_port_that_nobody_knows_is_refused() {
        let units = made("[proxy]\nlisten = ['127.0.0.1:0']\n[api]\nlisten = ['[::1]:0']");
        assert_eq!((listens(&units, "proxy"), listens(&units, "api")), (vec![], vec![]));
        assert_eq!(units.refused.len(), 2);
        assert!(units.refused.iter().all(|why| why.contains("port 0")), "{:?}", units.refused);
    }

    #[test]
    fn a_unix_socket_lies_below_run_and_cannot_say_anything_else() {
        let unix = |path: &str| listens(&made(&format!("[proxy]\nlisten = [\"unix:{path}\"]\n")), "proxy");
        assert_eq!(unix("/run/merlon/lab-1/proxy.sock"), ["/run/merlon/lab-1/proxy.sock"]);
        assert_eq!(unix("/run/a%i"), ["/run/a%%i"]);
        let long = format!("/run/{}", "a".repeat(103));
        for bad in [
            "/etc/passwd",
            "/run",
            "/run/../etc/passwd",
            "/runaway/x",
            "/run/x y",
            "/run/x\\nExecStart=/bin/sh",
            "/run/x\\\\",
            "/run/é",
            "/run/merlon/lab-1/link-keeper.sock",
            "/run/merlon/lab-1//api.sock",
            &long,
        ] {
            assert_eq!(unix(bad), [""; 0], "{bad}");
        }
    }

    #[test]
    fn a_scope_is_written_as_systemd_reads_it() {
        let text = "[proxy]\nallow_public_bind = true\nlisten = ['[fe80::1%2]:8080']\n";
        assert_eq!(listens(&made(text), "proxy"), ["[fe80::1]:8080%%2"]);
    }

    #[test]
    fn a_long_drain_gets_a_long_stop() {
        let units = made("[limits]\ndrain_seconds = 600\n");
        assert!(units.drop_ins.iter().any(|drop_in| drop_in.text.contains("TimeoutStopSec=620s")));
    }

    #[test]
    fn the_socket_units_have_the_paths_of_the_configuration() {
        let name: InstanceName = "lab-1".parse().unwrap();
        let paths = Paths::system(&name);
        for (unit, path) in [
            (include_str!("../../merlon-api@.socket"), paths.api_socket()),
            (include_str!("../../merlon-admin@.socket"), paths.admin_socket()),
            (include_str!("../../merlon-link-keeper@.socket"), paths.keeper_link_socket()),
            (include_str!("../../merlon-link-dialer@.socket"), paths.dialer_link_socket()),
            (include_str!("../../merlon-seal@.socket"), paths.seal_socket()),
        ] {
            let listens = unit.lines().find(|line| line.starts_with("Listen")).unwrap().replace("%i", "lab-1");
            assert_eq!(listens.split_once('=').unwrap().1, path.to_str().unwrap());
        }
    }
}
