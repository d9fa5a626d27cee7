/* Tabs after the ARIA pattern: arrows move, the chosen panel shows, and the choice is told to whoever listens. */

export function attach(list) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];
  const choose = (tab, focus = true) => {
    for (const each of tabs) {
      const isChosen = each === tab;
      each.setAttribute("aria-selected", String(isChosen));
      each.tabIndex = isChosen ? 0 : -1;
      const panel = document.getElementById(each.getAttribute("aria-controls"));
      if (panel) panel.hidden = !isChosen && panel.id !== tab.getAttribute("aria-controls");
    }
    if (focus) tab.focus();
    list.dispatchEvent(new CustomEvent("portal:tab", { bubbles: true, detail: tab }));
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose(tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length]);
  });
}
