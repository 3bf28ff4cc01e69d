//! The handle with which tests and the sandbox control the pretend tenant.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use crate::gate::Gate;
use crate::tenant::state::{Account, World};
use crate::tenant::{Call, Card, Cloud, Fault, Rule, TenantFaults, Text, User, server};

/// A pretend tenant. Clones share it.
#[derive(Clone)]
pub struct Tenant(Arc<Inner>);

struct Inner {
    options: TenantOptions,
    base: String,
    world: Mutex<World>,
    version: watch::Sender<u64>,
}

/// The ids of the tenant, and the app it knows.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    pub cloud: Cloud,
    pub tenant_id: String,
    pub app_id: String,
    pub app_secret: String,
    /// The id in the app's manifest.
    pub teams_app_id: String,
    pub catalog_id: String,
    pub in_catalog: bool,
    /// The version of the app in the catalog.
    pub version: String,
    /// Application permissions that were granted.
    pub roles: Vec<&'static str>,
}

impl Default for TenantOptions {
    fn default() -> Self {
        Self {
            cloud: Cloud::default(),
            tenant_id: "ff882432-09b0-437b-bd22-ca13c0037ded".to_owned(),
            app_id: "2d3a1c0e-7c1b-4f0e-9a57-3c9b8f5d2e11".to_owned(),
            app_secret: format!("sandbox~{}+with/odd=characters&", crate::PLANTED),
            teams_app_id: "6f1b0c5e-2a4d-4e8a-8d7c-1b2f3a4c5d6e".to_owned(),
            catalog_id: "292e2881-38ab-7777-8aa7-cefed1404a63".to_owned(),
            in_catalog: true,
            version: "1.1.3".to_owned(),
            roles: vec![
                "AppCatalog.Read.All",
                "User.ReadBasic.All",
                "TeamsAppInstallation.ReadWriteSelfForUser.All",
                "TeamsAppInstallation.ReadWriteSelfForTeam.All",
            ],
        }
    }
}

impl Tenant {
    /// Starts a tenant without users.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(options: TenantOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let base = format!("http://{address}");
        let tenant = Self(Arc::new(Inner {
            world: Mutex::new(World::new(options.clone(), base.clone())),
            options,
            base,
            version: watch::Sender::new(0),
        }));
        server::serve(tenant.clone(), listener);
        tenant
    }

    pub fn options(&self) -> &TenantOptions {
        &self.0.options
    }

    /// Returns the base URL of the login service; like the other bases, it has a path.
    pub fn login(&self) -> String {
        format!("{}/login", self.0.base)
    }

    pub fn graph(&self) -> String {
        format!("{}/graph", self.0.base)
    }

    pub fn bot(&self) -> String {
        format!("{}/bot/teams", self.0.base)
    }

    /// Returns the base URL of the keys of the Bot connector.
    pub fn openid(&self) -> String {
        format!("{}/openid", self.0.base)
    }

    /// Adds a user who has the app.
    pub fn add_user(&self, name: &str, mail: Option<&str>, upn: &str) -> User {
        self.add(User {
            id: Uuid::new_v4().to_string(),
            name: name.to_owned(),
            mail: mail.map(str::to_owned),
            upn: upn.to_owned(),
            is_guest: false,
        })
    }

    /// Adds a guest from another tenant, who has the app.
    pub fn add_guest(&self, name: &str, mail: &str) -> User {
        let upn = format!("{}#EXT#@sandbox.onmicrosoft.com", mail.replace('@', "_"));
        self.add_guest_as(name, mail, upn)
    }

    /// Adds a guest with an account of this tenant, whose user principal name does not show it.
    pub fn add_internal_guest(&self, name: &str, mail: &str) -> User {
        self.add_guest_as(name, mail, mail.to_owned())
    }

    fn add_guest_as(&self, name: &str, mail: &str, upn: String) -> User {
        self.add(User {
            id: Uuid::new_v4().to_string(),
            name: name.to_owned(),
            mail: Some(mail.to_owned()),
            upn,
            is_guest: true,
        })
    }

    fn add(&self, user: User) -> User {
        self.change(|world| {
            world.accounts.push(Account {
                user: user.clone(),
                aliases: Vec::new(),
                installation: Some(Uuid::new_v4().simple().to_string()),
                version: world.options.version.clone(),
                blocked: false,
                manager: None,
                disabled: false,
                out_of_office: None,
                is_away: false,
                chat_hides: 0,
                moves: 0,
            });
        });
        user
    }

    /// Adds another address to the mailbox of a user.
    pub fn add_alias(&self, user: &User, alias: &str) {
        self.change(|world| {
            let mut accounts = world.accounts.iter_mut();
            if let Some(account) = accounts.find(|account| account.user.id == user.id) {
                account.aliases.push(alias.to_owned());
            }
        });
    }

    pub fn remove_user(&self, user: &User) {
        self.change(|world| world.accounts.retain(|account| account.user.id != user.id));
    }

    pub fn uninstall(&self, user: &User) {
        self.edit(user, |account| account.installation = None);
        self.change(|world| world.news.push((user.clone(), "remove")));
    }

    /// Installs the app for a user, as an administrator may.
    pub fn install(&self, user: &User) {
        self.edit(user, |account| {
            account.installation = Some(Uuid::new_v4().simple().to_string());
        });
        self.change(|world| world.news.push((user.clone(), "add")));
    }

    pub fn block(&self, user: &User) {
        self.edit(user, |account| account.blocked = true);
    }

    pub fn unblock(&self, user: &User) {
        self.edit(user, |account| account.blocked = false);
    }

    /// Deletes the app from the catalog and uploads it again: it has another id and no installations.
    pub fn replace_app(&self) {
        self.change(|world| {
            world.options.catalog_id = Uuid::new_v4().to_string();
            for account in &mut world.accounts {
                account.installation = None;
            }
        });
    }

    /// Gives the chat with a user another id; the old one no longer accepts messages or updates.
    pub fn move_chat(&self, user: &User) {
        self.edit(user, |account| account.moves += 1);
    }

    fn edit(&self, user: &User, edit: impl FnOnce(&mut Account)) {
        self.change(|world| {
            world.account(&user.id).map(edit);
        });
    }

    /// Returns the state of the app for a user: `ok`, `blocked` or `missing`.
    pub fn standing(&self, user: &User) -> &'static str {
        self.change_quietly(|world| match world.account(&user.id) {
            Some(account) if account.blocked => "blocked",
            Some(account) if account.installation.is_some() => "ok",
            Some(_) | None => "missing",
        })
    }

    /// Deletes a message by hand.
    pub fn delete_card(&self, id: &str) {
        self.change(|world| {
            for card in world.chats.values_mut().flatten().filter(|card| card.id == id) {
                card.deleted = true;
            }
        });
    }

    /// Returns the messages to a user, by email address, principal name or alias, in order.
    pub fn chat_of(&self, user: &str) -> Vec<Card> {
        self.change_quietly(|world| {
            let id = world.account(user).map(|account| account.user.id.clone());
            let has_name = |account: &&Account| {
                Some(&account.user.id) == id.as_ref() || account.aliases.iter().any(|alias| alias == user)
            };
            let account = world.accounts.iter().find(has_name);
            let conversation = account.map(Account::chat_for_bots);
            world
                .chats
                .get(&conversation.unwrap_or_default())
                .cloned()
                .unwrap_or_default()
        })
    }

    /// Returns the connector's id of a conversation, which may be named as Graph does.
    pub fn canonical(&self, conversation: &str) -> String {
        self.change_quietly(|world| world.canonical(conversation))
    }

    /// Returns the messages without a card to a user, in order.
    pub fn texts_of(&self, user: &User) -> Vec<Text> {
        self.change_quietly(|world| {
            let account = world.accounts.iter().find(|account| account.user.id == user.id);
            let conversation = account.map(Account::chat_for_bots);
            let texts = world.texts.get(&conversation.unwrap_or_default());
            texts.cloned().unwrap_or_default()
        })
    }

    /// Signs with another key from now on; the previous one is no longer published.
    pub fn rotate_keys(&self) {
        self.change(|world| world.keys.rotations += 1);
    }

    /// Returns how often the keys were fetched.
    pub fn key_fetches(&self) -> usize {
        self.change_quietly(|world| world.keys.fetches)
    }

    /// Returns every message, by conversation.
    pub fn cards(&self) -> Vec<(String, Card)> {
        self.change_quietly(|world| {
            let all = world.chats.iter();
            all.flat_map(|(chat, cards)| cards.iter().map(|card| (chat.clone(), card.clone())))
                .collect()
        })
    }

    /// Returns the number of messages.
    pub fn messages(&self) -> usize {
        self.change_quietly(|world| world.chats.values().map(Vec::len).sum())
    }

    pub fn faults(&self, change: impl FnOnce(&mut TenantFaults)) {
        self.change(|world| change(&mut world.faults));
    }

    /// Holds every call with this method and this part of the path before it is done.
    pub fn hold(&self, method: &'static str, path: &str) -> Gate {
        self.gate(method, path, Fault::Held)
    }

    /// Does every call with this method and this part of the path, and holds the answers.
    pub fn hold_answers(&self, method: &'static str, path: &str) -> Gate {
        self.gate(method, path, Fault::HeldAnswer)
    }

    fn gate(&self, method: &'static str, path: &str, fault: impl FnOnce(Gate) -> Fault) -> Gate {
        let gate = Gate::default();
        let rule = Rule::every(method, path, fault(gate.clone()));
        self.faults(|faults| faults.rules.push(rule));
        gate
    }

    /// Returns how many calls this fault affected.
    pub fn met(&self, fault: &Fault) -> usize {
        self.change_quietly(|world| world.met.iter().filter(|met| *met == fault).count())
    }

    /// Makes every issued token invalid from now on.
    pub fn revoke_tokens(&self) {
        self.change(|world| world.tokens.clear());
    }

    /// Changes the secret; issued tokens stay valid.
    pub fn set_secret(&self, secret: &str) {
        self.change(|world| secret.clone_into(&mut world.options.app_secret));
    }

    pub fn calls(&self) -> Vec<Call> {
        self.change_quietly(|world| world.calls.clone())
    }

    /// Returns how many calls were answered with 429.
    pub fn throttled(&self) -> usize {
        self.change_quietly(|world| world.throttled)
    }

    /// Returns a counter of changes, for observers of the state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    pub(super) fn record(&self, call: Call) {
        self.change(|world| {
            world.throttled += usize::from(call.status == 429);
            world.calls.push(call);
        });
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = self.change_quietly(change);
        self.report_installations();
        self.0.version.send_modify(|version| *version += 1);
        result
    }

    pub(super) fn change_quietly<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
