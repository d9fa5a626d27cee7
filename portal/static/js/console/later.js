/* "Send later": the usual times, one click each. All of them stand in the zone of the writer's profile, whatever the
 * machine's clock is set to: the server names them, and reads the field in that zone. */

export function startLater(form) {
  const panel = form.querySelector("[data-later]");
  if (!panel) return;
  const field = panel.querySelector("input");
  const presets = panel.querySelector("[data-presets]");
  presets.hidden = false;
  presets.addEventListener("click", (event) => {
    const preset = event.target.closest("[data-at]");
    if (preset) field.value = preset.dataset.at;
  });
  // The page may have stood open for hours.
  panel.closest("details").addEventListener("toggle", () => {
    field.min = wallClock(panel.dataset.zone);
    for (const preset of presets.children) preset.hidden = Date.parse(preset.dataset.moment) <= Date.now();
  });
}

/* The time that clocks in that zone show now, as a field for a date and time holds it. Swedes write dates so. */
function wallClock(timeZone) {
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  return parts.format(new Date()).replace(" ", "T");
}
