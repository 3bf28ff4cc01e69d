//! The check of the messages besides the cards of reviewers: requesters, decisions, escalation, reminders and ends of access.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use teleport_msteams::domain::lifecycle::Audience;
use world::reading::Kind;
use world::tenant::Card;

use crate::company;
use crate::ledger::{Case, Verdict};
use crate::messages::posted;

/// How long after the decision, or after a review, a reminder may arrive: a daemon without its watch does not know them yet.
const LATE: Duration = Duration::from_secs(20);

/// How long before the escalation a card must have been posted, so that it was recorded when the request was planned.
const SAFELY_EARLY: Duration = Duration::from_secs(4);

impl Case<'_> {
    pub(crate) fn check_others(&self, verdict: &mut Verdict) {
        let requester = company::mail_of(&self.company.requesters[self.entry.requester]);
        self.check_requester(requester, verdict);
        let escalated = self.check_escalation(requester, verdict);
        let mut everyone: BTreeSet<&str> = self.entry.recipients.iter().map(String::as_str).collect();
        everyone.extend(escalated);
        for mail in &everyone {
            self.check_reminders(mail, verdict);
        }
        self.check_strangers(requester, &everyone, verdict);
        self.check_recorded_steps(verdict);
    }

    /// Checks the requester's card, and the message with the decision.
    fn check_requester(&self, requester: &str, verdict: &mut Verdict) {
        let is_announced = self.has_card(|audience| audience == Audience::Reviewers);
        let is_known = self.has_card(|audience| audience == Audience::Requester);
        let is_decided = ["APPROVED", "DENIED", "PROMOTED"].contains(&self.shows);
        self.check_cards(requester, Kind::Card, self.shows == "PENDING" && is_announced, verdict);
        self.check_cards(requester, Kind::Decision, is_decided && is_known, verdict);
        verdict.counts.requester_cards += self.about(requester, Kind::Card).len();
        let decisions = self.about(requester, Kind::Decision).len();
        verdict.counts.decisions += decisions;
        if decisions > 0 && !is_decided {
            let what = format!("{requester} has a decision about a request that is {}", self.shows);
            verdict.wrong.entry(self.number).or_default().push(what);
        }
    }

    /// Checks the cards of further recipients, and returns who may have one.
    fn check_escalation<'a>(&'a self, requester: &str, verdict: &mut Verdict) -> BTreeSet<&'a str> {
        let is_pending = self.shows == "PENDING" && self.has_card(|audience| audience == Audience::Reviewers);
        let recipients = &self.entry.recipients;
        let mut further = BTreeSet::new();
        let mut required = BTreeSet::new();
        required.extend(is_pending.then_some(self.entry.lead.as_str()));
        further.insert(self.entry.lead.as_str());
        for mail in recipients {
            let Some(manager) = self.company.manager_of(mail) else {
                continue;
            };
            if manager == requester || recipients.iter().any(|recipient| recipient == manager) {
                continue;
            }
            further.insert(manager);
            if is_pending && self.was_asked_in_time(mail) && self.review_of(mail).is_none() {
                required.insert(manager);
            }
        }
        for mail in &further {
            self.check_cards(mail, Kind::Card, required.contains(mail), verdict);
            verdict.counts.escalated += self.about(mail, Kind::Card).len();
        }
        further
    }

    /// Returns whether a recipient has a card from before the escalation. The manager of one who was notified later is found when
    /// the request is planned the next time.
    fn was_asked_in_time(&self, mail: &str) -> bool {
        let Some(escalated) = self.announced().map(|at| at + company::ESCALATE_AFTER) else {
            return false;
        };
        let cards = self.about(mail, Kind::Card);
        let mut asked = cards.iter().filter(|card| posted(card) + SAFELY_EARLY < escalated);
        let is_recorded = |card: &&&Card| {
            self.record
                .cards
                .iter()
                .any(|known| known.activity == card.id && self.company.mail_of(&known.recipient.name) == mail)
        };
        asked.any(|card| is_recorded(&card))
    }

    /// Checks that a recipient gets each reminder at most once, and none after the decision.
    fn check_reminders(&self, mail: &str, verdict: &mut Verdict) {
        let reminders = self.about(mail, Kind::Reminder);
        let rounds = self.reminded.iter().filter(|steps| !steps.contains("ends"));
        // A card that was posted later than the reminder was due gets none.
        let asked = self.about(mail, Kind::Card).first().map(|card| posted(card));
        let is_for = |steps: &&BTreeSet<String>| asked.zip(self.due(steps)).is_some_and(|(asked, due)| asked < due);
        let expected = rounds.clone().filter(is_for).count();
        let recorded = rounds.count();
        let mut report = |what| verdict.wrong.entry(self.number).or_default().push(what);
        if reminders.len() > recorded {
            report(format!(
                "{mail} has {} reminders, of {recorded} that are recorded",
                reminders.len()
            ));
        }
        let second = self.announced().map(|at| at + company::REMIND_AFTER[1]);
        let early = |card: &&&Card| second.is_some_and(|second| posted(card) < second);
        if reminders.iter().filter(early).count() > 1 {
            report(format!("{mail} has the first reminder twice"));
        }
        if let Some(decided) = self.decided() {
            for card in reminders.iter().filter(|card| posted(card) > decided + LATE) {
                let late = posted(card).duration_since(decided).unwrap_or_default();
                report(format!("{mail} has reminder {} {late:?} after the decision", card.id));
            }
        }
        let reviewed = self.review_of(mail);
        let is_after = |card: &&&Card| reviewed.is_some_and(|at| posted(card) > at + LATE);
        verdict.counts.reminders += reminders.len();
        verdict.counts.reminders_after_reviews += reminders.iter().filter(is_after).count();
        let mut cards = self.record.cards.iter();
        if reviewed.is_none() && cards.any(|card| self.company.mail_of(&card.recipient.name) == mail) {
            verdict.counts.expected_reminders += expected;
            verdict.counts.arrived_reminders += reminders.len().min(expected);
            if reminders.len() < expected && self.shows == "PENDING" {
                let what = format!(
                    "{mail} has {} of {expected} reminders of request {}",
                    reminders.len(),
                    self.entry.id
                );
                verdict.missing_reminders.push(what);
            }
        }
    }

    /// Checks that only the expected people have messages.
    fn check_strangers(&self, requester: &str, reviewers: &BTreeSet<&str>, verdict: &mut Verdict) {
        for (mail, kind, card) in self.messages.all_about(&self.entry.id) {
            let is_expected = match kind {
                Kind::Card => mail == requester || reviewers.contains(mail),
                Kind::Reminder => mail != requester && reviewers.contains(mail),
                Kind::Decision | Kind::Ending => mail == requester,
                Kind::AccessLists => false,
            };
            if !is_expected {
                let what = format!("{mail} has {} {}, and must not", kind.as_str(), card.id);
                verdict.wrong.entry(self.number).or_default().push(what);
            }
        }
        let endings = self.about(requester, Kind::Ending).len();
        let recorded = self.steps().filter(|step| *step == "ends").count();
        verdict.counts.endings += endings;
        verdict.counts.recorded_endings += recorded;
        if endings > recorded {
            let what = format!("{requester} has a message that access ends, which is not recorded");
            verdict.wrong.entry(self.number).or_default().push(what);
        }
        if endings > usize::from(self.shows == "APPROVED") {
            let what = format!(
                "{requester} has {endings} messages that access ends; the request is {}",
                self.shows
            );
            verdict.wrong.entry(self.number).or_default().push(what);
        }
    }

    /// Checks that each step whose time has come is recorded: it is sent, or a daemon ended while it was.
    fn check_recorded_steps(&self, verdict: &mut Verdict) {
        let is_announced = self.has_card(|audience| audience == Audience::Reviewers);
        let expected: Vec<String> = match self.shows {
            _ if !is_announced => return,
            "PENDING" => company::REMIND_AFTER.map(step).into(),
            "APPROVED" if self.is_longer_than_notice() => vec!["ends".to_owned()],
            _ => return,
        };
        for step in expected {
            if !self.steps().any(|known| known == step) {
                let what = format!("the reminder {step} is not recorded");
                verdict.lost.entry(self.number).or_default().push(what);
            }
        }
    }

    /// Returns whether the access was granted before its end is announced; shorter access ends without a message.
    fn is_longer_than_notice(&self) -> bool {
        let (Some(created), Some(decided)) = (self.entry.created, self.decided()) else {
            return false;
        };
        decided + Duration::from_secs(1) < created + company::ENDS_SOON_AFTER
    }

    /// Returns the recorded steps.
    fn steps(&self) -> impl Iterator<Item = &str> {
        let text = self.data.get("x_reminded").map(String::as_str);
        text.unwrap_or_default().split(',').filter(|step| !step.is_empty())
    }

    /// Returns when the last of these reminders is due.
    fn due(&self, steps: &BTreeSet<String>) -> Option<SystemTime> {
        let after = company::REMIND_AFTER
            .into_iter()
            .rfind(|after| steps.contains(&step(*after)))?;
        Some(self.announced()? + after)
    }

    fn has_card(&self, of: impl Fn(Audience) -> bool) -> bool {
        self.record.cards.iter().any(|card| of(card.recipient.audience))
    }

    fn about(&self, mail: &str, kind: Kind) -> Vec<&Card> {
        self.messages.about(&self.entry.id, mail, kind)
    }

    fn announced(&self) -> Option<SystemTime> {
        let milliseconds = self.record.announced?.as_millisecond();
        Some(SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds.try_into().ok()?))
    }

    /// Returns when a person reviewed.
    fn review_of(&self, mail: &str) -> Option<SystemTime> {
        let author = company::teleport_user(mail);
        let review = self.reviews.iter().find(|review| review.author == author)?;
        SystemTime::try_from(review.created?).ok()
    }

    /// Returns when the request was resolved.
    fn decided(&self) -> Option<SystemTime> {
        if self.shows == "PENDING" {
            return None;
        }
        let reviews = self.reviews.iter();
        let last = reviews
            .filter_map(|review| SystemTime::try_from(review.created?).ok())
            .max();
        self.entry.decided.or(last)
    }
}

/// Returns a reminder as the daemon records it.
fn step(after: Duration) -> String {
    format!("after:{}", after.as_millis())
}
