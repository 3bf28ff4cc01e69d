//! The store for what we told whom: a map of strings beside each request, written by compare-and-swap.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::domain::request::RequestId;
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning};

const KIND: &str = "access_request";

/// The entry of the Go plugin, which we share.
const PLUGIN: &str = "msteams";

/// How a compare-and-swap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    Written,
    /// The stored values were others; nothing was written.
    Lost,
    /// There is no such request, and no data of it.
    Gone,
    /// The data of all plugins of a resource together have a limit (1,000,000 bytes), and are over it.
    TooLarge,
}

impl Client {
    /// Reads the data of one request; an empty map if there are none.
    pub async fn plugin_data(&self, id: &RequestId) -> Result<BTreeMap<String, String>, Error> {
        let mut all = self.read(id.as_str()).await?;
        Ok(all.remove(id).unwrap_or_default())
    }

    /// Reads the data of every request that has some.
    pub async fn all_plugin_data(&self) -> Result<HashMap<RequestId, BTreeMap<String, String>>, Error> {
        self.read("").await
    }

    async fn read(&self, resource: &str) -> Result<HashMap<RequestId, BTreeMap<String, String>>, Error> {
        let filter = types::PluginDataFilter {
            kind: KIND.to_owned(),
            resource: resource.to_owned(),
            plugin: PLUGIN.to_owned(),
        };
        let mut service = self.service();
        let call = self.call("read plugin data", service.get_plugin_data(filter)).await;
        let answer = call.map_err(|error| match error.meaning() {
            Meaning::Denied => error.with_hint("the role needs list and read on access_plugin_data or access_request"),
            _ => error,
        })?;
        let entries = answer.plugin_data.into_iter().filter_map(|data| {
            let id = RequestId::new(data.metadata?.name);
            let entry = data.spec?.entries.remove(PLUGIN)?;
            Some((id, entry.data.into_iter().collect()))
        });
        Ok(entries.collect())
    }

    /// Writes `set` if every key of `expect` still has its value. In `set` an empty value deletes the key; in `expect` it
    /// means that the key is absent.
    pub async fn swap_plugin_data(
        &self,
        id: &RequestId,
        expect: BTreeMap<String, String>,
        set: BTreeMap<String, String>,
    ) -> Result<Swap, Error> {
        let update = types::PluginDataUpdateParams {
            kind: KIND.to_owned(),
            resource: id.as_str().to_owned(),
            plugin: PLUGIN.to_owned(),
            set: set.into_iter().collect(),
            expect: expect.into_iter().collect(),
        };
        let mut service = self.service();
        match self.call("write plugin data", service.update_plugin_data(update)).await {
            Ok(()) => Ok(Swap::Written),
            Err(error) => match error.meaning() {
                Meaning::Conflict => Ok(Swap::Lost),
                Meaning::NotFound => Ok(Swap::Gone),
                // Of what Teleport checks, only the size is not ours to get right.
                Meaning::Invalid => Ok(Swap::TooLarge),
                Meaning::Denied => Err(error.with_hint("the role needs update on access_plugin_data")),
                _ => Err(error),
            },
        }
    }

    /// Fails unless our role may write plugin data; writes nothing. Teleport checks the permission before it looks for the
    /// request, and this one does not exist, nor could it ever hold what is expected of it.
    pub async fn check_write_permission(&self) -> Result<(), Error> {
        let nobody = RequestId::new("00000000-0000-0000-0000-000000000000");
        let expect = BTreeMap::from([("x_claim".to_owned(), "never".to_owned())]);
        let set = BTreeMap::from([("x_claim".to_owned(), "never".to_owned())]);
        self.swap_plugin_data(&nobody, expect, set).await.map(|_| ())
    }
}
