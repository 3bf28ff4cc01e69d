//! Finds the Teleport user of a person who presses a button.

use std::time::Duration;

use crate::cache::Cache;
use crate::config::ReviewSettings;
use crate::daemon::context::Context;
use crate::msteams;
use crate::msteams::inbound::Person;
use crate::msteams::{Priority, Urgency};
use crate::teleport;

/// How long the user of a person is remembered. A trait that is taken from a user can be used for that long.
const FOUND_LIFE: Duration = Duration::from_mins(10);

/// How long it is remembered that a person has no user, or several. Administrators fix that while the person waits.
const MISSED_LIFE: Duration = Duration::from_secs(15);

/// The number of people whose users are remembered.
const MOST: usize = 10_000;

/// The Teleport user of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    One(String),
    None,
    Several,
}

/// Why the user of a person cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Teleport(#[from] teleport::Error),
    #[error(transparent)]
    Microsoft(#[from] msteams::Error),
}

/// What the answer depends on. A reload can change the settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    object_id: String,
    user_id_trait: String,
    by_name: bool,
}

impl Question {
    fn new(person: &Person, settings: &ReviewSettings) -> Self {
        Self {
            object_id: person.object_id.clone(),
            user_id_trait: settings.user_id_trait.clone(),
            by_name: settings.allow_email_username_match,
        }
    }
}

/// The users of people.
#[derive(Debug)]
pub(super) struct Users(Cache<Question, Found>);

impl Users {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST, |found| match found {
            Found::One(_) => FOUND_LIFE,
            Found::None | Found::Several => MISSED_LIFE,
        }))
    }

    /// Forgets the user of a person, who does not exist any more.
    pub(super) fn forget(&self, person: &Person, settings: &ReviewSettings) {
        self.0.forget(&Question::new(person, settings));
    }

    /// Finds the one user with the person's object ID in the configured trait. If there is none, and the settings allow it,
    /// finds the user whose name is the person's user principal name.
    pub(super) async fn of(
        &self,
        person: &Person,
        settings: &ReviewSettings,
        context: &Context,
    ) -> Result<Found, Error> {
        let question = Question::new(person, settings);
        let look_up = || Box::pin(look_up(&question, context));
        self.0.get(&question, look_up).await
    }
}

async fn look_up(question: &Question, context: &Context) -> Result<Found, Error> {
    let object_id = &question.object_id;
    let mut users = context
        .client
        .users_with_trait(&question.user_id_trait, object_id)
        .await?;
    match (users.pop(), users.is_empty()) {
        (Some(user), true) => return Ok(Found::One(user)),
        (Some(_), false) => return Ok(Found::Several),
        (None, _) => {}
    }
    if !question.by_name {
        return Ok(Found::None);
    }
    // The body names the person too, but only Graph says who they are.
    let priority = Priority::new(Urgency::Resolution, object_id);
    let name = match context.teams.member_name(object_id, &priority).await {
        Ok(Some(name)) => name,
        Ok(None) => return Ok(Found::None),
        // A person of another organization, in a shared channel.
        Err(error) if error.meaning() == msteams::Meaning::NotFound => return Ok(Found::None),
        Err(error) => return Err(error.into()),
    };
    let linked = context.client.trait_of_user(&name, &question.user_id_trait).await?;
    Ok(match linked {
        Some(linked) if linked.is_empty() => Found::One(name),
        // The user belongs to another person, who may have had the same name before.
        Some(_) | None => Found::None,
    })
}
