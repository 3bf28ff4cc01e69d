//! Reads the files that replace Teleport's answers: the request, traits and resources.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::request::{AccessRequest, RequestId, Resource};

/// A request as `tctl get access_request` prints it, without the fields that rules do not use.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    expires: Option<String>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    user: String,
    roles: Option<Vec<String>>,
    created: Option<String>,
    expiry: Option<String>,
    #[serde(default)]
    request_reason: String,
    suggested_reviewers: Option<Vec<String>>,
    system_annotations: Option<BTreeMap<String, Vec<String>>>,
    resource_ids: Option<Vec<Id>>,
    resource_access_ids: Option<Vec<AccessId>>,
}

#[derive(Deserialize)]
struct AccessId {
    id: Id,
}

#[derive(Deserialize)]
struct Id {
    #[serde(default)]
    cluster: String,
    kind: String,
    name: String,
    #[serde(default, alias = "sub_resource_name")]
    sub_resource: String,
}

/// A resource with its labels.
#[derive(Deserialize)]
pub(super) struct Labelled {
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

/// The message for a Terraform file.
pub(super) const TERRAFORM: &str =
    "Terraform is not supported; use YAML or JSON as `tctl get access_monitoring_rule` prints it";

/// Returns whether a text is Terraform: its first line that is not a comment begins a block.
pub(super) fn is_terraform(source: &str) -> bool {
    let is_comment = |line: &&str| line.is_empty() || line.starts_with('#') || line.starts_with("//");
    let first = source.lines().map(str::trim).find(|line| !is_comment(line));
    let blocks = [
        "resource",
        "data",
        "terraform",
        "provider",
        "variable",
        "locals",
        "module",
        "output",
    ];
    first.is_some_and(|line| {
        let (word, rest) = line.split_once([' ', '{']).unwrap_or((line, ""));
        let rest = rest.trim_start();
        blocks.contains(&word) && (rest.is_empty() || rest.starts_with(['"', '{']))
    })
}

/// Reads a request, or a list with one request, as `tctl` prints it.
pub(super) fn request(path: &Path) -> anyhow::Result<AccessRequest> {
    let shown = path.display();
    let written: Value = json(path)?;
    let written = match written {
        Value::Array(mut all) => match (all.pop(), all.len()) {
            (Some(one), 0) => one,
            (_, more) => bail!("{shown} contains {} requests; keep one", more + 1),
        },
        one => one,
    };
    let Written { metadata, spec } =
        serde_json::from_value(written).with_context(|| format!("{shown} is not an Access Request"))?;
    let resource = |id: Id| Resource {
        sub_resource: id.sub_resource,
        ..Resource::new(id.cluster, id.kind, id.name)
    };
    // The newer list takes precedence if it is not empty.
    let newer = spec.resource_access_ids.filter(|ids| !ids.is_empty());
    let resources: Vec<Resource> = match newer {
        Some(ids) => ids.into_iter().map(|access| resource(access.id)).collect(),
        None => spec.resource_ids.into_iter().flatten().map(resource).collect(),
    };
    let time = |key: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty() && !text.starts_with("0001-01-01T00:00:00"));
        let read = |text: String| moment(&text).with_context(|| format!("{shown}: {key}"));
        text.map(read).transpose()
    };
    let expires = match time("spec.expiry", spec.expiry)? {
        Some(expires) => Some(expires),
        None => time("metadata.expires", metadata.expires)?,
    };
    Ok(AccessRequest {
        roles: spec.roles.unwrap_or_default(),
        reason: spec.request_reason,
        suggested_reviewers: spec.suggested_reviewers.unwrap_or_default(),
        resources,
        system_annotations: spec.system_annotations.unwrap_or_default(),
        created: time("spec.created", spec.created)?,
        expires,
        ..AccessRequest::new(RequestId::new(metadata.name), spec.user)
    })
}

/// Returns the name of an input in reports; `-` is stdin.
pub(super) fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "stdin".to_owned(),
        _ => path.display().to_string(),
    }
}

/// Reads a file, or stdin if the path is `-`.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    let read = match path.to_str() {
        Some("-") => io::read_to_string(io::stdin()),
        _ => fs::read_to_string(path),
    };
    read.with_context(|| format!("could not read {}", name(path)))
}

/// Reads a JSON file.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let shown = path.display();
    let text = fs::read(path).with_context(|| format!("could not read {shown}"))?;
    serde_json::from_slice(&text).with_context(|| format!("could not parse {shown}"))
}

/// Parses a time such as `2026-01-31T09:00:00Z`.
pub(super) fn moment(text: &str) -> anyhow::Result<Timestamp> {
    text.parse()
        .with_context(|| format!("{text:?} is not a time such as 2026-01-31T09:00:00Z"))
}
