/* A <details> that behaves as a menu: closes on Escape and outside, arrows move through its items. */

export function attach(menu) {
  const items = () => [...menu.querySelectorAll(".menu-panel :is(a, button, input:not([type=hidden])):not([disabled])")];
  menu.addEventListener("toggle", () => {
    menu.querySelector("summary").setAttribute("aria-expanded", String(menu.open));
    // In a column that scrolls, the panel may begin below what is seen of it.
    if (menu.open) menu.querySelector(".menu-panel").scrollIntoView({ block: "nearest" });
    if (menu.open) (menu.querySelector("[data-autofocus]") ?? items()[0])?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
      event.stopPropagation();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !menu.open) return;
    event.preventDefault();
    const all = items();
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
  });
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
}
