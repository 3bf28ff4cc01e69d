//! Cards with hostile and random texts, rich in characters that begin markup.

use std::sync::Arc;

use teleport_msteams::domain::card::{Content, Message};
use teleport_msteams::domain::request::{AccessRequest, Stage};
use teleport_msteams::domain::review::ReasonRule;

use crate::kinds::access_lists::{drawn as drawn_lists, list};
use crate::kinds::buttons::drawn_with_buttons;
use crate::kinds::notifications::{self, requester};
use crate::kinds::shared;
use crate::kinds::{drawn, written_by};

/// Texts that become links, markup or templates where a client reads them as such.
pub(crate) const HOSTILE: [&str; 10] = [
    "[click](https://evil.example) ![x](http://evil.example/x.png) <https://evil.example>",
    "<at>Everybody</at> <b>bold</b> <script>alert(1)</script>",
    "**bold** __bold__ *it* _it_ ~~gone~~ `code` ```\nblock\n```",
    "# Heading\n===\n> quote\n---\n- list\n* list\n+ list\n1. one\n2) two",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "&#91;x&#93;(u) &lt;b&gt; &amp;",
    "\\[x\\](https://evil.example) \\\\[x](u) \\`c`",
    "{{DATE(2017-02-14T06:00:00Z, SHORT)}} {{TIME(2017-02-14T06:00:00Z)}}",
    "\u{202E}drowssap\u{202C} a\u{200B}b\u{FEFF} http://evil.example www.evil.example",
    "[ref]: https://evil.example\n[ref] [ref][ref]",
];

/// Returns one card and one reminder for each hostile text.
pub(crate) fn hostile() -> impl Iterator<Item = (String, Message)> {
    HOSTILE.iter().enumerate().flat_map(|(number, text)| {
        let request = written_by(|| (*text).to_owned());
        [
            (format!("hostile {number}"), drawn(&request)),
            (
                format!("hostile list {number}"),
                drawn_lists(&[list(text, text, 6), list(text, "", -2)]),
            ),
            (format!("hostile {number}, shared"), drawn_twice(&request)),
        ]
    })
}

/// Returns cards with random texts; the same seed gives the same cards.
pub(crate) fn random(count: u64, seed: u64) -> impl Iterator<Item = (String, Message)> {
    let mut random = Random(seed.max(1));
    (0..count).map(move |number| {
        let request = random.request();
        let message = match number % 9 {
            0 => drawn_with_buttons(&request, ReasonRule::Optional),
            1 => drawn_with_buttons(&request, ReasonRule::Deny),
            2 => drawn_with_buttons(&request, ReasonRule::Always),
            3 => notifications::card(&request, &requester()),
            4 => notifications::ending(&request, true),
            5 => notifications::reminded(&request, 60, None),
            6 => {
                let stage = Stage::Approved;
                notifications::decided(&AccessRequest { stage, ..request })
            }
            7 => drawn_twice(&request),
            _ => drawn(&request),
        };
        (format!("fuzz {number}"), message)
    })
}

/// A small generator (xorshift64), so that the same seed gives the same cards.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).unwrap_or(1)).unwrap_or(0)
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 40] = [
            "[",
            "]",
            "(",
            ")",
            "*",
            "_",
            "`",
            "<",
            ">",
            "~",
            "&",
            "\\",
            "!",
            "#",
            "-",
            "+",
            "=",
            "|",
            ":",
            "/",
            ".",
            "{",
            "}",
            "\"",
            "'",
            "\n",
            "\t",
            " ",
            " ",
            "a",
            "b",
            "1",
            "é",
            "https://e.example",
            "www.e.example",
            "1. ",
            "x@y.example",
            "\u{200B}",
            "\u{202E}",
            "&#91;",
        ];
        let length = self.next(24);
        (0..length).map(|_| PIECES[self.next(PIECES.len())]).collect()
    }

    fn request(&mut self) -> AccessRequest {
        written_by(|| self.text())
    }
}

/// Draws a card that a request shares with itself.
fn drawn_twice(request: &AccessRequest) -> Message {
    let content = Content::Request(Arc::new(request.clone()));
    shared::drawn(&[content.clone(), content], true)
}
