// What is in a card, wherever it is nested; and its mentions, which only Teams knows.
"use strict";

/** Every object in a card: elements, columns, facts, actions. */
function* objectsOf(value) {
  if (Array.isArray(value)) for (const item of value) yield* objectsOf(item);
  else if (value && typeof value === "object") {
    yield value;
    for (const inner of Object.values(value)) yield* objectsOf(inner);
  }
}

/** The texts in which clients read Markdown. */
function* markdownOf(card) {
  for (const object of objectsOf(card)) {
    if (object.type === "TextBlock") yield object.text;
    if (object.type === "FactSet") for (const { title, value } of object.facts) yield* [title, value];
  }
}

/** Takes off what Teams reads before the card is parsed. */
function withoutTeams({ msteams, ...card }) {
  return { card, mentions: msteams?.entities ?? [] };
}

module.exports = { objectsOf, markdownOf, withoutTeams };
