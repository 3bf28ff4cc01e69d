//! The program's own decisions, on numbered values: each is asked once for the same values.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use teleport_msteams::domain::card::Cluster;
use teleport_msteams::domain::lifecycle::{
    Account, Claim, Entry, Facts, Known, Observed, Outcome, Plan, Record, Shown, Step, Stored, Write, plan,
};
use teleport_msteams::domain::recipients::Address;
use teleport_msteams::domain::request::{AccessRequest, RequestId};

use crate::model::pool::{Id, Pool};
use crate::model::state::{Planned, Seen, Task};

type Map = BTreeMap<String, String>;

pub(super) const PEOPLE: [&str; 2] = ["alice@example.com", "carol@example.com"];

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Read(Id, Option<Id>),
    Doubt(Id),
    Plan(Seen, Id),
    Claim(Id, Seen, Id),
    Claimed(Id, Id),
    Account(Id, Id),
    Note(Id, Id),
    Entry(Id, Id, Entry, Id),
    Written(Id, Id),
    Keep(Id, Id),
    TakeOver(Id, Option<Id>, Id),
    Swap(Option<Id>, Id),
}

pub(super) struct Pure {
    cluster: Cluster,
    id: RequestId,
    pub(super) people: Vec<Address>,
    pub(super) history: Vec<Arc<AccessRequest>>,
    /// The request is deleted in the end.
    pub(super) ends: bool,
    /// Its plugin data end with it.
    pub(super) vanishes: bool,
    pub(super) maps: Pool<Map>,
    pub(super) stored: Pool<Stored>,
    pub(super) writes: Pool<Write>,
    pub(super) plans: Pool<Planned>,
    records: Pool<Record>,
    pub(super) accounts: Pool<Account>,
    outcomes: Pool<Vec<Outcome>>,
    pub(super) texts: Pool<String>,
    answers: HashMap<Question, Id>,
    told: HashSet<Address>,
}

/// `Unknown` and `Absent` among the stored values.
pub(super) const UNKNOWN: Id = 0;
pub(super) const ABSENT: Id = 1;

/// The answer of a swap that lost, and of an entry that has nothing to write.
const NONE: Id = Id::MAX;

impl Pure {
    pub(super) fn new(history: Vec<AccessRequest>, ends: bool, vanishes: bool, people: usize) -> Self {
        Self {
            cluster: Cluster {
                name: "teleport.example.com".to_owned(),
                web: None,
            },
            id: history[0].id.clone(),
            people: PEOPLE[..people]
                .iter()
                .map(|one| Address::parse(one).unwrap())
                .collect(),
            history: history.into_iter().map(Arc::new).collect(),
            ends,
            vanishes,
            maps: Pool::new(Vec::new()),
            stored: Pool::new(vec![Stored::Unknown, Stored::Absent]),
            writes: Pool::new(Vec::new()),
            plans: Pool::new(Vec::new()),
            records: Pool::new(Vec::new()),
            accounts: Pool::new(Vec::new()),
            outcomes: Pool::new(Vec::new()),
            texts: Pool::new(Vec::new()),
            answers: HashMap::new(),
            told: HashSet::new(),
        }
    }

    pub(super) fn observed(&self, seen: Seen) -> Observed {
        let version = |version: u8| Arc::clone(&self.history[usize::from(version)]);
        match seen {
            Seen::Version(number) => Observed::Request(version(number)),
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
            stored.read(map);
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
            let observed = pure.observed(seen);
            let pending = matches!(&observed, Observed::Request(request) if !request.stage.is_resolved());
            let facts = Facts {
                cluster: &pure.cluster,
                id: &pure.id,
                observed: &observed,
                record: pure.stored.of(stored).record(),
                recipients: if pending { &pure.people } else { &[] },
                told: &pure.told,
                retry_refused_before: Timestamp::UNIX_EPOCH,
                now: now(),
            };
            let planned = match plan(facts) {
                Plan::Nothing(_) => Planned {
                    shown: Shown::of(&pure.history[0]),
                    resolve_reason: String::new(),
                    steps: Vec::new(),
                },
                Plan::Work(work) => Planned {
                    shown: work.shown,
                    resolve_reason: work.resolve_reason,
                    steps: work.steps.iter().map(task).collect(),
                },
            };
            pure.plans.id(planned)
        })
    }

    pub(super) fn claim(&mut self, stored: Id, seen: Seen, mark: Id) -> Id {
        self.ask(Question::Claim(stored, seen, mark), |pure| {
            let mark = Claim::parse(pure.texts.of(mark));
            let observed = pure.observed(seen);
            let write = pure.stored.of(stored).claim(&observed, Some(&[]), mark);
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

    /// Begins an account; the record has to be known.
    pub(super) fn account(&mut self, plan: Id, stored: Id) -> Id {
        self.ask(Question::Account(plan, stored), |pure| {
            let planned = pure.plans.of(plan);
            let Stored::Known(known) = pure.stored.of(stored).clone() else {
                panic!("a claim makes the record known");
            };
            pure.accounts
                .id(Account::new(planned.shown, &planned.resolve_reason, *known))
        })
    }

    /// Returns the account and the record with what was done.
    pub(super) fn note(&mut self, account: Id, done: Vec<Outcome>) -> (Id, Id) {
        let done = self.outcomes.id(done);
        let noted = self.ask(Question::Note(account, done), |pure| {
            let mut noted = pure.accounts.of(account).clone();
            let record = noted.note(pure.outcomes.of(done).clone(), now());
            pure.pair(noted, record, true)
        });
        let (account, record, _) = self.parts(noted);
        (account, record)
    }

    /// Returns what is written, if anything.
    pub(super) fn entry(&mut self, account: Id, record: Id, entry: Entry, mark: Id) -> Option<Id> {
        let write = self.ask(Question::Entry(account, record, entry, mark), |pure| {
            let mark = Claim::parse(pure.texts.of(mark));
            let record = pure.records.of(record).clone();
            let write = pure.accounts.of(account).entry(record, entry, mark);
            write.map_or(NONE, |write| pure.writes.id(write))
        });
        Some(write).filter(|write| *write != NONE)
    }

    pub(super) fn written(&mut self, account: Id, write: Id) -> Id {
        self.ask(Question::Written(account, write), |pure| {
            let mut account = pure.accounts.of(account).clone();
            account.written(pure.writes.of(write).clone());
            pure.accounts.id(account)
        })
    }

    pub(super) fn keep(&mut self, account: Id, write: Id) -> Id {
        self.ask(Question::Keep(account, write), |pure| {
            let mut account = pure.accounts.of(account).clone();
            account.keep(pure.writes.of(write).record.clone());
            pure.accounts.id(account)
        })
    }

    pub(super) fn known(&mut self, account: Id) -> Id {
        let known: Known = self.accounts.of(account).clone().into_known();
        self.stored.id(Stored::Known(Box::new(known)))
    }

    /// Returns the account, the record, and whether the claim is still ours.
    pub(super) fn take_over(&mut self, account: Id, map: Option<Id>, me: &str) -> (Id, Id, bool) {
        let name = self.texts.id(me.to_owned());
        let taken = self.ask(Question::TakeOver(account, map, name), |pure| {
            let map = map.map(|map| pure.maps.of(map).clone()).unwrap_or_default();
            let mut account = pure.accounts.of(account).clone();
            let (record, ours) = account.take_over(map, me, now());
            pure.pair(account, record, ours)
        });
        self.parts(taken)
    }

    fn pair(&mut self, account: Account, record: Record, ours: bool) -> Id {
        let (account, record) = (self.accounts.id(account), self.records.id(record));
        self.texts.id(format!("{account} {record} {ours}"))
    }

    fn parts(&self, pair: Id) -> (Id, Id, bool) {
        let mut words = self.texts.of(pair).split(' ');
        let mut id = || words.next().unwrap().parse().unwrap();
        (id(), id(), words.next() == Some("true"))
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

/// The id of a recipient's card by its number.
pub(super) fn activity(person: usize, number: u8) -> String {
    format!("{person}-{number}")
}

fn task(step: &Step) -> Task {
    let person = |recipient: &str| PEOPLE.iter().position(|one| *one == recipient).unwrap();
    match step {
        Step::Post(address) => Task::Post(person(address.as_str())),
        Step::Update(card) => {
            let (_, number) = card.activity.split_once('-').unwrap();
            Task::Update(person(&card.recipient), number.parse().unwrap())
        }
    }
}
