/* The open ticket: begins at its newest words, gets older ones, and gives way to another from the list beside. */

import { request, swap } from "../partial.js";

export function attach(ticket) {
  const thread = ticket.querySelector("[data-thread]");
  stayAtEnd(thread);
  ticket.addEventListener("click", (event) => {
    const older = event.target.closest("[data-older]");
    if (!older) return;
    event.preventDefault();
    showOlder(thread, older);
  });
  ticket.addEventListener("portal:refreshed", () => {
    const newest = [...ticket.querySelectorAll(".entries > .letter")].at(-1);
    if (newest?.classList.contains("is-new")) newest.scrollIntoView({ block: "nearest" });
  });
  startOpening();
}

/* Frames grow as they load; until somebody scrolls, the newest words stay in sight. */
function stayAtEnd(thread) {
  if (location.hash) return;
  const end = () => (thread.scrollTop = thread.scrollHeight);
  end();
  const sizes = new ResizeObserver(end);
  for (const each of [thread, ...thread.children]) sizes.observe(each);
  const rest = () => sizes.disconnect();
  for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"]) thread.addEventListener(kind, rest, { once: true });
  setTimeout(rest, 4000);
}

async function showOlder(thread, older) {
  const response = await request(older.dataset.older);
  if (!response.ok) return;
  const before = thread.scrollHeight - thread.scrollTop;
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  const fresh = [...template.content.children];
  older.closest(".older").replaceWith(...fresh);
  thread.scrollTop = thread.scrollHeight - before;
  fresh.forEach((each) => each.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true })));
}

function startOpening() {
  if (startOpening.isDone) return;
  startOpening.isDone = true;
  document.addEventListener("click", (event) => {
    const row = event.target.closest("[data-beside] a.row");
    if (!row || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    openHere(row.href, true);
  });
  addEventListener("popstate", () => openHere(location.href, false));
}

async function openHere(address, isNew) {
  const current = document.querySelector("[data-ticket]");
  current.querySelector(".column-main")?.classList.add("is-loading");
  let response;
  try {
    response = await request(address);
  } catch {
    return current.querySelector(".column-main")?.classList.remove("is-loading");
  }
  if (!response.ok) return location.assign(address);
  if (isNew) history.pushState({}, "", address);
  current.dispatchEvent(new CustomEvent("portal:left"));
  const ticket = swap(current, await response.text(), "outer");
  document.title = document.title.replace(/^.*(?= – )/, ticket.dataset.title);
  mark(ticket.dataset.number);
}

function mark(number) {
  const beside = document.querySelector("[data-beside]");
  if (!beside) return;
  const parts = new URL(beside.dataset.partsUrl, location.href);
  parts.searchParams.set("current", number);
  beside.dataset.partsUrl = parts.pathname + parts.search;
  for (const row of beside.querySelectorAll("a.row")) {
    const isCurrent = row.parentElement.id === `row-${number}`;
    row.toggleAttribute("aria-current", isCurrent);
    if (isCurrent) {
      row.setAttribute("aria-current", "true");
      row.classList.remove("is-unread");
      row.querySelector(".unread")?.remove();
    }
  }
}
