/* What select2 leaves out for people who do not see: its boxes get the names of their labels, its lists no false role. */

const mend = () => {
  for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
    const box = select.nextElementSibling;
    const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`)?.textContent.trim() ?? select.name;
    for (const part of box?.querySelectorAll("[role=combobox], [role=textbox], [role=searchbox]") ?? []) part.setAttribute("aria-label", label);
    for (const list of box?.querySelectorAll("ul") ?? []) {
      list.setAttribute("role", "none");
      for (const item of list.querySelectorAll("li")) item.setAttribute("role", "none");
    }
  }
};

addEventListener("load", () => {
  mend();
  // It writes its boxes anew whenever something is chosen.
  let isDue = false;
  new MutationObserver(() => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      mend();
    });
  }).observe(document.querySelector("main"), { childList: true, subtree: true });
});
