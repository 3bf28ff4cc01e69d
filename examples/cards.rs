//! Prints every kind of card as JSON, one per line, for the checks with independent programs (`tests/peers`).
//!
//! `cards --fuzz N --seed S` adds N cards with random texts, rich in characters that begin markup.

use std::io::{self, Write as _};

use clap::Parser;
use jiff::Timestamp;
use serde_json::json;
use teleport_msteams::domain::card::{CardCluster, Message, Remembered, of_record, of_request};
use teleport_msteams::domain::request::{AccessList, AccessRequest, RequestId, Resource, Review, Stage, Verdict};

#[derive(Debug, Parser)]
struct Options {
    /// Number of cards with random texts
    #[arg(long, default_value_t = 0)]
    fuzz: u64,
    /// Seed of the random texts
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const HOSTILE: [&str; 10] = [
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

fn main() -> anyhow::Result<()> {
    let Options { fuzz, seed } = Options::parse();
    let mut out = io::stdout().lock();
    let mut print = |name: &str, message: &Message| -> anyhow::Result<()> {
        let line = json!({"name": name, "summary": message.summary, "card": message.card});
        Ok(writeln!(out, "{line}")?)
    };
    for (name, message) in kinds() {
        print(name, &message)?;
    }
    let mut random = Random(seed.max(1));
    for number in 0..fuzz {
        print(
            &format!("fuzz {number}"),
            &of_request(&cluster(number % 2 == 0), &random.request()),
        )?;
    }
    Ok(())
}

fn kinds() -> Vec<(&'static str, Message)> {
    let linked = |request: &AccessRequest| of_request(&cluster(true), request);
    let reviewed = |stage| AccessRequest {
        reviews: vec![review(Verdict::Approve, "fine"), review(Verdict::Deny, "not so fine")],
        ..request(stage)
    };
    let promoted = AccessRequest {
        promoted_to: Some(AccessList {
            name: "0d7f".to_owned(),
            title: "Database people".to_owned(),
        }),
        reviews: vec![review(Verdict::Promote, "")],
        ..request(Stage::Promoted)
    };
    let large = AccessRequest {
        resources: vec![resource("web-01"); 200],
        ..request(Stage::Pending)
    };
    let id = RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11");
    let remembered = Remembered {
        id: &id,
        user: "bob@example.com",
        roles: "dba,dev",
        reason: HOSTILE[0],
        reviews: 3,
        stage: Stage::Expired,
        resolve_reason: "",
    };
    let mut all = vec![
        ("pending with a link", linked(&request(Stage::Pending))),
        (
            "pending without a link",
            of_request(&cluster(false), &request(Stage::Pending)),
        ),
        ("pending with reviews", linked(&reviewed(Stage::Pending))),
        ("approved", linked(&reviewed(Stage::Approved))),
        ("denied", of_request(&cluster(false), &reviewed(Stage::Denied))),
        ("promoted", linked(&promoted)),
        ("expired", linked(&reviewed(Stage::Expired))),
        ("200 resources", linked(&large)),
        ("remembered", of_record(&cluster(true), &remembered)),
    ];
    all.extend(HOSTILE.map(|text| ("hostile", linked(&written_by(|| text.to_owned())))));
    all.push(("64 KB", linked(&written_by(|| HOSTILE.concat().repeat(100)))));
    all
}

fn cluster(web: bool) -> CardCluster {
    CardCluster {
        name: "teleport.example.com".to_owned(),
        web: web.then(|| "https://teleport.example.com".to_owned()),
    }
}

fn request(stage: Stage) -> AccessRequest {
    let time = |seconds: i64| Timestamp::from_second(1_715_072_700 + seconds).ok();
    AccessRequest {
        roles: vec!["dba".to_owned(), "dev".to_owned()],
        stage,
        reason: "Need to fix the index".to_owned(),
        resolve_reason: "ok".to_owned(),
        resources: vec![resource("web-01")],
        created: time(0),
        access_until: time(28_800),
        access_from: time(3_600),
        expires: time(604_800),
        ..AccessRequest::new(
            RequestId::new("018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11"),
            "bob@example.com",
        )
    }
}

/// Returns a request in which every text comes from `text`.
fn written_by(mut text: impl FnMut() -> String) -> AccessRequest {
    AccessRequest {
        user: text(),
        roles: vec![text(), text()],
        reason: text(),
        reviews: vec![Review {
            author: text(),
            ..review(Verdict::Approve, &text())
        }],
        resources: vec![resource(&text())],
        ..request(Stage::Pending)
    }
}

fn review(verdict: Verdict, reason: &str) -> Review {
    Review {
        reason: reason.to_owned(),
        created: Timestamp::from_second(1_715_072_760).ok(),
        ..Review::new("alice@example.com", verdict)
    }
}

fn resource(name: &str) -> Resource {
    Resource::new("teleport.example.com", "node", name)
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
