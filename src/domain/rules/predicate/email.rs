//! The local part of an email address, parsed as Go's `net/mail` reads one address.
//!
//! Source: RFC 5322, sections 3.2 to 3.4, with the extensions of `net/mail`: characters beyond ASCII, dots in names,
//! and only blanks and tabs as white space.

use core::net::IpAddr;

/// Returns the local part of the single address in the text; `None` if the text is not one address.
pub(super) fn local_part(text: &str) -> Option<String> {
    let mut rest = Rest(text);
    let address = address(&mut rest, true)?;
    rest.comments()?;
    rest.0.is_empty().then(|| {
        let (local, _) = address.split_once('@').unwrap_or((&address, ""));
        local.to_owned()
    })
}

/// Reads `a@b`, `name <a@b>`, or, if allowed, a group with one of these.
fn address(rest: &mut Rest<'_>, may_be_group: bool) -> Option<String> {
    rest.blanks();
    let begin = rest.0;
    if let Some(address) = bare(rest) {
        return Some(address);
    }
    rest.0 = begin;
    if !rest.0.starts_with('<') {
        phrase(rest)?;
    }
    rest.blanks();
    if may_be_group && rest.mark(':').is_some() {
        return group(rest);
    }
    angle(rest)
}

fn angle(rest: &mut Rest<'_>) -> Option<String> {
    rest.mark('<')?;
    let address = bare(rest)?;
    rest.mark('>')?;
    Some(address)
}

/// Reads the rest of a group after its name: exactly one address, and a semicolon.
fn group(rest: &mut Rest<'_>) -> Option<String> {
    rest.comments()?;
    let address = address(rest, false)?;
    rest.comments()?;
    rest.mark(';')?;
    Some(address)
}

/// Reads a display name: words and quoted texts.
fn phrase(rest: &mut Rest<'_>) -> Option<()> {
    let mut words = 0;
    loop {
        // A comment may follow a word, but not start the name.
        if words == 0 {
            rest.blanks();
        } else {
            rest.comments()?;
        }
        let begin = rest.0;
        let word = if rest.0.starts_with('"') {
            quoted(rest)
        } else {
            rest.atom(true).map(str::to_owned)
        };
        if word.is_none() {
            rest.0 = begin;
            return (words > 0).then_some(());
        }
        words += 1;
    }
}

/// Reads `local@domain`, and returns it without quotes.
fn bare(rest: &mut Rest<'_>) -> Option<String> {
    rest.blanks();
    let local = if rest.0.starts_with('"') {
        quoted(rest).filter(|local| !local.is_empty())?
    } else {
        rest.atom(false)?.to_owned()
    };
    rest.mark('@')?;
    rest.blanks();
    let domain = if rest.mark('[').is_some() {
        let (inside, after) = rest.0.split_once(']')?;
        inside.parse::<IpAddr>().ok()?;
        rest.0 = after;
        format!("[{inside}]")
    } else {
        rest.atom(false)?.to_owned()
    };
    Some(format!("{local}@{domain}"))
}

fn quoted(rest: &mut Rest<'_>) -> Option<String> {
    rest.mark('"')?;
    let mut inside = String::new();
    loop {
        let next = rest.any()?;
        let next = match next {
            '"' => return Some(inside),
            '\\' => rest.any()?,
            next => next,
        };
        if !is_visible(next) && next != ' ' && next != '\t' {
            return None;
        }
        inside.push(next);
    }
}

fn is_visible(letter: char) -> bool {
    letter.is_ascii_graphic() || !letter.is_ascii()
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn mark(&mut self, mark: char) -> Option<()> {
        self.0 = self.0.strip_prefix(mark)?;
        Some(())
    }

    fn any(&mut self) -> Option<char> {
        let mut letters = self.0.chars();
        let next = letters.next()?;
        self.0 = letters.as_str();
        Some(next)
    }

    /// Reads a word with dots; unless `loosely`, dots are only allowed between letters.
    fn atom(&mut self, loosely: bool) -> Option<&'a str> {
        let inside = |letter: char| is_visible(letter) && !r#"()[];@\,:<>""#.contains(letter);
        let length = self.0.find(|letter| !inside(letter)).unwrap_or(self.0.len());
        let (atom, rest) = self.0.split_at(length);
        let well_dotted = !atom.starts_with('.') && !atom.ends_with('.') && !atom.contains("..");
        self.0 = rest;
        (!atom.is_empty() && (loosely || well_dotted)).then_some(atom)
    }

    /// Skips blanks and comments, which can be nested.
    fn comments(&mut self) -> Option<()> {
        loop {
            self.blanks();
            if self.mark('(').is_none() {
                return Some(());
            }
            let mut depth = 1_usize;
            while depth > 0 {
                match self.any()? {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    '\\' => {
                        self.any()?;
                    }
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_found_where_go_finds_one() {
        for (text, expected) in [
            ("b(c)\"A, B\" <a@x>", Some("a")),
            ("a.b(c)g: a@b;", Some("a")),
            ("a@[::1]", Some("a")),
            ("(c)\"A, B\" <a@x>", None),
            ("a@[IPv6:::1]", None),
            ("a@b (c", None),
            ("", None),
        ] {
            assert_eq!(local_part(text).as_deref(), expected, "{text}");
        }
    }
}
