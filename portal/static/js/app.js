/* Attaches behaviours: an element with data-behaviour="menu theme" gets ./menu.js and ./theme.js, each loaded once. */

import { startHotkeys } from "./hotkeys.js";
import { startPartials } from "./partial.js";

const version = new URL(import.meta.url).search;
const loaded = new Map();

/** Attach the behaviours of every element below `root` that does not have them yet; data-attached names those it has. */
export async function attachAll(root = document) {
  const elements = [...root.querySelectorAll("[data-behaviour]")];
  if (root instanceof Element && root.matches("[data-behaviour]")) elements.unshift(root);
  for (const element of elements) {
    const wanted = element.dataset.behaviour.split(/\s+/).filter(Boolean);
    const done = (element.attachedBehaviours ??= new Set());
    for (const name of wanted.filter((each) => !done.has(each))) {
      done.add(name);
      load(name)
        .then((module) => module.attach(element))
        .then(() => (element.dataset.attached = `${element.dataset.attached ?? ""} ${name}`.trim()))
        .catch((error) => console.error(name, error));
    }
  }
}

function load(name) {
  if (!loaded.has(name)) loaded.set(name, import(`./${name}.js${version}`));
  return loaded.get(name);
}

document.addEventListener("portal:swapped", (event) => attachAll(event.target));
startHotkeys();
startPartials();
attachAll();
