//! The state of the pretend tenant.

use std::collections::BTreeMap;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use serde_json::Value;
use tokio::time::Instant;

use crate::tenant::assertion::Proofs;
use crate::tenant::limits::Limits;
use crate::tenant::managed_identity::Managed;
use crate::tenant::openid::Keys;
use crate::tenant::{Call, Delivery, Fault, TenantFaults, TenantOptions};

/// A user. The handle stays valid whatever happens to the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub name: String,
    pub mail: Option<String>,
    pub upn: String,
    /// From another tenant.
    pub is_guest: bool,
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

/// A message without a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub id: String,
    pub at: SystemTime,
    pub text: String,
}

pub(super) struct Account {
    pub(super) user: User,
    /// Other addresses of the mailbox.
    pub(super) aliases: Vec<String>,
    pub(super) installation: Option<String>,
    /// The version of the installed app.
    pub(super) version: String,
    pub(super) blocked: bool,
    /// The id of another user.
    pub(super) manager: Option<String>,
    pub(super) disabled: bool,
    /// The message of a user who is out of office.
    pub(super) out_of_office: Option<String>,
    /// Whether the time of the out-of-office message has come.
    pub(super) is_away: bool,
    /// Number of further requests for the chat that fail.
    pub(super) chat_hides: u32,
    /// How often the chat has moved; each move gives it another id.
    pub(super) moves: u32,
}

impl Account {
    /// Returns the connector's id of the app's chat with the user, which is another one than Graph's.
    pub(super) fn chat_for_bots(&self) -> String {
        format!("a:1{}_{}", self.user.id, "x".repeat(self.moves as usize))
    }
}

pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) installed: bool,
    /// The version of the installed app.
    pub(super) version: String,
    /// Thread and name.
    pub(super) channels: Vec<(String, String)>,
}

pub(super) struct GroupChat {
    pub(super) thread: String,
    pub(super) installed: bool,
}

pub(super) struct Group {
    pub(super) id: String,
    /// The IDs of users, also of those in groups that are members.
    pub(super) members: Vec<String>,
}

pub(super) struct Token {
    pub(super) scope: String,
    pub(super) until: Instant,
}

pub(super) struct World {
    pub(super) options: TenantOptions,
    /// The address of the services.
    pub(super) base: String,
    pub(super) accounts: Vec<Account>,
    pub(super) teams: Vec<Team>,
    /// The threads of private channels without the app.
    pub(super) private_channels: HashSet<String>,
    pub(super) group_chats: Vec<GroupChat>,
    pub(super) groups: Vec<Group>,
    /// By conversation.
    pub(super) chats: BTreeMap<String, Vec<Card>>,
    pub(super) tokens: HashMap<String, Token>,
    /// The paths below which the Bot connector is served.
    pub(super) bot_paths: Vec<String>,
    /// The address that opened chats are answered with.
    pub(super) service_url: Option<String>,
    pub(super) faults: TenantFaults,
    pub(super) calls: Vec<Call>,
    /// Every fault that affected a call.
    pub(super) met: Vec<Fault>,
    pub(super) throttled: usize,
    pub(super) limits: Limits,
    pub(super) activities: u64,
    /// Messages without a card, by conversation.
    pub(super) texts: BTreeMap<String, Vec<Text>>,
    /// Replies, by the conversation and the first message of their thread.
    pub(super) threads: BTreeMap<(String, String), Vec<Card>>,
    pub(super) keys: Keys,
    pub(super) proofs: Proofs,
    pub(super) managed: Managed,
    /// The address of the bot.
    pub(super) endpoint: Option<String>,
    /// The authorities for its certificate, in PEM.
    pub(super) roots: String,
    pub(super) deliveries: Vec<Delivery>,
    /// Changed installations of which the bot has not heard.
    pub(super) news: Vec<(User, &'static str)>,
}

impl World {
    pub(super) fn new(options: TenantOptions, base: String) -> Self {
        Self {
            options,
            base,
            accounts: Vec::new(),
            teams: Vec::new(),
            private_channels: HashSet::new(),
            group_chats: Vec::new(),
            groups: Vec::new(),
            chats: BTreeMap::new(),
            tokens: HashMap::new(),
            bot_paths: vec!["teams".to_owned()],
            service_url: None,
            faults: TenantFaults::default(),
            calls: Vec::new(),
            met: Vec::new(),
            throttled: 0,
            limits: Limits::default(),
            activities: 1_700_000_000_000,
            texts: BTreeMap::new(),
            threads: BTreeMap::new(),
            keys: Keys::default(),
            proofs: Proofs::default(),
            managed: Managed::default(),
            endpoint: None,
            roots: String::new(),
            deliveries: Vec::new(),
            news: Vec::new(),
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

    /// Returns Graph's id of the app's chat with a user.
    pub(super) fn conversation_of(&self, account: &Account) -> String {
        let domain = match account.moves {
            0 => "unq.gbl.spaces".to_owned(),
            moves => format!("unq{moves}.gbl.spaces"),
        };
        format!("19:{}_{}@{domain}", account.user.id, self.options.app_id)
    }

    /// Returns the connector's id of a conversation, which may be named as Graph does.
    pub(super) fn canonical(&self, conversation: &str) -> String {
        let conversation = conversation.split(";messageid=").next().unwrap_or_default();
        let is_it = |account: &&Account| self.conversation_of(account) == conversation;
        let account = self.accounts.iter().find(is_it);
        account.map_or_else(|| conversation.to_owned(), Account::chat_for_bots)
    }

    /// Finds the owner of a chat, unless the chat has moved.
    pub(super) fn owner_of(&self, conversation: &str) -> Option<&Account> {
        let mut accounts = self.accounts.iter();
        accounts.find(|account| account.chat_for_bots() == conversation)
    }

    /// Checks a bearer token: it must be known, for this scope, and not expired.
    pub(super) fn accepts(&self, authorization: &str, scope: &str) -> bool {
        let token = authorization
            .strip_prefix("Bearer ")
            .and_then(|token| self.tokens.get(token));
        token.is_some_and(|token| token.scope == scope && token.until > Instant::now())
    }
}
