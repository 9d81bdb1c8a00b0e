//! From the text of the hub's configuration to the drop-ins of its units. No IO.
//!
//! Owned here: that what is written is a valid unit whatever the configuration says. That plain HTTP stays on loopback or
//! behind a named proxy is a bound of the configuration itself; the hub judges again what it is handed.

use merlon_config::ListenAddress;

use crate::units::{Units, configuration, tcp};

/// The units of the hub, whose configuration is `text`; `file` is its path, for messages.
pub(crate) fn units(file: &str, text: &str) -> Units {
    let config = match configuration(file, text) {
        Ok(config) => config,
        Err(why) => {
            let refused = vec![format!("{why}\nthe hub gets no address until that is mended")];
            return Units { drop_ins: Vec::new(), refused };
        }
    };
    let streams = config.hub.listen.iter().map(|address| match address {
        ListenAddress::Tcp(address) => tcp(*address, "merlon-hub run"),
        ListenAddress::Unix(_) => Err(format!("{address} is no TCP address; write an IP address and a port")),
    });
    let mut units = Units::default();
    units.listen("merlon-hub", "the hub", file, "hub.listen", streams.collect());
    units.stop("merlon-hub", file, &config);
    units
}

#[cfg(test)]
mod tests {
    use merlon_config::Paths;

    use super::*;

    fn made(text: &str) -> Units {
        units("/etc/merlon-hub.toml", text)
    }

    fn listens(units: &Units) -> Vec<&str> {
        let of = units.drop_ins.iter().filter(|drop_in| drop_in.path == "merlon-hub.socket.d/50-listen.conf");
        of.flat_map(|drop_in| drop_in.text.lines()).filter_map(|l| l.strip_prefix("ListenStream=")).collect()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let units = made("");
        assert_eq!(listens(&units), ["127.0.0.1:8444"]);
        assert_eq!(units.refused, [""; 0]);
        let stop = units.drop_ins.iter().find(|drop_in| drop_in.path == "merlon-hub.service.d/50-stop.conf").unwrap();
        assert!(stop.text.ends_with("TimeoutStopSec=30s\n"), "{}", stop.text);
    }

    #[test]
    fn a_public_address_needs_tls_or_a_proxy() {
        let text = "[hub]\nlisten = ['127.0.0.1:1', '192.0.2.1:443']\n";
        let units = made(text);
        assert_eq!(units.drop_ins, []);
        for word in ["/etc/merlon-hub.toml", "192.0.2.1:443", "hub.tls_cert"] {
            assert!(units.refused[0].contains(word), "{word} in {}", units.refused[0]);
        }
        let units = made(&format!("{text}tls_cert = '/etc/merlon-hub/c'\ntls_key = '/etc/merlon-hub/k'\n"));
        assert_eq!((listens(&units), units.refused.len()), (vec!["127.0.0.1:1", "192.0.2.1:443"], 0));
    }

    #[test]
    fn what_systemd_cannot_open_is_refused_whole() {
        let units = made("[hub]\nlisten = ['127.0.0.1:1', '[::1]:0']\n");
        assert_eq!(listens(&units), [""; 0]);
        assert!(units.refused[0].contains("port 0") && units.refused[0].contains("the hub"), "{:?}", units.refused);
        for text in ["[hub", "[hub]\nlisen = []", "[hub]\nlisten = ['unix:/run/x']"] {
            assert_eq!(made(text).drop_ins, [], "{text}");
        }
    }

    #[test]
    fn the_units_have_the_paths_of_the_configuration() {
        let paths = Paths::hub();
        for (unit, path) in [
            (include_str!("../../merlon-hub-admin.socket"), paths.admin_socket()),
            (include_str!("../../merlon-hub-link-keeper.socket"), paths.keeper_link_socket()),
            (include_str!("../../merlon-hub-seal.socket"), paths.seal_socket()),
        ] {
            let listens = unit.lines().find_map(|line| line.strip_prefix("ListenSequentialPacket=")).unwrap();
            assert_eq!(listens, path.to_str().unwrap());
        }
        let keeper = include_str!("../../merlon-hub-keeper.service");
        for path in [&paths.keeper, &paths.config, &paths.keeper_link_socket(), &paths.seal_socket()] {
            assert!(keeper.contains(&format!(" {}", path.display())), "{}", path.display());
        }
        let hub = include_str!("../../merlon-hub.service");
        for path in [&paths.config, &paths.store] {
            assert!(hub.contains(&format!(" {}", path.display())), "{}", path.display());
        }
    }
}
