/* Short messages in the corner; they stay long enough to be read and go by themselves unless they are errors. */

import { _ } from "./words.js";

const SHOWN_MS = 6000;

export function attach(toast) {
  toast.querySelector("[data-dismiss-toast]")?.addEventListener("click", () => toast.remove());
  if (!toast.classList.contains("toast-danger")) setTimeout(() => toast.remove(), SHOWN_MS);
}

/** Say something; with an action ({label, run}) it can be answered, for `seconds` if that is given. */
export function announce(text, { isError = false, action, seconds } = {}) {
  const place = document.querySelector("[data-toasts]");
  if (!place) return;
  const toast = document.createElement("div");
  toast.className = `toast${isError ? " toast-danger" : ""}`;
  const words = document.createElement("span");
  words.className = "grow";
  words.textContent = text;
  toast.append(words);
  if (action) toast.append(button(action.label, () => (action.run(), toast.remove())));
  const close = button("×", () => toast.remove());
  close.setAttribute("aria-label", _("Dismiss"));
  toast.append(close);
  place.append(toast);
  if (!isError) setTimeout(() => toast.remove(), seconds ? seconds * 1000 : SHOWN_MS);
}

function button(label, run) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.addEventListener("click", run);
  return element;
}
