// The fleet as it goes: the whole once, then what changes, and the whole again where it has to be.

import * as api from "./api.js";

const AGAIN_MS_MIN = 1000;
const AGAIN_MS_MAX = 15_000;

/** `on`: begun(whole), changed(changes), state(word), locked(). */
export class Live {
  #on;
  #stream = null;
  #mark = "";
  #again_ms = AGAIN_MS_MIN;
  #timer = 0;

  constructor(on) {
    this.#on = on;
  }

  /** While nobody sees the page it asks for nothing; a browser has six connections for all pages. */
  pause() {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  /** From where it was; what came meanwhile is told at once. */
  resume() {
    if (this.#mark) this.#listen(this.#mark);
    else this.start();
  }

  async start() {
    this.pause();
    this.#mark = "";
    try {
      const whole = await api.fleet();
      this.#on.begun(whole);
      this.#mark = whole.mark;
      if (!document.hidden) this.#listen(whole.mark);
    } catch (refusal) {
      if (refusal.status === 401) this.#on.locked(refusal);
      else this.#later();
    }
  }

  #listen(mark) {
    this.pause();
    const stream = api.events(mark);
    this.#stream = stream;
    stream.onopen = () => {
      this.#again_ms = AGAIN_MS_MIN;
      this.#on.state("live");
    };
    stream.onmessage = (event) => {
      this.#mark = event.lastEventId;
      this.#on.changed(JSON.parse(event.data));
    };
    stream.addEventListener("reset", () => this.start());
    stream.onerror = () => {
      // The browser comes again by itself, unless it was refused.
      if (stream.readyState === EventSource.CLOSED) this.#later();
      else this.#on.state("waiting");
    };
  }

  #later() {
    this.#on.state("waiting");
    this.#timer = setTimeout(() => this.start(), this.#again_ms);
    this.#again_ms = Math.min(2 * this.#again_ms, AGAIN_MS_MAX);
  }
}
