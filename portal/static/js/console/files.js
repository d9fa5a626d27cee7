/* Files for a message: chosen or dropped, uploaded at once, listed with the way to take them out again. */

import { request } from "../partial.js";
import { announce } from "../toast.js";

export function startFiles(form, composer, isHidden, changed) {
  const list = form.querySelector("[data-files]");
  const field = form.querySelector("[data-upload]");

  const add = ({ key, name, size }) => {
    const item = document.createElement("li");
    item.className = "badge";
    item.append(`${name}${size ? ` · ${size}` : ""} `, hidden(key), remover(item, name));
    Object.assign(item.dataset, { file: key, name, size: size ?? "" });
    list.append(item);
  };
  const remover = (item, name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "×";
    button.setAttribute("aria-label", `Take ${name} out`);
    button.addEventListener("click", () => (item.remove(), changed()));
    return button;
  };
  const upload = async (files) => {
    for (const file of files) {
      const waiting = document.createElement("li");
      waiting.className = "badge is-loading";
      waiting.textContent = `${file.name} …`;
      list.append(waiting);
      const body = new FormData();
      body.set("upload", file);
      try {
        const response = await request(field.dataset.upload, { method: "POST", body });
        const answer = await response.json().catch(() => ({}));
        if (response.ok) add(answer);
        else announce(answer.error?.message ?? `${file.name} is too large or could not be kept.`, { isError: true });
      } catch {
        /* Said by request. */
      } finally {
        waiting.remove();
      }
    }
    changed();
  };

  field.addEventListener("change", () => {
    upload([...field.files]);
    field.value = "";
  });
  composer.addEventListener("dragover", (event) => {
    if (isHidden() || !event.dataTransfer.types.includes("Files")) return;
    // A picture dropped into the text goes into the text.
    if (event.target.closest(".ck-editor__editable")) return;
    event.preventDefault();
    composer.classList.add("is-dropping");
  });
  composer.addEventListener("dragleave", () => composer.classList.remove("is-dropping"));
  composer.addEventListener("drop", (event) => {
    composer.classList.remove("is-dropping");
    if (isHidden() || event.defaultPrevented || event.target.closest(".ck-editor__editable")) return;
    event.preventDefault();
    upload([...event.dataTransfer.files]);
  });

  // What the server listed with the draft gets its way out, too.
  for (const item of list.querySelectorAll("[data-file]")) item.append(remover(item, item.dataset.name));

  return {
    kept: () => [...list.querySelectorAll("[data-file]")].map((item) => ({ key: item.dataset.file, name: item.dataset.name, size: item.dataset.size })),
    restore: (files) => files.forEach(add),
    clear: () => list.replaceChildren(),
  };
}

function hidden(key) {
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = "attachment";
  input.value = key;
  return input;
}
