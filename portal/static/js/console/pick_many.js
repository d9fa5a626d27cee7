/* A list of boxes behind a line: the line says at once what is chosen. */

import { _ } from "../words.js";

export function attach(details) {
  const said = details.querySelector("[data-said]");
  details.addEventListener("change", () => {
    const chosen = [...details.querySelectorAll("input:checked")].map((box) => box.closest("label").textContent.trim());
    said.textContent = chosen.join(", ") || _("Any");
  });
}
