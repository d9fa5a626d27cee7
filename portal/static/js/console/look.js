/* A look that is chosen in the settings shows at once, and takes the place of what this browser had chosen by itself. */

export function attach(select) {
  select.addEventListener("change", () => {
    if (select.name === "theme") localStorage.removeItem("portal-theme");
    document.documentElement.dataset[select.name] = select.value;
  });
}
