// The Teleport side: the list of requests, the actions on each, and the form for a new one.

import { byId, clock, h, keyed, setText, shorten } from "./dom.js";
import { EXAMPLES } from "./examples.js";

const WORDS = { pending: "Pending", approved: "Approved", denied: "Denied", promoted: "Promoted", expired: "Expired" };
// Longer texts are cut here; the Teams side shows how the daemon shortens them.
const REASON_SHOWN = 400;

let open = null;
let people = [];

/** Wires the form; `act` sends an action, `showChat` opens a chat. */
export function wireRequests(context) {
  const form = byId("draft");
  const choice = byId("example");
  EXAMPLES.forEach((example, index) => choice.append(h("option", { value: index }, example.title)));
  choice.addEventListener("change", () => fill(EXAMPLES[choice.value]));
  byId("surprise").addEventListener("click", () => {
    choice.value = (Number(choice.value) + 1 + Math.floor(Math.random() * (EXAMPLES.length - 1))) % EXAMPLES.length;
    fill(EXAMPLES[choice.value]);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const created = await context.act({ do: "create", ...draft(form) });
    if (!created?.id) return;
    byId("create").open = false;
    select(created.id, context);
  });
}

/** Opens one request and closes the others. */
export function select(id, context) {
  open = id;
  context.redraw();
  const head = byId("requests").querySelector(`[data-key="${CSS.escape(id)}"] .request-head`);
  head?.focus();
  head?.scrollIntoView({ block: "nearest" });
}

export function drawRequests(state, context) {
  people = state.people;
  chips(byId("draft-roles"), "role", state.roles.map((role) => ({ value: role.name, label: role.name, title: `notifies ${role.recipients.join(", ") || "no recipients"}` })));
  chips(byId("draft-reviewers"), "reviewer", people.map((person) => ({ value: person.mail, label: person.name, title: person.mail })));
  if (!byId("draft").dataset.filled && people.length > 0) {
    fill(EXAMPLES[0]);
    byId("create").open = state.requests.length === 0;
  }
  byId("no-requests").hidden = state.requests.length > 0;
  const items = state.requests.map((request) => ({ ...request, isOpen: request.id === open }));
  keyed(byId("requests"), items, (request) => request.id, (request) => createRequest(request, context), (element, request) => updateRequest(element, request, context));
}

function chips(fieldset, name, choices) {
  const box = fieldset.querySelector("div") ?? fieldset.appendChild(h("div"));
  keyed(box, choices, (choice) => choice.value,
    (choice) => h("label", { title: choice.title }, h("input", { type: "checkbox", name, value: choice.value }), h("span", {}, choice.label)), () => {});
}

function fill(example) {
  const form = byId("draft");
  form.dataset.filled = "yes";
  const mail = (index) => people[index % people.length]?.mail ?? "";
  form.elements.user.value = mail(example.user);
  form.elements.reason.value = example.reason;
  form.elements.resources.value = example.resources.join(", ");
  form.elements.approvals.value = example.approvals ?? 1;
  const reviewers = new Set(example.reviewers.map(mail));
  for (const box of form.querySelectorAll("[name=role]")) box.checked = example.roles.includes(box.value);
  for (const box of form.querySelectorAll("[name=reviewer]")) box.checked = reviewers.has(box.value);
}

function draft(form) {
  const data = new FormData(form);
  return {
    user: data.get("user"),
    roles: data.getAll("role"),
    reason: data.get("reason"),
    reviewers: data.getAll("reviewer"),
    resources: data.get("resources").split(",").map((name) => name.trim()).filter(Boolean),
    approvals: Number(data.get("approvals")) || 1,
  };
}

function createRequest(request, context) {
  const body = h("div", { class: "request-body", id: `body-${request.id}` });
  const head = h("button", {
    type: "button", class: "request-head", "aria-controls": body.id,
    onclick: () => {
      open = open === request.id ? null : request.id;
      context.redraw();
    },
  }, h("span", { class: "pill" }), h("span", { class: "request-title" }, h("b", {}, request.user), h("span", { class: "request-roles" })), h("time", {}, clock(request.created)));
  const facts = h("dl", { class: "facts" });
  const notified = h("div", { class: "notified" });
  body.append(facts, notified, actionForm(request, context));
  return h("li", { class: "request" }, head, body);
}

function updateRequest(element, request, context) {
  const stage = request.stage;
  const pill = element.querySelector(".pill");
  pill.className = `pill ${stage}`;
  setText(pill, WORDS[stage] ?? stage);
  setText(element.querySelector(".request-roles"), request.roles.join(", ") || "no roles");
  element.querySelector(".request-head").setAttribute("aria-expanded", String(request.isOpen));
  element.querySelector(".request-body").hidden = !request.isOpen;
  element.classList.toggle("open", request.isOpen);
  element.querySelector(".facts").replaceChildren(...factsOf(request).map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value))));
  drawNotified(element.querySelector(".notified"), request, context);
  for (const control of element.querySelectorAll("form button, form select, form input")) control.disabled = request.gone;
  element.querySelector(".gone").hidden = !request.gone;
}

function factsOf(request) {
  const reviews = request.reviews.map((review) => `${review.verdict} by ${review.author}${review.reason ? `: ${shorten(review.reason, 120)}` : ""}`);
  return [
    ["ID", request.id],
    ["Reason", shorten(request.reason, REASON_SHOWN)],
    ["Resources", shorten(request.resources.join(", "), REASON_SHOWN)],
    ["Reviewers", request.suggested.join(", ")],
    ["Reviews", reviews.join("; ")],
    ["Resolution", shorten(request.resolve_reason, REASON_SHOWN)],
    ["Access List", request.promoted_to],
  ].filter(([, value]) => value);
}

/** Lists the chats that have a card of this request, and whether each card is up to date. */
function drawNotified(box, request, context) {
  const chats = request.notified.map((chat) => {
    const words = chat.up_to_date ? "card is up to date" : `card still shows ${chat.says.toLowerCase()}`;
    return h("button", { type: "button", class: `notified-chat ${chat.up_to_date ? "" : "stale"}`, title: words, onclick: () => context.showChat(chat.chat) },
      chat.title, h("span", { "aria-hidden": "true" }, chat.up_to_date ? " ✓" : " …"), h("span", { class: "unseen" }, `, ${words}`));
  });
  box.replaceChildren(h("span", { class: "quiet" }, chats.length ? "Notified" : "No recipients notified yet"), ...chats);
}

function actionForm(request, context) {
  const author = h("select", { "aria-label": "Reviewer", name: "author" }, ...people.map((person) => h("option", { value: person.mail }, person.name)));
  author.selectedIndex = Math.min(1, people.length - 1);
  const reason = h("input", { name: "reason", placeholder: "Reason", "aria-label": "Reason for the review or resolution", maxlength: 2000 });
  const send = (what, extra = {}) => () => context.act({ do: what, id: request.id, reason: reason.value, ...extra });
  const button = (label, title, onclick, style = "") => h("button", { type: "button", title, onclick, class: style }, label);
  return h("form", { class: "actions", onsubmit: (event) => event.preventDefault(), "aria-label": `Actions on the request of ${request.user}` },
    h("div", { class: "row" }, author, reason),
    h("div", { class: "row buttons" },
      button("👍 Review: approve", "Adds a review by this reviewer", () => send("review", { author: author.value, verdict: "approve" })()),
      button("👎 Review: deny", "Adds a review by this reviewer", () => send("review", { author: author.value, verdict: "deny" })())),
    h("div", { class: "row buttons" },
      button("Approve", "Approves the request immediately, as tctl does", send("approve"), "good"),
      button("Deny", "Denies the request immediately, as tctl does", send("deny"), "bad"),
      button("Promote", "Promotes the request to an Access List membership", () => send("promote", { author: author.value })()),
      button("Expire", "Deletes the request, as Teleport does when it expires", send("expire")),
      button("Repeat event", "Sends the same state again; the cards must not change", send("repeat"))),
    h("p", { class: "gone quiet" }, "This request no longer exists in Teleport."));
}
