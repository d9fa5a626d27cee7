/* Forms of the ticket: sent without leaving the page; a choice (data-at-once) is sent when it is made. */

import { messageIn, request } from "../partial.js";
import { announce } from "../toast.js";
import { forget, remember } from "../undo.js";
import { _ } from "../words.js";

export function attach(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, event.submitter);
  });
  if (form.hasAttribute("data-at-once")) form.addEventListener("change", () => form.requestSubmit());
  for (const select of form.querySelectorAll("select[data-choices]")) fillLate(select);
}

async function send(form, submitter) {
  const body = new FormData(form, submitter);
  const buttons = [...form.querySelectorAll("button")];
  buttons.forEach((button) => (button.disabled = true));
  try {
    const response = await request(submitter?.getAttribute("formaction") || form.action, { method: "POST", body });
    if (!response.ok) return refuse(form, messageIn(await response.text()));
    const answer = await response.json();
    const { action } = answer;
    if (action?.kept) remember({ says: answer.says, label: action.label, post: action.post, fields: action.fields, ...action.kept });
    if (answer.url) return location.assign(answer.url);
    form.closest("details[data-busy], details.menu")?.removeAttribute("open");
    document.activeElement?.blur();
    form.dispatchEvent(new CustomEvent("portal:done", { bubbles: true }));
    form.closest("dialog")?.close();
    if (answer.says && (answer.is_news || !form.hasAttribute("data-quiet"))) {
      announce(answer.says, { action: actionOf(action), seconds: action?.seconds });
    }
    document.dispatchEvent(new CustomEvent("portal:changed"));
  } catch {
    /* Said by request. */
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
}

/* What can be done next, said by the answer: go somewhere, or take it back. */
function actionOf(wanted) {
  if (!wanted) return undefined;
  const run = wanted.post ? () => post(wanted.post, wanted.fields) : () => location.assign(wanted.url);
  return { label: wanted.label, run };
}

/** Take something back, and say how it went. */
export async function post(address, fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  try {
    const response = await request(address, { method: "POST", body });
    // What went wrong within the server may go well the next time; a refusal stays one.
    if (response.status < 500) forget({ fields });
    if (!response.ok) return announce(messageIn(await response.text()), { isError: true });
    announce((await response.json()).says);
    document.dispatchEvent(new CustomEvent("portal:changed"));
  } catch {
    /* Said by request. */
  }
}

/* The words stand where the form is; a choice goes back to what it was. */
function refuse(form, message) {
  const words = message || _("That did not work. Nothing was changed; try again.");
  const place = form.querySelector("[data-fault]");
  if (place) {
    place.textContent = words;
    place.hidden = false;
    form.querySelector("textarea, input:not([type=hidden])")?.focus();
  } else {
    announce(words, { isError: true });
    if (form.hasAttribute("data-at-once")) form.reset();
  }
}

/* A choice whose options are fetched when somebody is about to choose. */
function fillLate(select) {
  const fill = async () => {
    if (select.isFilled) return;
    select.isFilled = true;
    try {
      const response = await request(select.dataset.choices);
      if (!response.ok) return;
      const known = new Set([...select.options].map((option) => option.value));
      for (const { value, label } of (await response.json())[select.name] ?? []) {
        if (!known.has(String(value))) select.add(new Option(label, value));
      }
    } catch {
      select.isFilled = false;
    }
  };
  select.addEventListener("pointerenter", fill);
  select.addEventListener("focus", fill);
}
