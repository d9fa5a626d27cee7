/* "Reply", "Reply to all", "Forward" and "Note on it" of one message: the composer takes over what they begin with. */

import { messageIn, request } from "../partial.js";
import { announce } from "../toast.js";

export function attach(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.closest("details")?.removeAttribute("open");
    const body = new FormData(form);
    const response = await request(event.submitter.formAction, { method: "POST", body }).catch(() => null);
    if (!response) return;
    if (!response.ok) return announce(messageIn(await response.text()), { isError: true });
    const begun = await response.json();
    document.getElementById(`${begun.kind}-form`)?.dispatchEvent(new CustomEvent("portal:begun", { detail: begun }));
  });
}
