/* Light, dark, or like the system; kept in this browser. */

export function attach(group) {
  const buttons = [...group.querySelectorAll("[data-theme-choice]")];
  const show = () => {
    const chosen = document.documentElement.dataset.theme || "system";
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen)));
  };
  group.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    document.documentElement.dataset.theme = button.dataset.themeChoice;
    localStorage.setItem("portal-theme", button.dataset.themeChoice);
    show();
  });
  show();
}
