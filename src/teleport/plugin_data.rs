//! The store for what we told whom: a map of strings beside each request, written by compare-and-swap.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::domain::request::RequestId;
use crate::teleport::damaged::Kind;
use crate::teleport::wire::{proto, types};
use crate::teleport::{Client, Error, Meaning, convert};

const KIND: &str = "access_request";

/// The entry of the Go plugin, which we share.
const PLUGIN: &str = "msteams";

const READ: &str = "read plugin data";

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

/// The data of many requests; those that could not be decoded are absent in it.
pub type Records = HashMap<RequestId, Option<BTreeMap<String, String>>>;

impl Client {
    /// Reads the data of one request; an empty map if there are none.
    ///
    /// # Errors
    /// Also if they cannot be decoded: what was done is not known then, and nothing may be done.
    pub async fn plugin_data(&self, id: &RequestId) -> Result<BTreeMap<String, String>, Error> {
        let mut all = self.read(id.as_str()).await?;
        let record = all.remove(id).unwrap_or_else(|| Some(BTreeMap::new()));
        record.ok_or_else(|| Error::new(Meaning::Undecodable, READ, "they cannot be decoded"))
    }

    /// Reads the data of every request that has some.
    pub async fn all_plugin_data(&self) -> Result<Records, Error> {
        self.read("").await
    }

    async fn read(&self, resource: &str) -> Result<Records, Error> {
        let filter = types::PluginDataFilter {
            kind: KIND.to_owned(),
            resource: resource.to_owned(),
            plugin: PLUGIN.to_owned(),
        };
        let answer = self.ask(READ, "/proto.AuthService/GetPluginData", filter).await;
        let answer: proto::PluginDataSeq = answer.map_err(|error| match error.meaning() {
            Meaning::Denied => error.or_hint("the role needs list and read on access_plugin_data or access_request"),
            _ => error,
        })?;
        let mut records = Records::new();
        for bytes in &answer.plugin_data {
            let read = convert::plugin_data(bytes, PLUGIN);
            let id = read.id.as_ref().map(RequestId::new);
            let data = self.damaged().take(Kind::Record, bytes, read);
            match (id, data) {
                // Other plugins have data of it, and we have none.
                (_, Some(None)) | (None, _) => {}
                (Some(id), data) => {
                    records.insert(id, data.flatten());
                }
            }
        }
        Ok(records)
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
        let (doing, method) = ("write plugin data", "/proto.AuthService/UpdatePluginData");
        let mut answer = self.ask_raw(doing, method, update.clone()).await;
        if answer.as_ref().is_err_and(|error| error.meaning() == Meaning::NotFound) {
            // Our user may have been away, and back by the time it was asked about. Nothing was written.
            answer = self.ask_raw(doing, method, update).await;
        }
        match answer {
            Ok(_) => Ok(Swap::Written),
            Err(error) => match error.meaning() {
                Meaning::Conflict => Ok(Swap::Lost),
                Meaning::NotFound => Ok(Swap::Gone),
                // Of what Teleport checks, only the size is not ours to get right.
                Meaning::Invalid => Ok(Swap::TooLarge),
                Meaning::Denied => Err(error.or_hint("the role needs update on access_plugin_data")),
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
