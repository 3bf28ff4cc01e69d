//! The state of the pretend tenant.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::Value;
use tokio::time::Instant;

use crate::tenant::limits::Limits;
use crate::tenant::{Call, Fault, TenantFaults, TenantOptions};

/// A user. The handle stays valid whatever happens to the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub name: String,
    pub mail: Option<String>,
    pub upn: String,
}

/// A message with a card.
#[derive(Clone, Debug)]
pub struct Card {
    /// Ids are unique within their conversation.
    pub conversation: String,
    pub id: String,
    /// Every body, from the first post to the newest update.
    pub history: Vec<Value>,
    pub times: Vec<SystemTime>,
    pub deleted: bool,
    /// Whether the client received its id.
    pub confirmed: bool,
}

pub(super) struct Account {
    pub(super) user: User,
    /// Other addresses of the mailbox.
    pub(super) aliases: Vec<String>,
    pub(super) installation: Option<String>,
    pub(super) blocked: bool,
    /// Number of further requests for the chat that fail.
    pub(super) chat_hides: u32,
    /// How often the chat has moved; each move gives it another id.
    pub(super) moves: u32,
}

pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) installed: bool,
    /// Thread and name.
    pub(super) channels: Vec<(String, String)>,
}

pub(super) struct Token {
    pub(super) scope: String,
    pub(super) until: Instant,
}

pub(super) struct World {
    pub(super) options: TenantOptions,
    pub(super) accounts: Vec<Account>,
    pub(super) teams: Vec<Team>,
    /// By conversation.
    pub(super) chats: BTreeMap<String, Vec<Card>>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) faults: TenantFaults,
    pub(super) calls: Vec<Call>,
    /// Every fault that affected a call.
    pub(super) met: Vec<Fault>,
    pub(super) throttled: usize,
    pub(super) limits: Limits,
    pub(super) activities: u64,
}

impl World {
    pub(super) fn new(options: TenantOptions) -> Self {
        Self {
            options,
            accounts: Vec::new(),
            teams: Vec::new(),
            chats: BTreeMap::new(),
            tokens: HashMap::new(),
            faults: TenantFaults::default(),
            calls: Vec::new(),
            met: Vec::new(),
            throttled: 0,
            limits: Limits::default(),
            activities: 1_700_000_000_000,
        }
    }

    /// Finds an account by id, email address or principal name.
    pub(super) fn account(&mut self, key: &str) -> Option<&mut Account> {
        let key = key.to_lowercase();
        let is = |text: &str| text.to_lowercase() == key;
        self.accounts.iter_mut().find(|account| {
            let User { id, mail, upn, .. } = &account.user;
            is(id) || is(upn) || mail.as_deref().is_some_and(is)
        })
    }

    /// Records that the client did not receive the id of a card that was just posted.
    pub(super) fn hide_id(&mut self, conversation: &str, id: &str) {
        for card in self.chats.get_mut(conversation).into_iter().flatten() {
            if card.id == id && card.history.len() == 1 {
                card.confirmed = false;
            }
        }
    }

    /// Returns the id of the app's chat with a user.
    pub(super) fn conversation_of(&self, account: &Account) -> String {
        let domain = match account.moves {
            0 => "unq.gbl.spaces".to_owned(),
            moves => format!("unq{moves}.gbl.spaces"),
        };
        format!("19:{}_{}@{domain}", account.user.id, self.options.app_id)
    }

    /// Finds the owner of a chat, unless the chat has moved.
    pub(super) fn owner_of(&self, conversation: &str) -> Option<&Account> {
        let mut accounts = self.accounts.iter();
        accounts.find(|account| self.conversation_of(account) == conversation)
    }

    /// Checks a bearer token: it must be known, for this scope, and not expired.
    pub(super) fn accepts(&self, authorization: &str, scope: &str) -> bool {
        let token = authorization
            .strip_prefix("Bearer ")
            .and_then(|token| self.tokens.get(token));
        token.is_some_and(|token| token.scope == scope && token.until > Instant::now())
    }
}
