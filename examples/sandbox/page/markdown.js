// Draws the Markdown that a Teams client draws, as nodes: a link that slipped into a card is seen as a link here, too.
// It is deliberately generous (headings, quotes, code, autolinks), as the desktop client is; nothing becomes HTML.

import { h } from "./dom.js";

const PUNCTUATION = /[!-/:-@[-`{-~]/;
const SAFE_LINK = /^(https?:|mailto:)/i;

/** Draws a text of one or more lines. `mentions` are the entities of the card: only their `<at>` is a mention. */
export function markdown(text, mentions = []) {
  const fragment = document.createDocumentFragment();
  const inline = (line) => within(line, mentions);
  let list = null;
  let paragraph = null;
  for (const line of text.replace(/\r\n?/g, "\n").split("\n")) {
    const item = /^\s{0,3}([-+*]|\d{1,9}[.)])\s+(.*)$/.exec(line);
    if (item) {
      const tag = /\d/.test(item[1]) ? "OL" : "UL";
      if (list?.tagName !== tag) fragment.append((list = h(tag)));
      list.append(h("li", {}, inline(item[2])));
      paragraph = null;
      continue;
    }
    list = null;
    if (line.trim() === "") {
      paragraph = null;
      continue;
    }
    const block = /^\s{0,3}(#{1,6}\s|>)\s*(.*)$/.exec(line);
    if (block) {
      fragment.append(h(block[1] === ">" ? "blockquote" : "strong", { class: "block" }, inline(block[2])));
      paragraph = null;
    } else if (paragraph) {
      paragraph.append(h("br"), inline(line));
    } else {
      fragment.append((paragraph = h("span", { class: "block" }, inline(line))));
    }
  }
  return fragment;
}

/** Draws what may stand within a line. */
function within(text, mentions) {
  const fragment = document.createDocumentFragment();
  let plain = "";
  let at = 0;
  const add = (node, length) => {
    if (plain) fragment.append(plain);
    plain = "";
    fragment.append(node);
    at += length;
  };
  while (at < text.length) {
    const rest = text.slice(at);
    const escaped = rest[0] === "\\" && PUNCTUATION.test(rest[1] ?? "");
    const found = escaped ? null : mentionAt(rest, mentions) ?? codeAt(rest) ?? linkAt(rest, mentions) ?? emphasisAt(rest, text[at - 1] ?? " ", mentions);
    if (escaped) {
      plain += rest[1];
      at += 2;
    } else if (found) {
      add(found.node, found.length);
    } else {
      plain += rest[0];
      at += 1;
    }
  }
  if (plain) fragment.append(plain);
  return fragment;
}

function mentionAt(rest, mentions) {
  const mention = mentions.find(({ text }) => text && rest.startsWith(text));
  return mention && { node: h("span", { class: "mention", title: mention.mentioned?.id }, mention.mentioned?.name ?? ""), length: mention.text.length };
}

function codeAt(rest) {
  const found = /^(`+)(?!`)(.*?[^`])\1(?!`)/.exec(rest);
  return found && { node: h("code", {}, found[2]), length: found[0].length };
}

function linkAt(rest, mentions) {
  const automatic = /^<((?:https?:|mailto:)[^\s<>]*)>/i.exec(rest);
  if (automatic) return { node: link(automatic[1], automatic[1]), length: automatic[0].length };
  const found = /^(!?)\[((?:\\.|[^\\[\]])*)\]\(\s*<?((?:\\.|[^\s()\\<>])*)>?(?:\s+"[^"]*")?\s*\)/.exec(rest);
  if (!found) return null;
  const label = found[1] ? `🖼 ${found[2]}` : within(found[2], mentions);
  return { node: link(found[3].replace(/\\(.)/g, "$1"), label), length: found[0].length };
}

/** A link that can be seen; it can be followed only where a client would dare. */
function link(target, label) {
  const safe = SAFE_LINK.test(target);
  return h("a", { class: "inline-link", title: target, href: safe ? target : undefined, target: "_blank", rel: "noopener noreferrer" }, label);
}

function emphasisAt(rest, before, mentions) {
  const mark = /^(\*\*|__|~~|\*|_)(?=\S)/.exec(rest)?.[1];
  if (!mark || (mark[0] === "_" && /\w/.test(before))) return null;
  for (let end = rest.indexOf(mark, mark.length + 1); end > 0; end = rest.indexOf(mark, end + 1)) {
    const inside = rest.slice(mark.length, end);
    const after = rest[end + mark.length] ?? " ";
    const closes = /\S$/.test(inside) && !inside.endsWith("\\") && !(mark[0] === "_" && /\w/.test(after));
    if (!closes || (mark.length === 1 && after === mark)) continue;
    const tag = mark === "~~" ? "s" : mark.length === 2 ? "strong" : "em";
    return { node: h(tag, {}, within(inside, mentions)), length: end + mark.length };
  }
  return null;
}
