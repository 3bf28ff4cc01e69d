//! The proxy for connections to Teleport and Microsoft, from the variables that Teleport's own clients read.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::file::Notes;
use crate::config::{HostPort, Login, Proxy, ProxyKind};
use crate::secret::Secret;

/// The proxy settings of the environment: `HTTPS_PROXY` or `HTTP_PROXY`, and the exceptions in `NO_PROXY`. Upper-case names
/// take precedence over lower-case ones.
#[derive(Clone, Default)]
pub struct Proxies {
    proxy: Option<(Url, Proxy)>,
    exempt: Exempt,
}

/// The entries of `NO_PROXY`, as Go reads them (`golang.org/x/net/http/httpproxy`).
#[derive(Clone, Debug, Default)]
struct Exempt(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Everything,
    Address(IpAddr, Option<u16>),
    /// An address, and the length of its prefix in bits.
    Network(IpAddr, u8),
    Name {
        /// Begins with a dot.
        domain: String,
        /// Whether the entry also matches the name without the dot.
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// Reads the variables.
    ///
    /// # Errors
    /// The name of the invalid variable, and the reason. The value is left out, because it may hold a password.
    pub(super) fn read(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, (String, String)> {
        let either = |name: &str| {
            let names = [name.to_owned(), name.to_lowercase()];
            names.into_iter().find_map(|name| {
                let value = environment(&name).map(|value| value.trim().to_owned());
                value.filter(|value| !value.is_empty()).map(|value| (name, value))
            })
        };
        let proxy = match either("HTTPS_PROXY").or_else(|| either("HTTP_PROXY")) {
            Some((name, text)) => Some(parse(&text).map_err(|reason| (name, reason))?),
            None => None,
        };
        let no_proxy = either("NO_PROXY").map(|(_, list)| list).unwrap_or_default();
        Ok(Self {
            proxy,
            exempt: Exempt::read(&no_proxy),
        })
    }

    /// Returns the proxy for an address; loopback addresses never use a proxy.
    pub(super) fn for_address(&self, address: &HostPort) -> Option<&Proxy> {
        self.find(address).map(|(_, proxy)| proxy)
    }

    /// Returns the URL of the proxy for a URL, with its name and password.
    pub fn of(&self, url: &Url) -> Option<&Url> {
        self.find(&HostPort::of_url(url, 443)?).map(|(url, _)| url)
    }

    /// Returns the proxy for a URL without its credentials, for logs.
    pub fn shown(&self, url: &Url) -> Option<String> {
        let (_, proxy) = self.find(&HostPort::of_url(url, 443)?)?;
        Some(proxy.to_string())
    }

    fn find(&self, address: &HostPort) -> Option<&(Url, Proxy)> {
        let proxied = self.proxy.as_ref()?;
        (!is_loopback(&address.host) && !self.exempt.has(address)).then_some(proxied)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = self.proxy.as_ref().map(|(_, proxy)| proxy);
        f.debug_struct("Proxies")
            .field("proxy", &proxy)
            .field("exempt", &self.exempt)
            .finish()
    }
}

/// Returns the proxy for an address, and records a problem if a variable is invalid.
pub(super) fn proxy(
    address: &HostPort,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<Proxy> {
    proxies(environment, notes).for_address(address).cloned()
}

/// Reads the variables, and records a problem once if one is invalid.
pub(super) fn proxies(environment: &dyn Fn(&str) -> Option<String>, notes: &mut Notes) -> Proxies {
    Proxies::read(environment).unwrap_or_else(|(name, reason)| {
        let key = format!("environment variable {name}");
        if notes.problems.iter().all(|problem| problem.key != key) {
            let hint =
                hint!("Set it to a URL such as http://proxy.example.com:3128 or socks5://proxy.example.com:1080");
            notes.problem(key, reason, hint);
        }
        Proxies::default()
    })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Exempt {
    fn read(list: &str) -> Self {
        let entries = list.split(',').map(|entry| entry.trim().to_lowercase());
        Self(entries.filter_map(|entry| Entry::read(&entry)).collect())
    }

    fn has(&self, address: &HostPort) -> bool {
        let host = address.host.trim_end_matches('.').to_lowercase();
        let ip = host.parse().ok();
        self.0.iter().any(|entry| entry.has(&host, ip, address.port))
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some((network, bits)) = text.split_once('/') {
            let (network, bits) = (network.parse().ok()?, bits.parse().ok()?);
            return Some(Self::Network(network, bits));
        }
        let plain = |text: &str| {
            text.trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>()
                .ok()
        };
        if let Some(ip) = plain(text) {
            return Some(Self::Address(ip, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Some(ip) = plain(host) {
            return Some(Self::Address(ip, port));
        }
        let host = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(host);
        let itself = !host.starts_with('.');
        let domain = if itself { format!(".{host}") } else { host.to_owned() };
        (domain.len() > 1).then_some(Self::Name { domain, itself, port })
    }

    fn has(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Address(own, only) => ip == Some(*own) && only.is_none_or(|only| only == port),
            Self::Network(network, bits) => ip.is_some_and(|ip| is_within(ip, *network, *bits)),
            Self::Name {
                domain,
                itself,
                port: only,
            } => {
                let named = ip.is_none() && (host.ends_with(domain.as_str()) || (*itself && host == &domain[1..]));
                named && only.is_none_or(|only| only == port)
            }
        }
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let other = u32::from(ip) ^ u32::from(network);
            bits <= 32 && other.checked_shr(32 - u32::from(bits)).unwrap_or_default() == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let other = u128::from(ip) ^ u128::from(network);
            bits <= 128 && other.checked_shr(128 - u32::from(bits)).unwrap_or_default() == 0
        }
        _ => false,
    }
}

fn parse(text: &str) -> Result<(Url, Proxy), String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&whole).map_err(|error| format!("it is not a URL: {error}"))?;
    let (kind, default_port) = match url.scheme() {
        "http" => (ProxyKind::Http, 80),
        "https" => (ProxyKind::Https, 443),
        "socks5" | "socks5h" => (ProxyKind::Socks5, 1_080),
        other => return Err(format!("the scheme {other:?} of a proxy is not supported")),
    };
    let address = HostPort::of_url(&url, default_port).ok_or("it contains no host")?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    let login = (!user.is_empty() || password.is_some()).then(|| Login {
        user,
        password: Secret::new(password.unwrap_or_default()),
    });
    let mut url = url;
    if kind == ProxyKind::Socks5 {
        // The proxy resolves host names, as for Go's clients. Changing between these two schemes cannot fail.
        url.set_scheme("socks5h").ok();
    }
    Ok((url, Proxy { kind, address, login }))
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
            ("*.example.com", true),
            (".teleport.example.com", false),
            ("*.teleport.example.com", false),
            ("ample.com", false),
            ("example.com:443", true),
            ("*.example.com:443", true),
            ("*.example.com:3025", false),
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
            ("10.1.2.3", "10.1.2.3:443", true),
            ("10.1.2.3", "10.1.2.3:80", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.1.2.3/33", false),
            ("fd00::1", "fd00::/8", true),
            ("fd00::1", "fd00::1", true),
            ("fd00::1", "[fd00::1]:443", true),
        ] {
            let (proxy, _) = found_for(host, &[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", no_proxy)]);
            assert_eq!(proxy.is_none(), is_direct, "{host} {no_proxy}");
        }
    }

    #[test]
    fn microsofts_hosts_are_reached_by_the_same_rules() {
        let environment = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://me:hush@proxy:3128".to_owned()),
            "NO_PROXY" => Some("*.example.net, graph.example.com".to_owned()),
            _ => None,
        };
        let proxies = Proxies::read(&environment).unwrap();
        let shown = |url: &str| proxies.shown(&url.parse().unwrap());
        assert_eq!(shown("https://login.example.net/x"), None);
        assert_eq!(shown("https://graph.example.com"), None);
        assert_eq!(shown("http://127.0.0.1:1"), None);
        assert_eq!(shown("https://login.example.com").unwrap(), "http://proxy:3128");
        let url = "https://login.example.com".parse().unwrap();
        assert_eq!(proxies.of(&url).and_then(Url::password), Some("hush"));
        assert!(!format!("{proxies:?}").contains("hush"));
    }

    #[test]
    fn a_proxy_url_may_have_a_name_and_a_password() {
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
