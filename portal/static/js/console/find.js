/* A search whose finds stand below it as one types (data-find), to be chosen from. */

import { request } from "../partial.js";

const GATHER_MS = 200;

export function attach(place) {
  const search = place.querySelector("input[type=search]");
  const found = place.querySelector("[data-found]");
  // What is read aloud must have been there before it changes.
  const said = place.querySelector("[data-said]");
  let timer;
  let asked = 0;
  const ask = async () => {
    const mine = ++asked;
    const address = new URL(place.dataset.find, location.href);
    address.searchParams.set("q", search.value);
    try {
      const response = await request(address);
      const html = await response.text();
      // Answers may overtake each other: the one to the newest question counts.
      if (!response.ok || mine !== asked) return;
      show(found, html);
      said.textContent = found.querySelector("legend")?.textContent.trim() ?? "";
    } catch {
      /* Said by request. */
    }
  };
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, GATHER_MS);
  });
  // Somebody may have been faster than this module.
  if (search.value !== search.defaultValue) ask();
  search.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(timer);
    await ask();
    choose(found);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    choose(found);
  });
}

/* What somebody has chosen already stays chosen where it is found again, and keeps the focus it has. */
function show(found, html) {
  const chosen = found.querySelector("input[type=radio]:checked");
  const isFocused = chosen !== null && chosen === document.activeElement;
  found.innerHTML = html;
  const again = [...found.querySelectorAll("input[type=radio]")].find((radio) => radio.value === chosen?.value);
  if (!again) return;
  again.checked = true;
  if (isFocused) again.focus();
}

function choose(found) {
  const first = found.querySelector("input[type=radio]");
  if (!first) return;
  first.checked = true;
  first.focus();
}
