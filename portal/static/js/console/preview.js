/*
 * A file of a message, shown above the page: a picture or a PDF. The arrow keys go to the message's other files that
 * can be shown; Escape goes back to the page. Without this module the link opens the file in a tab of its own.
 */

import { open } from "../dialog.js";
import { _ } from "../words.js";

export function attach(link) {
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    show([...link.closest(".files").querySelectorAll("[data-preview]")], link);
  });
}

function show(links, chosen) {
  const dialog = document.createElement("dialog");
  dialog.className = "preview";
  const title = document.createElement("h2");
  const stage = document.createElement("div");
  stage.className = "preview-stage";
  const tab = anchor(_("Open in a tab"), { target: "_blank", rel: "noopener" });
  const download = anchor(_("Download"), { download: "" });
  const before = button("‹", _("File before"), () => step(-1));
  const after = button("›", _("Next file"), () => step(1));
  const close = button(_("Close"), "", () => dialog.close());
  const head = document.createElement("div");
  head.className = "dialog-head";
  head.append(title, ...(links.length > 1 ? [before, after] : []), tab, download, close);
  dialog.append(head, stage);

  let at = links.indexOf(chosen);
  const step = (by) => turnTo((at + by + links.length) % links.length);
  const turnTo = (index) => {
    at = index;
    const link = links[at];
    const name = link.querySelector(".file-name").textContent;
    title.textContent = links.length > 1 ? `${name} (${at + 1}/${links.length})` : name;
    dialog.setAttribute("aria-label", name);
    tab.href = download.href = link.href;
    download.download = name;
    stage.replaceChildren(link.dataset.preview === "pdf" ? pdf(link.href, name) : picture(link.href, name));
  };
  dialog.addEventListener("keydown", (event) => {
    if (links.length < 2 || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    event.preventDefault();
    step(event.key === "ArrowLeft" ? -1 : 1);
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    links[at].focus();
  });
  turnTo(at);
  document.body.append(dialog);
  open(dialog);
  close.focus();
}

function picture(address, name) {
  const image = new Image();
  image.alt = name;
  image.addEventListener("error", () => {
    const fault = document.createElement("p");
    fault.className = "muted";
    fault.textContent = _("This picture cannot be shown. Download it to look at it.");
    image.replaceWith(fault);
  });
  image.src = address;
  return image;
}

function pdf(address, name) {
  const frame = document.createElement("iframe");
  frame.title = name;
  frame.src = address;
  return frame;
}

function anchor(words, attributes) {
  const link = document.createElement("a");
  link.className = "button";
  link.textContent = words;
  for (const [name, value] of Object.entries(attributes)) link.setAttribute(name, value);
  return link;
}

function button(words, label, run) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = `button${label ? " button-quiet button-icon" : ""}`;
  element.textContent = words;
  if (label) element.setAttribute("aria-label", label);
  element.addEventListener("click", run);
  return element;
}
