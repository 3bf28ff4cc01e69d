//! Whose turn it is to send: Microsoft's limits, as values.
//!
//! Sends of one conversation (a *key*) wait in a line of their own; at most one line of each key is looked at, so a
//! conversation at its limit holds nobody else, and every step costs little however many wait.
//!
//! Architecture Invariant: pure. The time is a parameter, and nothing here waits; `pacing` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::msteams::line::{Line, Spot, Ticket, Urgency};
use crate::msteams::send_log::{SendLog, Window};

/// What a service allows.
#[derive(Clone, Debug)]
pub(crate) struct PaceLimits {
    /// At most so many sends in any such time.
    pub(crate) overall: Window,
    /// The smallest time between two sends.
    pub(crate) gap: Duration,
    pub(crate) in_flight: usize,
    /// All of them hold for each key.
    pub(crate) per_key: Vec<Window>,
    pub(crate) in_flight_per_key: usize,
}

/// Shares its text with the table; the empty key stands for sends that no limit of a key concerns.
pub(crate) type Key = Arc<str>;

/// Who may go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go(Ticket, Key),
    /// Nobody before then.
    At(Instant),
    /// Nobody until something else happens.
    Idle,
}

/// The lines, and the log of what was sent.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    lines: HashMap<Key, Line>,
    /// The first of each line that may send as far as its key is concerned.
    ready: BTreeMap<Ticket, Key>,
    /// The keys with a line that may not send before a time.
    resting: BTreeSet<(Instant, Key)>,
    log: SendLog,
    in_flight: usize,
    paused_until: Option<Instant>,
    arrivals: u64,
    swept: Option<Instant>,
}

/// Forgetting quiet conversations looks at all of them, so it is done rarely.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

impl Pace {
    pub(crate) fn new(limits: PaceLimits) -> Self {
        Self {
            limits,
            lines: HashMap::new(),
            ready: BTreeMap::new(),
            resting: BTreeSet::new(),
            log: SendLog::default(),
            in_flight: 0,
            paused_until: None,
            arrivals: 0,
            swept: None,
        }
    }

    /// Takes a place in the line of a key.
    pub(crate) fn join(&mut self, now: Instant, key: &Key, urgency: Urgency) -> Ticket {
        self.arrivals += 1;
        let ticket = Ticket::new(urgency, self.arrivals);
        self.lines.entry(key.clone()).or_default().waiting.insert(ticket);
        self.place(now, key);
        ticket
    }

    /// Gives up a place; returns whether it was still held.
    pub(crate) fn leave(&mut self, now: Instant, key: &Key, ticket: Ticket) -> bool {
        let held = self.lines.get_mut(key).is_some_and(|line| line.waiting.remove(&ticket));
        self.place(now, key);
        held
    }

    /// Lets the next one go, if anybody may.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        self.sweep(now);
        while let Some((_, key)) = self.resting.first().filter(|(at, _)| *at <= now).cloned() {
            self.place(now, &key);
        }
        let resting = self.resting.first().map(|(at, _)| *at);
        let Some((&ticket, key)) = self.ready.first_key_value() else {
            return resting.map_or(Next::Idle, Next::At);
        };
        if self.in_flight >= self.limits.in_flight {
            return Next::Idle;
        }
        let free = self.free_at().filter(|at| *at > now);
        if let Some(at) = free {
            return Next::At(at);
        }
        let key = key.clone();
        self.depart(now, &key, ticket);
        Next::Go(ticket, key)
    }

    /// Notes that a send has ended, however it did.
    pub(crate) fn done(&mut self, now: Instant, key: &Key) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(key) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
        self.place(now, key);
    }

    /// Keeps a key, or with the empty one everything, from sending before a time; returns who waits in its line.
    pub(crate) fn pause(&mut self, now: Instant, key: &Key, until: Instant) -> Vec<Ticket> {
        if key.is_empty() {
            self.paused_until = self.paused_until.max(Some(until));
            return self
                .lines
                .values()
                .flat_map(|line| line.waiting.iter().copied())
                .collect();
        }
        let line = self.lines.entry(key.clone()).or_default();
        line.paused_until = line.paused_until.max(Some(until));
        let waiting = line.waiting.iter().copied().collect();
        self.place(now, key);
        waiting
    }

    /// Returns until when a key may not send because it was asked to pause.
    pub(crate) fn paused_until(&self, key: &Key) -> Option<Instant> {
        let line = self.lines.get(key).and_then(|line| line.paused_until);
        line.max(self.paused_until)
    }

    fn depart(&mut self, now: Instant, key: &Key, ticket: Ticket) {
        let longest = self.longest_window();
        if let Some(line) = self.lines.get_mut(key) {
            line.waiting.remove(&ticket);
            line.in_flight += 1;
            if !key.is_empty() {
                line.log.forget(now, longest);
                line.log.note(now);
            }
        }
        self.log.forget(now, self.limits.overall.within);
        self.log.note(now);
        self.in_flight += 1;
        self.place(now, key);
    }

    /// Returns when the limits on everything allow the next send.
    fn free_at(&self) -> Option<Instant> {
        let gap = self.log.last().map(|last| last + self.limits.gap);
        gap.max(self.log.free_at(self.limits.overall)).max(self.paused_until)
    }

    /// Enters the line of a key where it now belongs.
    fn place(&mut self, now: Instant, key: &Key) {
        let Some(line) = self.lines.get_mut(key) else { return };
        match line.spot {
            Spot::Nowhere => {}
            Spot::Ready(ticket) => {
                self.ready.remove(&ticket);
            }
            Spot::Resting(at) => {
                self.resting.remove(&(at, key.clone()));
            }
        }
        let full = !key.is_empty() && line.in_flight >= self.limits.in_flight_per_key;
        line.spot = if full {
            Spot::Nowhere
        } else {
            line.next_spot(now, &self.limits.per_key)
        };
        match line.spot {
            Spot::Nowhere => {}
            Spot::Ready(ticket) => {
                self.ready.insert(ticket, key.clone());
            }
            Spot::Resting(at) => {
                self.resting.insert((at, key.clone()));
            }
        }
    }

    /// Forgets the conversations in which nothing happens any more.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        let longest = self.longest_window();
        self.lines.retain(|_, line| {
            line.log.forget(now, longest);
            !line.is_quiet(now)
        });
    }

    /// Returns for how long a send of a key counts.
    fn longest_window(&self) -> Duration {
        let windows = self.limits.per_key.iter().map(|window| window.within);
        windows.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msteams::bot;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Lets go whoever may until nobody waits; every send takes `latency`. Returns who went when.
    fn drain(pace: &mut Pace, start: Instant, latency: Duration) -> Vec<(Instant, Ticket, Key)> {
        let mut now = start;
        let mut gone: Vec<(Instant, Ticket, Key)> = Vec::new();
        let mut ended = 0;
        loop {
            while let Some((at, _, key)) = gone.get(ended).filter(|(at, _, _)| *at + latency <= now) {
                pace.done(*at + latency, key);
                ended += 1;
            }
            let end_of_first = gone.get(ended).map(|(at, _, _)| *at + latency);
            now = match (pace.next(now), end_of_first) {
                (Next::Go(ticket, key), _) => {
                    gone.push((now, ticket, key));
                    continue;
                }
                (Next::At(at), Some(end)) => at.min(end),
                (Next::At(at), None) | (Next::Idle, Some(at)) => at,
                (Next::Idle, None) => return gone,
            };
        }
    }

    fn most_within(times: &[Instant], within: Duration) -> usize {
        let from = |(first, at): (usize, &Instant)| times[first..].iter().take_while(|t| **t < *at + within).count();
        times.iter().enumerate().map(from).max().unwrap_or_default()
    }

    fn key(number: usize) -> Key {
        Arc::from(format!("conversation {number}"))
    }

    fn urgency(number: usize) -> Urgency {
        [Urgency::Resolution, Urgency::Review, Urgency::Announcement][number % 3]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_ever_holds_more_than_its_limit(
            sends in prop::collection::vec((0_usize..12, 0_usize..3), 1..400),
            latency in 1_u64..3_000,
        ) {
            let start = Instant::now();
            let mut pace = Pace::new(bot::pace());
            for (conversation, rank) in &sends {
                pace.join(start, &key(*conversation), urgency(*rank));
            }
            let gone = drain(&mut pace, start, Duration::from_millis(latency));
            prop_assert_eq!(gone.len(), sends.len());
            let times: Vec<_> = gone.iter().map(|(at, ..)| *at).collect();
            prop_assert!(most_within(&times, Duration::from_millis(1_030)) <= 50);
            prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 4 * MILLISECOND));
            for conversation in 0..12 {
                let own = gone.iter().filter(|(_, _, k)| *k == key(conversation));
                let own: Vec<_> = own.map(|(at, ticket, _)| (*at, *ticket)).collect();
                let times: Vec<_> = own.iter().map(|(at, _)| *at).collect();
                for (limit, seconds) in [(7, 1), (8, 2), (60, 30), (1_800, 3_600)] {
                    prop_assert!(most_within(&times, Duration::from_secs(seconds)) <= limit);
                }
                prop_assert!(own.windows(2).all(|pair| pair[0].1 < pair[1].1), "out of order");
            }
            let end = start + Duration::from_hours(3);
            prop_assert_eq!(pace.next(end), Next::Idle);
            prop_assert_eq!(pace.lines.len(), 0);
            prop_assert_eq!(pace.ready.len() + pace.resting.len(), 0);
        }
    }

    #[test]
    fn three_hundred_conversations_get_nearly_all_that_is_allowed() {
        let start = Instant::now();
        let mut pace = Pace::new(bot::pace());
        for number in 0..3_000 {
            pace.join(start, &key(number % 300), urgency(number));
        }
        let gone = drain(&mut pace, start, 150 * MILLISECOND);
        let seconds = (gone.last().unwrap().0 - start).as_secs_f64();
        assert!(3_000.0 / seconds >= 0.95 * 50.0, "{seconds} s");
    }

    #[test]
    fn the_urgent_go_first_and_a_full_conversation_holds_nobody() {
        let start = Instant::now();
        let mut pace = Pace::new(bot::pace());
        let busy: Vec<_> = (0..30)
            .map(|_| pace.join(start, &key(0), Urgency::Resolution))
            .collect();
        let late = pace.join(start, &key(1), Urgency::Announcement);
        let soon = pace.join(start, &key(2), Urgency::Review);
        let order: Vec<_> = drain(&mut pace, start, MILLISECOND)
            .into_iter()
            .map(|(_, ticket, _)| ticket)
            .collect();
        assert_eq!(order[..7], busy[..7]);
        assert_eq!(order[7..9], [soon, late]);
        assert_eq!(order[9..], busy[7..]);
    }

    #[test]
    fn one_hanging_conversation_has_two_in_flight_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(bot::pace());
        for _ in 0..5 {
            pace.join(start, &key(0), Urgency::Resolution);
        }
        let mut now = start;
        let mut gone = 0;
        while let Next::Go(..) | Next::At(_) = pace.next(now) {
            now += 10 * MILLISECOND;
            gone = pace.in_flight;
        }
        assert_eq!(gone, 2);
        let other = pace.join(now, &key(1), Urgency::Announcement);
        assert_eq!(pace.next(now), Next::Go(other, key(1)));
    }

    #[test]
    fn a_paused_conversation_waits_and_a_place_given_up_is_free() {
        let start = Instant::now();
        let mut pace = Pace::new(bot::pace());
        let until = start + Duration::from_secs(9);
        let first = pace.join(start, &key(0), Urgency::Review);
        assert_eq!(pace.pause(start, &key(0), until), [first]);
        assert_eq!(pace.paused_until(&key(0)), Some(until));
        assert_eq!(pace.next(start), Next::At(until));
        let other = pace.join(start, &key(1), Urgency::Announcement);
        assert_eq!(pace.next(start), Next::Go(other, key(1)));
        assert!(pace.leave(start, &key(0), first));
        assert!(!pace.leave(start, &key(0), first));
        assert_eq!(pace.next(start), Next::Idle);
        let everything: Key = Arc::from("");
        let second = pace.join(start, &key(2), Urgency::Review);
        pace.pause(start, &everything, until);
        assert_eq!(pace.next(start), Next::At(until));
        assert_eq!(pace.next(until), Next::Go(second, key(2)));
    }
}
