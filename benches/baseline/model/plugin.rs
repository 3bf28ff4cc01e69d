//! Its start, and its loop.

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

/// Connecting, finding the app and looking up every recipient have to be done by then.
pub(crate) const START: Duration = Duration::from_secs(10);

/// Everything that one event leads to has to be done by then. Older versions had 5 s.
const EVENT: Duration = Duration::from_secs(15);

/// Events in work or waiting for it.
const EVENTS: usize = 128;

pub(crate) struct Plugin {
    /// How many events are done with, well or not.
    done: watch::Receiver<usize>,
}

/// How a start ended.
pub(crate) enum Begun {
    Ready(Plugin),
    /// It gave up, with so many recipients looked up.
    GaveUp(usize),
}

impl Plugin {
    /// Starts it, and gives up when it takes longer than `budget`.
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

    /// Waits until it is done with so many events of requests, counted from its start.
    pub(crate) async fn handled(&self, events: usize) -> anyhow::Result<()> {
        self.done.clone().wait_for(|done| *done >= events).await?;
        Ok(())
    }
}

/// Works on each event beside the others; one that fails, or takes too long, is dropped.
async fn work(cards: Arc<Cards>, mut events: mpsc::Receiver<WatchEvent>, done: watch::Sender<usize>) {
    let slots = Arc::new(Semaphore::new(EVENTS));
    while let Some(event) = events.recv().await {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (cards, done) = (Arc::clone(&cards), done.clone());
        world::spawn(async move {
            let counts = matches!(event, WatchEvent::Request(_));
            // It would be logged; whether people see the right card is what counts here.
            timeout(EVENT, cards.take(event)).await.ok();
            done.send_modify(|done| *done += usize::from(counts));
            drop(slot);
        });
    }
}
