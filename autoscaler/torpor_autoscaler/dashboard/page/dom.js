// Small helpers for the document. Texts are always set as text: names come from clients.

export const one = (selector, root = document) => root.querySelector(selector);

/** An element with attributes and children; null children are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name === "on") Object.entries(value).forEach(([type, handler]) => element.addEventListener(type, handler));
    else if (name === "style") Object.entries(value).forEach(([key, each]) => element.style.setProperty(key, each));
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

export function glyph(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#glyph-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Sets the text only where it is another one: so screen readers hear news alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
