// What was just done, with the way back.

import { one, setText } from "./dom.js";

/** To read it, to understand it, and to reach for Undo. */
export const UNDO_MS = 8000;

/** A refusal has more to read, and nothing to undo. */
const REFUSAL_MS = 12_000;

export class Toast {
  #element;
  #text;
  #button;
  #timer = 0;
  #undo = null;

  constructor(element) {
    this.#element = element;
    this.#text = one("p", element);
    this.#button = one("button", element);
    this.#button.addEventListener("click", () => this.undo());
  }

  /** Something is under way; `undo` may already be wanted. */
  pending(text, undo) {
    this.#show(text, "pending", undo);
  }

  done(text, undo) {
    this.#show(text, "done", undo, UNDO_MS);
  }

  refused(text) {
    this.#show(text, "refused", null, REFUSAL_MS);
  }

  undo() {
    const undo = this.#undo;
    if (!undo) return false;
    this.hide();
    undo();
    return true;
  }

  hide() {
    clearTimeout(this.#timer);
    this.#undo = null;
    this.#element.hidden = true;
    setText(this.#text, "");
  }

  /** Where it can be seen and reached: a dialog makes everything outside of it inert. */
  rehome() {
    const home = one("dialog[open]") ?? document.body;
    if (this.#element.parentElement !== home) home.append(this.#element);
  }

  #show(text, state, undo, forMs) {
    clearTimeout(this.#timer);
    this.rehome();
    this.#undo = undo;
    this.#element.dataset.state = state;
    this.#element.hidden = false;
    this.#button.hidden = !undo;
    setText(this.#text, text);
    if (forMs) this.#timer = setTimeout(() => this.hide(), forMs);
  }
}
