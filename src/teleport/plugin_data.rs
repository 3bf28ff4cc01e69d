//! The store for records of what was sent: a map of strings beside each resource, written by compare-and-swap.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::domain::request::RequestId;
use crate::domain::rules::PLUGIN;
use crate::teleport::damaged::Kind;
use crate::teleport::wire::{proto, types};
use crate::teleport::{Client, Error, Meaning, convert};

const READ: &str = "read plugin data";

/// The result of a compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    Written,
    /// The stored values differ; nothing was written.
    Lost,
    /// The resource does not exist, and has no data.
    Gone,
    /// The data of all plugins of a resource together exceed Teleport's limit (1,000,000 bytes).
    TooLarge,
}

/// The kinds of resources that can have plugin data. Teleport rejects every other kind (`unsupported resource kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PluginDataKind {
    AccessRequest,
    AccessList,
}

/// The resource that plugin data belong to. The entry is that of the Go plugin, which this program shares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginDataKey {
    pub kind: PluginDataKind,
    /// The name of the resource; for an Access Request, its id.
    pub name: String,
}

/// The data of all resources of one kind, by name; `None` for data that could not be decoded.
pub type PluginData = HashMap<String, Option<BTreeMap<String, String>>>;

impl PluginDataKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::AccessRequest => "access_request",
            Self::AccessList => "access_list",
        }
    }
}

impl PluginDataKey {
    /// Returns the key of an Access Request.
    pub fn request(id: &RequestId) -> Self {
        Self {
            kind: PluginDataKind::AccessRequest,
            name: id.as_str().to_owned(),
        }
    }

    /// Returns the key of an Access List.
    pub fn access_list(name: &str) -> Self {
        Self {
            kind: PluginDataKind::AccessList,
            name: name.to_owned(),
        }
    }
}

impl Client {
    /// Reads the data of one resource; an empty map if it has none.
    ///
    /// # Errors
    /// Also fails if they cannot be decoded: the deliveries are unknown then, so none may be made.
    pub async fn plugin_data(&self, key: &PluginDataKey) -> Result<BTreeMap<String, String>, Error> {
        let mut all = self.read(key.kind, &key.name).await?;
        let data = all.remove(&key.name).unwrap_or_else(|| Some(BTreeMap::new()));
        data.ok_or_else(|| Error::new(Meaning::Undecodable, READ, "the records cannot be decoded"))
    }

    /// Reads the data of every resource of a kind that has some.
    ///
    /// # Errors
    /// Teleport did not answer or refused.
    pub async fn all_plugin_data(&self, kind: PluginDataKind) -> Result<PluginData, Error> {
        self.read(kind, "").await
    }

    async fn read(&self, kind: PluginDataKind, resource: &str) -> Result<PluginData, Error> {
        let filter = types::PluginDataFilter {
            kind: kind.as_str().to_owned(),
            resource: resource.to_owned(),
            plugin: PLUGIN.to_owned(),
        };
        let answer = self.ask(READ, "/proto.AuthService/GetPluginData", filter).await;
        let answer: proto::PluginDataSeq = answer.map_err(|error| match error.meaning() {
            Meaning::Denied => error.or_hint(match kind {
                PluginDataKind::AccessRequest => {
                    hint!("Grant the role list and read on access_request or on access_plugin_data")
                }
                PluginDataKind::AccessList => hint!("Grant the role list and read on access_list"),
            }),
            _ => error,
        })?;
        let mut all = PluginData::new();
        for bytes in &answer.plugin_data {
            let read = convert::plugin_data(bytes, PLUGIN);
            let name = read.id.clone();
            let record = match kind {
                PluginDataKind::AccessRequest => Kind::Record,
                PluginDataKind::AccessList => Kind::ListRecord,
            };
            let data = self.damaged().take(record, bytes, read);
            match (name, data) {
                // Other plugins have data for it, and we have none.
                (_, Some(None)) | (None, _) => {}
                (Some(name), data) => {
                    all.insert(name, data.flatten());
                }
            }
        }
        Ok(all)
    }

    /// Writes `set` if every key of `expect` still has its value. In `set` an empty value deletes the key; in `expect`
    /// it means that the key is absent.
    pub async fn swap_plugin_data(
        &self,
        key: &PluginDataKey,
        expect: BTreeMap<String, String>,
        set: BTreeMap<String, String>,
    ) -> Result<Swap, Error> {
        let update = types::PluginDataUpdateParams {
            kind: key.kind.as_str().to_owned(),
            resource: key.name.clone(),
            plugin: PLUGIN.to_owned(),
            set: set.into_iter().collect(),
            expect: expect.into_iter().collect(),
        };
        let (doing, method) = ("write plugin data", "/proto.AuthService/UpdatePluginData");
        let mut answer = self.ask_raw(doing, method, update.clone()).await;
        if answer.as_ref().is_err_and(|error| error.meaning() == Meaning::NotFound) {
            // Our user may have been missing, and restored before the ping that checked it. Nothing was written.
            answer = self.ask_raw(doing, method, update).await;
        }
        match answer {
            Ok(_) => Ok(Swap::Written),
            Err(error) => match error.meaning() {
                Meaning::Conflict => Ok(Swap::Lost),
                Meaning::NotFound => Ok(Swap::Gone),
                // Of Teleport's checks, only the size does not depend on us.
                Meaning::Invalid => Ok(Swap::TooLarge),
                Meaning::Denied => Err(error.or_hint(hint!("Grant the role update on access_plugin_data"))),
                _ => Err(error),
            },
        }
    }

    /// Fails unless our role may write plugin data; writes nothing. Teleport checks the permission before it looks up
    /// the request. This request does not exist, and could never hold the expected value.
    ///
    /// # Errors
    /// `Denied` if the role may not write, otherwise as any call.
    pub async fn check_write_permission(&self) -> Result<(), Error> {
        let no_request = RequestId::new("00000000-0000-0000-0000-000000000000");
        let expect = BTreeMap::from([("x_claim".to_owned(), "never".to_owned())]);
        let set = BTreeMap::from([("x_claim".to_owned(), "never".to_owned())]);
        self.swap_plugin_data(&PluginDataKey::request(&no_request), expect, set)
            .await
            .map(|_| ())
    }
}
