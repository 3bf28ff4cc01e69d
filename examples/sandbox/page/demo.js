// A fixed scene for working on the page without a running sandbox: open the page with `?demo`.

import { EXAMPLES } from "./examples.js";

const START = Date.now() - 240_000;
const LOOK = {
  PENDING: ["⏳ Pending", "Accent", "emphasis"], APPROVED: ["✅ Approved", "Good", "good"], DENIED: ["❌ Denied", "Attention", "attention"],
  PROMOTED: ["⬆️ Promoted", "Good", "accent"], EXPIRED: ["⌛ Expired", "Warning", "warning"],
};
const ALICE = "<at>Alice Archer</at>";

function press(title, verb, request) {
  return { type: "Action.Execute", title, verb, style: verb === "approve" ? "positive" : "destructive", data: { request } };
}

/** A card with every element that the page can draw. */
function card(id, word, user, roles, reason, reviews = []) {
  const [title, color, style] = LOOK[word];
  const text = (value, more = {}) => ({ type: "TextBlock", text: value, wrap: true, ...more });
  const quiet = { isSubtle: true, size: "Small" };
  const column = (width, items, more = {}) => ({ type: "Column", width, items, ...more });
  return {
    type: "AdaptiveCard", version: "1.2", fallbackText: "",
    msteams: { width: "Full", entities: [{ type: "mention", text: ALICE, mentioned: { id: "29:alice", name: "Alice Archer" } }] },
    body: [
      { type: "ColumnSet", columns: [
        column("stretch", [text(title, { color, weight: "Bolder" })]),
        column("auto", [text("expires in 6 days", { ...quiet, horizontalAlignment: "Right" })], { verticalContentAlignment: "Center" })] },
      text(`${user} requests ${roles}`, { size: "Large", weight: "Bolder", spacing: "None" }),
      { type: "Container", style: "emphasis", bleed: true, spacing: "Small", items: [text(reason, { maxLines: 3 })] },
      { type: "FactSet", facts: [{ title: "Access", value: "8 hours, until 26 Nov 2026 14:01 UTC" }, { title: "Approvals", value: "1 of 2 (security team)" }] },
      { type: "ColumnSet", spacing: "Small", columns: [
        column(1, [text("Resources", { weight: "Bolder" })]),
        column(3, [text("database orders"), text("/sandbox.example.com/db/orders", { fontType: "Monospace", spacing: "None" })], { verticalContentAlignment: "Bottom" })] },
      text("3 others", { id: "fewer", isSubtle: true }),
      { type: "Container", id: "all", isVisible: false, items: ["node pay-1", "node pay-2", "Kubernetes cluster eu-west-1"].map((name) => text(name, { spacing: "None" })) },
      { type: "ActionSet", id: "show", spacing: "Small", actions: [{ type: "Action.ToggleVisibility", title: "Show all",
        targetElements: ["fewer", { elementId: "all", isVisible: true }, { elementId: "show", isVisible: false }, { elementId: "hide", isVisible: true }] }] },
      { type: "ActionSet", id: "hide", spacing: "Small", isVisible: false, actions: [{ type: "Action.ToggleVisibility", title: "Show fewer",
        targetElements: ["fewer", "all", "show", "hide"] }] },
      ...reviews.map((author) => ({ type: "Container", style, separator: true, spacing: "Medium", items: [
        text(`${author}, 26 Nov 06:12 UTC`, { weight: "Bolder" }), text("**Bold**, _italic_, a [link](https://example.com) and \\[no link\\](https://example.com)\n- one\n- two", { spacing: "Small" })] })),
      text(`Also notified: ${ALICE} and \\<at>everyone</at>`, { ...quiet, separator: true, spacing: "Large" }),
      text(`sandbox.example.com · ${id}`, { ...quiet, wrap: false, spacing: "None" }),
      ...(word === "PENDING" ? [{ type: "ActionSet", actions: ["Approve", "Deny"].map((title) => ({ ...press(title, title.toLowerCase(), id), associatedInputs: "none" })) }] : []),
    ],
    actions: [
      ...(word === "PENDING" ? [{ type: "Action.ShowCard", title: "Add reason", card: { type: "AdaptiveCard", body: [
        { type: "Input.Text", id: "reason", label: "Reason", placeholder: "The requester can read it", isMultiline: true, maxLength: 2000 },
        { type: "ActionSet", actions: [press("Approve with this reason", "approve", id)] },
        { type: "ActionSet", spacing: "Small", actions: [press("Deny with this reason", "deny", id)] }] } }] : []),
      { type: "Action.OpenUrl", title: "Review in Teleport", style: "positive", url: `https://teleport.sandbox.example.com/web/requests/${id}` },
      { type: "Action.ToggleVisibility", title: "Details", targetElements: ["all"] },
    ],
  };
}

function request(id, stage, user, roles, reason, more = {}) {
  return { id, user, roles, reason, stage, gone: false, created: START, resolve_reason: "", promoted_to: "", reviews: [], suggested: ["alice@example.com"], resources: ["/sandbox.example.com/db/orders"], notified: [], ...more };
}

const PEOPLE = ["Alice Archer", "Bob Baker", "Carol Castillo", "Dan O'Dell"].map((name) => ({ name, mail: `${name.split(" ")[0].toLowerCase()}@example.com` }));
const [A, B, C] = ["018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11", "018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a12", "018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a13"];

function entry(id, request, words, ...arguments_) {
  const versions = words.map((says, index) => ({ at: START + 30_000 * (index + 1), says, summary: says, card: card(request, says, ...arguments_, index ? ["alice@example.com"] : []) }));
  return { id, kind: "card", request, says: words.at(-1), up_to_date: true, versions, replies: [] };
}

/** A reminder of a request, which shows no state. */
function reminder(id, request, text) {
  const body = [{ type: "TextBlock", text: `⏰ Reminder: ${text}`, weight: "Bolder", size: "Large", wrap: true }, { type: "TextBlock", text: "Pending for 20 seconds. No reviews yet.", wrap: true }];
  const card = { type: "AdaptiveCard", version: "1.2", body, actions: [{ type: "Action.OpenUrl", title: "Review in Teleport", url: `https://teleport.sandbox.example.com/web/requests/${request}` }] };
  return { id, kind: "reminder", request, says: "?", up_to_date: true, versions: [{ at: START + 80_000, says: "?", summary: "Reminder", card }], replies: [] };
}

const first = ["bob@example.com", "dba", EXAMPLES[0].reason];
const second = ["carol@example.com", "admin, dba", EXAMPLES[1].reason];
const third = ["bob@example.com", "dev", EXAMPLES[2].reason];

const scene = {
  cluster: { name: "sandbox.example.com", up: true, watches: 1 },
  daemon: { state: "running", note: "" },
  microsoft: { mode: "normal", throttled: 0, repeats_presses: false, keys_are_down: false },
  verdict: { requests: 3, cards: 5, up_to_date: 5 },
  roles: [{ name: "dev", recipients: ["Dan O'Dell"] }, { name: "dba", recipients: ["# Access requests"] }, { name: "admin", recipients: ["Alice Archer", "# Access requests"] }],
  people: PEOPLE,
  requests: [
    request(C, "pending", ...[third[0], ["dev"], third[2]], { notified: [{ chat: "a", title: "Alice Archer", up_to_date: true, says: "PENDING" }] }),
    request(B, "pending", second[0], ["admin", "dba"], second[2], { reviews: [{ author: "bob@example.com", verdict: "approve", reason: "go ahead", at: START }], notified: [{ chat: "a", title: "Alice Archer", up_to_date: true, says: "PENDING" }, { chat: "c", title: "Access requests", up_to_date: false, says: "PENDING" }] }),
    request(A, "approved", first[0], ["dba"], first[2], { resolve_reason: "ok", notified: [{ chat: "c", title: "Access requests", up_to_date: true, says: "APPROVED" }] }),
  ],
  chats: [
    { id: "c", title: "Access requests", detail: "Platform team", kind: "channel", standing: "ok", cards: [entry("1", A, ["PENDING", "PENDING", "APPROVED"], ...first), { ...entry("2", B, ["PENDING"], ...second), replies: [reminder("6", B, "carol@example.com requests admin, dba")] }] },
    { id: "a", title: "Alice Archer", detail: "alice@example.com", kind: "person", standing: "ok", texts: [{ id: "t1", at: START + 90_000, text: "Your approval has arrived." }], cards: [entry("3", A, ["PENDING", "APPROVED"], ...first), entry("4", B, ["PENDING"], ...second), entry("5", C, ["PENDING"], ...third)] },
    { id: "b", title: "Bob Baker", detail: "bob@example.com", kind: "person", standing: "blocked", cards: [] },
    { id: "d", title: "Dan O'Dell", detail: "dan@example.com", kind: "person", standing: "missing", cards: [] },
  ],
};

export const demo = {
  async act(action) {
    document.getElementById("announcer").textContent = JSON.stringify(action);
    if (action.do !== "press") return null;
    if (action.button === "Approve") return { message: "Your approval counts. One more is needed." };
    if (action.button === "Deny") return { error: "Something went wrong. Please try again. (HTTP 503)" };
    return { card: card(action.card, "DENIED", "bob@example.com", "dba", action.inputs.reason || "no reason") };
  },
  listen(onState, onLog) {
    onState(structuredClone(scene));
    const lines = [
      " INFO Connected to Teleport cluster.name=sandbox.example.com",
      " INFO Plugin is ready",
      " WARN Could not find a recipient: no such user",
      "ERROR The watch ended: unavailable",
    ];
    onLog(lines.map((text, index) => ({ at: START + index * 1000, text })));
    setTimeout(() => {
      const next = structuredClone(scene);
      next.chats[0].cards[1] = entry("2", B, ["PENDING", "DENIED"], ...second);
      next.requests[1].stage = "denied";
      onState(next);
    }, 1500);
  },
};
