//! What a check found, and how it is printed.

use crate::cli::output;
use crate::cli::output::say;
use serde::Serialize;

/// One line: what was checked, for whom, whether it is right, what was seen, and what to do about it.
#[derive(Serialize)]
struct CheckResult<'a> {
    check: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    status: Status,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// The last line for machines.
#[derive(Serialize)]
struct Summary {
    check: &'static str,
    status: Status,
    ok: usize,
    warnings: usize,
    failed: usize,
    skipped: usize,
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

/// Prints results as they come, and counts them.
pub(super) struct CheckResults {
    json: bool,
    colours: bool,
    ok: usize,
    skipped: usize,
    pub(super) failed: usize,
    warnings: usize,
}

impl CheckResults {
    pub(super) fn new(json: bool, colours: bool) -> Self {
        Self {
            json,
            colours,
            ok: 0,
            skipped: 0,
            failed: 0,
            warnings: 0,
        }
    }

    pub(super) fn ok(&mut self, check: &str, detail: impl AsRef<str>) {
        self.tell(Status::Ok, check, None, detail.as_ref(), None);
    }

    pub(super) fn warning(&mut self, check: &str, detail: impl AsRef<str>, hint: Option<&str>) {
        self.tell(Status::Warning, check, None, detail.as_ref(), hint);
    }

    pub(super) fn failed(&mut self, check: &str, detail: impl AsRef<str>, hint: Option<&str>) {
        self.tell(Status::Failed, check, None, detail.as_ref(), hint);
    }

    pub(super) fn skipped(&mut self, check: &str, detail: impl AsRef<str>) {
        self.tell(Status::Skipped, check, None, detail.as_ref(), None);
    }

    /// Prints what was found for one recipient.
    pub(super) fn recipient(&mut self, target: &str, found: Result<&str, (&str, Option<&str>)>) {
        let check = "recipient";
        match found {
            Ok(detail) => self.tell(Status::Ok, check, Some(target), detail, None),
            Err((detail, hint)) => self.tell(Status::Failed, check, Some(target), detail, hint),
        }
    }

    /// Prints the counts: for machines always, for people where nothing failed, since a failure has its own last line.
    pub(super) fn finish(&self) {
        let Self {
            json,
            colours: _,
            ok,
            skipped,
            failed,
            warnings,
        } = *self;
        if json {
            let status = match (failed, warnings) {
                (0, 0) => Status::Ok,
                (0, _) => Status::Warning,
                _ => Status::Failed,
            };
            print(&Summary {
                check: "summary",
                status,
                ok,
                warnings,
                failed,
                skipped,
            });
        } else if failed == 0 {
            let skipped = match skipped {
                0 => String::new(),
                skipped => format!(", {} skipped", counted(skipped, "check")),
            };
            say!("No errors, {}{skipped}.", counted(warnings, "warning"));
        }
    }

    fn tell(&mut self, status: Status, check: &str, target: Option<&str>, detail: &str, hint: Option<&str>) {
        match status {
            Status::Ok => self.ok += 1,
            Status::Failed => self.failed += 1,
            Status::Warning => self.warnings += 1,
            Status::Skipped => self.skipped += 1,
        }
        if self.json {
            return print(&CheckResult {
                check: &check.to_lowercase().replace(' ', "-"),
                target,
                status,
                detail,
                hint,
            });
        }
        let (word, colour) = match status {
            Status::Ok => ("ok", "32"),
            Status::Warning => ("warning", "33"),
            Status::Failed => ("FAILED", "31"),
            Status::Skipped => ("skipped", "2"),
        };
        let target = target.map(|target| format!("{target}: ")).unwrap_or_default();
        if self.colours {
            output::bytes(format!("\u{1b}[{colour}m{word:>8}\u{1b}[0m").as_bytes());
            say!("  {check}: {target}{detail}");
        } else {
            say!("{word:>8}  {check}: {target}{detail}");
        }
        if let Some(hint) = hint {
            say!("{:>8}  hint: {hint}", "");
        }
    }
}

/// Says how many there are: `no warnings`, `1 warning`, `2 warnings`.
pub(super) fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn print(line: &impl Serialize) {
    say!("{}", serde_json::to_string(line).expect("texts can be written as JSON"));
}
