// Rendered as Markdown, no text of a card becomes anything but text.
"use strict";

const { readFileSync } = require("node:fs");
const markdown = require("markdown-it");
const { markdownOf, withoutTeams } = require("./elements.cjs");

const lines = readFileSync(process.argv[2], "utf8").trim().split("\n").map(JSON.parse);
const plain = markdown();
const linking = markdown({ linkify: true });
// Names of hosts without a scheme stay alone here: an email address looks like one, and must not be changed.
linking.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
let findings = 0;
let texts = 0;

for (const { name, card: whole } of lines) {
  const { card, mentions } = withoutTeams(whole);
  for (const written of markdownOf(card)) {
    texts += 1;
    // A mention of an entity is not markup.
    const text = mentions.reduce((left, { text: mention }) => left.replaceAll(mention, "X"), written);
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
