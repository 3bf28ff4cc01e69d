// The controls for faults, the status strip and the daemon's log.

import { byId, clock, h, keyed, setText } from "./dom.js";

// Enough to scroll back; the daemon's own log is longer.
const LINES_SHOWN = 400;

export function wireFaults(context) {
  for (const input of document.querySelectorAll("[name=microsoft]")) {
    input.addEventListener("change", () => context.act({ do: "microsoft", mode: input.value }));
  }
  wireSwitches(context);
  for (const button of document.querySelectorAll(".faults [data-do]")) {
    button.addEventListener("click", () => context.act({ do: button.dataset.do }));
  }
}

function wireSwitches(context) {
  for (const input of document.querySelectorAll("[data-switch]")) {
    input.addEventListener("change", () => context.act({ do: input.dataset.switch, on: input.checked }));
  }
}

export function drawFaults(state) {
  const { cluster, daemon, microsoft, verdict } = state;
  for (const input of document.querySelectorAll("[name=microsoft]")) input.checked = input.value === microsoft.mode;
  document.querySelector("[data-switch=repeat_presses]").checked = microsoft.repeats_presses;
  document.querySelector("[data-switch=keys_down]").checked = microsoft.keys_are_down;
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
  const stale = verdict.cards - verdict.up_to_date;
  setText(byId("cards-state"), verdict.cards === 0 ? "" : stale === 0 ? "all cards up to date" : `${verdict.up_to_date} of ${verdict.cards} cards up to date`);
  byId("cards-state").classList.toggle("stale", stale > 0);
  const strip = [
    { name: "Daemon", value: daemon.state, title: daemon.note, tone: running ? "good" : "bad" },
    { name: "Watch", value: cluster.watches > 0 ? "connected" : "disconnected", tone: cluster.watches > 0 ? "good" : "bad" },
    { name: "Requests", value: verdict.requests },
    { name: "Cards", value: verdict.cards },
    { name: "Up to date", value: verdict.up_to_date, tone: stale > 0 ? "warn" : "good" },
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
  const button = document.querySelector(`.faults [data-do=${what}]`);
  // `disabled` would take the focus away from the button that was just pressed.
  button.setAttribute("aria-disabled", String(!possible));
}

function light(name, good, words) {
  byId(`${name}-dot`).className = `dot ${good ? "good" : "bad"}`;
  setText(byId(`${name}-state`), `, ${words}`);
}

/** Appends lines such as ` INFO Plugin is ready`, each with its time. */
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
