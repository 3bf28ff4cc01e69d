//! The `[review]` table: reviews with the buttons of a card.

use std::path::PathBuf;

use toml::Value;

use crate::config::HostPort;
use crate::config::file::{Notes, Section};
use crate::config::listen::{listening, overlap};
use crate::config::shown::quoted;
use crate::config::teleport::examine;
use crate::domain::review::ReasonRule;

/// All addresses of the machine: Microsoft's requests come from outside.
const DEFAULT_HOST: &str = "0.0.0.0";
const DEFAULT_PORT: u16 = 8080;
const DEFAULT_PATH: &str = "/api/messages";
const DEFAULT_TRAIT: &str = "teams_user_id";

/// Whether and how reviewers approve and deny inside Teams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewSettings {
    /// Cards have buttons, and the port for Microsoft's requests is open.
    pub enabled: bool,
    /// Where Microsoft's requests arrive.
    pub listen: HostPort,
    /// The path of these requests, which begins with `/`.
    pub path: String,
    /// `None` if a reverse proxy terminates TLS.
    pub tls: Option<TlsFiles>,
    /// The trait of a Teleport user that contains the person's object ID.
    pub user_id_trait: String,
    /// Without such a trait, a Teleport user whose name is the person's user principal name counts as the person.
    pub allow_email_username_match: bool,
    pub reason: ReasonRule,
}

/// The PEM files of a server certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Returns `None` only if it recorded a problem.
pub(super) fn review(
    section: &mut Section<'_>,
    diagnostics: Option<&HostPort>,
    notes: &mut Notes,
) -> Option<ReviewSettings> {
    let enabled = section.boolean("enabled", notes).unwrap_or(false);
    let listen = match section.string("listen", notes) {
        Some(text) => {
            let hint = hint!("Set it to host:port, such as \"0.0.0.0:8080\"");
            listening(&section.key("listen"), text, DEFAULT_HOST, hint, notes)
        }
        None => Some(HostPort {
            host: DEFAULT_HOST.to_owned(),
            port: DEFAULT_PORT,
        }),
    };
    if let (true, Some(listen), Some(diagnostics)) = (enabled, &listen, diagnostics)
        && overlap(listen, diagnostics)
    {
        let message = format!("{listen} has the same port as diag_addr, {diagnostics}");
        let hint = hint!("Set `diag_addr` and `[review] listen` to different ports");
        notes.problem(section.key("listen"), message, hint);
    }
    let path = section.string("path", notes).unwrap_or(DEFAULT_PATH);
    if !is_path(path) {
        let hint = hint!("Set it to a path such as \"/api/messages\", without a query");
        notes.problem(section.key("path"), format!("{} is not a path", quoted(path)), hint);
    }
    let tls = tls(section, notes);
    let user_id_trait = user_id_trait(section, notes);
    let match_names = section.boolean("allow_email_username_match", notes);
    let reason = reason(section, notes);
    Some(ReviewSettings {
        enabled,
        listen: listen?,
        path: path.to_owned(),
        tls,
        user_id_trait,
        allow_email_username_match: match_names.unwrap_or(false),
        reason,
    })
}

/// Returns whether a text can be the path of a request exactly as it is written: visible ASCII characters without a query
/// or a fragment.
fn is_path(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    text.starts_with('/') && text.bytes().all(is_allowed)
}

/// Reads the files for HTTPS; one without the other is a problem.
fn tls(section: &mut Section<'_>, notes: &mut Notes) -> Option<TlsFiles> {
    let mut path = |key, example| {
        let path = PathBuf::from(section.string(key, notes)?);
        examine(&section.key(key), &path, example, notes);
        Some(path)
    };
    let files = (path("certificate", "tls.crt"), path("key", "tls.key"));
    let (given, missing) = match files {
        (Some(certificate), Some(key)) => return Some(TlsFiles { certificate, key }),
        (None, None) => return None,
        (Some(_), None) => ("certificate", "key"),
        (None, Some(_)) => ("key", "certificate"),
    };
    let hint = hint!("Set certificate and key together, or remove both if a reverse proxy terminates TLS");
    notes.problem(section.key(given), format!("is set without {missing}"), hint);
    None
}

/// Reads the name of the trait. An empty name is a problem, because each user without the trait could have it.
fn user_id_trait(section: &mut Section<'_>, notes: &mut Notes) -> String {
    let key = "teams_user_id_trait";
    if let Some(Value::String(text)) = section.value(key)
        && text.trim().is_empty()
    {
        let hint = hint!("Set it to the name of a trait such as \"teams_user_id\", or remove it");
        notes.problem(section.key(key), "is empty", hint);
    }
    section.string(key, notes).unwrap_or(DEFAULT_TRAIT).to_owned()
}

fn reason(section: &mut Section<'_>, notes: &mut Notes) -> ReasonRule {
    match section.string("reason", notes) {
        None | Some("optional") => ReasonRule::Optional,
        Some("deny") => ReasonRule::Deny,
        Some("always") => ReasonRule::Always,
        Some(other) => {
            notes.problem(
                section.key("reason"),
                format!("{} is not a rule for reasons", quoted(other)),
                hint!("Set it to optional, deny or always"),
            );
            ReasonRule::Optional
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::config::file::Root;

    /// Reads a `[review]` table beside the address of the diagnostics; returns the settings, or the problems, each in one line.
    fn read(text: &str) -> Result<ReviewSettings, Vec<String>> {
        let table: Table = format!("[review]\n{text}").parse().unwrap();
        let mut notes = Notes::default();
        let mut section = Section::take(&mut Root::new(&table), "review", &mut notes);
        let diagnostics = HostPort {
            host: "127.0.0.1".to_owned(),
            port: 8081,
        };
        let settings = review(&mut section, Some(&diagnostics), &mut notes);
        section.finish(&mut notes);
        assert!(notes.asked[0].unknown.is_empty(), "{:?}", notes.asked);
        match settings {
            Some(settings) if notes.problems.is_empty() => Ok(settings),
            _ => Err(notes.problems.iter().map(ToString::to_string).collect()),
        }
    }

    fn port(host: &str, port: u16) -> HostPort {
        HostPort {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn reviews_are_off_unless_they_are_enabled() {
        let defaults = ReviewSettings {
            enabled: false,
            listen: port("0.0.0.0", 8080),
            path: "/api/messages".to_owned(),
            tls: None,
            user_id_trait: "teams_user_id".to_owned(),
            allow_email_username_match: false,
            reason: ReasonRule::Optional,
        };
        assert_eq!(read("").unwrap(), defaults);
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            enabled = true
            listen = ":8443"
            path = "/teams/bot%20one/"
            certificate = "/etc/tls/tls.crt"
            key = "/etc/tls/tls.key"
            teams_user_id_trait = "entra_object_id"
            allow_email_username_match = true
            reason = "deny"
        "#;
        let expected = ReviewSettings {
            enabled: true,
            listen: port("0.0.0.0", 8443),
            path: "/teams/bot%20one/".to_owned(),
            tls: Some(TlsFiles {
                certificate: "/etc/tls/tls.crt".into(),
                key: "/etc/tls/tls.key".into(),
            }),
            user_id_trait: "entra_object_id".to_owned(),
            allow_email_username_match: true,
            reason: ReasonRule::Deny,
        };
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("reason = \"always\"").unwrap().reason, ReasonRule::Always);
        assert_eq!(read("listen = \"[::1]:0\"").unwrap().listen, port("::1", 0));
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_key_and_a_hint() {
        for (text, expected) in [
            ("enabled = \"yes\"", "review.enabled: expected true or false"),
            ("listen = \"8080\"", "review.listen: \"8080\" is not a listen address"),
            ("listen = \"0.0.0.0:65536\"", "such as \"0.0.0.0:8080\""),
            ("path = \"api/messages\"", "review.path: \"api/messages\" is not a path"),
            ("path = \"/api?code=1\"", "without a query"),
            ("path = \"/api#messages\"", "is not a path"),
            ("path = \"/api messages\"", "is not a path"),
            ("path = \"/api\\u0000\"", "is not a path"),
            ("path = \"/büro\"", "is not a path"),
            ("certificate = \"/c.pem\"", "review.certificate: is set without key"),
            ("key = \"/k.pem\"", "review.key: is set without certificate"),
            ("key = \"/\"\ncertificate = \"/c.pem\"", "review.key: / is a directory"),
            ("key = \"/\"\ncertificate = \"/c.pem\"", "such as /tls.key"),
            ("teams_user_id_trait = \" \"", "review.teams_user_id_trait: is empty"),
            (
                "teams_user_id_trait = 1",
                "review.teams_user_id_trait: expected a string",
            ),
            (
                "allow_email_username_match = 1",
                "expected true or false, got the number 1",
            ),
            ("reason = \"sometimes\"", "Set it to optional, deny or always"),
        ] {
            let problems = read(text).unwrap_err();
            assert!(
                problems.len() == 1 && problems[0].contains(expected) && problems[0].contains("hint: "),
                "{text}: {problems:#?}"
            );
        }
    }

    #[test]
    fn the_port_must_differ_from_the_one_of_the_diagnostics_while_reviews_are_enabled() {
        let same = "listen = \":8081\"";
        assert!(read(same).is_ok());
        let problems = read(&format!("enabled = true\n{same}")).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let expected = "review.listen: 0.0.0.0:8081 has the same port as diag_addr, 127.0.0.1:8081";
        assert!(problems[0].starts_with(expected), "{problems:?}");
        assert!(read("enabled = true\nlisten = \"10.0.0.1:8081\"").is_ok());
    }
}
