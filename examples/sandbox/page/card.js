// Draws an Adaptive Card as Teams does, for the elements that the daemon uses. An unknown element is drawn as a visible
// remark.

import { h } from "./dom.js";
import { markdown } from "./markdown.js";

const DRAWERS = {
  TextBlock: textBlock,
  RichTextBlock: richTextBlock,
  FactSet: factSet,
  ColumnSet: columnSet,
  Container: (element, context) => h("div", {}, ...elements(element.items, context)),
  ActionSet: (element, context) => actions(element.actions, context),
};

/** Draws a card. `context.open(url)` is called when its button is pressed. */
export function drawCard(card, context) {
  const wide = card.msteams?.width === "Full" ? " full" : "";
  return h("div", { class: `ac${wide}`, lang: card.lang }, ...elements(card.body, context), actions(card.actions, context));
}

function elements(list, context) {
  return (list ?? []).map((element) => {
    const draw = DRAWERS[element.type];
    const drawn = draw ? draw(element, context) : h("p", { class: "ac-unknown" }, `unknown element ${element.type}`);
    drawn.classList.add("ac-element");
    if (element.separator) drawn.classList.add("ac-separator");
    if (element.spacing) drawn.classList.add(`ac-spacing-${word(element.spacing)}`);
    return drawn;
  });
}

/** Returns the CSS classes of a text. Sizes, weights and colours are case-insensitive. */
function textClasses(text) {
  const classes = ["size", "weight", "color", "fontType"].filter((key) => text[key]).map((key) => `ac-${word(key)}-${word(text[key])}`);
  if (text.isSubtle) classes.push("ac-subtle");
  if (text.italic) classes.push("ac-italic");
  if (text.strikethrough) classes.push("ac-strike");
  if (text.highlight) classes.push("ac-highlight");
  if (text.horizontalAlignment) classes.push(`ac-align-${word(text.horizontalAlignment)}`);
  return classes.join(" ");
}

function word(value) {
  return String(value).toLowerCase().replace(/[^a-z]/g, "");
}

function textBlock(element) {
  const heading = element.style === "heading" ? { role: "heading", "aria-level": "4" } : {};
  const wrap = element.wrap ? "" : " ac-nowrap";
  return h("div", { class: `${textClasses(element)}${wrap}`, ...heading }, markdown(element.text ?? ""));
}

/** Shows runs of text verbatim: Teams does not interpret Markdown in them. */
function richTextBlock(element) {
  const runs = (element.inlines ?? []).map((run) =>
    typeof run === "string" ? run : h("span", { class: textClasses(run) }, run.text ?? ""));
  return h("div", { class: `ac-rich ${textClasses(element)}` }, ...runs);
}

function factSet(element) {
  const facts = (element.facts ?? []).map((fact) =>
    h("div", {}, h("dt", {}, markdown(fact.title ?? "")), h("dd", {}, markdown(fact.value ?? ""))));
  return h("dl", { class: "ac-facts" }, ...facts);
}

function columnSet(element, context) {
  const columns = (element.columns ?? []).map((column) => {
    const width = String(column.width ?? "stretch");
    const drawn = h("div", { class: width === "auto" ? "ac-auto" : "ac-stretch" }, ...elements(column.items, context));
    if (/^\d+(\.\d+)?$/.test(width)) drawn.style.flexGrow = width;
    if (/^\d+px$/.test(width)) drawn.style.flex = `0 0 ${width}`;
    return drawn;
  });
  return h("div", { class: "ac-columns" }, ...columns);
}

function actions(list, context) {
  const buttons = (list ?? []).map((action) => {
    if (action.type !== "Action.OpenUrl") return h("p", { class: "ac-unknown" }, `unknown action ${action.type}`);
    return h("button", { type: "button", class: "ac-action", title: action.url, onclick: () => context.open(action.url) }, action.title ?? "");
  });
  return buttons.length ? h("div", { class: "ac-actions" }, ...buttons) : null;
}
