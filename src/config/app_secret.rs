//! The client secret: a value, a file or an environment variable.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::config::file::{Notes, Section};
use crate::config::microsoft::is_placeholder;
use crate::config::secret_file::{Unusable, read, to_write};
use crate::config::shown;
use crate::secret::Secret;

/// Maximum size of a secret in bytes; the Go plugin's limit.
const LONGEST_SECRET: usize = 2_000;

/// Maximum size of its file in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// What the file contains.
const CONTENT: &str = "the value of a client secret";

/// The client secret, and the file that it was read from, which may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSecret {
    pub value: Secret,
    pub file: Option<PathBuf>,
    /// The configuration itself contains the secret.
    pub inline: bool,
}

/// Maximum number of secrets in a list. A rotation needs two.
const MOST_SECRETS: usize = 8;

const HINT: &str =
    hint!("Set it to the value of a client secret, to the path of a file that contains it, or to env:NAME");

/// Reads the client secret, or a list of them: each is a value, a file (`/…`) or a variable (`env:NAME`). Secrets are never part
/// of a message.
pub(super) fn app_secrets(
    section: &mut Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<Vec<AppSecret>> {
    let key = section.key("app_secret");
    let list = match section.value("app_secret") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_)) => {
            notes.problem(key, "missing", HINT);
            return None;
        }
        value => return app_secret(&key, "", value, environment, notes).map(|secret| vec![secret]),
    };
    if list.len() > MOST_SECRETS {
        let message = format!("has more than {MOST_SECRETS} secrets");
        notes.problem(key, message, hint!("Keep the current secret and the next one"));
        return None;
    }
    let mut secrets = Vec::new();
    for (value, place) in list.iter().zip(1..) {
        let place = format!("secret {place} ");
        secrets.push(app_secret(&key, &place, Some(value), environment, notes));
    }
    secrets.into_iter().collect()
}

/// Reads one secret; `place` begins each message about it.
fn app_secret(
    key: &str,
    place: &str,
    value: Option<&Value>,
    environment: &dyn Fn(&str) -> Option<String>,
    notes: &mut Notes,
) -> Option<AppSecret> {
    let text = match value {
        Some(Value::String(text)) => text.trim(),
        Some(_) => {
            notes.problem(key, format!("{place}expected a string"), HINT);
            return None;
        }
        None => "",
    };
    if looks_like_a_path(text) {
        notes.problem(
            key,
            format!("{place}looks like a relative path"),
            hint!("Write the absolute path of the file, or the value of the client secret"),
        );
        return None;
    }
    let file = text.starts_with('/').then(|| PathBuf::from(text));
    let found = if text.is_empty() {
        Err(written("missing"))
    } else if is_placeholder(text) {
        Err(written("still has the placeholder value"))
    } else if let Some(name) = text.strip_prefix("env:") {
        match environment(name) {
            Some(text) => usable(&text).map_err(written),
            None => Err(written(format!(
                "the environment variable {} is not set",
                shown::key(name)
            ))),
        }
    } else if let Some(file) = &file {
        secret_in(file)
    } else {
        usable(text).map_err(written)
    };
    match found {
        Ok(value) => Some(AppSecret {
            value,
            inline: file.is_none() && !text.starts_with("env:"),
            file,
        }),
        Err(unusable) => {
            let message = format!("{place}{}", unusable.message);
            Unusable { message, ..unusable }.report(key.to_owned(), notes);
            None
        }
    }
}

/// Returns whether a value that does not begin with `/` looks like the path of a file.
fn looks_like_a_path(text: &str) -> bool {
    let begins = ["./", "../", "~/"].iter().any(|start| text.starts_with(start));
    begins || !text.starts_with('/') && text.contains('/') && Path::new(text).is_file()
}

/// Says why the written text is no usable secret.
fn written(message: impl Into<String>) -> Unusable {
    Unusable {
        message: message.into(),
        hint: HINT.to_owned(),
        may_pass: false,
    }
}

impl AppSecret {
    /// Reads the file again. Returns `None` if there is no file, or if the secret is unchanged.
    ///
    /// # Errors
    /// The reason why the file cannot be used, without its content.
    pub fn renewed(&self) -> Result<Option<Self>, String> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let value = secret_in(file).map_err(|unusable| unusable.message)?;
        let renewed = Self {
            value,
            file: Some(file.clone()),
            inline: false,
        };
        Ok(Some(renewed).filter(|renewed| renewed != self))
    }
}

fn secret_in(file: &Path) -> Result<Secret, Unusable> {
    let bytes = read(file, LONGEST_FILE, CONTENT)?;
    let text = String::from_utf8(bytes).map_err(|_| Unusable::of(file, "is not text", HINT))?;
    let is_empty = text.trim().is_empty();
    usable(&text).map_err(|message| Unusable {
        hint: if is_empty { to_write(CONTENT) } else { HINT.to_owned() },
        may_pass: is_empty,
        message,
    })
}

fn usable(text: &str) -> Result<Secret, String> {
    if text.len() > LONGEST_SECRET {
        Err(format!("is longer than {LONGEST_SECRET} bytes"))
    } else if text.trim().is_empty() {
        Err("is empty".to_owned())
    } else {
        Ok(Secret::new(text.trim()))
    }
}
