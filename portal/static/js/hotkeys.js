/*
 * Keys: an element with data-key="r" is clicked (or, a field, focused) when r is pressed outside a text; one with
 * data-key="g m" when g and then m are. "?" lists the keys of the page, from the elements' own labels.
 */

import { _ } from "./words.js";

const SECOND_KEY_MS = 1500;

/* Whether keys go into what has the focus; a box that is ticked takes none but the space bar. */
export const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable=true], .ck-editor");

let first = "";
let forget;

export function startHotkeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") return listKeys();
    const element = find(first ? `${first} ${event.key}` : event.key);
    const begins = !first && document.querySelector(`[data-key^="${CSS.escape(event.key)} "]`);
    clearTimeout(forget);
    first = begins ? event.key : "";
    forget = setTimeout(() => (first = ""), SECOND_KEY_MS);
    if (!element) return;
    event.preventDefault();
    act(element);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-show-keys]")) listKeys();
  });
}

function find(key) {
  return [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((each) => !each.disabled);
}

function act(element) {
  if (element.matches("input, textarea, select")) {
    element.focus();
    element.select?.();
  } else if (element.matches("summary")) {
    element.parentElement.open = !element.parentElement.open;
  } else {
    element.click();
  }
}

function listKeys() {
  document.getElementById("keys")?.remove();
  const dialog = document.createElement("dialog");
  dialog.id = "keys";
  dialog.setAttribute("aria-label", _("Keys"));
  const heading = document.createElement("div");
  heading.className = "dialog-head";
  heading.innerHTML = '<h2></h2><button type="button" class="button button-quiet" data-close></button>';
  heading.firstChild.textContent = _("Keys");
  heading.lastChild.textContent = _("Close");
  const list = document.createElement("dl");
  list.className = "facts dialog-body";
  const rows = document.querySelector("[data-rows]") ? [["j", _("Next ticket")], ["k", _("Ticket before")], ["o", _("Open it")]] : [];
  if (document.querySelector(".row-pick")) rows.push(["x", _("Select it")], ["⇧ X", _("Select all up to here")], ["⇧ J", _("Select downwards")], ["Esc", _("Select none")]);
  const keys = [...document.querySelectorAll("[data-key]")].map((element) => [
    element.dataset.key,
    element.dataset.keyLabel || element.getAttribute("aria-label") || element.textContent.trim(),
  ]);
  for (const [pressed, label] of [...rows, ...keys]) {
    const key = document.createElement("dt");
    for (const each of pressed.split(" ")) {
      const shown = document.createElement("kbd");
      shown.textContent = each;
      key.append(shown, " ");
    }
    const words = document.createElement("dd");
    words.textContent = label;
    list.append(key, words);
  }
  dialog.append(heading, list);
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
  dialog.showModal();
}
