//! The start of the model, and its loop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use teleport_msteams::config;
use teleport_msteams::domain::card;
use teleport_msteams::heartbeat::Heartbeat;
use teleport_msteams::teleport::{Client, Watch, WatchEvent};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::model::cards::Cards;
use crate::model::microsoft::{Microsoft, Repeat};
use crate::servers::Servers;

/// The time limit to connect, find the app and look up every recipient.
pub(crate) const START: Duration = Duration::from_secs(10);

/// The time limit for the work of one event. Older versions had 5 s.
const EVENT: Duration = Duration::from_secs(15);

/// The number of events in work or queued.
const EVENTS: usize = 128;

pub(crate) struct Plugin {
    /// The number of finished events, successful or not.
    done: watch::Receiver<usize>,
}

/// The outcome of a start.
pub(crate) enum Begun {
    Ready(Plugin),
    /// It gave up after looking up this number of recipients.
    GaveUp(usize),
}

impl Plugin {
    /// Starts the model, and gives up after `budget`.
    pub(crate) async fn start(servers: &Servers, repeat: Repeat, budget: Duration) -> anyhow::Result<Begun> {
        let loaded = config::load(&servers.config(), &|_| None);
        let settings = loaded
            .map_err(|problems| anyhow!("{}: {problems:?}", servers.config().display()))?
            .settings;
        let teleport = Client::new(&settings.teleport, &settings.limits).await?;
        let microsoft = Microsoft::new(settings.microsoft.clone(), repeat)?;
        let recipients = settings.routing.addresses();
        let prepared = async {
            let facts = teleport.ping().await?;
            microsoft.find_app().await?;
            for recipient in &recipients {
                microsoft.resolve(recipient.as_str()).await?;
            }
            anyhow::Ok(facts)
        };
        let Ok(facts) = timeout(budget, prepared).await else {
            return Ok(Begun::GaveUp(microsoft.known()));
        };
        let facts = facts?;
        let watch = Watch::open(&teleport).await?;
        let limits = settings.limits.clone();
        let cards = Cards {
            cluster: card::CardCluster {
                web: card::CardCluster::web_address(&facts.proxy_public_addr),
                name: facts.name,
                plugin: String::new(),
            },
            teleport: teleport.clone(),
            microsoft,
            settings,
        };
        let (sender, events) = mpsc::channel(1);
        let heartbeat = Heartbeat::new("watch", Duration::from_secs(5));
        world::spawn(watch.run(teleport, limits, sender, heartbeat));
        let (counter, done) = watch::channel(0);
        world::spawn(work(Arc::new(cards), events, counter));
        Ok(Begun::Ready(Self { done }))
    }

    /// Waits until the model has finished this number of request events since its start.
    pub(crate) async fn handled(&self, events: usize) -> anyhow::Result<()> {
        self.done.clone().wait_for(|done| *done >= events).await?;
        Ok(())
    }
}

/// Processes events concurrently, and drops an event that fails or takes too long.
async fn work(cards: Arc<Cards>, mut events: mpsc::Receiver<WatchEvent>, done: watch::Sender<usize>) {
    let slots = Arc::new(Semaphore::new(EVENTS));
    while let Some(event) = events.recv().await {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (cards, done) = (Arc::clone(&cards), done.clone());
        world::spawn(async move {
            let counts = matches!(event, WatchEvent::Request(_));
            // The plugin would log the error; only the cards count here.
            timeout(EVENT, cards.take(event)).await.ok();
            done.send_modify(|done| *done += usize::from(counts));
            drop(slot);
        });
    }
}
