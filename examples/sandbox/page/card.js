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
  "Input.Text": inputText,
  ActionSet: (element, context) => actions(element.actions, context) ?? h("div"),
};

// Numbers the elements with an id, because several cards on the page may use the same one.
let drawn = 0;

/**
 * Draws a card. `context.open(url)` is called when a button with a link is pressed, and `context.press(title, inputs)` when
 * a button is pressed that the bot answers.
 */
export function drawCard(card, context) {
  const wide = card.msteams?.width === "Full" ? " full" : "";
  const own = { ...context, mentions: card.msteams?.entities ?? [], byId: new Map(), inputs: new Map() };
  return h("div", { class: `ac${wide}`, lang: card.lang }, ...elements(card.body, own), actions(card.actions, own));
}

function elements(list, context) {
  return (list ?? []).map((element) => {
    const draw = DRAWERS[element.type];
    const node = draw ? draw(element, context) : h("p", { class: "ac-unknown" }, `unknown element ${element.type}`);
    return dress(node, element, context);
  });
}

/** Gives a node what every element and column can have. */
function dress(node, element, context) {
  node.classList.add("ac-element");
  if (element.separator) node.classList.add("ac-separator");
  if (element.spacing) node.classList.add(`ac-spacing-${word(element.spacing)}`);
  const style = ["Container", "Column", "ColumnSet"].includes(element.type) ? word(element.style ?? "") : "";
  if (style && style !== "default") node.classList.add("ac-styled", `ac-style-${style}`);
  node.hidden = element.isVisible === false;
  if (element.id) {
    drawn += 1;
    node.id = `ac-${drawn}`;
    context.byId.set(element.id, node);
  }
  return node;
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

function textBlock(element, context) {
  const heading = element.style === "heading" ? { role: "heading", "aria-level": "4" } : {};
  const node = h("div", { class: textClasses(element), ...heading }, markdown(element.text ?? "", context.mentions));
  if (!element.wrap) node.classList.add("ac-nowrap");
  if (element.wrap && element.maxLines > 0) {
    node.classList.add("ac-lines");
    node.style.setProperty("-webkit-line-clamp", String(Math.trunc(element.maxLines)));
  }
  return node;
}

/** Shows runs of text verbatim: Teams does not interpret Markdown in them. */
function richTextBlock(element) {
  const runs = (element.inlines ?? []).map((run) =>
    typeof run === "string" ? run : h("span", { class: textClasses(run) }, run.text ?? ""));
  return h("div", { class: `ac-rich ${textClasses(element)}` }, ...runs);
}

function factSet(element, context) {
  const text = (value) => markdown(value ?? "", context.mentions);
  const facts = (element.facts ?? []).map((fact) => h("div", {}, h("dt", {}, text(fact.title)), h("dd", {}, text(fact.value))));
  return h("dl", { class: "ac-facts" }, ...facts);
}

function columnSet(element, context) {
  const columns = (element.columns ?? []).map((column) => {
    const width = String(column.width ?? "stretch");
    const align = column.verticalContentAlignment ? ` ac-content-${word(column.verticalContentAlignment)}` : "";
    const node = h("div", { class: `ac-column ${width === "auto" ? "ac-auto" : "ac-stretch"}${align}` }, ...elements(column.items, context));
    if (/^\d+(\.\d+)?$/.test(width)) node.style.flex = `${width} 1 0`;
    if (/^\d+px$/.test(width)) node.style.flex = `0 0 ${width}`;
    return dress(node, { type: "Column", ...column }, context);
  });
  return h("div", { class: "ac-columns" }, ...columns);
}

/** Draws a text box, with a place for the error if it is required. */
function inputText(element, context) {
  drawn += 1;
  const id = `ac-input-${drawn}`;
  const box = h(element.isMultiline ? "textarea" : "input", { id, placeholder: element.placeholder, maxlength: element.maxLength, rows: element.isMultiline ? 2 : null, "aria-required": element.isRequired ? "true" : null });
  box.value = element.value ?? "";
  const error = h("p", { class: "ac-input-error", role: "alert", hidden: true }, element.errorMessage ?? "This is required");
  if (element.id) context.inputs.set(element.id, { box, error, isRequired: element.isRequired === true });
  return h("div", { class: "ac-input" }, element.label ? h("label", { for: id }, element.label, element.isRequired ? h("span", { class: "ac-required" }, " *") : null) : null, box, error);
}

function actions(list, context) {
  const parts = [];
  const buttons = (list ?? []).map((action) => {
    const act = { "Action.OpenUrl": openUrl, "Action.ToggleVisibility": toggleVisibility, "Action.Execute": execute, "Action.ShowCard": showCard }[action.type];
    if (!act) return h("p", { class: "ac-unknown" }, `unknown action ${action.type}`);
    const style = action.style ? ` ac-action-${word(action.style)}` : "";
    const button = h("button", { type: "button", class: `ac-action${style}` }, action.title ?? "");
    const part = act(button, action, context);
    if (part) parts.push(part);
    return button;
  });
  if (buttons.length === 0) return null;
  const row = h("div", { class: "ac-actions" }, ...buttons);
  return parts.length ? h("div", { class: "ac-action-part" }, row, ...parts) : row;
}

/** Sends a press with what was typed in this card and those around it. Teams checks required inputs first. */
function execute(button, action, context) {
  button.addEventListener("click", async () => {
    const inputs = action.associatedInputs === "none" ? [] : [...context.inputs];
    const missing = inputs.filter(([, input]) => input.isRequired && !input.box.value.trim());
    for (const [, input] of inputs) input.error.hidden = true;
    for (const [, input] of missing) input.error.hidden = false;
    if (missing.length > 0) return missing[0][1].box.focus();
    await context.press(action.title ?? "", Object.fromEntries(inputs.map(([id, input]) => [id, input.box.value])));
  });
}

/** Returns a part of the card that its button opens and closes. It has the inputs around it, too. */
function showCard(button, action, context) {
  const own = { ...context, inputs: new Map(context.inputs) };
  const part = h("div", { class: "ac-show", hidden: true }, ...elements(action.card?.body, own), actions(action.card?.actions, own));
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    part.hidden = !part.hidden;
    button.setAttribute("aria-expanded", String(!part.hidden));
    if (part.hidden) return;
    part.querySelector("textarea, input")?.focus();
    part.scrollIntoView({ block: "nearest" });
  });
  return part;
}

function openUrl(button, action, context) {
  button.title = action.url;
  button.addEventListener("click", () => context.open(action.url));
}

/** Shows and hides elements of the card. A target that is only an id changes from one to the other. */
function toggleVisibility(button, action, context) {
  button.addEventListener("click", () => {
    const shown = [];
    for (const target of action.targetElements ?? []) {
      const node = context.byId.get(target.elementId ?? target);
      if (!node) continue;
      const visible = target.isVisible ?? node.hidden;
      if (visible && node.hidden) shown.push(node);
      node.hidden = !visible;
    }
    // A button that has hidden itself passes the focus on, so that the keyboard does not start at the top of the page.
    if (!button.checkVisibility() && shown.length > 0) focus(shown);
  });
}

function focus(nodes) {
  const inner = nodes.map((node) => node.querySelector("button, a")).find((found) => found?.checkVisibility());
  if (!inner) nodes[0].tabIndex = -1;
  (inner ?? nodes[0]).focus();
}
