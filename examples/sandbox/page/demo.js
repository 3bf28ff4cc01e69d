// A fixed scene for working on the page without a running sandbox: open the page with `?demo`.

import { EXAMPLES } from "./examples.js";

const START = Date.now() - 240_000;
const LOOK = { PENDING: ["⏳", "Accent"], APPROVED: ["✅", "Good"], DENIED: ["❌", "Attention"], PROMOTED: ["⬆️", "Good"], EXPIRED: ["⌛", "Accent"] };

function card(id, word, user, roles, reason, reviews = []) {
  const text = (value) => ({ type: "TextBlock", text: value, wrap: true });
  const rich = (...inlines) => ({ type: "RichTextBlock", inlines: inlines.map((run) => ({ type: "TextRun", ...run })) });
  return {
    type: "AdaptiveCard", version: "1.5", fallbackText: "", body: [
      { type: "TextBlock", text: `Access Request ${id}`, size: "small", isSubtle: true },
      { type: "ColumnSet", columns: [
        { type: "Column", width: "stretch", items: [{ type: "TextBlock", text: LOOK[word][0], size: "large" }] },
        { type: "Column", width: "auto", items: [{ type: "TextBlock", text: word, size: "large", weight: "bolder", color: LOOK[word][1] }] }] },
      { type: "FactSet", facts: [{ title: "Cluster", value: "sandbox.example.com" }, { title: "User", value: user }, { title: "Role(s)", value: roles }] },
      rich({ text: "Reason\n", weight: "bolder" }, { text: reason }),
      ...(reviews.length ? [{ type: "TextBlock", text: "Reviews", weight: "bolder", color: "accent", separator: true }, { type: "FactSet", facts: reviews.map((author) => ({ title: "✅ ", value: author })) }] : []),
      text("**Bold**, _italic_, a [link](https://example.com) and \\[no link\\](https://example.com)\n- one\n- two"),
    ],
    actions: [{ type: "Action.OpenUrl", title: "Open", url: `https://teleport.sandbox.example.com/web/requests/${id}` }],
  };
}

function request(id, stage, user, roles, reason, more = {}) {
  return { id, user, roles, reason, stage, gone: false, created: START, resolve_reason: "", promoted_to: "", reviews: [], suggested: ["alice@example.com"], resources: ["/sandbox.example.com/db/orders"], notified: [], ...more };
}

const PEOPLE = ["Alice Archer", "Bob Baker", "Carol Castillo", "Dan O'Dell"].map((name) => ({ name, mail: `${name.split(" ")[0].toLowerCase()}@example.com` }));
const [A, B, C] = ["018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a11", "018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a12", "018f52a1-6c1e-7a70-9d0b-0d7f5b7f8a13"];

function entry(id, request, words, ...arguments_) {
  const versions = words.map((says, index) => ({ at: START + 30_000 * (index + 1), says, summary: says, card: card(request, says, ...arguments_, index ? ["alice@example.com"] : []) }));
  return { id, request, says: words.at(-1), up_to_date: true, versions };
}

const first = ["bob@example.com", "dba", EXAMPLES[0].reason];
const second = ["carol@example.com", "admin, dba", EXAMPLES[1].reason];
const third = ["bob@example.com", "dev", EXAMPLES[2].reason];

const scene = {
  cluster: { name: "sandbox.example.com", up: true, watches: 1 },
  daemon: { state: "running", note: "" },
  microsoft: { mode: "normal", throttled: 0 },
  verdict: { requests: 3, cards: 5, up_to_date: 5 },
  roles: [{ name: "dev", recipients: ["Dan O'Dell"] }, { name: "dba", recipients: ["# Access requests"] }, { name: "admin", recipients: ["Alice Archer", "# Access requests"] }],
  people: PEOPLE,
  requests: [
    request(C, "pending", ...[third[0], ["dev"], third[2]], { notified: [{ chat: "a", title: "Alice Archer", up_to_date: true, says: "PENDING" }] }),
    request(B, "pending", second[0], ["admin", "dba"], second[2], { reviews: [{ author: "bob@example.com", verdict: "approve", reason: "go ahead", at: START }], notified: [{ chat: "a", title: "Alice Archer", up_to_date: true, says: "PENDING" }, { chat: "c", title: "Access requests", up_to_date: false, says: "PENDING" }] }),
    request(A, "approved", first[0], ["dba"], first[2], { resolve_reason: "ok", notified: [{ chat: "c", title: "Access requests", up_to_date: true, says: "APPROVED" }] }),
  ],
  chats: [
    { id: "c", title: "Access requests", detail: "Platform team", kind: "channel", standing: "ok", cards: [entry("1", A, ["PENDING", "PENDING", "APPROVED"], ...first), entry("2", B, ["PENDING"], ...second)] },
    { id: "a", title: "Alice Archer", detail: "alice@example.com", kind: "person", standing: "ok", cards: [entry("3", A, ["PENDING", "APPROVED"], ...first), entry("4", B, ["PENDING"], ...second), entry("5", C, ["PENDING"], ...third)] },
    { id: "b", title: "Bob Baker", detail: "bob@example.com", kind: "person", standing: "blocked", cards: [] },
    { id: "d", title: "Dan O'Dell", detail: "dan@example.com", kind: "person", standing: "missing", cards: [] },
  ],
};

export const demo = {
  async act(action) {
    document.getElementById("announcer").textContent = JSON.stringify(action);
    return null;
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
