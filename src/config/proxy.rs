//! The proxy on the way to Teleport, from the variables that Teleport's own clients read.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::file::Notes;
use crate::config::{HostPort, Login, Proxy, ProxyKind};
use crate::secret::Secret;

/// Finds the proxy for an address: `HTTPS_PROXY`, else `HTTP_PROXY`, unless `NO_PROXY` or a loopback address forbids it.
/// Each may be written in capitals, which win, or in small letters.
pub(super) fn proxy(
    address: &HostPort,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<Proxy> {
    let either = |name: &str| {
        let names = [name.to_owned(), name.to_lowercase()];
        names.into_iter().find_map(|name| {
            let value = environment(&name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty()).map(|value| (name, value))
        })
    };
    let (name, text) = either("HTTPS_PROXY").or_else(|| either("HTTP_PROXY"))?;
    let no_proxy = either("NO_PROXY").map(|(_, list)| list).unwrap_or_default();
    if is_loopback(&address.host) || is_exempt(address, &no_proxy) {
        return None;
    }
    match parse(&text) {
        Ok(proxy) => Some(proxy),
        Err(reason) => {
            // The value may hold a password.
            let remedy = "write for example http://proxy.example.com:3128, or socks5://";
            notes.problem(format!("environment variable {name}"), reason, remedy);
            None
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Compares with the entries of `NO_PROXY`; the library knows every form but `*` for addresses, and entries with a port.
fn is_exempt(address: &HostPort, no_proxy: &str) -> bool {
    let entries: Vec<_> = no_proxy.split(',').map(str::trim).collect();
    if entries.contains(&"*") {
        return true;
    }
    let port = format!(":{}", address.port);
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| entry.strip_suffix(port.as_str()).unwrap_or(entry))
        .map(|entry| entry.trim_start_matches('[').trim_end_matches(']'))
        .collect();
    let matcher = Matcher::builder()
        .https("http://proxy.invalid")
        .no(entries.join(","))
        .build();
    let target: Result<Uri, _> = format!("https://{address}").parse();
    target.is_ok_and(|target| matcher.intercept(&target).is_none())
}

fn parse(text: &str) -> Result<Proxy, String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&whole).map_err(|error| format!("it is no URL: {error}"))?;
    let (kind, default_port) = match url.scheme() {
        "http" => (ProxyKind::Http, 80),
        "https" => (ProxyKind::Https, 443),
        "socks5" | "socks5h" => (ProxyKind::Socks5, 1_080),
        other => return Err(format!("the scheme {other:?} of a proxy is not supported")),
    };
    let address = HostPort::of_url(&url, default_port).ok_or("it names no host")?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    let login = (!user.is_empty() || password.is_some()).then(|| Login {
        user,
        password: Secret::new(password.unwrap_or_default()),
    });
    Ok(Proxy { kind, address, login })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the proxy for `teleport.example.com:443`, and the problems, with these variables.
    fn found(variables: &[(&str, &str)]) -> (Option<Proxy>, Vec<String>) {
        found_for("teleport.example.com", variables)
    }

    fn found_for(host: &str, variables: &[(&str, &str)]) -> (Option<Proxy>, Vec<String>) {
        let address = HostPort {
            host: host.to_owned(),
            port: 443,
        };
        let mut notes = Notes::default();
        let environment = |name: &str| {
            let mut all = variables.iter();
            all.find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let proxy = proxy(&address, &environment, &mut notes);
        (proxy, notes.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_variables_are_read_as_by_teleports_own_clients() {
        let address = |variables: &[(&str, &str)]| found(variables).0.map(|proxy| proxy.to_string());
        for (variables, expected) in [
            (vec![], None),
            (vec![("HTTPS_PROXY", "")], None),
            (vec![("https_proxy", "proxy:3128")], Some("http://proxy:3128")),
            (vec![("HTTP_PROXY", "http://proxy")], Some("http://proxy:80")),
            (
                vec![("HTTPS_PROXY", "https://a"), ("https_proxy", "http://b")],
                Some("https://a:443"),
            ),
            (vec![("HTTPS_PROXY", "socks5://[::1]")], Some("socks5://[::1]:1080")),
        ] {
            assert_eq!(address(&variables).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn some_addresses_are_reached_without_the_proxy() {
        for (no_proxy, is_direct) in [
            ("", false),
            ("*", true),
            ("example.com", true),
            (".example.com", true),
            ("teleport.example.com:443", true),
            ("teleport.example.com:3025", false),
            ("port.example.com, other", false),
            (" other , TELEPORT.example.com ", true),
        ] {
            let (proxy, _) = found(&[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", no_proxy)]);
            assert_eq!(proxy.is_none(), is_direct, "{no_proxy}");
        }
        for (host, no_proxy, is_direct) in [
            ("localhost", "", true),
            ("127.0.0.1", "", true),
            ("::1", "", true),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("10.1.2.3", "*", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("fd00::1", "[fd00::1]:443", true),
        ] {
            let (proxy, _) = found_for(host, &[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", no_proxy)]);
            assert_eq!(proxy.is_none(), is_direct, "{host} {no_proxy}");
        }
    }

    #[test]
    fn a_proxy_may_want_a_name_and_a_password() {
        let (proxy, _) = found(&[("HTTPS_PROXY", "http://me:p%40ss:w@proxy:1")]);
        let login = proxy.and_then(|proxy| proxy.login).unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("me", "p@ss:w"));
    }

    #[test]
    fn a_wrong_proxy_is_a_problem_that_hides_the_value() {
        for text in ["ftp://me:hush@proxy", "http://me:hush@", "http://me:hush@proxy:x"] {
            let (proxy, problems) = found(&[("HTTP_PROXY", text)]);
            assert_eq!(proxy, None);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(
                problems[0].starts_with("environment variable HTTP_PROXY: "),
                "{problems:?}"
            );
            assert!(!problems[0].contains("hush"), "{problems:?}");
        }
    }
}
