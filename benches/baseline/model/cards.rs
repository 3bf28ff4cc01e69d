//! The work for one event.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use teleport_msteams::clock;
use teleport_msteams::config::Settings;
use teleport_msteams::domain::card;
use teleport_msteams::domain::recipients::SuggestedReviewers;
use teleport_msteams::domain::request::{AccessRequest, RequestId, ResourceNames, Stage};
use teleport_msteams::teleport::{Client, PluginDataKey, Swap, WatchEvent};
use tokio::time::sleep;

use crate::model::microsoft::Microsoft;
use crate::model::pauses::Pauses;
use crate::model::record::{self, Data, Message};

/// The longest pause before a write is retried.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Cards {
    pub(crate) teleport: Client,
    pub(crate) microsoft: Microsoft,
    pub(crate) settings: Settings,
    pub(crate) cluster: card::CardCluster,
}

/// The result of a step for the data that it reads.
enum Change {
    Write(Data),
    /// Read again after a pause.
    NotYet,
}

impl Cards {
    pub(crate) async fn take(&self, event: WatchEvent) -> anyhow::Result<()> {
        match event {
            WatchEvent::Request(request) => match request.stage {
                Stage::Pending => self.announce(&request).await,
                Stage::Approved | Stage::Denied => self.resolve(&request).await,
                Stage::Promoted | Stage::Expired | Stage::Unknown => bail!("unknown request state"),
            },
            // The plugin lists no requests after it connects, so missed events stay missed.
            _ => Ok(()),
        }
    }

    /// Claims an unclaimed request, notifies one recipient after another, and then records all cards in one write.
    async fn announce(&self, request: &AccessRequest) -> anyhow::Result<()> {
        let id = &request.id;
        let key = PluginDataKey::request(id);
        if !self.teleport.plugin_data(&key).await?.is_empty() {
            return Ok(());
        }
        let claimed = self
            .teleport
            .swap_plugin_data(&key, record::nothing(), record::claim(request));
        ensure!(claimed.await? == Swap::Written, "another replica has claimed it");
        let card = self.card(request);
        let mut messages = Vec::new();
        let suggested = SuggestedReviewers::default();
        for address in self.settings.routing.recipients(request, &suggested).addresses {
            let recipient = address.as_str().to_owned();
            // The plugin logs a failed recipient and does not retry.
            if let Ok(id) = self.microsoft.post(&recipient, &card).await {
                messages.push(Message { id, recipient });
            }
        }
        ensure!(!messages.is_empty(), "no recipient was notified");
        self.change(id, |mut data| {
            record::put_messages(&mut data, &messages);
            Ok(Change::Write(data))
        })
        .await
        .map(drop)
    }

    /// Records the resolution, and then edits one card after another, without retrying failed edits.
    async fn resolve(&self, request: &AccessRequest) -> anyhow::Result<()> {
        let change = |mut data: Data| {
            if record::messages(&data).is_empty() {
                return Ok(Change::NotYet);
            }
            ensure!(!data.contains_key("resolution"), "it has been resolved already");
            data.insert("resolution".to_owned(), request.stage.to_string());
            data.insert("resolve_reason".to_owned(), request.resolve_reason.clone());
            Ok(Change::Write(data))
        };
        let data = self.change(&request.id, change).await?;
        let card = self.card(request);
        for Message { id, recipient } in record::messages(&data) {
            // A failed edit does not affect the others.
            self.microsoft.edit(&recipient, &id, &card).await.ok();
        }
        Ok(())
    }

    fn card(&self, request: &AccessRequest) -> card::Card {
        let view = card::View {
            cluster: &self.cluster,
            names: &ResourceNames::default(),
            reader: &card::Reader::default(),
            now: clock::now(),
            reviews: None,
        };
        card::Content::Request(Arc::new(request.clone())).draw(view).card
    }

    /// Reads the data and writes the result of a step, until no other writer interferes.
    async fn change(&self, id: &RequestId, step: impl Fn(Data) -> anyhow::Result<Change>) -> anyhow::Result<Data> {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        let key = PluginDataKey::request(id);
        loop {
            let found = self.teleport.plugin_data(&key).await?;
            ensure!(!found.is_empty(), "there is no plugin data");
            if let Change::Write(data) = step(found.clone())?
                && self.teleport.swap_plugin_data(&key, found, data.clone()).await? == Swap::Written
            {
                return Ok(data);
            }
            sleep(pauses.next()).await;
        }
    }
}
