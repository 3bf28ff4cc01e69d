// Microsoft's own parser takes every card without an event, and gives it back unchanged.
"use strict";

const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const AC = require("adaptivecards/dist/adaptivecards.js");

const lines = readFileSync(process.argv[2], "utf8").trim().split("\n").map(JSON.parse);
let findings = 0;

function finding(name, text) {
  findings += 1;
  if (findings <= 10) console.log(`FAILED: ${name}: ${text}`);
}

for (const version of [AC.Versions.v1_5, AC.Versions.v1_2]) {
  for (const { name, card: json } of lines) {
    const context = new AC.SerializationContext(version);
    const card = new AC.AdaptiveCard();
    card.parse(json, context);
    for (let at = 0; at < context.eventCount; at += 1) {
      const event = context.getEventAt(at);
      finding(name, `${AC.ValidationEvent[event.event]}: ${event.message}`);
    }
    for (const event of card.validateProperties().validationEvents) finding(name, event.message);
    try {
      // The writer puts the version it was asked to write; everything else is the card's.
      const expected = { ...json, version: version.toString() };
      assert.deepStrictEqual(card.toJSON(new AC.SerializationContext(version)), expected);
    } catch (error) {
      finding(name, `changed by the round trip: ${error.message.split("\n").slice(0, 12).join(" ")}`);
    }
  }
}
if (findings === 0) console.log(`ok: adaptivecards 3.0.6 takes ${lines.length} cards as 1.5 and as 1.2, and gives them back unchanged`);
process.exit(findings === 0 ? 0 : 1);
