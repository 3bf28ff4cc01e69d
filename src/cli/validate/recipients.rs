//! Checks each recipient, with the output that Teleport's guide shows, and sends two messages.

use std::fmt::{Display, Write as _};

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cli::configured::find_app;
use crate::cli::output::say;
use crate::cli::validate::results::counted;
use crate::cli::version;
use crate::clock;
use crate::config::{Settings, VALID_RECIPIENTS};
use crate::daemon::Courier;
use crate::domain::card;
use crate::domain::card::Message;
use crate::domain::recipients::Address;
use crate::msteams;
use crate::msteams::{Activity, Members, Priority, Teams};

/// Recipients at the same time; the calls themselves are paced to Microsoft's limits.
const CONCURRENCY: usize = 16;

/// Notifies each recipient, and returns the number of failures.
pub(super) async fn check(settings: &Settings, recipients: &[String]) -> anyhow::Result<usize> {
    say!("{}", version::line());
    say!("");
    let teams = find_app(settings).await?;
    // The lines of a single recipient are printed immediately; those of several recipients together, in the order of the
    // arguments.
    let live = recipients.len() == 1;
    let teams = &teams;
    let mut checked = stream::iter(recipients)
        .map(|recipient| async move {
            let mut lines = Lines {
                live,
                text: String::new(),
            };
            let notified = notify(teams, recipient, &mut lines).await;
            (recipient, lines.text, notified)
        })
        .buffered(CONCURRENCY);
    let mut failed = 0;
    while let Some((recipient, text, notified)) = checked.next().await {
        for line in text.lines() {
            say!("{line}");
        }
        if let Err(Failure { what, hint }) = notified {
            failed += 1;
            say!(" - Cannot notify {recipient}: {what}");
            if let Some(hint) = hint {
                say!("   hint: {hint}");
            }
        }
    }
    say!("");
    if failed < recipients.len() {
        say!("Check your MS Teams!");
    }
    Ok(failed)
}

/// Lines that are printed immediately, or collected until the recipient's turn.
struct Lines {
    live: bool,
    text: String,
}

impl Lines {
    fn say(&mut self, line: &str) {
        if self.live {
            say!(" - {line}");
        } else {
            writeln!(self.text, " - {line}").expect("writing to a string never fails");
        }
    }
}

/// The reason why a recipient cannot be notified, with a hint.
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl From<msteams::Error> for Failure {
    fn from(error: msteams::Error) -> Self {
        Self {
            what: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

async fn notify(teams: &Teams, recipient: &str, lines: &mut Lines) -> Result<(), Failure> {
    let address = Address::parse(recipient).map_err(|what| Failure {
        what,
        hint: Some(VALID_RECIPIENTS.to_owned()),
    })?;
    if let Some(group) = address.group() {
        let members = teams.members(group, &Priority::command()).await?;
        lines.say(&format!("Group {recipient} found: {}", listed(&members)));
        return Ok(());
    }
    let user = teams.find_user(&address).await?;
    let kind = match &user {
        Some(id) => {
            lines.say(&format!("User {recipient} found: {id}"));
            "user"
        }
        None if address.chat().is_some() => "chat",
        None => "channel",
    };
    if address.named_channel().is_some()
        && let Some(link) = teams.find_link(&address).await?
    {
        lines.say(&format!("Channel {recipient} found; the link to write: {link}"));
    }
    let place = teams.find_place(&address, user.as_deref()).await?;
    let conversation = &place.conversation.id;
    lines.say(&format!(
        "Application installation ID for {kind}: {}",
        place.installation.as_deref().unwrap_or("(not known)")
    ));
    lines.say(&format!("Chat ID for {kind}: {conversation}"));
    lines.say(&format!(
        "Chat web URL: {}",
        place.web_url.as_deref().unwrap_or("(not known)")
    ));
    lines.say(&format!("Hailing the {kind}..."));
    let id = post(teams, &address, conversation, &card::greeting()).await?;
    lines.say(&format!("Message sent, ID: {id}"));
    let example = card::example(&Uuid::new_v4().to_string(), clock::now());
    post(teams, &address, conversation, &example).await?;
    Ok(())
}

/// Returns what is said of the members of a group. They get no test message, because they may be many.
pub(super) fn listed(members: &Members) -> String {
    let people = counted(members.people.len(), "member");
    let more = if members.is_cut {
        ", and more, who are not notified"
    } else {
        ""
    };
    format!("{people}{more}; members get no test message")
}

/// Posts a message to a conversation, and returns its ID. The error names the recipient.
pub(super) async fn post(
    teams: &Teams,
    recipient: impl Display,
    conversation: &str,
    message: &Message,
) -> Result<String, Failure> {
    let activity = Activity::new(&message.card, &message.summary, false);
    let (priority, never) = (Priority::command(), CancellationToken::new());
    let courier = Courier::new(teams, &priority, &never);
    match courier.post_in(conversation.to_owned(), &activity).await {
        Ok(placed) => Ok(placed.activity),
        Err(undelivered) => Err(match undelivered.into_error() {
            Some(error) => error.about(recipient).into(),
            None => Failure {
                what: "the command was interrupted".to_owned(),
                hint: None,
            },
        }),
    }
}
