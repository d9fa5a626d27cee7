/*
 * Pieces of pages without reloading: data-get or data-post with an address, data-target with a selector.
 * The server renders the same partial that the full page uses; without this module, links and forms work as they are.
 */

import { announce } from "./toast.js";
import { _ } from "./words.js";

export const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** Ask for a partial. Resolves to the response; a failure is told in words and rejects. */
export async function request(address, { method = "GET", body } = {}) {
  let response;
  try {
    response = await fetch(address, {
      method,
      body,
      credentials: "same-origin",
      headers: { "X-Partial": "1", ...(method === "GET" ? {} : { "X-CSRFToken": token() }) },
    });
  } catch {
    announce(_("The server cannot be reached. What you wrote is still here."), { isError: true });
    throw new Error("unreachable");
  }
  if (response.redirected && new URL(response.url).pathname.startsWith("/login")) {
    location.assign(response.url);
    throw new Error("signed out");
  }
  return response;
}

/** Put HTML in the place of an element's content (or of the element, with "outer") and attach what it needs. */
export function swap(target, html, how = "inner") {
  const active = document.activeElement?.id;
  if (how === "outer") {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    const fresh = template.content.firstElementChild;
    if (!fresh) return target;
    target.replaceWith(fresh);
    target = fresh;
  } else {
    target.innerHTML = html;
  }
  if (active && !document.activeElement?.id) document.getElementById(active)?.focus({ preventScroll: true });
  target.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
  return target;
}

/** Load a partial into a target. */
export async function loadInto(target, address, options = {}) {
  target.classList.add("is-loading");
  target.setAttribute("aria-busy", "true");
  try {
    const response = await request(address, options);
    const html = await response.text();
    if (!response.ok && response.status !== 409 && response.status !== 422) {
      announce(messageIn(html) || _("That did not work. Try again."), { isError: true });
      return null;
    }
    return swap(target, html, options.how);
  } finally {
    target.classList.remove("is-loading");
    target.removeAttribute("aria-busy");
  }
}

export function messageIn(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.querySelector("[data-error]")?.textContent.trim() ?? "";
}

export function startPartials() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-get]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    loadInto(targetOf(link), link.dataset.get, { how: link.dataset.swap });
    if (link.dataset.push) history.pushState({}, "", link.dataset.push);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-target]");
    if (!form) return;
    event.preventDefault();
    const body = new FormData(form, event.submitter);
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    loadInto(targetOf(form), form.action, { method: "POST", body, how: form.dataset.swap }).finally(() =>
      buttons.forEach((button) => (button.disabled = false)),
    );
  });
}

function targetOf(element) {
  const wanted = element.dataset.target;
  return wanted === "self" ? element : document.querySelector(wanted) ?? element;
}
