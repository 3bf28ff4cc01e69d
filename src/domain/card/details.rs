//! What is requested, for how long, and what is missing.

use jiff::SignedDuration;

use crate::domain::card::drawing::Drawing;
use crate::domain::card::elements::{Facts, block, is_clean, title};
use crate::domain::card::long::{Long, LongList};
use crate::domain::card::schema::{Element, TextBlock};
use crate::domain::card::time;
use crate::domain::card::wording::Wording;
use crate::domain::request::{AccessRequest, RequestKind, Stage};

/// The number of thresholds that are shown.
const THRESHOLDS: usize = 10;

impl Drawing<'_> {
    /// Returns the facts and the resources of a request.
    pub(super) fn facts(&self, request: &AccessRequest) -> Vec<Element> {
        let (wording, detail) = (self.wording, self.detail);
        let mut facts = Facts::default();
        if !matches!(self.stage, Stage::Denied | Stage::Expired) {
            facts.add("Access", Self::access(request));
            facts.add("Starts", request.access_from.map(time::written).unwrap_or_default());
        }
        let roles = self.roles(request);
        facts.add("Roles", roles.as_ref().map(LongList::short).unwrap_or_default());
        if request.kind == RequestKind::LongTerm && !request.recommended_list.is_empty() {
            facts.add("Access List", format!("{} (recommended)", wording.list(request)));
        }
        facts.add("Access List", self.promoted_to(request));
        if self.is_open() {
            let most = detail.roles.min(THRESHOLDS);
            facts.add("Approvals", wording.approvals(&request.approvals(), most));
            facts.add("Denials", wording.denials(&request.denials(), most));
            facts.add("Review by", self.review_by(request));
            // A long-term request is reviewed with its Access List.
            let by_command = is_clean(self.id.as_str()) && request.kind != RequestKind::LongTerm;
            if self.is_for_reviewer() && self.view.cluster.link(self.id).is_none() && by_command {
                facts.add_command("Approve", format!("tsh request review --approve {}", self.id));
                facts.add_command("Deny", format!("tsh request review --deny {}", self.id));
            }
        }
        if self.stage.is_resolved() && self.stage != Stage::Expired {
            facts.add("Resolution", self.resolution(request));
        }
        let mut elements: Vec<_> = facts.into_element().into_iter().collect();
        if let Some(roles) = roles {
            elements.extend(roles.show_all(Long::ROLES, |rest| vec![block(rest.join(", "))]));
        }
        elements.extend(self.resources(request));
        elements
    }

    /// Returns the roles; `None` if the heading shows all of them.
    pub(super) fn roles(&self, request: &AccessRequest) -> Option<LongList> {
        (!Wording::heading_has_roles(request)).then(|| {
            let names = request.roles.iter().map(|role| self.wording.name(role));
            Long::of_list(names.take(self.detail.roles).collect(), request.roles.len())
        })
    }

    /// Returns the title of the Access List that a promoted request became a member of; empty if there is none.
    pub(super) fn promoted_to(&self, request: &AccessRequest) -> String {
        let list = request.promoted_to.as_ref().filter(|_| self.stage == Stage::Promoted);
        let title = list.map(|list| if list.title.is_empty() { &list.name } else { &list.title });
        title.map(|title| self.wording.name(title)).unwrap_or_default()
    }

    /// Returns when the request expires if it is not resolved; empty if that is unknown.
    pub(super) fn review_by(&self, request: &AccessRequest) -> String {
        let expires = request.expires.map(|end| time::with_distance(end, self.view.now));
        expires.unwrap_or_default()
    }

    /// Returns the resources, one per line: their names can be too long for facts.
    fn resources(&self, request: &AccessRequest) -> Vec<Element> {
        let lines = request.resources.iter().take(self.detail.resources);
        let lines = lines.map(|resource| self.wording.resource(resource));
        let list = Long::of_list(lines.collect(), request.resources.len());
        let line = |text: &String| {
            let text = text.clone();
            Element::from(TextBlock {
                text,
                spacing: Some("None"),
                wrap: true,
                ..TextBlock::default()
            })
        };
        let mut elements: Vec<_> = list.at_first().iter().map(line).collect();
        if !elements.is_empty() {
            elements.insert(0, title("Resources"));
        }
        elements.extend(list.show_all(Long::RESOURCES, |rest| rest.iter().map(line).collect()));
        elements
    }

    /// Returns how long the access lasts. Teleport sends only its end.
    fn access(request: &AccessRequest) -> String {
        if request.kind == RequestKind::LongTerm {
            return "long-term, as a member of an Access List".to_owned();
        }
        let other = (request.kind == RequestKind::Other).then(|| "other".to_owned());
        let start = request.access_from.or(request.created);
        let length = request.access_until.zip(start);
        let length = length.map(|(until, start)| until.duration_since(start));
        let length = length.filter(SignedDuration::is_positive).map(time::length);
        let until = request
            .access_until
            .map(|until| format!("until {}", time::written(until)));
        let parts: Vec<_> = [other, length, until].into_iter().flatten().collect();
        parts.join(", ")
    }
}
