/* The choice that an action on many tickets asks for: with each change, what it will do is shown anew. */

import { request } from "../partial.js";

const REST_MS = 250;

export function attach(form) {
  const plan = form.parentElement.querySelector("[data-planned]");
  let timer;
  let asked = 0;
  const show = async () => {
    const mine = ++asked;
    const body = new FormData(form);
    plan.classList.add("is-loading");
    try {
      const response = await request(form.dataset.plan, { method: "POST", body });
      const html = await response.text();
      // Somebody has chosen something else meanwhile.
      if (mine !== asked) return;
      plan.innerHTML = html;
      plan.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
    } catch {
      /* Said by request. */
    } finally {
      if (mine === asked) plan.classList.remove("is-loading");
    }
  };
  const soon = () => {
    // What stands there belongs to another choice and must not be agreed to any more.
    for (const button of plan.querySelectorAll("button")) button.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(show, REST_MS);
  };
  // Somebody may have chosen before this was there.
  if ([...form.querySelectorAll("select, textarea, .input")].some((field) => field.value)) soon();
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    soon();
  });
}
