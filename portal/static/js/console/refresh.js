/* Keeps a page as it is now: asks for its parts (data-parts-url) when a hint concerns it. */

import { partsOf, patchList, patchWhole } from "./patch.js";
import { _ } from "../words.js";

const GATHER_MS = 250;
const AT_LEAST_EVERY_MS = 60000;

export function attach(page) {
  const mine = (hint) => !page.dataset.number || String(hint.number) === page.dataset.number;
  let timer;
  let isAsking = false;
  const ask = async () => {
    timer = undefined;
    if (!page.isConnected) return stop();
    if (isAsking) return soon();
    isAsking = true;
    try {
      const looking = document.visibilityState === "visible" ? "1" : "0";
      const address = new URL(page.dataset.partsUrl, location.href);
      address.searchParams.set("looking", looking);
      // Not by request(): an absence is said once, by live.js, and not by every attempt.
      const response = await fetch(address, { credentials: "same-origin", headers: { "X-Partial": "1" } });
      if (response.ok) show(await response.text());
      else if (response.status === 401) sayEnded();
      else if (response.status === 404 && page.dataset.number) sayGone(page.dataset.number);
    } catch {
      /* The next hint or the next minute tries again. */
    } finally {
      isAsking = false;
    }
  };
  const soon = () => (timer ??= setTimeout(ask, GATHER_MS + Math.random() * GATHER_MS));
  const hear = (event) => event.detail.kind === "ticket_changed" && mine(event.detail) && soon();
  const wake = () => document.visibilityState === "visible" && soon();
  document.addEventListener("portal:live", hear);
  document.addEventListener("portal:catch-up", soon);
  document.addEventListener("portal:changed", soon);
  document.addEventListener("visibilitychange", wake);
  // Clocks run on and other people's hints may be lost.
  const slow = setInterval(wake, AT_LEAST_EVERY_MS);
  const stop = () => {
    clearInterval(slow);
    document.removeEventListener("portal:live", hear);
    document.removeEventListener("portal:catch-up", soon);
    document.removeEventListener("portal:changed", soon);
    document.removeEventListener("visibilitychange", wake);
  };

  function show(html) {
    const parts = partsOf(html);
    // Somebody who has read on for several pages keeps them.
    const rows = page.querySelector("[data-rows]");
    const keepsRest = Boolean(rows && parts.has("rows") && rows.children.length > parts.get("rows").children.length);
    for (const current of page.querySelectorAll("[data-part]")) {
      const fresh = parts.get(current.dataset.part);
      if (!fresh || (keepsRest && current.dataset.part === "foot")) continue;
      if (current.hasAttribute("data-keyed")) patchList(current, fresh, keepsRest && current === rows);
      else patchWhole(current, fresh);
    }
    page.dispatchEvent(new CustomEvent("portal:refreshed", { bubbles: true }));
  }
}

function sayEnded() {
  tell(_("Your session has ended. What you wrote is kept in this browser: reload the page and sign in."));
}

function sayGone(number) {
  tell(_("#%(number)s is not within your reach any more. What you see is how it was; what you write is still here.", { number }));
}

function tell(words) {
  const banner = document.querySelector("[data-live-status]");
  if (!banner) return;
  banner.textContent = words;
  banner.hidden = false;
}
