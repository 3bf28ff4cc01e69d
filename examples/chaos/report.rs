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
        let counts = &verdict.counts;
        for (what, figure) in [
            ("requests", self.ledger.entries.len()),
            ("recipients of all requests", pairs),
            ("cards and decisions", verdict.cards),
            ("  cards of requesters", counts.requester_cards),
            ("  decisions to requesters", counts.decisions),
            ("  escalated cards", counts.escalated),
            ("reminders", counts.reminders),
            ("  expected by recipients without a review", counts.expected_reminders),
            ("  of these, arrived", counts.arrived_reminders),
            ("  to recipients who had reviewed", counts.reminders_after_reviews),
            ("messages that access ends soon", counts.endings),
            ("  recorded before they are sent", counts.recorded_endings),
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
            ("messages to a wrong person or at a wrong time", count(&verdict.wrong)),
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
