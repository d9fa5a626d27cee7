/* All templates: found by typing, seen before they are used. */

import { request } from "../partial.js";

export function attach(panel) {
  const menu = panel.closest("details");
  const fill = async () => {
    if (!menu.open || panel.isFilled) return;
    panel.isFilled = true;
    try {
      const response = await request(panel.dataset.templates);
      if (!response.ok) throw new Error(response.status);
      panel.innerHTML = await response.text();
      start(panel);
    } catch {
      panel.isFilled = false;
    }
  };
  menu.addEventListener("toggle", fill);
  // Somebody may have opened it before this was there.
  fill();
}

function start(panel) {
  const field = panel.querySelector("[data-find]");
  const items = [...panel.querySelectorAll("[data-words]")];
  const none = panel.querySelector("[data-none]");
  field.focus();
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.hidden = !wanted.every((word) => item.dataset.words.includes(word));
    if (none) none.hidden = items.some((item) => !item.hidden);
    const first = items.find((item) => !item.hidden);
    if (first && wanted.length) preview(panel, first);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    items.find((item) => !item.hidden)?.click();
  });
  for (const item of items) {
    item.addEventListener("focus", () => preview(panel, item));
    item.addEventListener("pointerenter", () => preview(panel, item));
  }
}

let asked;
async function preview(panel, item) {
  if (asked === item) return;
  asked = item;
  for (const each of panel.querySelectorAll("[aria-selected=true]")) each.setAttribute("aria-selected", "false");
  item.setAttribute("aria-selected", "true");
  const response = await request(item.dataset.template).catch(() => null);
  if (response?.ok && asked === item) panel.querySelector("[data-preview]").innerHTML = await response.text();
}
