/* Keeps a page as it is now: asks for its parts (data-parts-url) when a hint concerns it. */

import { request } from "../partial.js";
import { partsOf, patchList, patchWhole } from "./patch.js";

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
      const response = await request(address);
      if (response.ok) show(await response.text());
    } catch {
      /* Said by request; the next hint or the next minute tries again. */
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
    for (const current of page.querySelectorAll("[data-part]")) {
      const fresh = parts.get(current.dataset.part);
      if (!fresh) continue;
      if (current.hasAttribute("data-keyed")) patchList(current, fresh);
      else patchWhole(current, fresh);
    }
    page.dispatchEvent(new CustomEvent("portal:refreshed", { bubbles: true }));
  }
}
