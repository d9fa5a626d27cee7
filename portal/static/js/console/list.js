/* A list of tickets: j and k move, o or Enter opens, more rows come when the end is near. */

import { isTyping } from "../hotkeys.js";
import { request } from "../partial.js";

export function attach(list) {
  // Hotkeys work where the list has the page, and beside a ticket as well.
  document.addEventListener("keydown", (event) => {
    if (!list.isConnected || event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "j" || event.key === "k") move(list, event.key === "j" ? 1 : -1, event);
    if (event.key === "o") open(list, event);
  });
  list.addEventListener("click", (event) => {
    const more = event.target.closest("[data-more]");
    if (!more) return;
    event.preventDefault();
    load(more);
  });
  watchEnd(list);
  list.addEventListener("portal:swapped", () => watchEnd(list));
}

const rowsOf = (list) => [...list.querySelectorAll("a.row")];

/** Put the focus on the next row, or the one before, and give it. */
export function move(list, step, event) {
  const rows = rowsOf(list);
  if (!rows.length) return;
  event.preventDefault();
  const focused = rows.indexOf(document.activeElement?.closest(".row-box")?.querySelector("a.row"));
  const current = focused >= 0 ? focused : rows.findIndex((row) => row.getAttribute("aria-current"));
  const next = rows[Math.min(Math.max(current + step, 0), rows.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return next;
}

function open(list, event) {
  const row = rowsOf(list).find((each) => each === document.activeElement);
  if (!row) return;
  event.preventDefault();
  row.click();
}

function watchEnd(list) {
  const more = list.querySelector("[data-more]");
  if (!more || more.isWatched) return;
  more.isWatched = true;
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    load(more);
  }, { rootMargin: "600px" }).observe(more);
}

async function load(more) {
  if (more.getAttribute("aria-busy")) return;
  more.setAttribute("aria-busy", "true");
  try {
    const response = await request(more.dataset.more);
    if (!response.ok) return more.removeAttribute("aria-busy");
    const template = document.createElement("template");
    template.innerHTML = await response.text();
    const rows = more.closest("[data-list]")?.querySelector("[data-rows]");
    const fresh = [...template.content.querySelectorAll("[data-rows] > *")];
    rows.append(...fresh.filter((each) => !document.getElementById(each.id)));
    const foot = template.content.querySelector("[data-more]");
    const place = more.closest(".list-foot");
    if (foot) place.replaceWith(foot.closest(".list-foot"));
    else place.remove();
    rows.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
  } catch {
    more.removeAttribute("aria-busy");
  }
}
