/* Files for a message: chosen or dropped, uploaded at once, listed with the way to take them out again. */

import { token } from "../partial.js";
import { announce } from "../toast.js";
import { _ } from "../words.js";

const STOPPED = -1;

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
  const remover = (item, name) => button("×", _("Take %(name)s out", { name }), () => (item.remove(), changed()));
  const limit = Number(field.dataset.limitBytes) || Infinity;
  const upload = async (file) => {
    if (file.size > limit) return announce(_("%(name)s is larger than %(most)s MB and was not attached.", { name: file.name, most: Math.floor(limit / 1048576) }), { isError: true });
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.setAttribute("aria-label", _("Uploading %(name)s", { name: file.name }));
    const waiting = document.createElement("li");
    waiting.className = "badge";
    list.append(waiting);
    const sending = sendFile(field.dataset.upload, file, (share) => (bar.value = share));
    const stop = button("×", _("Stop uploading %(name)s", { name: file.name }), sending.stop);
    waiting.append(file.name, bar, stop);
    const { status, answer } = await sending.done;
    waiting.remove();
    if (status === 200) return add(answer);
    if (status === STOPPED) return;
    announce(answer.error?.message ?? _("%(name)s could not be kept. Try again.", { name: file.name }), { isError: true });
  };
  const uploadAll = async (files) => {
    await Promise.all([...files].map(upload));
    changed();
  };

  field.addEventListener("change", () => {
    uploadAll(field.files);
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
    uploadAll(event.dataTransfer.files);
  });

  // What the server listed with the draft gets its way out, too.
  for (const item of list.querySelectorAll("[data-file]")) item.append(remover(item, item.dataset.name));

  return {
    kept: () => [...list.querySelectorAll("[data-file]")].map((item) => ({ key: item.dataset.file, name: item.dataset.name, size: item.dataset.size })),
    restore: (files) => files.forEach(add),
    clear: () => list.replaceChildren(),
  };
}

/* Not fetch, which does not tell how far an upload has come. `done` resolves to the status, 0 where nothing came back. */
function sendFile(address, file, tell) {
  const asking = new XMLHttpRequest();
  const done = new Promise((resolve) => {
    const end = (status) => () => resolve({ status, answer: asking.response ?? {} });
    asking.upload.addEventListener("progress", ({ loaded, total }) => tell(loaded / total));
    asking.addEventListener("load", () => end(asking.status)());
    asking.addEventListener("error", end(0));
    asking.addEventListener("abort", end(STOPPED));
  });
  const body = new FormData();
  body.set("upload", file);
  asking.open("POST", address);
  asking.responseType = "json";
  asking.setRequestHeader("X-CSRFToken", token());
  asking.setRequestHeader("X-Partial", "1");
  asking.send(body);
  return { done, stop: () => asking.abort() };
}

function button(words, label, run) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = words;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", run);
  return element;
}

function hidden(key) {
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = "attachment";
  input.value = key;
  return input;
}
