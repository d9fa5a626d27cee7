/* Rows of hours come and go without a reload, and a stretch past midnight says so while it is typed. */

import { _ } from "./words.js";

export function attach(form) {
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.matches("[data-add]")) add(button, event);
    else if (button?.matches("[data-remove]")) remove(button, event);
    else if (button?.value === "copy") copy(form, event);
  });
  form.addEventListener("input", (event) => hint(event.target.closest("[data-row]")));
}

function add(button, event) {
  event.preventDefault();
  const part = button.parentElement;
  fresh(part).querySelector("input").focus();
}

function remove(button, event) {
  event.preventDefault();
  const part = button.closest("fieldset, [data-days]");
  button.closest("[data-row]").remove();
  settle(part);
  part.querySelector("[data-add]").focus();
}

function copy(form, event) {
  event.preventDefault();
  const [monday, ...others] = [...form.querySelectorAll("[data-day]")].slice(0, 5);
  const pairs = [...monday.querySelectorAll("[data-row]")].map((row) => [...row.querySelectorAll("input")].map((input) => input.value));
  const isWhole = monday.querySelector("[type=checkbox]").checked;
  for (const day of others) {
    day.querySelector("[data-rows]").replaceChildren();
    day.querySelector("[type=checkbox]").checked = isWhole;
    for (const pair of pairs) {
      const row = fresh(day);
      row.querySelectorAll("input").forEach((input, index) => (input.value = pair[index]));
      hint(row);
    }
    settle(day);
  }
}

function fresh(part) {
  const row = part.querySelector("template").content.cloneNode(true).firstElementChild;
  part.querySelector("[data-rows]").append(row);
  settle(part);
  return row;
}

function settle(part) {
  part.querySelector("[data-off]")?.toggleAttribute("hidden", part.querySelector("[data-row]") !== null);
}

function hint(row) {
  const words = row?.querySelector("[data-hint]");
  if (!words) return;
  const [from, until] = [...row.querySelectorAll("input")].map((input) => input.value);
  words.textContent = from && until && until < from ? _("past midnight, until %(day)s", { day: words.dataset.next }) : "";
}
