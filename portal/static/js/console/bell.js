/* The bell: how many are unread, in the tab's title too; the list when somebody opens it; a word when one comes in. */

import { request } from "../partial.js";
import { alertAbout } from "./alerts.js";
import { _ } from "../words.js";

export function attach(menu) {
  const badge = menu.querySelector("[data-bell-count]");
  const list = menu.querySelector("[data-bell-list]");
  const summary = menu.querySelector("summary");

  const count = async () => {
    const response = await fetch(menu.dataset.count, { credentials: "same-origin", headers: { "X-Partial": "1" } }).catch(() => null);
    if (!response?.ok) return;
    const { count: unread, most } = await response.json();
    badge.textContent = unread >= most ? `${most - 1}+` : unread;
    badge.hidden = !unread;
    summary.setAttribute("aria-label", unread ? _("Notifications, %(count)s unread", { count: badge.textContent }) : _("Notifications"));
    title(unread);
  };
  const fill = async () => {
    const response = await request(menu.dataset.list).catch(() => null);
    if (response?.ok) list.innerHTML = await response.text();
  };
  const read = async (id) => {
    const body = new FormData();
    if (id) body.set("id", id);
    await request(menu.dataset.read, { method: "POST", body }).catch(() => null);
    count();
  };

  menu.addEventListener("toggle", () => menu.open && fill());
  menu.addEventListener("click", (event) => {
    const item = event.target.closest("[data-notification]");
    if (item) read(item.dataset.notification);
  });
  menu.addEventListener("submit", async (event) => {
    if (!event.target.matches("[data-bell-read]")) return;
    event.preventDefault();
    await read();
    fill();
  });
  document.addEventListener("portal:live", ({ detail }) => {
    if (detail.kind !== "notified") return;
    count();
    if (menu.open) fill();
    alertAbout(menu.dataset.list);
  });
  document.addEventListener("portal:catch-up", count);
  addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
  count();
}

function title(unread) {
  const plain = document.title.replace(/^\(\d+\+?\) /, "");
  document.title = unread ? `(${unread}) ${plain}` : plain;
}
