//! Sentences and lists on cards.

use crate::domain::card::{CardCluster, Place, Reader, time};
use crate::domain::recipients::Reason;
use crate::domain::request::{AccessRequest, Constraints, Progress, RequestKind, Resource, ResourceName};
use crate::domain::request::{ResourceNames, Review, Verdict};

/// The number of roles in a heading.
const HEADING_ROLES: usize = 3;

/// The number of logins or role ARNs of one resource that are shown.
const CONSTRAINT_VALUES: usize = 10;

/// The names of resources, and how much of each text is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wording<'a> {
    pub(super) cluster: &'a CardCluster,
    pub(super) names: &'a ResourceNames,
    /// Maximum length of a name in characters.
    pub(super) name: usize,
    /// Makes a text from outside safe for its place: `plain` for a card, `squeezed` for a notification.
    pub(super) write: fn(&str, usize) -> String,
}

impl Wording<'_> {
    /// Returns a name from outside as text.
    pub(super) fn name(self, text: &str) -> String {
        (self.write)(text, self.name)
    }

    /// Returns what is requested: `dba`, `access to 3 nodes`, `membership in On-call engineers`.
    pub(super) fn subject(self, request: &AccessRequest) -> String {
        if is_membership(request) {
            return format!("membership in {}", self.list(request));
        }
        match &request.resources[..] {
            [] => self.role_subject(&request.roles),
            [resource] => format!("access to {}", self.with_constraints(self.named(resource), resource)),
            [first, rest @ ..] => {
                let count = request.resources.len();
                let same = rest.iter().all(|other| other.kind == first.kind);
                let kind = if same { plural(&first.kind) } else { None };
                let limited = request.resources.iter().any(|resource| resource.constraints.is_some());
                let limited = if limited { " (limited)" } else { "" };
                format!("access to {count} {}{limited}", kind.unwrap_or("resources"))
            }
        }
    }

    /// Returns the roles as the subject of a heading: `dba`, `dba and dev`, `dba, dev, ops and 2 more roles`.
    pub(super) fn role_subject(self, roles: &[impl AsRef<str>]) -> String {
        let shown = roles.iter().map(|role| self.name(role.as_ref()));
        let shown: Vec<_> = shown.filter(|role| !role.is_empty()).collect();
        match &shown[..] {
            [] => "access".to_owned(),
            [all @ .., last] if shown.len() <= HEADING_ROLES => match all {
                [] => last.clone(),
                all => format!("{} and {last}", all.join(", ")),
            },
            all => {
                let more = all.len() - HEADING_ROLES;
                let word = if more == 1 { "role" } else { "roles" };
                format!("{} and {more} more {word}", all[..HEADING_ROLES].join(", "))
            }
        }
    }

    /// Returns whether the heading shows every role.
    pub(super) fn heading_has_roles(request: &AccessRequest) -> bool {
        let by_role = request.resources.is_empty() && request.kind != RequestKind::LongTerm;
        by_role && request.roles.len() <= HEADING_ROLES
    }

    /// Returns the access list that Teleport recommends.
    pub(super) fn list(self, request: &AccessRequest) -> String {
        let title = self.names.lists.get(&request.recommended_list);
        self.name(title.unwrap_or(&request.recommended_list))
    }

    /// Returns a resource with its kind, description and constraints: `database orders – production (login root)`.
    pub(super) fn resource(self, resource: &Resource) -> String {
        let mut text = self.named(resource);
        if let Some(ResourceName::Description(description)) = self.names.of(resource) {
            text = format!("{text} – {}", self.name(description));
        }
        self.with_constraints(text, resource)
    }

    fn named(self, resource: &Resource) -> String {
        format!("{} {}", self.kind(resource), self.resource_name(resource))
    }

    fn with_constraints(self, text: String, resource: &Resource) -> String {
        match &resource.constraints {
            Some(constraints) => format!("{text} ({})", self.constraints(constraints)),
            None => text,
        }
    }

    /// Returns the word for a kind of resource, as Teleport's documentation writes it; a kind without one is shown as it is.
    fn kind(self, resource: &Resource) -> String {
        let word = match resource.kind.as_str() {
            "" => "resource",
            "db" => "database",
            "kube_cluster" => "Kubernetes cluster",
            "windows_desktop" => "Windows desktop",
            "user_group" => "user group",
            "git_server" => "Git server",
            "saml_idp_service_provider" => "SAML application",
            other => other,
        };
        self.name(word)
    }

    /// Returns the name of a resource with its cluster, if that is another one. Each part has its own limit, so that no part
    /// can hide another.
    fn resource_name(self, resource: &Resource) -> String {
        let mut text = match self.names.of(resource) {
            Some(ResourceName::Name(name)) => self.name(name),
            Some(ResourceName::Description(_)) | None => self.name(&resource.name),
        };
        if !resource.sub_resource.is_empty() {
            text = format!("{text}/{}", self.name(&resource.sub_resource));
        }
        if !resource.cluster.is_empty() && resource.cluster != self.cluster.name {
            text = format!("{text} on {}", self.name(&resource.cluster));
        }
        text
    }

    fn constraints(self, constraints: &Constraints) -> String {
        let (one, many, values) = match constraints {
            Constraints::Logins(logins) => ("login", "logins", logins),
            Constraints::AwsRoles(roles) => ("role", "roles", roles),
            Constraints::Other => return "other restrictions".to_owned(),
        };
        let shown: Vec<_> = values
            .iter()
            .take(CONSTRAINT_VALUES)
            .map(|value| self.name(value))
            .collect();
        match (&shown[..], values.len() - shown.len()) {
            ([], _) => format!("no {many}"),
            ([value], 0) => format!("{one} {value}"),
            (all, 0) => format!("{many} {}", all.join(", ")),
            (all, more) => format!("{many} {} and {more} more", all.join(", ")),
        }
    }

    /// Returns the approvals of at most `most` groups, all of which must be reached: `1 of 2 (security team)`, or
    /// `0 of 1 (managers) or 1 of 2 (security team)`.
    pub(super) fn approvals(self, groups: &[Vec<Progress<'_>>], most: usize) -> String {
        let group = |group: &Vec<Progress<'_>>| {
            let all: Vec<_> = group.iter().take(most).map(|one| self.progress(one)).collect();
            and_more(all.join(" or "), group.len().saturating_sub(most))
        };
        let shown: Vec<_> = groups.iter().take(most).map(group).collect();
        and_more(shown.join(" and "), groups.len().saturating_sub(most))
    }

    /// Returns at most `most` denials, where one does not decide alone.
    pub(super) fn denials(self, all: &[Progress<'_>], most: usize) -> String {
        let several = || all.iter().filter(|one| one.needed > 1);
        let shown: Vec<_> = several().take(most).map(|one| self.progress(one)).collect();
        and_more(shown.join(" or "), several().count().saturating_sub(most))
    }

    fn progress(self, progress: &Progress<'_>) -> String {
        let (done, needed) = (progress.done, progress.needed);
        match progress.threshold.name.as_str() {
            // Teleport's own threshold.
            "" | "default" => format!("{done} of {needed}"),
            name => format!("{done} of {needed} ({})", self.name(name)),
        }
    }

    /// Returns a request's access: `access to dba`, `access to 3 nodes`, `access`.
    pub(super) fn access(self, request: &AccessRequest) -> String {
        let subject = self.subject(request);
        let has_roles = request.roles.iter().any(|role| !self.name(role).is_empty());
        if has_roles && request.resources.is_empty() && !is_membership(request) {
            format!("access to {subject}")
        } else {
            subject
        }
    }

    /// Returns who reviewed, and how: `✅ Approved by carol@example.com, 26 Nov 2026 06:12 UTC`.
    pub(super) fn review(self, review: &Review) -> String {
        let verdict = match review.verdict {
            Verdict::Approve => "✅ Approved",
            Verdict::Deny => "❌ Denied",
            Verdict::Promote => "⤴️ Promoted",
            Verdict::Other => "❔ Other review",
        };
        format!("{verdict} by {}", self.reviewer(review))
    }

    /// Returns who reviewed, when and where: `carol@example.com, 26 Nov 2026 06:12 UTC, in Teams`.
    pub(super) fn reviewer(self, review: &Review) -> String {
        let mut text = self.name(&review.author);
        if let Some(created) = review.created {
            text = format!("{text}, {}", time::written(created));
        }
        if !review.submitted_by.is_empty() && review.submitted_by != review.author {
            text = format!("{text}, {}", self.submitter(&review.submitted_by));
        }
        text
    }

    /// Returns where the review was submitted: by this program, or by another plugin. Plugins are users whose names
    /// administrators choose.
    fn submitter(self, user: &str) -> String {
        const PLUGINS: [(&str, &str); 9] = [
            ("slack", "Slack"),
            ("msteams", "Microsoft Teams"),
            ("mattermost", "Mattermost"),
            ("discord", "Discord"),
            ("jira", "Jira"),
            ("pagerduty", "PagerDuty"),
            ("servicenow", "ServiceNow"),
            ("opsgenie", "Opsgenie"),
            ("datadog", "Datadog"),
        ];
        if user == self.cluster.plugin {
            return "in Teams".to_owned();
        }
        let user_words = user.to_ascii_lowercase();
        let is_word = |word: &&str| {
            user_words
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|part| part == *word)
        };
        match PLUGINS.iter().find(|(word, _)| is_word(word)) {
            Some((_, product)) => format!("via the {product} plugin"),
            None => format!("via {}", self.name(user)),
        }
    }

    /// Returns why the reader is notified, and who else is.
    pub(super) fn audience(self, reader: &Reader) -> String {
        let subject = match reader.place {
            Place::Personal => "You are",
            Place::Channel => "This channel is",
            Place::GroupChat => "This chat is",
        };
        let reason = reader.reason.as_ref().map(|reason| match reason {
            Reason::Role { role, .. } => format!("{subject} a recipient for role {}.", self.name(role)),
            Reason::OtherRoles { .. } => format!("{subject} a default recipient."),
            Reason::Rule(Some(rule)) => {
                format!(
                    "{subject} a recipient of the Access Monitoring Rule {}.",
                    self.name(rule)
                )
            }
            Reason::Rule(None) => format!("{subject} a recipient of an Access Monitoring Rule."),
            Reason::Suggested => format!("{subject} a suggested reviewer."),
            Reason::Escalation { is_manager: true, .. } => {
                format!("{subject} the manager of a recipient who has not reviewed.")
            }
            Reason::Escalation { .. } => format!("{subject} a recipient of escalated requests."),
            Reason::OutOfOffice { name, .. } => {
                format!("{subject} named in the out-of-office message of {}.", self.name(name))
            }
        });
        let sentences = [reason, self.others(reader)];
        let sentences: Vec<_> = sentences.into_iter().flatten().collect();
        sentences.join(" ")
    }

    /// Returns who was asked to review, for the requester; empty if that is unknown.
    pub(super) fn asked(self, reader: &Reader) -> String {
        match self.named_others(reader) {
            (None, 0) => String::new(),
            (None, 1) => "1 recipient was asked to review.".to_owned(),
            (None, more) => format!("{more} recipients were asked to review."),
            (Some(named), more) => format!("Asked to review: {}.", and_more(named, more)),
        }
    }

    fn others(self, reader: &Reader) -> Option<String> {
        Some(match self.named_others(reader) {
            (None, 0) => return None,
            (None, 1) => "1 other recipient was notified.".to_owned(),
            (None, more) => format!("{more} other recipients were notified."),
            (Some(named), more) => format!("Also notified: {}.", and_more(named, more)),
        })
    }

    /// Returns the names of other recipients, and the number of the rest.
    fn named_others(self, reader: &Reader) -> (Option<String>, usize) {
        let first = reader.others.iter().take(Reader::NAMED_OTHERS);
        let named: Vec<_> = first.map(|name| self.name(name)).collect();
        let more = reader.others.len() - named.len() + reader.more_others;
        ((!named.is_empty()).then(|| named.join(", ")), more)
    }
}

/// Returns whether membership in a certain Access List is requested.
fn is_membership(request: &AccessRequest) -> bool {
    request.kind == RequestKind::LongTerm && !request.recommended_list.is_empty()
}

fn and_more(shown: String, more: usize) -> String {
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn plural(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "node" => "nodes",
        "app" => "apps",
        "db" => "databases",
        "kube_cluster" => "Kubernetes clusters",
        "windows_desktop" => "Windows desktops",
        "user_group" => "user groups",
        "git_server" => "Git servers",
        _ => return None,
    })
}
