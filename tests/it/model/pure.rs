//! The program's own decisions, on numbered values: each is computed once for the same values.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use teleport_msteams::domain::lifecycle::{
    Audience, Audiences, Claim, Facts, Landed, Lease, Observed, Plan, Recipient, Record, RecordState, RefusalPauses,
    RoutedBy, Run, Snapshot, Step, Target, Why, Write, plan, targets,
};
use teleport_msteams::domain::recipients::Address;
use teleport_msteams::domain::request::{AccessRequest, RequestId};

use crate::model::pool::{Id, Pool};
use crate::model::state::{Moment, Planned, Seen, TERM, Task};

type Map = BTreeMap<String, String>;

/// Everyone who can get a card, by number. The last three are one person each of other audiences.
const RECIPIENTS: [(Audience, &str); 5] = [
    (Audience::Reviewers, "alice@example.com"),
    (Audience::Reviewers, "carol@example.com"),
    (Audience::Escalation, "eve@example.com"),
    (Audience::Requester, "bob@example.com"),
    (Audience::Decision, "bob@example.com"),
];

/// The number of recipients.
pub(super) const MOST: usize = RECIPIENTS.len();

/// Which audiences a story has.
#[derive(Clone, Copy, Default)]
pub(super) struct Cast {
    /// The number of reviewers.
    pub(super) people: usize,
    /// The requester is notified.
    pub(super) requester: bool,
    /// The request is escalated at any time after its announcement.
    pub(super) escalates: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Read(Id, Option<Id>),
    Doubt(Id),
    Plan(Seen, Id),
    Claim(Id, Seen, Id),
    Claimed(Id, Id),
    Swap(Option<Id>, Id),
}

/// A query to a run, or its input.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Aim(Id),
    Begin,
    Landed(usize, Id),
    Entry {
        mark: Id,
        renew: bool,
    },
    Write(Id),
    Written(Id, Moment),
    Overtaken(Option<Id>, Id),
    Forget,
    /// The claim was not renewed for a term.
    Outlive,
}

pub(super) struct Pure {
    id: RequestId,
    pub(super) cast: Cast,
    reviewers: Vec<Address>,
    escalation: Vec<Address>,
    requester: Option<Address>,
    pub(super) history: Vec<Arc<AccessRequest>>,
    /// The request is deleted in the end.
    pub(super) ends: bool,
    /// Its plugin data end with it.
    pub(super) vanishes: bool,
    pub(super) maps: Pool<Map>,
    pub(super) stored: Pool<RecordState>,
    pub(super) writes: Pool<Write>,
    pub(super) plans: Pool<Planned>,
    pub(super) runs: Pool<Run<Moment>>,
    pub(super) steps: Pool<Step>,
    pub(super) landed: Pool<Landed>,
    pub(super) texts: Pool<String>,
    answers: HashMap<Question, Id>,
    /// The run after an input, and its answer.
    reactions: HashMap<(Id, Input), (Id, Id)>,
    aliases: HashSet<Target>,
}

/// `Unknown` and `Absent` among the stored values.
pub(super) const UNKNOWN: Id = 0;
pub(super) const ABSENT: Id = 1;

/// The answer of a lost swap, and of a run without an answer.
const NONE: Id = Id::MAX;

impl Pure {
    pub(super) fn new(history: Vec<AccessRequest>, ends: bool, vanishes: bool, cast: Cast) -> Self {
        let addresses = |audience, most| {
            let named = RECIPIENTS.iter().filter(move |(of, _)| *of == audience);
            let named = named.map(|(_, name)| Address::parse(name).unwrap());
            named.take(most).collect::<Vec<_>>()
        };
        Self {
            id: history[0].id.clone(),
            cast,
            reviewers: addresses(Audience::Reviewers, cast.people),
            escalation: addresses(Audience::Escalation, 1),
            requester: addresses(Audience::Requester, cast.requester.into()).pop(),
            history: history.into_iter().map(Arc::new).collect(),
            ends,
            vanishes,
            maps: Pool::new(Vec::new()),
            stored: Pool::new(vec![RecordState::Unknown, RecordState::Absent]),
            writes: Pool::new(Vec::new()),
            plans: Pool::new(Vec::new()),
            runs: Pool::new(Vec::new()),
            steps: Pool::new(Vec::new()),
            landed: Pool::new(Vec::new()),
            texts: Pool::new(Vec::new()),
            answers: HashMap::new(),
            reactions: HashMap::new(),
            aliases: HashSet::new(),
        }
    }

    pub(super) fn observed(&self, seen: Seen) -> Observed {
        let version = |version: u8| Arc::clone(&self.history[usize::from(version)]);
        match seen {
            Seen::Version(number, _) => Observed::Request(version(number)),
            Seen::Gone(last) => Observed::Gone(last.map(version)),
        }
    }

    fn ask(&mut self, question: Question, answer: impl FnOnce(&mut Self) -> Id) -> Id {
        if let Some(known) = self.answers.get(&question) {
            return *known;
        }
        let new = answer(self);
        self.answers.insert(question, new);
        new
    }

    pub(super) fn read(&mut self, stored: Id, map: Option<Id>) -> Id {
        self.ask(Question::Read(stored, map), |pure| {
            let map = map.map(|map| pure.maps.of(map).clone()).unwrap_or_default();
            let mut stored = pure.stored.of(stored).clone();
            stored.read(&map);
            pure.stored.id(stored)
        })
    }

    pub(super) fn doubt(&mut self, stored: Id) -> Id {
        self.ask(Question::Doubt(stored), |pure| {
            let mut stored = pure.stored.of(stored).clone();
            stored.doubt();
            pure.stored.id(stored)
        })
    }

    pub(super) fn is_in_doubt(&self, stored: Id) -> bool {
        self.stored.of(stored).is_in_doubt()
    }

    pub(super) fn plan(&mut self, seen: Seen, stored: Id) -> Id {
        self.ask(Question::Plan(seen, stored), |pure| {
            let record = pure.stored.of(stored).record().cloned();
            pure.plan_of(seen, record.as_ref())
        })
    }

    /// Makes a plan from what a run knows.
    pub(super) fn plan_of_run(&mut self, seen: Seen, run: Id) -> Id {
        let record = self.runs.of(run).record(now());
        self.plan_of(seen, Some(&record))
    }

    fn plan_of(&mut self, seen: Seen, record: Option<&Record>) -> Id {
        let observed = self.observed(seen);
        let pending = matches!(&observed, Observed::Request(request) if !request.stage.is_resolved());
        let announced = observed.request().and_then(|request| record?.announced_at(request));
        let escalated = pending && announced.is_some() && matches!(seen, Seen::Version(_, true));
        let audiences = Audiences {
            reviewers: if pending { &self.reviewers } else { &[] },
            escalation: if escalated { &self.escalation } else { &[] },
            requester: self.requester.as_ref().filter(|_| pending),
            notifies_requester: self.cast.requester,
            notifies_delegates: false,
        };
        let facts = Facts {
            id: &self.id,
            observed: &observed,
            record,
            targets: &targets(audiences, &observed, record),
            aliases: &self.aliases,
            retry_refused_before: Timestamp::UNIX_EPOCH,
            refusal_pauses: RefusalPauses {
                first: Duration::ZERO,
                longest: Duration::ZERO,
            },
            now: now(),
        };
        let planned = match plan(facts) {
            Plan::Nothing { why, .. } => Planned::Nothing {
                known: why == Why::UpToDate,
            },
            Plan::Work(work) => Planned::Work(work.aim),
        };
        self.plans.id(planned)
    }

    pub(super) fn claim(&mut self, stored: Id, seen: Seen, mark: Id) -> Id {
        self.ask(Question::Claim(stored, seen, mark), |pure| {
            let mark = Claim::parse(pure.texts.of(mark));
            let observed = pure.observed(seen);
            let write = pure.stored.of(stored).claim(&observed, &RoutedBy::Table, mark, false);
            pure.writes.id(write)
        })
    }

    pub(super) fn claimed(&mut self, stored: Id, write: Id) -> Id {
        self.ask(Question::Claimed(stored, write), |pure| {
            let mut stored = pure.stored.of(stored).clone();
            stored.claimed(pure.writes.of(write).clone());
            pure.stored.id(stored)
        })
    }

    /// Begins a run; the record has to be known.
    pub(super) fn run(&mut self, plan: Id, stored: Id, since: Moment, forgotten: bool) -> Id {
        let RecordState::Known(known) = self.stored.of(stored).clone() else {
            panic!("a claim makes the record known");
        };
        let Planned::Work(aim) = self.plans.of(plan).clone() else {
            panic!("nothing is claimed without need");
        };
        let run = Run::new(aim, false, *known, Lease::new(since), TERM, forgotten);
        self.runs.id(run)
    }

    /// Returns whether a plan posts a card.
    pub(super) fn posts(&self, plan: Id) -> bool {
        let Planned::Work(aim) = self.plans.of(plan) else {
            return false;
        };
        aim.steps.iter().any(|step| matches!(step, Step::Post(_)))
    }

    /// Hands a run an input; returns the run after it, and its answer, if any.
    pub(super) fn react(&mut self, run: Id, input: Input) -> (Id, Option<Id>) {
        let known = self.reactions.get(&(run, input)).copied();
        let (next, answer) = known.unwrap_or_else(|| {
            let mut next = self.runs.of(run).clone();
            let answer = self.feed(&mut next, input).unwrap_or(NONE);
            (self.runs.id(next), answer)
        });
        self.reactions.insert((run, input), (next, answer));
        (next, Some(answer).filter(|answer| *answer != NONE))
    }

    fn feed(&mut self, run: &mut Run<Moment>, input: Input) -> Option<Id> {
        let mark = |pure: &Self, mark: Id| Claim::parse(pure.texts.of(mark));
        match input {
            Input::Aim(plan) => match self.plans.of(plan).clone() {
                Planned::Work(aim) => run.aim(aim, false),
                Planned::Nothing { known } => run.rest(false, known),
            },
            Input::Begin => {
                let step = run.begin(Moment::Now)?;
                return Some(self.steps.id(step));
            }
            Input::Landed(person, landed) => {
                run.landed(&recipient(person), self.landed.of(landed).clone());
            }
            Input::Entry { mark: id, renew } => {
                let due = renew || run.has_unrecorded();
                let write = run.entry(mark(self, id), due, now())?;
                return Some(self.writes.id(write));
            }
            Input::Write(id) => {
                let write = run.write(mark(self, id))?;
                return Some(self.writes.id(write));
            }
            Input::Written(write, since) => run.written(self.writes.of(write).clone(), since),
            Input::Overtaken(map, me) => {
                let map = map.map(|map| self.maps.of(map).clone()).unwrap_or_default();
                run.overtaken(&map, self.texts.of(me), now());
            }
            Input::Forget => run.forget(),
            Input::Outlive => run.renew(Moment::LongAgo),
        }
        None
    }

    /// Returns what is known of the record at the end of a run.
    pub(super) fn known(&mut self, run: Id) -> Id {
        let known: Snapshot = self.runs.of(run).clone().into_known();
        self.stored.id(RecordState::Known(Box::new(known)))
    }

    /// Writes as Teleport does; `None` if an expectation is not met.
    pub(super) fn swap(&mut self, map: Option<Id>, write: Id) -> Option<Id> {
        let swapped = self.ask(Question::Swap(map, write), |pure| {
            let mut map = map.map(|map| pure.maps.of(map).clone()).unwrap_or_default();
            let write = pure.writes.of(write);
            let met = |(key, value): (&String, &String)| map.get(key).map_or("", String::as_str) == value;
            if !write.expect.iter().all(met) {
                return NONE;
            }
            map.extend(write.set.clone());
            map.retain(|_, value| !value.is_empty());
            pure.maps.id(map)
        });
        Some(swapped).filter(|map| *map != NONE)
    }
}

pub(super) fn now() -> Timestamp {
    "2024-05-07T09:05:03Z".parse().unwrap()
}

/// A recipient by its number.
pub(super) fn recipient(person: usize) -> Recipient {
    let (audience, name) = RECIPIENTS[person];
    Recipient {
        audience,
        name: name.to_owned(),
    }
}

/// The audience of a recipient.
pub(super) fn audience(person: usize) -> Audience {
    RECIPIENTS[person].0
}

/// The id of a recipient's card by its number.
pub(super) fn activity(person: usize, number: u8) -> String {
    format!("{person}-{number}")
}

pub(super) fn task(step: &Step) -> Task {
    let person = |recipient: &Recipient| {
        let is_it = |(audience, name): &(Audience, &str)| *audience == recipient.audience && *name == recipient.name;
        RECIPIENTS.iter().position(is_it).unwrap()
    };
    match step {
        Step::Post(target) => Task::Post(person(&target.recipient())),
        Step::Update(card) => {
            let (_, number) = card.activity.split_once('-').unwrap();
            Task::Update(person(&card.recipient), number.parse().unwrap())
        }
    }
}
