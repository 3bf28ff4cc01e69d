// Draws cards with Microsoft's renderer and Teams' host configurations: `pictures.cjs BROWSER HOST_CONFIGS DIRECTORY` turns
// each NAME.json of the directory into NAME.png. Of NAME-opened.json, the part is drawn opened that a button opens.
// The browser draws all of them in one page. It is driven through its debugging pipe, which needs no package: messages are
// JSON, each followed by a zero byte.
"use strict";

const { spawn } = require("node:child_process");
const { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const { withPalette } = require("./png.cjs");

const [browser, configs, directory] = process.argv.slice(2);

// The colours of Teams' pages, cards, buttons and mentions.
const THEMES = {
  light: { page: "#f6f6f6", quiet: "#616161", edge: "#e0e0e0", button: "#ffffff", rim: "#d1d1d1", label: "#242424", mention: "#5b5fc7" },
  dark: { page: "#201e1f", quiet: "#adadad", edge: "#3d3d3d", button: "#292929", rim: "#666666", label: "#ffffff", mention: "#9299f7" },
};
const PANELS = [
  { caption: "Light, 520 pixels", theme: "light", width: 520 },
  { caption: "Dark, 520 pixels", theme: "dark", width: 520 },
  { caption: "Narrow, 300 pixels", theme: "light", width: 300 },
];
const MARGIN = 16;
const WIDTH = PANELS.reduce((sum, { width }) => sum + width + 2 * MARGIN, 0);

const theme = (name, colors) => `
  .${name} { background: ${colors.page}; }
  .${name} .caption { color: ${colors.quiet}; }
  .${name} .card { border-color: ${colors.edge}; }
  .${name} .ac-pushButton { background: ${colors.button}; border: 1px solid ${colors.rim}; color: ${colors.label}; }
  .${name} .ac-input { background: ${colors.button}; border: 1px solid ${colors.rim}; color: ${colors.label}; }
  .${name} .mention, .${name} a { color: ${colors.mention}; }`;
const STYLE = `
  body { margin: 0; display: flex; width: ${WIDTH}px; font-family: "Segoe UI", Tahoma, Geneva, Verdana, sans-serif; }
  .panel { padding: 0 ${MARGIN}px ${MARGIN}px; }
  .caption { margin: 0; font-size: 12px; line-height: 32px; }
  .card { border: 1px solid; border-radius: 4px; overflow: hidden; box-sizing: border-box; }
  .ac-pushButton { border-radius: 4px; height: 32px; padding: 0 12px; font: 600 14px "Segoe UI", sans-serif; }
  .card .ac-pushButton.style-positive { background: #5b5fc7; border-color: #5b5fc7; color: #ffffff; }
  .card .ac-pushButton.style-destructive { background: #c4314b; border-color: #c4314b; color: #ffffff; }
  .ac-input { border-radius: 4px; padding: 5px 11px; font: 14px "Segoe UI", sans-serif; box-sizing: border-box; min-height: 56px; resize: none; }
  .mention { font-weight: 600; }
  ${Object.entries(THEMES).map(([name, colors]) => theme(name, colors)).join("")}`;

/** Runs in the page: draws one card in every panel, and returns the height of the page. */
function draw({ msteams, ...json }, isOpened, panels, hostConfigs) {
  const { AdaptiveCards, markdownit, document } = globalThis;
  const markdown = markdownit();
  const mentions = msteams?.entities ?? [];
  const mark = (number) => `\uE000${number}\uE001`;
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
    const marked = mentions.reduce((left, mention, number) => left.replaceAll(mention.text, mark(number)), text);
    const name = (_, number) => `<span class="mention">${markdown.utils.escapeHtml(mentions[number].mentioned.name)}</span>`;
    result.outputHtml = markdown.render(marked).replace(/\uE000(\d+)\uE001/g, name);
    result.didProcess = true;
  };
  const drawn = panels.map(({ caption, theme, width }) => {
    const card = new AdaptiveCards.AdaptiveCard();
    card.hostConfig = new AdaptiveCards.HostConfig(hostConfigs[theme]);
    card.parse(json, new AdaptiveCards.SerializationContext(AdaptiveCards.Versions.v1_5));
    const panel = document.createElement("section");
    panel.className = `panel ${theme}`;
    const title = document.createElement("p");
    title.className = "caption";
    title.textContent = caption;
    const frame = document.createElement("div");
    frame.className = "card";
    frame.style.width = `${width}px`;
    panel.append(title, frame);
    // It is measured when it is drawn, so it must be in the page.
    document.body.append(panel);
    frame.append(card.render());
    if (isOpened) frame.querySelector(".ac-pushButton[aria-expanded]").click();
    return panel;
  });
  for (const panel of [...document.body.children]) if (!drawn.includes(panel)) panel.remove();
  return Math.ceil(document.body.getBoundingClientRect().height);
}

/** Starts the browser, and returns a function that sends it a command and waits for the answer. */
function connect(profile) {
  const options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-lcd-text", "--force-color-profile=srgb",
    `--user-data-dir=${profile}`, "--remote-debugging-pipe"];
  const environment = { ...process.env, TZ: "UTC", LANG: "en_US.UTF-8" };
  const child = spawn(browser, options, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: environment });
  const [, , , commands, answers] = child.stdio;
  const waiting = new Map();
  const fail = (why) => {
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
  };
  child.on("error", (error) => fail(`the browser does not start: ${error.message}`));
  child.on("exit", () => fail("the browser has ended"));
  commands.on("error", () => {});
  let received = "";
  answers.setEncoding("utf8").on("data", (part) => {
    const messages = (received + part).split("\0");
    received = messages.pop();
    for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
      const { resolve, reject } = waiting.get(id) ?? {};
      waiting.delete(id);
      if (error) reject?.(new Error(error.message));
      else resolve?.(result);
    }
  });
  let last = 0;
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      commands.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
    });
  return { child, send };
}

async function main() {
  const names = readdirSync(directory).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5)).sort();
  const hostConfigs = Object.fromEntries(Object.keys(THEMES).map((name) =>
    [name, JSON.parse(readFileSync(join(configs, `microsoft-teams-${name}.json`), "utf8"))]));
  const profile = mkdtempSync(join(tmpdir(), "cards-"));
  const { child, send } = connect(profile);
  try {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    const page = (method, params) => send(method, params, sessionId);
    const evaluate = async (expression) => {
      const { result, exceptionDetails: fault } = await page("Runtime.evaluate", { expression, returnByValue: true });
      if (fault) throw new Error(fault.exception?.description ?? fault.text);
      return result.value;
    };
    const viewport = (height) =>
      page("Emulation.setDeviceMetricsOverride", { width: WIDTH, height, deviceScaleFactor: 1, mobile: false });
    const { frameTree } = await page("Page.getFrameTree");
    const html = `<!doctype html><meta charset="utf-8"><style>${STYLE}</style><body></body>`;
    await page("Page.setDocumentContent", { frameId: frameTree.frame.id, html });
    for (const file of ["adaptivecards/dist/adaptivecards.min.js", "markdown-it/dist/markdown-it.min.js"]) {
      await evaluate(`${readFileSync(require.resolve(file), "utf8")};0`);
    }
    for (const name of names) {
      const { card } = JSON.parse(readFileSync(join(directory, `${name}.json`), "utf8"));
      await viewport(600);
      const height = await evaluate(`(${draw})(...${JSON.stringify([card, name.endsWith("-opened"), PANELS, hostConfigs])})`);
      await viewport(height);
      const { data } = await page("Page.captureScreenshot", { format: "png" });
      writeFileSync(join(directory, `${name}.png`), withPalette(Buffer.from(data, "base64")));
    }
    console.log(`${names.length} cards drawn`);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await send("Browser.close").catch(() => child.kill());
    if (child.exitCode === null && child.signalCode === null && child.pid) await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
