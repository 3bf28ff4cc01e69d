//! Which elements a card has, and in what order.
//!
//! The order and the titles are the Go plugin's, so that the card looks familiar; additional facts follow related ones.

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::domain::card::schema::{Column, Element, Fact, TextBlock};
use crate::domain::card::text::plain;
use crate::domain::card::{Card, CardCluster};
use crate::domain::request::{AccessRequest, RequestId, Review, Stage, Verdict};

/// The recorded facts of a request that was deleted.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    pub id: &'a RequestId,
    pub user: &'a str,
    /// Joined with `,`.
    pub roles: &'a str,
    pub reason: &'a str,
    pub reviews: usize,
    pub stage: Stage,
    pub resolve_reason: &'a str,
}

/// How much of everything is shown; all counts are of characters or entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    name: usize,
    reason: usize,
    review_reason: usize,
    roles: usize,
    resources: usize,
    reviews: usize,
}

impl Detail {
    /// An upper bound on what a reviewer reads.
    pub(super) const FULL: Self = Self {
        name: 200,
        reason: 2_000,
        review_reason: 500,
        roles: 20,
        resources: 10,
        reviews: 15,
    };

    /// Shows about two thirds of that; no step goes below one.
    pub(super) fn less(self) -> Self {
        let less = |count: usize| (count * 2 / 3).max(1);
        Self {
            name: less(self.name),
            reason: less(self.reason),
            review_reason: less(self.review_reason),
            roles: less(self.roles),
            resources: less(self.resources),
            reviews: less(self.reviews),
        }
    }
}

/// Draws a request.
pub(super) fn draw_request(cluster: &CardCluster, request: &AccessRequest, detail: Detail) -> Card {
    let link = cluster.link(&request.id);
    let stage = request.stage;
    let mut facts = Facts::new(cluster, &request.user, detail);
    facts.add("Role(s)", roles(&request.roles, detail));
    facts.add("Resources", resources(cluster, request, detail));
    facts.add("Max Duration", max_duration(request));
    facts.add("Access starts", request.access_from.map(minutes).unwrap_or_default());
    if stage.is_open() {
        facts.add("Request expires", request.expires.map(minutes).unwrap_or_default());
    }
    facts.add("Reason", plain(&request.reason, detail.reason));
    if let Some(list) = request.promoted_to.as_ref().filter(|_| stage == Stage::Promoted) {
        let title = if list.title.is_empty() { &list.name } else { &list.title };
        facts.add("Access List", plain(title, detail.name));
    }
    if stage.is_resolved() && stage != Stage::Expired {
        facts.add("Resolution reason", plain(&request.resolve_reason, detail.reason));
    }
    if stage.is_open() && link.is_none() && is_clean(&request.id) {
        facts.add("Approve", format!("tsh request review --approve {}", request.id));
        facts.add("Deny", format!("tsh request review --deny {}", request.id));
    }
    let mut body = head(&request.id, stage);
    body.push(facts.into_element());
    if !request.reviews.is_empty() {
        body.push(reviews_title().into());
        let earlier = request.reviews.len().saturating_sub(detail.reviews);
        if earlier > 0 {
            body.push(small(format!("{earlier} earlier not shown")).into());
        }
        body.extend(
            request
                .reviews
                .iter()
                .skip(earlier)
                .map(|review| draw_review(review, detail)),
        );
    }
    let fallback = fallback(&request.id, &request.user, stage, detail);
    Card::new(body, link, fallback)
}

/// Draws the recorded facts of a request.
pub(super) fn draw_record(cluster: &CardCluster, remembered: &Remembered<'_>, detail: Detail) -> Card {
    let Remembered {
        id,
        user,
        roles: role_names,
        reason,
        reviews,
        stage,
        resolve_reason,
    } = *remembered;
    let names: Vec<_> = role_names.split(',').filter(|name| !name.is_empty()).collect();
    let mut facts = Facts::new(cluster, user, detail);
    facts.add("Role(s)", roles(&names, detail));
    facts.add("Reason", plain(reason, detail.reason));
    facts.add("Resolution reason", plain(resolve_reason, detail.reason));
    let mut body = head(id, stage);
    body.push(facts.into_element());
    if reviews > 0 {
        let count = if reviews == 1 {
            "1 review".to_owned()
        } else {
            format!("{reviews} reviews")
        };
        body.push(reviews_title().into());
        body.push(small(format!("{count}; the details are no longer available")).into());
    }
    Card::new(body, cluster.link(id), fallback(id, user, stage, detail))
}

/// Facts in their order; facts without a value are omitted, because no client accepts them.
struct Facts(Vec<Fact>);

impl Facts {
    fn new(cluster: &CardCluster, user: &str, detail: Detail) -> Self {
        let mut facts = Self(Vec::new());
        facts.add("Cluster", plain(&cluster.name, detail.name));
        facts.add("User", plain(user, detail.name));
        facts
    }

    fn add(&mut self, title: &'static str, value: String) {
        if !value.is_empty() {
            self.0.push(Fact { title, value });
        }
    }

    fn into_element(self) -> Element {
        Element::FactSet { facts: self.0 }
    }
}

fn head(id: &RequestId, stage: Stage) -> Vec<Element> {
    let (icon, color) = match stage {
        Stage::Pending | Stage::Unknown => ("⏳", "Accent"),
        Stage::Approved => ("✅", "Good"),
        Stage::Denied => ("❌", "Attention"),
        Stage::Promoted => ("⤴️", "Good"),
        Stage::Expired => ("⌛", "Accent"),
    };
    let column = |width, block: TextBlock| Column {
        width,
        items: vec![block.into()],
    };
    let icon = TextBlock {
        text: icon.to_owned(),
        size: Some("Large"),
        ..TextBlock::default()
    };
    let word = TextBlock {
        text: stage.as_str().to_owned(),
        size: Some("Large"),
        weight: Some("Bolder"),
        color: Some(color),
        ..TextBlock::default()
    };
    let title = TextBlock {
        text: format!("Access Request {}", shown_id(id)),
        size: Some("Small"),
        wrap: true,
        ..TextBlock::default()
    };
    let columns = vec![column("auto", icon), column("stretch", word)];
    vec![title.into(), Element::ColumnSet { columns }]
}

fn reviews_title() -> TextBlock {
    TextBlock {
        text: "Reviews".to_owned(),
        weight: Some("Bolder"),
        color: Some("Accent"),
        separator: true,
        ..TextBlock::default()
    }
}

fn small(text: String) -> TextBlock {
    TextBlock {
        text,
        size: Some("Small"),
        wrap: true,
        ..TextBlock::default()
    }
}

fn draw_review(review: &Review, detail: Detail) -> Element {
    let status = match review.verdict {
        Verdict::Approve => "✅",
        Verdict::Deny => "❌",
        Verdict::Promote => "⤴️",
        Verdict::Other => "❔",
    };
    let mut facts = Facts(Vec::new());
    facts.add("Status", status.to_owned());
    facts.add("Author", plain(&review.author, detail.name));
    let created = review
        .created
        .map(|created| created.strftime("%d %b %y %H:%M UTC").to_string());
    facts.add("Created at", created.unwrap_or_default());
    facts.add("Reason", plain(&review.reason, detail.review_reason));
    facts.into_element()
}

fn roles(names: &[impl AsRef<str>], detail: Detail) -> String {
    let shown = names.iter().map(|name| plain(name.as_ref(), detail.name));
    listed(shown, names.len(), detail.roles, "none")
}

/// Lists resources as `kind name`, with the cluster where it is another one.
fn resources(cluster: &CardCluster, request: &AccessRequest, detail: Detail) -> String {
    let shown = request.resources.iter().map(|resource| {
        let mut text = format!("{} {}", resource.kind, resource.name);
        if !resource.sub_resource.is_empty() {
            text.push('/');
            text.push_str(&resource.sub_resource);
        }
        if resource.cluster != cluster.name {
            text.push_str(" on ");
            text.push_str(&resource.cluster);
        }
        plain(&text, detail.name)
    });
    listed(shown, request.resources.len(), detail.resources, "")
}

/// Joins the first entries and says how many more there are.
fn listed(entries: impl Iterator<Item = String>, count: usize, most: usize, none: &str) -> String {
    let shown: Vec<_> = entries.take(most).filter(|entry| !entry.is_empty()).collect();
    let shown = shown.join(", ");
    if shown.is_empty() {
        return none.to_owned();
    }
    match count.saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Returns the maximum duration of the access, and its end. Teleport sends only the end.
fn max_duration(request: &AccessRequest) -> String {
    let Some(until) = request.access_until else {
        return String::new();
    };
    let length = request.created.map(|created| until.duration_since(created));
    match length.filter(SignedDuration::is_positive).map(length_in_words) {
        Some(words) => format!("{words}, until {}", minutes(until)),
        None => format!("until {}", minutes(until)),
    }
}

/// Writes the largest units that matter: `2 days 4 hours`, `8 hours`, `1 hour 30 minutes`.
fn length_in_words(length: SignedDuration) -> String {
    // Teleport computes the two times a moment apart, so seconds are meaningless.
    let minutes = (length.as_secs() + 30) / 60;
    let unit = |count: i64, name: &str| match count {
        0 => None,
        1 => Some(format!("1 {name}")),
        count => Some(format!("{count} {name}s")),
    };
    let parts = [
        unit(minutes / 1_440, "day"),
        unit(minutes / 60 % 24, "hour"),
        unit(minutes % 60, "minute"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().take(2).collect();
    if parts.is_empty() {
        "less than a minute".to_owned()
    } else {
        parts.join(" ")
    }
}

fn minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Teleport's ids are UUIDs; one that is not is shown like any other text.
fn shown_id(id: &RequestId) -> String {
    if is_clean(id) {
        id.to_string()
    } else {
        plain(id.as_str(), 64)
    }
}

fn is_clean(id: &RequestId) -> bool {
    let text = id.as_str();
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.starts_with('-') && (1..=64).contains(&text.len()) && text.bytes().all(clean)
}

fn fallback(id: &RequestId, user: &str, stage: Stage, detail: Detail) -> String {
    let user = plain(user, detail.name);
    let id = shown_id(id);
    match stage {
        Stage::Pending => format!("{user} requests access. Open Teleport to review request {id}."),
        stage => format!("The access request {id} of {user} is {stage}."),
    }
}
