/*
 * What comes out of the clipboard, cleaned before the editor looks at it: nothing that runs, nothing that asks another
 * host. The server cleans again whatever is sent.
 */

const NEVER = "script, iframe, object, embed, form, input, button, select, textarea, link, base, meta[http-equiv]";
const OURS = /^(data:image\/|blob:|file:|cid:)/i;

/**
 * The same HTML, fit for the editor. `nonce` is the page's: Word and Excel say in a style sheet whether a list has
 * bullets or numbers, and even to be read, never applied, such a sheet needs it under the page's policy.
 */
export function cleaned(html, nonce) {
  const marked = nonce ? html.replace(/<style\b/gi, `<style nonce="${nonce}"`) : html;
  const page = new DOMParser().parseFromString(marked, "text/html");
  for (const element of page.querySelectorAll(NEVER)) element.remove();
  for (const image of page.querySelectorAll("img")) {
    const source = image.getAttribute("src") ?? "";
    if (!OURS.test(source) && !isHere(source)) image.replaceWith(image.getAttribute("alt") ?? "");
  }
  for (const element of page.querySelectorAll("*")) {
    for (const { name, value } of [...element.attributes]) {
      const isScript = /^\s*(javascript|vbscript):/i.test(value);
      if (name.startsWith("on") || isScript || name === "srcset") element.removeAttribute(name);
    }
  }
  return page.documentElement.outerHTML;
}

function isHere(address) {
  try {
    return new URL(address, location.href).origin === location.origin;
  } catch {
    return false;
  }
}
