/* A button that unfolds what aria-controls names. */

export function attach(button) {
  button.addEventListener("click", () => {
    const part = document.getElementById(button.getAttribute("aria-controls"));
    const isOpen = part?.toggleAttribute("hidden") === false;
    button.setAttribute("aria-expanded", String(isOpen));
  });
}
