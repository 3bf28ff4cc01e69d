// The switches for trouble, the status strip and the daemon's log.

import { byId, clock, h, keyed, setText } from "./dom.js";

// Enough to scroll back through a scene; the daemon's own log is longer.
const LINES_SHOWN = 400;

export function wireTrouble(context) {
  for (const input of document.querySelectorAll("[name=microsoft]")) {
    input.addEventListener("change", () => context.act({ do: "microsoft", mode: input.value }));
  }
  for (const button of document.querySelectorAll(".trouble [data-do]")) {
    button.addEventListener("click", () => context.act({ do: button.dataset.do }));
  }
}

export function drawTrouble(state) {
  const { cluster, daemon, microsoft, verdict } = state;
  for (const input of document.querySelectorAll("[name=microsoft]")) input.checked = input.value === microsoft.mode;
  const running = daemon.state === "running" || daemon.state === "starting";
  enable("cluster_stop", cluster.up);
  enable("cluster_start", !cluster.up);
  enable("cluster_cut", cluster.up && cluster.watches > 0);
  enable("daemon_kill", running);
  enable("daemon_stop", running);
  enable("daemon_restart", true);
  enable("daemon_start", !running && daemon.state !== "stopping");
  light("cluster", cluster.up, cluster.up ? "up" : "down");
  light("daemon", running, daemon.state);
  setText(byId("cluster-name"), cluster.name);
  const wrong = verdict.cards - verdict.true;
  setText(byId("truth"), verdict.cards === 0 ? "" : wrong === 0 ? "every card is true" : `${verdict.true} of ${verdict.cards} cards are true`);
  byId("truth").classList.toggle("behind", wrong > 0);
  const strip = [
    { name: "Daemon", value: daemon.state, title: daemon.note, tone: running ? "good" : "bad" },
    { name: "Watch", value: cluster.watches > 0 ? "connected" : "away", tone: cluster.watches > 0 ? "good" : "bad" },
    { name: "Requests", value: verdict.requests },
    { name: "Cards", value: verdict.cards },
    { name: "True", value: verdict.true, tone: wrong > 0 ? "warn" : "good" },
    { name: "Throttled", value: microsoft.throttled, tone: microsoft.mode === "throttled" ? "warn" : "" },
  ];
  keyed(byId("status"), strip, (item) => item.name,
    (item) => h("li", {}, h("span", { class: "quiet" }, item.name), h("b")),
    (element, item) => {
      element.className = item.tone ?? "";
      element.title = item.title ?? "";
      setText(element.querySelector("b"), String(item.value));
    });
}

function enable(what, possible) {
  const button = document.querySelector(`.trouble [data-do=${what}]`);
  // A button that has just been pressed keeps the focus, which `disabled` would take away.
  button.setAttribute("aria-disabled", String(!possible));
}

function light(name, good, words) {
  byId(`${name}-dot`).className = `dot ${good ? "good" : "bad"}`;
  setText(byId(`${name}-state`), `, ${words}`);
}

/** Appends lines such as ` INFO Plugin is ready`, each with the time of its writing. */
export function appendLog(lines) {
  const log = byId("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  for (const { at, text } of lines) {
    const level = /^\s*(ERROR|WARN|INFO|DEBUG)\b/.exec(text)?.[1] ?? "";
    log.append(h("span", { class: level.toLowerCase() }, `${clock(at)} ${text}\n`));
  }
  while (log.childElementCount > LINES_SHOWN) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}
