/* A link whose page opens as a dialog: the figures of the clocks, the history, where to move a message. */

import { open } from "../dialog.js";
import { messageIn, request } from "../partial.js";
import { announce } from "../toast.js";
import { _ } from "../words.js";

export function attach(link) {
  link.addEventListener("click", async (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    link.closest("details.menu")?.removeAttribute("open");
    try {
      const response = await request(link.href);
      const html = await response.text();
      if (!response.ok) return announce(messageIn(html) || _("That did not work. Try again."), { isError: true });
      show(link.dataset.dialogTitle ?? link.textContent.trim().replace("…", ""), html, link.closest("details.menu")?.querySelector("summary"));
    } catch {
      /* Said by request. */
    }
  });
}

/** Show a piece of a page as a dialog; when it closes, the focus goes back to `backTo`. */
export function show(title, html, backTo) {
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
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The item of the menu that led here is hidden by now.
    backTo?.focus();
  });
  body.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
  open(dialog);
}
