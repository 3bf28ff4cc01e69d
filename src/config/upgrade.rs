//! `TELEPORT_TLS_ROUTING_CONN_UPGRADE`: overrides the test for a load balancer in front of the Proxy Service.

use crate::config::{HostPort, Upgrade};

pub(super) const VARIABLE: &str = "TELEPORT_TLS_ROUTING_CONN_UPGRADE";

/// Reads the variable as Teleport's own clients do.
///
/// `,` and `;` separate the parts. A part `address=bool` with our address takes precedence; otherwise the last part that is a
/// bool counts; a text without either means no.
pub(super) fn upgrade(text: &str, address: &HostPort) -> Upgrade {
    if text.is_empty() {
        return Upgrade::Test;
    }
    let ours = format!("{address}=");
    let mut others = Upgrade::Never;
    for part in text.split([';', ',']) {
        if let Some((_, value)) = part.split_once(ours.as_str()) {
            return boolean(value).unwrap_or(Upgrade::Never);
        }
        if !part.contains('=') {
            others = boolean(part).unwrap_or(others);
        }
    }
    others
}

fn boolean(word: &str) -> Option<Upgrade> {
    match word.to_lowercase().as_str() {
        "yes" | "yeah" | "y" | "true" | "1" | "on" => Some(Upgrade::Always),
        "no" | "nope" | "n" | "false" | "0" | "off" => Some(Upgrade::Never),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_4_the_variable_is_read_as_by_teleports_own_clients() {
        let address = HostPort {
            host: "proxy.example.com".to_owned(),
            port: 443,
        };
        for (text, expected) in [
            ("", Upgrade::Test),
            ("true", Upgrade::Always),
            ("OFF", Upgrade::Never),
            ("nonsense", Upgrade::Never),
            ("proxy.example.com:443=yes,other:443=no", Upgrade::Always),
            ("0;proxy.example.com:443=1", Upgrade::Always),
            ("1;proxy.example.com:443=no", Upgrade::Never),
            ("proxy.example.com:443=maybe,1", Upgrade::Never),
            ("proxy.example.com=1", Upgrade::Never),
            ("other:443=1;yes,no", Upgrade::Never),
            ("no,yes,nonsense", Upgrade::Always),
        ] {
            assert_eq!(upgrade(text, &address), expected, "{text:?}");
        }
    }
}
