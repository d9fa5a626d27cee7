/* "Send later": the usual times, one click each. The field takes the writer's own time, without a zone. */

const PRESETS = [
  ["In an hour", (at) => at.setHours(at.getHours() + 1)],
  ["Tomorrow 9:00", (at) => (at.setDate(at.getDate() + 1), at.setHours(9, 0))],
  ["Monday 9:00", (at) => (at.setDate(at.getDate() + ((8 - at.getDay()) % 7 || 7)), at.setHours(9, 0))],
];

export function startLater(form) {
  const panel = form.querySelector("[data-later]");
  if (!panel) return;
  const field = panel.querySelector("input");
  panel.querySelector("[data-presets]").append(
    ...PRESETS.map(([label, move]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "chip";
      button.textContent = label;
      button.addEventListener("click", () => {
        const at = new Date();
        move(at);
        field.value = local(at);
      });
      return button;
    }),
  );
  panel.closest("details").addEventListener("toggle", () => {
    field.min = local(new Date());
  });
}

function local(at) {
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
