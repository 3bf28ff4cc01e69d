// Connects the page to the sandbox: receives a stream of states, and sends actions.

import { chooseChat, drawChats, showMessage, wireChats } from "./chats.js";
import { byId, setText } from "./dom.js";
import { drawRequests, select, wireRequests } from "./requests.js";
import { appendLog, drawFaults, wireFaults } from "./faults.js";

const parameters = new URLSearchParams(location.search);
const phone = matchMedia("(max-width: 760px)");

let state = null;
let server = {
  /** Sends an action and returns the answer of the sandbox, or null if the sandbox rejects it. */
  async act(action) {
    try {
      const answer = await fetch("/api/do", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(action) });
      const body = await answer.json();
      problem(answer.ok ? "" : body.error);
      return answer.ok ? body : null;
    } catch {
      problem("Could not reach the sandbox. Is it still running?");
      return null;
    }
  },
  listen(onState, onLog) {
    const events = new EventSource("/api/events");
    events.addEventListener("state", (event) => onState(JSON.parse(event.data)));
    events.addEventListener("log", (event) => onLog(JSON.parse(event.data)));
    events.addEventListener("open", () => problem(""));
    events.addEventListener("error", () => problem("Lost the connection to the sandbox, reconnecting."));
  },
};

const context = {
  act: (action) => server.act(action),
  redraw: () => state && draw(state),
  showChat(id) {
    view("teams");
    chooseChat(id, context);
    if (phone.matches) byId("teams").focus();
  },
  newRequest() {
    view("teleport");
    byId("create").open = true;
    byId("create").scrollIntoView({ block: "nearest" });
    byId("example").focus();
  },
  showRequest(id) {
    view("teleport");
    select(id, context);
  },
  /** The card's button opens Teleport's Web UI, which is the left side of this page. */
  open(url) {
    const id = state.requests.find((request) => url.endsWith(request.id))?.id;
    const message = /\/l\/message\/[^/]+\/([^/?]+)/.exec(url)?.[1];
    if (id) context.showRequest(id);
    else if (url.endsWith("/web/requests/new")) context.newRequest();
    else if (!message || !showMessage(message)) problem(`This button would open ${url}`);
  },
  teamsVisible: () => !phone.matches || document.body.dataset.view === "teams",
};

function draw(next) {
  drawFaults(next);
  drawRequests(next, context);
  drawChats(next, context);
}

function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".views button")) button.setAttribute("aria-pressed", String(button.dataset.view === name));
}

function problem(text) {
  byId("problem").hidden = !text;
  setText(byId("problem"), text ?? "");
}

/** Announces changes to screen readers. */
function announce(before, after) {
  const versions = (of) => new Map(of.chats.flatMap((chat) => chat.cards.flatMap((card) => [card, ...(card.replies ?? [])]).map((card) => [`${chat.id} ${card.id}`, { chat, card }])));
  const old = versions(before);
  const words = [];
  for (const [key, { chat, card }] of versions(after)) {
    const earlier = old.get(key)?.card.versions.length ?? 0;
    if (card.versions.length > earlier) words.push(`${earlier ? "Card edited" : "New message"} for ${chat.title}: ${card.says === "?" ? card.kind : card.says.toLowerCase()}`);
  }
  if (before.daemon.state !== after.daemon.state) words.push(`Daemon ${after.daemon.state}`);
  if (before.cluster.up !== after.cluster.up) words.push(`Teleport ${after.cluster.up ? "is up" : "is down"}`);
  // Announce only the first changes of a burst; a hundred sentences help no listener.
  if (words.length > 0) setText(byId("announcer"), words.slice(0, 4).join(". "));
}

async function start() {
  const theme = parameters.get("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  if (parameters.has("view")) view(parameters.get("view"));
  for (const button of document.querySelectorAll(".views button")) {
    button.addEventListener("click", () => {
      view(button.dataset.view);
      context.redraw();
    });
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[aria-disabled=true]")) event.stopImmediatePropagation();
  }, true);
  wireRequests(context);
  wireChats(context);
  wireFaults(context);
  if (parameters.has("demo")) server = (await import("./demo.js")).demo;
  server.listen((next) => {
    const before = state;
    state = next;
    draw(next);
    const wanted = before ? null : parameters.get("chat");
    const chat = next.chats.find((candidate) => candidate.title === wanted);
    if (chat) chooseChat(chat.id, context);
    if (before) announce(before, next);
  }, appendLog);
}

start();
