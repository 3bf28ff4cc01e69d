// The Teams side: chats with their unread marks, and the chosen chat with its cards and their earlier versions.

import { drawCard } from "./card.js";
import { byId, clock, h, keyed, plural, setText } from "./dom.js";

const STANDING = { ok: "", blocked: "has blocked the app", missing: "does not have the app" };
// The name in the manifest of the app.
const BOT = "TeleBot";

let chosen = null;
let byHand = false;
// The person who presses buttons in channels.
let you = null;
// The number of versions of each card that the user has seen; an absent card is unread.
const seen = new Map();

export function wireChats(context) {
  byId("chat-block").addEventListener("click", () => {
    const button = byId("chat-block");
    context.act({ do: button.dataset.do, chat: chosen });
  });
  byId("you-are").addEventListener("change", () => {
    you = byId("you-are").value;
    // Only the person who pressed a button sees its answer.
    for (const element of byId("messages").querySelectorAll(".message")) element.print = element.shown = null;
    for (const line of byId("messages").querySelectorAll(".answer")) line.hidden = true;
    context.redraw();
  });
  byId("new-card").addEventListener("click", toEnd);
  byId("scroller").addEventListener("scroll", () => {
    if (isAtEnd()) byId("new-card").hidden = true;
  });
}

/** Scrolls to a message of the open chat, and returns whether it has it. */
export function showMessage(id) {
  const element = [...byId("messages").querySelectorAll("[data-key]")].find((message) => message.dataset.key.endsWith(` ${id}`));
  if (!element) return false;
  element.scrollIntoView({ block: "nearest" });
  flash(element);
  return true;
}

/** Opens a chat, as a click on it does. */
export function chooseChat(id, context) {
  chosen = id;
  byHand = true;
  context.redraw();
}

export function drawChats(state, context) {
  const chats = state.chats;
  // Follow the newest card until the user chooses a chat.
  if (!byHand || !chats.some((chat) => chat.id === chosen)) chosen = newestChat(chats, state.requests)?.id ?? chats[0]?.id ?? null;
  const chat = chats.find((candidate) => candidate.id === chosen);
  if (chat && context.teamsVisible()) for (const card of withReplies(chat.cards)) seen.set(card.id, card.versions.length);
  const items = chats.map(({ cards, ...rest }) => ({ ...rest, ...unread(withReplies(cards)), count: cards.filter(showsState).length, isChosen: rest.id === chosen }));
  keyed(byId("chats"), items, (item) => item.id, (item) => createItem(item, context), updateItem);
  const total = items.reduce((sum, item) => sum + item.unread, 0);
  byId("views-unread").hidden = total === 0;
  setText(byId("views-unread"), String(total));
  drawConversation(chat, state.people, context);
}

/** Returns the chat with the newest card, preferably one that can be reviewed there. */
function newestChat(chats, requests) {
  const filled = chats.filter((chat) => chat.cards.length > 0);
  const stay = filled.find((chat) => chat.id === chosen);
  const asked = filled.filter((chat) => !requests.some((request) => request.user === chat.id && request.id === chat.cards.at(-1).request));
  return stay ?? (asked.length > 0 ? asked : filled).sort((a, b) => b.cards.at(-1).versions[0].at - a.cards.at(-1).versions[0].at)[0];
}

/** Lists cards, each followed by the replies in its thread. */
function withReplies(cards) {
  return cards.flatMap((card) => [card, ...(card.replies ?? [])]);
}

/** Whether a message shows the state of its request, so that it can be stale. Reminders do not. */
function showsState(card) {
  return card.kind === "card" || card.kind === "decision";
}

function unread(cards) {
  return {
    unread: cards.filter((card) => !seen.has(card.id)).length,
    edited: cards.some((card) => seen.has(card.id) && seen.get(card.id) < card.versions.length),
  };
}

function initials(title) {
  return title.replace(/^#\s*/, "").split(/[\s@._-]+/).slice(0, 2).map((part) => part[0]?.toUpperCase() ?? "").join("");
}

function hue(title) {
  return [...title].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
}

function paint(avatar, chat) {
  avatar.className = `avatar ${chat.kind}`;
  avatar.style.setProperty("--hue", hue(chat.title));
  setText(avatar, chat.kind === "channel" ? "#" : initials(chat.title));
}

function createItem(item, context) {
  const avatar = h("span", { "aria-hidden": "true" });
  paint(avatar, item);
  return h("li", {}, h("button", { type: "button", class: "chat", onclick: () => chooseChat(item.id, context) },
    avatar, h("span", { class: "chat-name" }, h("b", {}, item.title), h("span", { class: "quiet" })), h("span", { class: "badge" })));
}

function updateItem(element, item) {
  const button = element.firstElementChild;
  // On a narrow screen the chats are a strip that may hide the chosen one.
  if (item.isChosen && button.getAttribute("aria-current") !== "true") element.scrollIntoView({ block: "nearest", inline: "nearest" });
  button.setAttribute("aria-current", String(item.isChosen));
  setText(element.querySelector(".quiet"), STANDING[item.standing] || (item.count ? plural(item.count, "card") : "no cards"));
  const badge = element.querySelector(".badge");
  badge.classList.toggle("dot-only", item.unread === 0 && item.edited);
  badge.classList.toggle("none", item.unread === 0 && !item.edited);
  setText(badge, item.unread > 0 ? String(item.unread) : "");
  badge.setAttribute("aria-label", item.unread > 0 ? `${item.unread} unread` : item.edited ? "edited" : "");
}

function drawConversation(chat, people, context) {
  const messages = byId("messages");
  byId("chat-head").hidden = !chat;
  const cards = chat?.cards ?? [];
  byId("no-cards").hidden = cards.length > 0 || chat?.texts?.length > 0;
  setText(byId("no-cards"), chat ? `No messages to ${chat.title} yet.` : "No chats.");
  if (!chat) return messages.replaceChildren();
  paint(byId("chat-avatar"), chat);
  setText(byId("chat-title"), chat.title);
  setText(byId("chat-detail"), [chat.detail, STANDING[chat.standing]].filter(Boolean).join(" · "));
  const block = byId("chat-block");
  block.hidden = chat.kind !== "person" || chat.standing === "missing";
  block.dataset.do = chat.standing === "blocked" ? "unblock" : "block";
  setText(block, chat.standing === "blocked" ? "Unblock the app" : "Block the app");
  drawYou(chat, people);
  const atEnd = isAtEnd();
  const changed = messages.dataset.chat !== chat.id;
  messages.dataset.chat = chat.id;
  const count = messages.children.length;
  const presser = () => (chat.kind === "person" ? chat.id : you);
  const items = [...cards.map((card) => ({ ...card, chat: chat.id })), ...(chat.texts ?? [])].sort((a, b) => sentAt(a) - sentAt(b));
  keyed(messages, items, (item) => `${chat.id} ${item.id}`,
    (item) => (item.versions ? createMessage(item, context) : createText(item)),
    (element, item) => item.versions && updateMessage(element, item, { ...context, presser }));
  // Edits make cards longer, so scroll to the end after every change.
  if (changed || atEnd) toEnd();
  else if (messages.children.length > count) byId("new-card").hidden = false;
}

/** Shows who presses: in a chat its owner, in a channel the chosen person. */
function drawYou(chat, people) {
  byId("you").hidden = chat.kind !== "channel";
  you ??= people[0]?.mail ?? null;
  keyed(byId("you-are"), people, (person) => person.mail, (person) => h("option", { value: person.mail, selected: person.mail === you }, person.name), () => {});
}

function sentAt(item) {
  return item.versions?.[0].at ?? item.at;
}

function toEnd() {
  const scroller = byId("scroller");
  scroller.scrollTop = scroller.scrollHeight;
  byId("new-card").hidden = true;
}

function isAtEnd() {
  const scroller = byId("scroller");
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
}

function createMessage(card, context) {
  const earlier = h("details", { class: "history", ontoggle: (event) => event.target.open && fillHistory(event.target, context) }, h("summary"), h("ol"));
  const cardState = h("button", { type: "button", class: "card-state", onclick: () => context.showRequest(card.request) });
  return h("li", { class: "message" },
    h("span", { class: "avatar bot", "aria-hidden": "true" }, h("img", { src: "/icon.svg", alt: "", width: 32, height: 32 })),
    h("div", { class: "bubble" },
      h("p", { class: "byline" }, h("b", {}, BOT), h("span", { class: "tag" }, "App"), h("time", {}, clock(card.versions[0].at)), h("span", { class: "edited" })),
      h("div", { class: "card-place" }), h("p", { class: "answer", role: "status", hidden: true }), h("div", { class: "under" }, cardState, earlier),
      h("ol", { class: "replies", "aria-label": "Replies", hidden: true })));
}

function createText({ at, text }) {
  return h("li", { class: "message" },
    h("span", { class: "avatar bot", "aria-hidden": "true" }, h("img", { src: "/icon.svg", alt: "", width: 32, height: 32 })),
    h("div", { class: "bubble" },
      h("p", { class: "byline" }, h("b", {}, BOT), h("span", { class: "tag" }, "App"), h("time", {}, clock(at))),
      h("p", { class: "text-message" }, text)));
}

/** Sends a press, and shows the answer as Teams does: instead of the card, or as a line below it. */
async function press(element, context, button, inputs) {
  const { chat, id, versions } = element.card;
  showAnswer(element, "waiting", "Sending…");
  const answer = await context.act({ do: "press", person: context.presser(), chat, card: id, button, inputs });
  const card = answer?.card;
  // Teams shows the person the card of the answer until the message itself changes.
  if (card && element.card.versions.length === versions.length) drawInto(element, card, context);
  if (!answer || card) return showAnswer(element, "", "");
  return answer.error ? showAnswer(element, "error", answer.error) : showAnswer(element, "message", answer.message);
}

function showAnswer(element, kind, text) {
  const line = element.querySelector(".answer");
  line.className = `answer ${kind}`;
  line.hidden = !text;
  setText(line, text ?? "");
  if (text) line.scrollIntoView({ block: "nearest" });
}

function drawInto(element, card, context) {
  const place = element.querySelector(".card-place");
  place.replaceChildren(drawCard(card, { ...context, press: (button, inputs) => press(element, context, button, inputs) }));
}

function updateMessage(element, card, context) {
  const newest = card.versions.at(-1);
  const edits = card.versions.length - 1;
  element.card = card;
  // What the reader has expanded stays so until the card itself changes.
  const shown = JSON.stringify(newest.card);
  if (element.shown !== shown) drawInto(element, newest.card, context);
  element.shown = shown;
  const edited = element.querySelector(".edited");
  setText(edited, edits > 0 ? "Edited" : "");
  edited.title = edits > 0 ? `last edited at ${clock(newest.at)}` : "";
  const cardState = element.querySelector(".card-state");
  cardState.hidden = !showsState(card);
  cardState.className = `card-state ${card.up_to_date ? "" : "stale"}`;
  setText(cardState, card.up_to_date ? "✓ Up to date" : "… Stale");
  cardState.title = card.up_to_date ? "The card matches the request. Show the request" : "The request has changed since the last update of this card. Show the request";
  const history = element.querySelector(".history");
  history.hidden = edits === 0;
  setText(history.firstElementChild, `${plural(edits, "earlier version")}`);
  if (history.open) fillHistory(history, context);
  element.querySelector(".under").hidden = cardState.hidden && history.hidden;
  const replies = element.querySelector(".replies");
  const below = (card.replies ?? []).map((reply) => ({ ...reply, chat: card.chat }));
  replies.hidden = below.length === 0;
  keyed(replies, below, (reply) => `${card.chat} ${reply.id}`, (reply) => createMessage(reply, context), (reply, item) => updateMessage(reply, item, context));
  if (element.dataset.versions && Number(element.dataset.versions) < card.versions.length) flash(element);
  element.dataset.versions = card.versions.length;
}

function fillHistory(history, context) {
  const earlier = history.closest(".message").card.versions.slice(0, -1).map((version, index) => ({ ...version, index })).reverse();
  keyed(history.querySelector("ol"), earlier, (version) => version.index, (version) =>
    h("li", {}, h("p", { class: "quiet" }, `${version.index === 0 ? "Posted" : "Edited"} at ${clock(version.at)}, ${version.says}`), drawCard(version.card, { ...context, press: () => {} })), () => {});
}

function flash(element) {
  element.classList.remove("flash");
  requestAnimationFrame(() => element.classList.add("flash"));
}
