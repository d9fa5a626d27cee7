/* Clock chips that tick by themselves: data-due-at, data-warn-at (ISO), data-clock ("first", "next", "resolve"). */

import { _ } from "./words.js";

const TICK_MS = 15000;
const chips = new Set();
let timer;

export function attach(chip) {
  chips.add(chip);
  show(chip);
  timer ??= setInterval(() => chips.forEach((each) => (each.isConnected ? show(each) : chips.delete(each))), TICK_MS);
}

function show(chip) {
  if (!chip.dataset.dueAt) return;
  const left = Date.parse(chip.dataset.dueAt) - Date.now();
  const isWarn = chip.dataset.warnAt && Date.parse(chip.dataset.warnAt) <= Date.now();
  chip.classList.toggle("is-late", left <= 0);
  chip.classList.toggle("is-warn", left > 0 && Boolean(isWarn));
  const words = chip.dataset.clock ? `${chip.dataset.clock} ` : "";
  chip.textContent = `${words}${left < 0 ? "−" : ""}${duration(Math.abs(left))}`;
}

/** Milliseconds in the form of a clock: 0:14, 7:05, then 31 h, 4 d. */
export function duration(milliseconds) {
  const minutes = Math.floor(milliseconds / 60000);
  const hours = Math.floor(minutes / 60);
  if (hours >= 96) return _("%(days)s d", { days: Math.floor(hours / 24) });
  if (hours >= 10) return _("%(hours)s h", { hours });
  return `${hours}:${String(minutes % 60).padStart(2, "0")}`;
}
