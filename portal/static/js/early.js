/* Runs before the first paint: the theme that this browser's person chose. */
(() => {
  const chosen = localStorage.getItem("portal-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
