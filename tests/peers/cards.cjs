// Microsoft's own parser takes every card without an event, and gives it back unchanged. What it does not know or does not
// check is checked here: mentions, and whether what is hidden can be shown.
"use strict";

const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const AC = require("adaptivecards/dist/adaptivecards.js");
const { objectsOf, markdownOf, withoutTeams } = require("./elements.cjs");

const lines = readFileSync(process.argv[2], "utf8").trim().split("\n").map(JSON.parse);
let findings = 0;

function finding(name, text) {
  findings += 1;
  if (findings <= 10) console.log(`FAILED: ${name}: ${text}`);
}

/** Checks what only Teams reads. */
function* faultsOfTeams({ msteams, ...card }) {
  if (msteams === undefined) return;
  const { width = "Full", entities = [], ...others } = msteams;
  if (Object.keys(others).length > 0) yield `msteams has ${Object.keys(others)}`;
  if (width !== "Full") yield `msteams.width is ${JSON.stringify(width)}`;
  const texts = [...objectsOf(card)].filter(({ type }) => type === "TextBlock").map(({ text }) => text);
  const seen = new Set();
  for (const entity of entities) {
    const { id, name } = entity.mentioned ?? {};
    const expected = { type: "mention", text: `<at>${name}</at>`, mentioned: { id, name } };
    const isWhole = [id, name].every((value) => typeof value === "string" && value !== "");
    try {
      assert.deepStrictEqual(entity, expected);
    } catch {
      yield `${JSON.stringify(entity)} is no mention`;
    }
    if (!isWhole) yield `${JSON.stringify(entity)} mentions no user`;
    if (!texts.some((text) => text.includes(entity.text))) yield `no text block has ${entity.text}`;
    if (seen.has(entity.text)) yield `${entity.text} is in two entities`;
    seen.add(entity.text);
  }
}

/** Checks that every `<at>` belongs to an entity. */
function* faultsOfMentions(card) {
  const { mentions } = withoutTeams(card);
  for (const text of markdownOf(card)) {
    const rest = mentions.reduce((left, mention) => left.replaceAll(mention.text, ""), text);
    if (/<\/?at>/i.test(rest)) yield `${JSON.stringify(text)} mentions without an entity`;
  }
}

/** Checks ids, the elements that are hidden, and the actions that show them. */
function* faultsOfActions(card) {
  const objects = [...objectsOf(card)];
  const actions = objects.filter(({ type }) => type?.startsWith("Action."));
  const ids = objects.filter(({ type, id }) => type && id !== undefined).map(({ id }) => id);
  for (const id of ids) if (id === "" || ids.indexOf(id) !== ids.lastIndexOf(id)) yield `the id ${JSON.stringify(id)} is empty or not unique`;
  const selected = new Set(objects.map(({ selectAction }) => selectAction));
  for (const action of actions) {
    if (!selected.has(action) && !action.title?.trim()) yield `an ${action.type} has no title`;
    if (action.type === "Action.ToggleVisibility" && !action.targetElements?.length) yield `"${action.title}" has no targets`;
  }
  const targets = actions
    .flatMap(({ targetElements }) => targetElements ?? [])
    .map((target) => (typeof target === "string" ? { elementId: target } : target));
  for (const { elementId } of targets) if (!ids.includes(elementId)) yield `an action targets ${JSON.stringify(elementId)}, which does not exist`;
  const shown = new Set(targets.filter(({ isVisible }) => isVisible !== false).map(({ elementId }) => elementId));
  for (const { type, id, isVisible } of objects) {
    if (type && isVisible === false && !shown.has(id)) yield `no action shows the hidden ${type} ${JSON.stringify(id)}`;
  }
}

/** Checks that a press says what it is for, and that the direct buttons work without an input. */
function* faultsOfPresses(card) {
  for (const { type, title, verb, data } of [...objectsOf(card)].filter(({ type }) => type === "Action.Execute")) {
    if (!["approve", "deny"].includes(verb)) yield `the ${type} "${title}" has the verb ${JSON.stringify(verb)}`;
    if (Object.keys(data).join() !== "request" || !data.request) yield `the ${type} "${title}" names no request`;
  }
  const direct = [...objectsOf(card.body), ...(card.actions ?? [])];
  if (direct.some(({ type, associatedInputs }) => type === "Action.Execute" && associatedInputs !== "none")) yield "a direct button sends inputs";
  if (direct.some(({ type }) => type?.startsWith("Input."))) yield "an input is beside the direct buttons";
  const inputs = [...objectsOf(card)].filter(({ type }) => type?.startsWith("Input."));
  if (inputs.length > 1) yield `there are ${inputs.length} inputs`;
  for (const { isRequired, errorMessage } of inputs) if (Boolean(isRequired) !== Boolean(errorMessage)) yield "an input is required without a message";
}

for (const { name, card } of lines) {
  for (const faults of [faultsOfTeams, faultsOfMentions, faultsOfActions, faultsOfPresses]) for (const fault of faults(card)) finding(name, fault);
}

for (const version of [AC.Versions.v1_5, AC.Versions.v1_4, AC.Versions.v1_2]) {
  for (const { name, card: whole } of lines) {
    const { card: json } = withoutTeams(whole);
    if (AC.Version.parse(json.version, new AC.SerializationContext()).compareTo(version) > 0) continue;
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
if (findings === 0) console.log(`ok: adaptivecards 3.0.6 takes ${lines.length} cards as 1.5, 1.4 and 1.2, where their version permits it, and gives them back unchanged`);
process.exit(findings === 0 ? 0 : 1);
