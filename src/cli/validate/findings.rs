//! What a check found, and how it is told.

use crate::cli::output::say;
use serde::Serialize;

/// One line: what was looked at, whether it is right, what was seen, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) status: Status,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// It works, but not as well as it could.
    Warning,
    Failed,
    /// It was not looked at, because something else failed or nobody asked.
    Skipped,
}

/// Prints findings as they come, and counts them.
pub(super) struct Findings {
    json: bool,
    colours: bool,
    pub(super) failed: usize,
    pub(super) warnings: usize,
}

impl Findings {
    pub(super) fn new(json: bool, colours: bool) -> Self {
        Self {
            json,
            colours,
            failed: 0,
            warnings: 0,
        }
    }

    pub(super) fn ok(&mut self, check: &str, detail: impl Into<String>) {
        self.tell(Status::Ok, check, detail.into(), None);
    }

    pub(super) fn warning(&mut self, check: &str, detail: impl Into<String>, remedy: Option<&str>) {
        self.tell(Status::Warning, check, detail.into(), remedy);
    }

    pub(super) fn failed(&mut self, check: &str, detail: impl Into<String>, remedy: Option<&str>) {
        self.tell(Status::Failed, check, detail.into(), remedy);
    }

    pub(super) fn skipped(&mut self, check: &str, detail: impl Into<String>) {
        self.tell(Status::Skipped, check, detail.into(), None);
    }

    fn tell(&mut self, status: Status, check: &str, detail: String, remedy: Option<&str>) {
        match status {
            Status::Failed => self.failed += 1,
            Status::Warning => self.warnings += 1,
            Status::Ok | Status::Skipped => {}
        }
        let finding = Finding {
            check: check.to_owned(),
            status,
            detail,
            remedy: remedy.map(str::to_owned),
        };
        if self.json {
            say!(
                "{}",
                serde_json::to_string(&finding).expect("texts can be written as JSON")
            );
            return;
        }
        let (word, colour) = match status {
            Status::Ok => ("ok", "32"),
            Status::Warning => ("warning", "33"),
            Status::Failed => ("FAILED", "31"),
            Status::Skipped => ("skipped", "2"),
        };
        let Finding { check, detail, .. } = &finding;
        if self.colours {
            say!("\u{1b}[{colour}m{word:>8}\u{1b}[0m  {check}: {detail}");
        } else {
            say!("{word:>8}  {check}: {detail}");
        }
        if let Some(remedy) = &finding.remedy {
            say!("{:>8}  remedy: {remedy}", "");
        }
    }
}
