//! The report at the end of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ledger::Verdict;
use crate::run::Run;

impl Run {
    /// Prints the history of each request with a problem, then the figures and the verdict.
    pub(crate) fn report(&self, seed: u64, verdict: &Verdict, took: Duration) {
        let pairs: usize = self.ledger.entries.iter().map(|entry| entry.recipients.len()).sum();
        let count = |what: &BTreeMap<usize, Vec<String>>| what.values().map(Vec::len).sum::<usize>();
        for (number, what) in verdict.failures() {
            let entry = &self.ledger.entries[number];
            println!("\nrequest {number} ({})", entry.id);
            for line in what.iter().copied().chain(entry.story.iter().map(String::as_str)) {
                println!("  {line}");
            }
            for replica in &self.replicas {
                for line in replica.lines_about(&entry.id) {
                    println!("  {line}");
                }
            }
        }
        println!();
        for (what, figure) in [
            ("requests", self.ledger.entries.len()),
            ("recipients of all requests", pairs),
            ("cards", verdict.cards),
            ("daemons killed", self.kills),
            ("daemons stopped", self.stops),
            ("faults", self.faults),
            ("lost", count(&verdict.lost)),
            ("stale", count(&verdict.stale)),
            ("cards whose ID was lost with a response", verdict.lost_with_answer),
            (
                "cards whose ID was lost with a killed daemon",
                verdict.lost_with_process,
            ),
            ("notified twice without such a cause", count(&verdict.twice)),
            ("posts retried too soon or too often", count(&verdict.repeated)),
            ("presses of buttons", self.presses.made),
            ("  delivered twice", self.presses.repeated),
        ]
        .into_iter()
        .chain(self.presses.outcomes())
        .chain([("presses and reviews that differ", count(&verdict.presses))])
        {
            println!("{what:<50} {figure:>6}");
        }
        println!(
            "{:<50} {:>6.1} s",
            "time to settle after the last fault",
            took.as_secs_f64()
        );
        let word = if verdict.passed() { "PASSED" } else { "FAILED" };
        println!("{word}: seed {seed}");
    }
}
