/* Fetches what data-load names into the element, once: what may come a moment after the first paint. */

import { request } from "../partial.js";

export function attach(element) {
  const load = async () => {
    try {
      const response = await request(element.dataset.load);
      if (!response.ok) return;
      element.innerHTML = await response.text();
      element.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
    } catch {
      /* Said by request; the link inside stays. */
    }
  };
  if (element.matches("details")) element.addEventListener("toggle", () => element.open && load(), { once: true });
  else load();
}
