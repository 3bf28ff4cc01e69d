//! The results of checks, as text or JSON.

use crate::cli::output;
use crate::cli::output::say;
use serde::Serialize;

/// One result, as a line of JSON.
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

/// The last line of JSON.
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
    /// The check passed, but something should be improved.
    Warning,
    Failed,
    /// The check did not run, because another one failed or the options exclude it.
    Skipped,
}

/// Prints results as they arrive, and counts them.
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
        self.print(Status::Ok, check, None, detail.as_ref(), None);
    }

    pub(super) fn warning(&mut self, check: &str, detail: impl AsRef<str>, hint: Option<&str>) {
        self.print(Status::Warning, check, None, detail.as_ref(), hint);
    }

    pub(super) fn failed(&mut self, check: &str, detail: impl AsRef<str>, hint: Option<&str>) {
        self.print(Status::Failed, check, None, detail.as_ref(), hint);
    }

    pub(super) fn skipped(&mut self, check: &str, detail: impl AsRef<str>) {
        self.print(Status::Skipped, check, None, detail.as_ref(), None);
    }

    /// Prints the result of one recipient.
    pub(super) fn recipient(&mut self, target: &str, found: Result<&str, (&str, Option<&str>)>) {
        let check = "recipient";
        match found {
            Ok(detail) => self.print(Status::Ok, check, Some(target), detail, None),
            Err((detail, hint)) => self.print(Status::Failed, check, Some(target), detail, hint),
        }
    }

    /// Prints the summary: always as JSON, as text only if no check failed, because the error is the last line otherwise.
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

    fn print(&mut self, status: Status, check: &str, target: Option<&str>, detail: &str, hint: Option<&str>) {
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

/// Returns a count with its noun: `no warnings`, `1 warning`, `2 warnings`.
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
