/* The side column as a drawer on narrow screens. */

export function attach(button) {
  const drawer = document.getElementById(button.getAttribute("aria-controls"));
  const set = (isOpen) => {
    drawer?.classList.toggle("is-open", isOpen);
    button.setAttribute("aria-expanded", String(isOpen));
  };
  button.addEventListener("click", () => set(button.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") set(false);
  });
}
