/*
 * What scripts say, in the language of the page: `_(…)` around a text in double quotes, with %(named)s places
 * for the values. The shell brings the other languages' words as JSON; what it does not bring is said in English.
 */

const words = JSON.parse(document.getElementById("script-words")?.textContent || "{}");

export function _(message, values = {}) {
  return (words[message] ?? message).replace(/%\((\w+)\)s/g, (place, name) => values[name] ?? place);
}
