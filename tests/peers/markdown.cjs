// Rendered as Markdown, no text of a card becomes anything but text.
"use strict";

const { readFileSync } = require("node:fs");
const markdown = require("markdown-it");

const lines = readFileSync(process.argv[2], "utf8").trim().split("\n").map(JSON.parse);
const plain = markdown();
const linking = markdown({ linkify: true });
// Names of hosts without a scheme stay alone here: an email address looks like one, and must not be changed.
linking.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
let findings = 0;
let texts = 0;

function* textsOf(value) {
  if (Array.isArray(value)) for (const item of value) yield* textsOf(item);
  else if (value && typeof value === "object") {
    if (value.type === "TextBlock") yield value.text;
    if ("title" in value && "value" in value) yield* [value.title, value.value];
    for (const key of ["body", "columns", "items", "facts"]) yield* textsOf(value[key]);
  }
}

for (const { name, card } of lines) {
  for (const text of textsOf(card)) {
    texts += 1;
    for (const renderer of [plain, linking]) {
      const html = renderer.render(text);
      if (/^<p>[^<>]*<\/p>\n$/.test(html)) continue;
      findings += 1;
      if (findings <= 10) console.log(`FAILED: ${name}: ${JSON.stringify(text)} becomes ${JSON.stringify(html)}`);
    }
  }
}
if (findings === 0) console.log(`ok: markdown-it 14 finds no markup in ${texts} texts`);
process.exit(findings === 0 ? 0 : 1);
