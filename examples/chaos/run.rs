//! One run: plays the script, clears all faults, and waits until all cards are up to date.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::Args;
use crate::company::{self, Company};
use crate::fault::{self, NEAR};
use crate::ledger::{Entry, Ledger, Verdict};
use crate::presses::{Press, Presses};
use crate::replica::Replica;
use crate::script::{self, Action};
use world::cluster::{Cluster, ClusterOptions, Draft, NOT_UTF8, State, Verdict as Review, WRONG_TYPE};
use world::tenant::Tenant;

/// The time limit for all cards to settle after the faults are cleared: claims of killed daemons expire, and a post with an
/// unknown outcome is retried first after one minute, then after four.
const TIMEOUT: Duration = Duration::from_mins(6);

/// The interval between checks.
const TICK: Duration = Duration::from_millis(50);

/// How long all cards must stay settled before the run ends.
const STABLE: Duration = Duration::from_secs(3);

pub(crate) struct Run {
    cluster: Cluster,
    tenant: Tenant,
    company: Company,
    rng: Rng,
    pub(crate) replicas: Vec<Replica>,
    /// Whether a replica is meant to run.
    wanted: Vec<bool>,
    pub(crate) ledger: Ledger,
    pub(crate) presses: Presses,
    /// Where each replica receives presses.
    addresses: Vec<String>,
    begun: Instant,
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    pub(crate) faults: usize,
    folder: TempDir,
}

/// Performs a run, and returns whether it passed.
#[tokio::main]
pub(crate) async fn run(args: &Args) -> anyhow::Result<bool> {
    anyhow::ensure!(
        args.minutes > 0.0 && args.minutes <= 600.0,
        "--minutes must be above 0 and at most 600"
    );
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let replicas = usize::from(args.replicas);
    println!(
        "seed {seed}: {} requests, {} minutes, {replicas} replicas",
        args.requests, args.minutes
    );
    let mut rng = Rng::with_seed(seed);
    let script = script::write(
        &mut rng,
        args.requests,
        replicas,
        Duration::from_secs_f64(args.minutes * 60.0),
    );
    let mut run = Run::set_up(rng, replicas).await?;
    let mut last_report = Instant::now();
    for (at, action) in script {
        while run.begun.elapsed() < at {
            sleep(TICK.min(at.saturating_sub(run.begun.elapsed()))).await;
            run.restart_ended()?;
            if last_report.elapsed() >= Duration::from_secs(10) {
                last_report = Instant::now();
                run.print_progress();
            }
        }
        run.play(action).await?;
    }
    fault::clear_all(&run.cluster, &run.tenant).await;
    run.wanted.fill(true);
    run.restart_ended()?;
    println!("{:>5.0} s  all faults cleared", run.begun.elapsed().as_secs_f64());
    run.presses.finish().await?;
    let (mut verdict, took) = run.converge().await?;
    verdict.presses = run.presses.check(&run.cluster, &run.ledger);
    run.report(seed, &verdict, took);
    for replica in &mut run.replicas {
        replica.terminate().await?;
        replica.ended().await?;
    }
    if args.keep_logs || !verdict.passed() {
        let folder = run.folder.keep();
        for lost in &verdict.lost_ids {
            println!("lost ID: {lost}");
        }
        for missing in &verdict.missing_reminders {
            println!("missing: {missing}");
        }
        println!("logs of the daemons: {}", folder.display());
    }
    Ok(verdict.passed())
}

impl Run {
    async fn set_up(rng: Rng, replicas: usize) -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions::default()).await;
        let tenant = Tenant::start(company::tenant_options()).await;
        let company = Company::create(&cluster, &tenant);
        cluster.faults(|faults| faults.latency = NEAR);
        tenant.faults(|faults| {
            faults.latency = NEAR;
            faults.enforce_limits = true;
            faults.same_activity_ids = true;
        });
        let folder = tempfile::tempdir().context("could not create a temporary directory")?;
        let listens = (0..replicas)
            .map(|_| free_address())
            .collect::<anyhow::Result<Vec<_>>>()?;
        company::write_files(&cluster, &tenant, folder.path(), &listens)?;
        let mut run = Self {
            cluster,
            tenant,
            company,
            rng,
            replicas: (0..replicas)
                .map(|number| Replica::new(number, folder.path()))
                .collect(),
            wanted: vec![true; replicas],
            ledger: Ledger::default(),
            presses: Presses::default(),
            addresses: listens
                .iter()
                .map(|listen| format!("http://{listen}/api/messages"))
                .collect(),
            begun: Instant::now(),
            kills: 0,
            stops: 0,
            faults: 0,
            folder,
        };
        run.restart_ended()?;
        Ok(run)
    }

    /// Restarts daemons that have exited, as a service manager does.
    fn restart_ended(&mut self) -> anyhow::Result<()> {
        for (replica, wanted) in self.replicas.iter_mut().zip(&self.wanted) {
            if replica.has_ended()? {
                // The IDs of cards that it did not record in its last seconds are lost.
                self.ledger
                    .remember_in_flight(&self.cluster, &self.tenant, &self.company);
            }
            if *wanted && !replica.runs() {
                replica.start()?;
            }
        }
        Ok(())
    }

    async fn play(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Create(number, ends_in) => self.create(number, ends_in),
            Action::Review(number) => self.change(number, "is reviewed", |cluster, id| {
                cluster.review(id, "reviewer", Review::Approve, "one of two");
            }),
            Action::Press(number, press) => self.press(number, press),
            Action::Approve(number) => self.change(number, "is approved", |cluster, id| {
                cluster.set_state(id, State::Approved, "yes");
            }),
            Action::Deny(number) => self.change(number, "is denied", |cluster, id| {
                cluster.set_state(id, State::Denied, "no");
            }),
            Action::Promote(number) => self.change(number, "is promoted", |cluster, id| {
                cluster.promote(id, "owner", "on-call");
            }),
            Action::Expire(number) => self.end(number, "has expired"),
            Action::Withdraw(number) => self.end(number, "is deleted"),
            Action::Inject(fault) => {
                self.faults += 1;
                fault::inject(fault, &self.cluster, &self.tenant, &self.company, &mut self.rng).await;
            }
            Action::Clear(fault) => fault::clear(fault, &self.cluster, &self.tenant).await,
            Action::Kill(number) => {
                self.kills += 1;
                self.ledger.ends.push(world::now());
                self.wanted[number] = false;
                self.replicas[number].kill().await?;
                // Calls in flight arrive within this time.
                sleep(TICK).await;
                self.ledger
                    .remember_in_flight(&self.cluster, &self.tenant, &self.company);
            }
            Action::Stop(number) => {
                self.stops += 1;
                self.ledger.ends.push(world::now());
                self.wanted[number] = false;
                self.replicas[number].terminate().await?;
            }
            Action::Start(number) => self.wanted[number] = true,
        }
        Ok(())
    }

    fn create(&mut self, number: usize, expires_in: Duration) {
        let first = self.rng.usize(..1_000);
        let recipients: Vec<_> = (0..self.rng.usize(1..4))
            .map(|next| company::mail(first + next))
            .collect();
        let mut suggested_reviewers = recipients.clone();
        if self.rng.usize(..20) == 0 {
            let first = self.rng.usize(..company::STRANGERS);
            suggested_reviewers.extend((first..first + 50).map(company::stranger));
        }
        let reason = self.reason(number);
        let (requester, team) = (self.rng.usize(..company::REQUESTERS), self.rng.usize(..1_000));
        let id = self.cluster.create(Draft {
            user: company::requester(requester),
            roles: vec![company::role(team)],
            reason,
            suggested_reviewers,
            approvals: 2,
            access_for: company::ACCESS,
            expires_in,
            ..Draft::default()
        });
        let story = vec![format!(
            "{:.3} s  created by {} for {}",
            self.begun.elapsed().as_secs_f64(),
            company::requester(requester),
            recipients.join(", ")
        )];
        // Requests are created in any order of their numbers.
        while self.ledger.entries.len() <= number {
            self.ledger.entries.push(Entry::default());
        }
        self.ledger.entries[number] = Entry {
            id,
            requester,
            recipients,
            lead: company::lead(team),
            created: Some(world::now()),
            story,
            ..Entry::default()
        };
    }

    /// Returns a reason; one in six is not UTF-8, or not a string.
    fn reason(&mut self, number: usize) -> String {
        match self.rng.usize(..30) {
            0..3 => format!("request {number} is {NOT_UTF8}"),
            3 | 4 => WRONG_TYPE.to_owned(),
            _ => format!("request {number} of the run"),
        }
    }

    fn change(&mut self, number: usize, what: &str, change: impl FnOnce(&Cluster, &str)) {
        let at = self.begun.elapsed().as_secs_f64();
        let entry = &mut self.ledger.entries[number];
        if entry.shows(&self.cluster) != "PENDING" {
            return;
        }
        change(&self.cluster, &entry.id);
        if entry.shows(&self.cluster) != "PENDING" {
            entry.decided = Some(world::now());
        }
        entry.story.push(format!("{at:.3} s  {what}"));
    }

    /// Deletes a request, and remembers its reviews.
    fn end(&mut self, number: usize, what: &str) {
        let mut reviews = None;
        self.change(number, what, |cluster, id| {
            let now = Some(world::now().into());
            // From this moment on, Teleport accepts no review.
            cluster.edit(id, |spec| {
                spec.resource_expiry = now;
                reviews = Some(spec.reviews.clone());
            });
            cluster.delete(id);
        });
        let entry = &mut self.ledger.entries[number];
        entry.is_gone |= reviews.is_some();
        entry.last_reviews = reviews.or(entry.last_reviews.take());
    }

    fn press(&mut self, number: usize, press: Press) {
        let at = self.begun.elapsed().as_secs_f64();
        let entry = &mut self.ledger.entries[number];
        let made = self
            .presses
            .make(press, (number, entry), &self.tenant, &self.company, &self.addresses);
        entry.story.extend(made.map(|what| format!("{at:.3} s  {what}")));
    }

    fn print_progress(&self) {
        let made = self.ledger.entries.iter().filter(|entry| !entry.id.is_empty());
        println!(
            "{:>5.0} s  {} requests, {} cards, {} kills, {} stops, {} faults",
            self.begun.elapsed().as_secs_f64(),
            made.count(),
            self.tenant.messages(),
            self.kills,
            self.stops,
            self.faults
        );
    }

    /// Waits until all cards are settled and stay so, or until the time limit.
    async fn converge(&mut self) -> anyhow::Result<(Verdict, Duration)> {
        let cleared = Instant::now();
        let mut last_report = cleared;
        let mut settled_since: Option<Instant> = None;
        loop {
            self.restart_ended()?;
            let verdict = self.ledger.check(&self.cluster, &self.tenant, &self.company);
            let since = verdict
                .is_settled()
                .then(|| *settled_since.get_or_insert_with(Instant::now));
            settled_since = since;
            if let Some(since) = since.filter(|since| since.elapsed() >= STABLE) {
                return Ok((verdict, since - cleared));
            }
            if last_report.elapsed() >= Duration::from_secs(10) {
                last_report = Instant::now();
                let waiting = verdict.failures().len();
                let at = self.begun.elapsed().as_secs_f64();
                println!("{at:>5.0} s  {waiting} requests not settled yet");
            }
            if cleared.elapsed() > TIMEOUT {
                return Ok((verdict, cleared.elapsed()));
            }
            sleep(TICK * 10).await;
        }
    }
}

/// Returns a loopback address whose port is free. It is below the ports of outgoing connections, so that it stays free while
/// a replica restarts.
fn free_address() -> anyhow::Result<String> {
    for _ in 0..100 {
        let address = format!("127.0.0.1:{}", fastrand::u16(20_000..32_000));
        if std::net::TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no free port")
}
