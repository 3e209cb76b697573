// The dashboard: wires what is told to what is shown, and what a person does to what is asked.

import * as api from "./api.js";
import { make, one, setText } from "./dom.js";
import { Fleet, ORDERS } from "./fleet.js";
import { Grid } from "./grid.js";
import { holdable } from "./hold.js";
import { Live } from "./live.js";
import { Sheet } from "./sheet.js";
import { Toast } from "./toast.js";
import * as words from "./words.js";

/** Tiles change places so often at most, and not while somebody is about to touch one. */
const REORDER_MS_MIN = 2000;

/** Phases that change are told to screen readers so often at most. */
const SAY_MS_MIN = 4000;

/** More that change at once are told as a number. */
const SAY_NAMES_MAX = 3;

const ORDER_KEY = "torpor-order";

const fleet = new Fleet();
const grid = new Grid(one("#fleet"));
const toast = new Toast(one("#toast"));
const search = one("#search input");
const sheet = new Sheet(one("#sheet"), { act, closed, locked });
const live = new Live({ begun, changed, state, locked });

let order = remembered() ?? ORDERS[0].id;
let touched_ms = 0;
let ordered_ms = 0;
let reorder = 0;
let unsaid = [];
let saying = 0;
let acts = 0;
let wrongLink = null;

// --- what is told ----------------------------------------------------------------------------

function begun(whole) {
  lock(false);
  fleet.begin(whole);
  show();
  follow();
}

function changed(changes) {
  const moved = fleet.change(changes);
  summarize();
  grid.refresh((name) => fleet.get(name));
  orderSoon();
  if (sheet.name) {
    const row = fleet.get(sheet.name);
    if (!row) sheet.close();
    else if (changes.tiles.some((tile) => tile[0] === sheet.name)) sheet.changed(row);
  }
  say(moved);
}

function state(word) {
  const live = one("#live");
  live.dataset.state = word;
  setText(live, word === "live" ? "live" : "reconnecting");
}

function locked() {
  sheet.close();
  lock(true);
  setText(one("#locked [role=alert]"), wrongLink?.message ?? "");
}

/** While it is locked nothing behind can be reached. */
function lock(is) {
  one("#locked").hidden = !is;
  for (const part of ["#top", "main", "#controls"]) one(part).inert = is;
}

// --- what is shown ---------------------------------------------------------------------------

function show() {
  clearTimeout(reorder);
  reorder = 0;
  ordered_ms = performance.now();
  const rows = fleet.found(search.value, order);
  grid.show(rows, order);
  const none = one("#none");
  none.hidden = rows.length > 0;
  setText(none, fleet.size ? `No database matches “${search.value}”.` : "There is no database yet: `torpor apply -f FILE` makes one.");
  summarize();
}

/** In a moment in which nobody is about to touch a tile that would be another one then. */
function orderSoon() {
  if (reorder) return;
  const now = performance.now();
  const at = Math.max(ordered_ms, touched_ms) + REORDER_MS_MIN;
  reorder = setTimeout(() => {
    reorder = 0;
    if (performance.now() < touched_ms + REORDER_MS_MIN || isDown()) orderSoon();
    else show();
  }, Math.max(0, at - now));
}

function summarize() {
  const summary = fleet.summary();
  for (const figure of one("#summary").children) {
    const value = summary[figure.dataset.figure];
    const more = figure.dataset.figure === "wakes" && summary.mayBeMore ? "+" : "";
    setText(one("dd", figure), words.number(figure.dataset.figure === "cu" ? Math.round(value * 10) / 10 : value) + more);
    if (figure.dataset.figure === "failed") figure.dataset.none = String(value === 0);
  }
  const shares = one("#shares");
  for (const phase of words.PHASES) {
    const share = shares.querySelector(`[data-phase=${phase}]`) ?? shares.appendChild(make("i", { "data-phase": phase }));
    share.style.setProperty("flex-grow", summary.phases[phase]);
    share.hidden = !summary.phases[phase];
  }
  const most = fleet.most("wakes");
  const took = most?.lastWakeMs == null ? "" : `, the last took ${words.ms(most.lastWakeMs)}`;
  const known = summary.mayBeMore ? ", as far as is known" : "";
  const often = (row) => (row.wakesKnownSince ? words.wakes(row) : words.count(row.wakes, "wake"));
  spotlight(one("#spotlight"), `Woke most often in the last hour${known}`, most, (row) => `${often(row)}${took}`);
  spotlight(one("#slowest"), `Slowest wake in the last hour${known}`, fleet.most("slowest"), (row) => `it took ${words.ms(row.slowestWakeMs)}`);
}

function spotlight(button, label, row, told) {
  button.hidden = !row;
  if (!row) return;
  setText(one(".label", button), label);
  button.dataset.name = row.name;
  setText(one(".name", button), row.name);
  setText(one(".fact", button), told(row));
}

function say(moved) {
  unsaid.push(...moved);
  if (!unsaid.length || saying) return;
  saying = setTimeout(() => {
    saying = 0;
    const latest = new Map(unsaid.map((row) => [row.name, row]));
    unsaid = [];
    const names = [...latest.values()].map((row) => `${row.name} is ${words.phase(row.phase)}`);
    const text = names.length > SAY_NAMES_MAX ? `${names.length} databases have changed their phase` : names.join(", ");
    setText(one("#said"), text);
  }, SAY_MS_MIN);
}

function orders() {
  const group = one("#orders");
  group.append(
    ...ORDERS.map(({ id, label }) =>
      make("button", { type: "button", role: "radio", "data-order": id, on: { click: () => choose(id) } }, label),
    ),
  );
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = ORDERS.findIndex((each) => each.id === order);
    choose(ORDERS[(at + step + ORDERS.length) % ORDERS.length].id);
    one(`[data-order=${order}]`, group).focus();
  });
  choose(order);
}

function choose(id) {
  order = id;
  try {
    localStorage.setItem(ORDER_KEY, id);
  } catch {
    // Without storage it is forgotten with the page.
  }
  for (const button of one("#orders").children) {
    const is = button.dataset.order === id;
    button.setAttribute("aria-checked", String(is));
    button.tabIndex = is ? 0 : -1;
    if (is) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  scrollTo({ top: 0 });
  show();
}

function remembered() {
  try {
    const id = localStorage.getItem(ORDER_KEY);
    return ORDERS.some((each) => each.id === id) ? id : null;
  } catch {
    return null;
  }
}

// --- what a person does ----------------------------------------------------------------------

const DOING = { suspend: "is falling asleep…", resume: "is waking…" };
const DONE = { suspend: "is asleep", resume: "is awake" };
const BACK = { suspend: "resume", resume: "suspend" };

/** At once: a sleep keeps every session, so the way back is the opposite, and nothing is lost. */
async function act(name, verb) {
  const undo = () => act(name, BACK[verb]);
  const mine = ++acts;
  toast.pending(`${name} ${DOING[verb]}`, undo);
  try {
    await api[verb](name);
    if (mine === acts) toast.done(`${name} ${DONE[verb]}`, undo);
  } catch (refusal) {
    if (refusal.status === 401) return locked();
    // Of what was undone meanwhile nobody wants to hear.
    if (mine === acts) toast.refused(refusal.hint ? `${refusal.message} (${refusal.hint})` : refusal.message);
  }
}

function toggle(name) {
  const row = fleet.get(name);
  if (row) act(name, words.isAwake(row) ? "suspend" : "resume");
}

function open(name) {
  history.pushState({ isSheet: true }, "", `#/${encodeURIComponent(name)}`);
  follow();
}

/** The address says which sheet is open: so the phone's way back closes it. */
function follow() {
  const name = named(location.hash);
  if (name === sheet.name) return;
  const row = fleet.get(name);
  if (row) sheet.open(row);
  else sheet.close();
}

function named(hash) {
  try {
    return hash.startsWith("#/") ? decodeURIComponent(hash.slice(2)) : "";
  } catch {
    // A link that was cut off in the middle of a letter names nobody.
    return "";
  }
}

function closed() {
  if (location.hash.startsWith("#/")) {
    if (history.state?.isSheet) history.back();
    else history.replaceState(null, "", location.pathname);
  }
  toast.rehome();
}

function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input")) return;
  const name = grid.nameOf(event.target) ?? sheet.name;
  const row = name && fleet.get(name);
  switch (event.key) {
    case "/":
      event.preventDefault();
      return search.focus();
    case "u":
      return toast.undo();
    case "s":
      return row && words.isAwake(row) && act(name, "suspend");
    case "r":
      return row && !words.isAwake(row) && act(name, "resume");
    case "Enter":
    case " ":
      if (!grid.nameOf(event.target)) return;
      event.preventDefault();
      return open(name);
  }
}

async function unlock(event) {
  event.preventDefault();
  const field = one("#link");
  const link = field.value.trim().split("#").pop().replace(/^enter=/, "");
  try {
    await api.enter(link);
    field.value = "";
    live.start();
  } catch (refusal) {
    setText(one("#locked [role=alert]"), refusal.message);
  }
}

/** A link in the address is used, and is no longer in it. Where it is used up, a browser that is
known already needs none. */
async function enter() {
  const link = /^#enter=(.+)$/.exec(location.hash)?.[1];
  if (!link) return null;
  history.replaceState(null, "", location.pathname);
  return api.enter(link).catch((refusal) => refusal);
}

const isDown = holdable(one("#fleet"), {
  nameOf: (element) => grid.nameOf(element),
  tapped: open,
  held: toggle,
});

for (const type of ["pointerdown", "pointermove", "keydown", "scroll"])
  addEventListener(type, () => (touched_ms = performance.now()), { passive: true });
addEventListener("keydown", key);
addEventListener("popstate", follow);
document.addEventListener("visibilitychange", () => (document.hidden ? live.pause() : live.resume()));
search.addEventListener("input", show);
search.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "Enter") {
    event.preventDefault();
    grid.focus();
  }
});
for (const button of document.querySelectorAll(".spotlight"))
  button.addEventListener("click", () => open(button.dataset.name));
one("#locked form").addEventListener("submit", unlock);
orders();
wrongLink = await enter();
live.start();
