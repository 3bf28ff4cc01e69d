//! Addresses that the daemon listens on.

use std::net::IpAddr;

use crate::config::HostPort;
use crate::config::file::Notes;
use crate::config::shown::quoted;

/// Reads `host:port`, or `:port` for the default host.
pub(super) fn listening(
    key: &str,
    text: &str,
    default_host: &str,
    hint: &'static str,
    notes: &mut Notes,
) -> Option<HostPort> {
    let parts = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let Some((host, port)) = parts else {
        notes.problem(key, format!("{} is not a listen address", quoted(text)), hint);
        return None;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { default_host } else { host };
    Some(HostPort {
        host: host.to_owned(),
        port,
    })
}

/// Returns whether two listen addresses share a port of one address. Port 0 stands for any free port.
pub(super) fn overlap(one: &HostPort, other: &HostPort) -> bool {
    one.port != 0 && one.port == other.port && share_address(&one.host, &other.host)
}

fn share_address(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    match (one.parse(), other.parse()) {
        (Ok(one), Ok(other)) => one == other || covers(one, other) || covers(other, one),
        (Ok(address), Err(_)) => stands_for(other, address),
        (Err(_), Ok(address)) => stands_for(one, address),
        (Err(_), Err(_)) => false,
    }
}

/// Returns whether the first address stands for all of this machine's, and the second is one of them. `::` includes IPv4.
fn covers(all: IpAddr, one: IpAddr) -> bool {
    all.is_unspecified() && (all.is_ipv6() || one.is_ipv4())
}

/// Returns whether a host name stands for an address, as far as that is known without a look-up.
fn stands_for(name: &str, address: IpAddr) -> bool {
    address.is_unspecified() || name.eq_ignore_ascii_case("localhost") && address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_if_one_connection_could_reach_both() {
        let address = |text: &str| {
            let found = listening("diag_addr", text, "127.0.0.1", "", &mut Notes::default());
            found.unwrap()
        };
        for (one, other, expected) in [
            ("0.0.0.0:8080", ":8080", true),
            ("0.0.0.0:8080", ":8081", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("localhost:1", "127.0.0.1:1", true),
            ("LocalHost:1", "[::1]:1", true),
            ("localhost:1", "10.0.0.1:1", false),
            ("bot.example.com:1", "Bot.example.com:1", true),
            ("bot.example.com:1", "0.0.0.0:1", true),
            ("bot.example.com:1", "10.0.0.1:1", false),
            ("[::]:1", "127.0.0.1:1", true),
            ("[::]:1", "0.0.0.0:1", true),
            ("[::1]:1", "0.0.0.0:1", false),
        ] {
            assert_eq!(overlap(&address(one), &address(other)), expected, "{one} and {other}");
            assert_eq!(overlap(&address(other), &address(one)), expected, "{other} and {one}");
        }
    }
}
