//! What one event leads to.

use std::time::Duration;

use anyhow::{bail, ensure};
use teleport_msteams::config::Settings;
use teleport_msteams::domain::card;
use teleport_msteams::domain::request::{AccessRequest, RequestId, Stage};
use teleport_msteams::teleport::{Client, PluginDataKey, Swap, WatchEvent};
use tokio::time::sleep;

use crate::model::microsoft::Microsoft;
use crate::model::pauses::Pauses;
use crate::model::record::{self, Data, Message};

/// The longest pause before a write is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Cards {
    pub(crate) teleport: Client,
    pub(crate) microsoft: Microsoft,
    pub(crate) settings: Settings,
    pub(crate) cluster: card::CardCluster,
}

/// What a step makes of the data that it finds.
enum Change {
    Write(Data),
    /// Look again after a pause.
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
            // Nothing is listed after a connection; what was missed is missed.
            _ => Ok(()),
        }
    }

    /// Claims a request that nobody has claimed, tells one recipient after another, and then notes all cards at once.
    async fn announce(&self, request: &AccessRequest) -> anyhow::Result<()> {
        let id = &request.id;
        let key = PluginDataKey::request(id);
        if !self.teleport.plugin_data(&key).await?.is_empty() {
            return Ok(());
        }
        let claimed = self
            .teleport
            .swap_plugin_data(&key, record::nothing(), record::claim(request));
        ensure!(claimed.await? == Swap::Written, "somebody else has claimed it");
        let card = card::of_request(&self.cluster, request).card;
        let mut messages = Vec::new();
        for address in self.settings.routing.recipients(request).addresses {
            let recipient = address.as_str().to_owned();
            // Who could not be told is logged and forgotten.
            if let Ok(id) = self.microsoft.post(&recipient, &card).await {
                messages.push(Message { id, recipient });
            }
        }
        ensure!(!messages.is_empty(), "nobody was told");
        self.change(id, |mut data| {
            record::put_messages(&mut data, &messages);
            Ok(Change::Write(data))
        })
        .await
        .map(drop)
    }

    /// Notes the decision, and then edits one card after another; who could not be shown it is not tried again.
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
        let card = card::of_request(&self.cluster, request).card;
        for Message { id, recipient } in record::messages(&data) {
            // The others are shown all the same.
            self.microsoft.edit(&recipient, &id, &card).await.ok();
        }
        Ok(())
    }

    /// Reads the data and writes what a step makes of it, until nobody else writes in between.
    async fn change(&self, id: &RequestId, step: impl Fn(Data) -> anyhow::Result<Change>) -> anyhow::Result<Data> {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        let key = PluginDataKey::request(id);
        loop {
            let found = self.teleport.plugin_data(&key).await?;
            ensure!(!found.is_empty(), "there are no data");
            if let Change::Write(data) = step(found.clone())?
                && self.teleport.swap_plugin_data(&key, found, data.clone()).await? == Swap::Written
            {
                return Ok(data);
            }
            sleep(pauses.next()).await;
        }
    }
}
