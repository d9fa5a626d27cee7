/* A link whose page opens as a dialog: the figures of the clocks, the history. */

import { open } from "../dialog.js";
import { request } from "../partial.js";

export function attach(link) {
  link.addEventListener("click", async (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const response = await request(link.href);
      if (response.ok) show(link.textContent.trim(), await response.text());
    } catch {
      /* Said by request. */
    }
  });
}

function show(title, html) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog-wide";
  dialog.setAttribute("aria-label", title);
  const head = document.createElement("div");
  head.className = "dialog-head";
  head.innerHTML = '<h2></h2><button type="button" class="button button-quiet" data-close>Close</button>';
  head.firstChild.textContent = title;
  const body = document.createElement("div");
  body.className = "dialog-body";
  body.innerHTML = html;
  dialog.append(head, body);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  open(dialog);
}
