// The story of one database: how it last woke and why that took its time, why it is awake, who is
// connected, what was decided. It rises from below on a phone and stands beside on a desk.

import * as api from "./api.js";
import { bars, sentence } from "./chain.js";
import { glyph, make, one, setText } from "./dom.js";
import * as words from "./words.js";

/** It is asked for again after a change, and so often without one. */
const AGAIN_MS = 5000;
const AGAIN_MS_MIN = 1500;

const WAKES = ["resume", "failover"];

const KINDS = { resume: "Wake", failover: "Failover", suspend: "Sleep", switchover: "Move" };

const WHY_AWAKE = "Why it is awake";
const WHAT_HINDERS = "What hinders it";

const UNFINISHED = "Awake, and nobody has got a first row yet.";
const RECORDED = "From its record, where parts of steps are not kept.";

/** `act(name, verb)`: verb is suspend or resume. `closed()`: the sheet is not there any more. */
export class Sheet {
  #dialog;
  #on;
  #name = "";
  #row = null;
  #story = null;
  #chosen = null;
  #parts = {};
  #timer = 0;
  #asked_ms = 0;
  #shown = new Map();

  constructor(dialog, on) {
    this.#dialog = dialog;
    this.#on = on;
    // The event comes later than the closing: the way forward may have opened it again meanwhile.
    dialog.addEventListener("close", () => dialog.open || this.#left());
    // A tap beside the sheet is on the dialog itself.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  get name() {
    return this.#name;
  }

  open(row) {
    this.#name = row.name;
    this.#story = null;
    this.#chosen = null;
    this.#shown.clear();
    this.#build();
    this.changed(row);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
  }

  close() {
    this.#dialog.close();
    this.#left();
  }

  #left() {
    if (!this.#name) return;
    clearTimeout(this.#timer);
    this.#name = "";
    this.#on.closed();
  }

  /** The row is another one now; the story may be as well. */
  changed(row) {
    this.#row = row;
    this.#drawHead();
    this.#drawWhy();
    clearTimeout(this.#timer);
    const passed = performance.now() - this.#asked_ms;
    this.#timer = setTimeout(() => this.#ask(), this.#story ? Math.max(0, AGAIN_MS_MIN - passed) : 0);
  }

  async #ask() {
    clearTimeout(this.#timer);
    const name = this.#name;
    if (document.hidden) {
      this.#timer = setTimeout(() => this.#ask(), AGAIN_MS);
      return;
    }
    this.#asked_ms = performance.now();
    try {
      const story = await api.story(name);
      if (name !== this.#name) return;
      this.#story = story;
      this.#draw();
    } catch (refusal) {
      if (name !== this.#name) return;
      if (refusal.status === 401) return this.#on.locked(refusal);
      setText(this.#parts.trouble, refusal.message);
    }
    this.#timer = setTimeout(() => this.#ask(), AGAIN_MS);
  }

  #build() {
    const section = (title) => {
      const body = make("div", {});
      const head = make("h3", {}, title);
      return { element: make("section", {}, head, body), head, body };
    };
    const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, glyph("close"));
    close.addEventListener("click", () => this.close());
    const act = make("button", { type: "button", class: "act" });
    act.addEventListener("click", () => this.#on.act(this.#name, act.dataset.verb));
    const parts = {
      gem: make("span", { class: "gem", "aria-hidden": "true" }, glyph("Suspended")),
      name: make("h2", { id: "sheet-name" }),
      facts: make("p", { class: "facts" }),
      trouble: make("p", { class: "trouble", role: "alert" }),
      transition: make("section", { class: "transition", "aria-live": "off" }, make("p", { class: "nothing" }, "Asking…")),
      history: section("Earlier"),
      why: section(WHY_AWAKE),
      sessions: section("Sessions"),
      decisions: section("Decisions"),
      act,
    };
    this.#parts = parts;
    const head = make("header", {}, parts.gem, make("div", {}, parts.name, parts.facts), close);
    const story = make(
      "div",
      { class: "story" },
      parts.trouble,
      parts.transition,
      parts.why.element,
      parts.sessions.element,
      parts.history.element,
      parts.decisions.element,
    );
    const panel = make("article", { "data-phase": "" }, head, story, make("footer", {}, act));
    parts.panel = panel;
    // The toast may be in here while the dialog is open: it stays.
    const toast = one("#toast", this.#dialog);
    this.#dialog.replaceChildren(panel, ...(toast ? [toast] : []));
  }

  #drawHead() {
    const { panel, gem, name, facts, act } = this.#parts;
    const row = this.#row;
    panel.dataset.phase = row.phase;
    one("use", gem).setAttribute("href", `#glyph-${row.phase}`);
    setText(name, row.name);
    const size = words.isAwake(row) ? `${words.number(row.cu)} of ${words.cu(row.maxCu)}` : `up to ${words.cu(row.maxCu)}`;
    setText(facts, [words.phase(row.phase), size, words.wakes(row)].join(" · "));
    const verb = words.isAwake(row) ? "suspend" : "resume";
    act.dataset.verb = verb;
    setText(act, verb === "suspend" ? "Suspend" : "Resume");
  }

  #draw() {
    const { row, transitions } = this.#story;
    setText(this.#parts.trouble, "");
    const latest = transitions.find((each) => WAKES.includes(each.kind)) ?? null;
    const chosen = transitions.find((each) => keyOf(each) === this.#chosen) ?? latest;
    this.#fill("transition", [chosen, row.last_wake_at], this.#parts.transition, () => this.#transition(chosen, chosen === latest));
    this.#drawWhy();
    const seen = this.#story.sessions.map((each) => ({ ...each, since_s: words.duration(each.since_s) }));
    this.#fill("sessions", [seen, this.#story.missing], this.#parts.sessions.body, () => sessions(this.#story));
    this.#fill("history", [transitions, chosen && keyOf(chosen)], this.#parts.history.body, () => this.#history(transitions, chosen));
    this.#fill("decisions", this.#story.decisions, this.#parts.decisions.body, () => decisions(this.#story));
    this.#parts.history.element.hidden = transitions.length < 2;
    this.#parts.decisions.element.hidden = !this.#story.decisions.length;
  }

  /** Reasons are shown below the phase that they are of, and none while they are of another one:
  what is told of the fleet and what is told of one database come by ways of their own. */
  #drawWhy() {
    const { element, head, body } = this.#parts.why;
    const isAwake = words.isAwake(this.#row);
    const told = this.#story?.reasons_phase === this.#row.phase ? this.#story.reasons : null;
    element.hidden = told ? !told.length : !isAwake;
    setText(head, isAwake ? WHY_AWAKE : WHAT_HINDERS);
    this.#fill("why", told, body, () => reasons(told));
  }

  /** Only what has changed is made anew: nobody loses his place. */
  #fill(key, facts, element, children) {
    const text = JSON.stringify(facts);
    if (this.#shown.get(key) === text) return;
    this.#shown.set(key, text);
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    element.replaceChildren(...children());
    if (focused) one(`[data-key="${CSS.escape(focused)}"]`, element)?.focus();
  }

  #transition(chosen, isLatest) {
    if (!chosen) return this.#unknown();
    const title = isLatest ? "Last wake" : `${KINDS[chosen.kind] ?? chosen.kind}`;
    const head = make("h3", {}, title, " ", time(chosen.at));
    const told = [head, make("p", { class: "total" }, make("strong", {}, words.ms(chosen.total_ms)))];
    if (chosen.failure) told.push(make("p", { class: "trouble" }, `Came to nothing: ${chosen.failure}`));
    const said = sentence(chosen);
    if (said.length) told.push(make("p", { class: "reason" }, ...said));
    if (chosen.cause) told.push(make("p", { class: "cause" }, chosen.kind === "suspend" ? "Because: " : "Woken by: ", chosen.cause));
    if (chosen.is_recorded) told.push(make("p", { class: "nothing" }, RECORDED));
    if (chosen.is_unfinished) told.push(make("p", { class: "nothing" }, UNFINISHED));
    told.push(bars(chosen));
    return told;
  }

  #unknown() {
    const { row, since } = this.#story;
    const head = make("h3", {}, "Last wake", " ", row.last_wake_at ? time(row.last_wake_at) : "");
    if (row.last_wake_ms == null)
      return [head, make("p", { class: "nothing" }, "It has not woken yet.")];
    const lost = `Its steps are not kept any more: what is known begins ${words.ago(since)}.`;
    return [head, make("p", { class: "total" }, make("strong", {}, words.ms(row.last_wake_ms))), make("p", { class: "nothing" }, lost)];
  }

  #history(transitions, chosen) {
    const longest = Math.max(...transitions.map((each) => each.total_ms), 0.001);
    const line = (each) => {
      const is = chosen && keyOf(each) === keyOf(chosen);
      const button = make(
        "button",
        { type: "button", "aria-pressed": String(Boolean(is)), "data-key": keyOf(each), class: each.kind },
        make("span", { class: "kind" }, (KINDS[each.kind] ?? each.kind) + (each.failure ? " (failed)" : "")),
        make("span", { class: "track", "aria-hidden": "true" }, make("i", { class: "bar", style: { width: `${((100 * each.total_ms) / longest).toFixed(1)}%` } })),
        make("span", { class: "took" }, words.ms(each.total_ms)),
        time(each.at),
      );
      button.addEventListener("click", () => {
        this.#chosen = keyOf(each);
        this.#draw();
        this.#parts.transition.scrollIntoView({ block: "start" });
      });
      return make("li", {}, button);
    };
    return [make("ol", { class: "history" }, transitions.map(line))];
  }
}

const keyOf = (transition) => `${transition.kind} ${transition.epoch} ${transition.at} ${transition.total_ms}`;

function time(at) {
  return make("time", { datetime: at, title: new Date(at).toLocaleString() }, words.ago(at));
}

/** `told`: null while it is asked for. */
function reasons(told) {
  if (!told) return [make("p", { class: "nothing" }, "Asking…")];
  return [make("ul", {}, told.map((line) => make("li", {}, line)))];
}

function sessions(story) {
  const parts = [];
  if (!story.sessions.length) parts.push(make("p", { class: "nothing" }, "Nobody is connected."));
  else
    parts.push(
      make(
        "ul",
        { class: "sessions" },
        story.sessions.map((each) =>
          make(
            "li",
            {},
            make("span", { class: `standing ${each.state}` }, each.state),
            make("span", { class: "who" }, each.application || each.user),
            make("span", { class: "detail" }, `${each.user} on ${each.dbname}, from ${each.client}, for ${words.duration(each.since_s)}`),
            each.reason ? make("span", { class: "detail because" }, each.reason) : null,
          ),
        ),
      ),
    );
  const hidden = story.sessions_total - story.sessions.length;
  if (hidden > 0) parts.push(make("p", { class: "nothing" }, `and ${words.number(hidden)} more`));
  if (story.missing.length)
    parts.push(make("p", { class: "trouble" }, `No answer from ${story.missing.join(", ")}: their sessions are not shown.`));
  return parts;
}

function decisions(story) {
  const line = (each) => make("li", {}, make("span", { class: "loop" }, each.loop), make("span", {}, each.line), time(each.since));
  return [make("ol", { class: "decisions" }, story.decisions.map(line))];
}
