//! Tests of `pace.rs`.

use proptest::prelude::*;

use std::sync::Arc;

use super::*;
use crate::msteams::{bot, graph};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Sends until no call waits; every send takes `latency`. Returns the calls with their times.
fn drain(pace: &mut Pace, start: Instant, latency: Duration) -> Vec<(Instant, Ticket, Key)> {
    let mut now = start;
    let mut gone: Vec<(Instant, Ticket, Key)> = Vec::new();
    let mut ended = 0;
    loop {
        while let Some((at, _, key)) = gone.get(ended).filter(|(at, _, _)| *at + latency <= now) {
            pace.done(*at + latency, key, false);
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
            pace.join(start, Caller::new(&key(*conversation), urgency(*rank)));
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
fn three_hundred_conversations_use_nearly_the_whole_limit() {
    let start = Instant::now();
    let mut pace = Pace::new(bot::pace());
    for number in 0..3_000 {
        pace.join(start, Caller::new(&key(number % 300), urgency(number)));
    }
    let gone = drain(&mut pace, start, 150 * MILLISECOND);
    let seconds = (gone.last().unwrap().0 - start).as_secs_f64();
    assert!(3_000.0 / seconds >= 0.95 * 50.0, "{seconds} s");
}

#[test]
fn urgent_calls_go_first_and_a_full_conversation_delays_no_other() {
    let start = Instant::now();
    let mut pace = Pace::new(bot::pace());
    let busy: Vec<_> = (0..30)
        .map(|_| pace.join(start, Caller::new(&key(0), Urgency::Resolution)))
        .collect();
    let late = pace.join(start, Caller::new(&key(1), Urgency::Announcement));
    let soon = pace.join(start, Caller::new(&key(2), Urgency::Review));
    let order: Vec<_> = drain(&mut pace, start, MILLISECOND)
        .into_iter()
        .map(|(_, ticket, _)| ticket)
        .collect();
    assert_eq!(order[..7], busy[..7]);
    assert_eq!(order[7..9], [soon, late]);
    assert_eq!(order[9..], busy[7..]);
}

#[test]
fn a_conversation_that_does_not_answer_has_at_most_two_in_flight() {
    let start = Instant::now();
    let mut pace = Pace::new(bot::pace());
    for _ in 0..5 {
        pace.join(start, Caller::new(&key(0), Urgency::Resolution));
    }
    let mut now = start;
    let mut gone = 0;
    while let Next::Go(..) | Next::At(_) = pace.next(now) {
        now += 10 * MILLISECOND;
        gone = pace.in_flight;
    }
    assert_eq!(gone, 2);
    let other = pace.join(now, Caller::new(&key(1), Urgency::Announcement));
    assert_eq!(pace.next(now), Next::Go(other, key(1)));
}

#[test]
fn a_paused_conversation_waits_and_a_cancelled_place_is_free() {
    let start = Instant::now();
    let mut pace = Pace::new(bot::pace());
    let until = start + Duration::from_secs(9);
    let first = pace.join(start, Caller::new(&key(0), Urgency::Review));
    assert_eq!(pace.pause(start, &key(0), until), [first]);
    assert_eq!(pace.paused_until(&key(0)), Some(until));
    assert_eq!(pace.next(start), Next::At(until));
    let other = pace.join(start, Caller::new(&key(1), Urgency::Announcement));
    assert_eq!(pace.next(start), Next::Go(other, key(1)));
    assert!(pace.leave(start, &key(0), first));
    assert!(!pace.leave(start, &key(0), first));
    assert_eq!(pace.next(start), Next::Idle);
    let everything: Key = Arc::from("");
    let second = pace.join(start, Caller::new(&key(2), Urgency::Review));
    pace.pause(start, &everything, until);
    assert_eq!(pace.next(start), Next::At(until));
    assert_eq!(pace.next(until), Next::Go(second, key(2)));
}

#[test]
fn queues_take_turns_and_background_calls_leave_room() {
    let start = Instant::now();
    let mut pace = Pace::new(graph::pace());
    let everything: Key = Arc::from("");
    let queues = ["flood", "other"].map(Key::from);
    let mut join = |queue: usize, urgency| {
        let caller = Caller {
            queue: Some(&queues[queue]),
            ..Caller::new(&everything, urgency)
        };
        pace.join(start, caller)
    };
    for _ in 0..600 {
        join(0, Urgency::Background);
    }
    let flood: Vec<_> = (0..600).map(|_| join(0, Urgency::Announcement)).collect();
    let other: Vec<_> = (0..3).map(|_| join(1, Urgency::Announcement)).collect();
    let gone = drain(&mut pace, start, MILLISECOND);
    let order: Vec<_> = gone.iter().map(|(_, ticket, _)| *ticket).collect();
    assert_eq!(order[..6], [flood[0], other[0], flood[1], other[1], flood[2], other[2]]);
    let times: Vec<_> = gone.iter().map(|(at, ..)| *at).collect();
    let background = &times[603..];
    assert!(most_within(background, Duration::from_secs(1)) <= 15);
    assert!(most_within(&times, Duration::from_secs(1)) <= 30);
}

#[test]
fn calls_without_an_answer_stop_counting_up_to_a_limit() {
    let mut now = Instant::now();
    let mut pace = Pace::new(bot::pace());
    let mut silent = 0;
    for number in 0..600 {
        pace.join(now, Caller::new(&key(number), Urgency::Announcement));
    }
    for _ in 0..3_000 {
        match pace.next(now) {
            Next::Go(..) => silent += usize::from(pace.mark_silent()),
            Next::At(at) => now = at,
            Next::Idle => break,
        }
    }
    assert_eq!((silent, pace.silent, pace.in_flight), (MOST_SILENT, MOST_SILENT, 64));
    pace.done(now, &key(0), true);
    assert!(pace.mark_silent());
}

#[test]
fn a_long_pause_lets_one_call_through_each_minute_and_ends_when_it_is_answered() {
    let start = Instant::now();
    let mut pace = Pace::new(graph::pace());
    let everything: Key = Arc::from("");
    let (minute, until) = (Duration::from_mins(1), start + Duration::from_mins(5));
    pace.pause(start, &everything, until);
    assert!(!pace.probe(start + minute - MILLISECOND, &everything));
    assert!(pace.probe(start + minute, &everything));
    assert!(!pace.probe(start + minute, &everything));
    assert_eq!(pace.paused_until(&everything), Some(until));
    pace.done(start + minute, &everything, false);
    pace.resume(start + minute, &everything);
    assert_eq!(pace.paused_until(&everything), None);
}
