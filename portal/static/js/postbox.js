/* Looks for new mail every two seconds while the page is seen. */

const EVERY_MS = 2000;

export function attach(list) {
  let last = list.innerHTML.trim();
  setInterval(async () => {
    if (document.hidden) return;
    const response = await fetch(list.dataset.address, { headers: { "X-Partial": "1" } }).catch(() => null);
    if (!response?.ok) return;
    const html = (await response.text()).trim();
    if (html === last) return;
    last = html;
    list.innerHTML = html;
  }, EVERY_MS);
}
