/* The conditions of a rule: its buttons, and a change of what is looked at, bring the piece anew without the page. */

import { request, swap } from "./partial.js";

export function attach(box) {
  box.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=do]");
    if (!button) return;
    event.preventDefault();
    renew(box, button.value);
  });
  box.addEventListener("change", (event) => {
    if (event.target.matches("[data-refresh]")) renew(box, "update", event.target.id);
  });
}

async function renew(box, what, focus) {
  const form = box.closest("form");
  const body = new FormData(form);
  body.append("do", what);
  const response = await request(location.href, { method: "POST", body }).catch(() => null);
  if (!response?.ok) return;
  const fresh = swap(box, await response.text(), "outer");
  (document.getElementById(focus) ?? next(fresh, what))?.focus();
}

/** Where somebody goes on: in what was added, else in what is left. */
function next(box, what) {
  if (what === "add-block") return box.querySelector(".condition-block:last-of-type select[id$='-field']");
  const [block] = what.match(/\d+/) ?? [];
  if (what.startsWith("add-row")) return [...box.querySelectorAll(`select[id^="conditions-${block}-"][id$="-field"]`)].at(-1);
  return box.querySelector("select, textarea, button");
}
