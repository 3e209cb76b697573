// How values are said, in one place: tiles, sheets and screen readers say the same.

/** In the order in which a person wants to see them. */
export const PHASES = ["Failed", "Resuming", "Suspending", "Active", "Suspended"];

const PHASE_WORDS = {
  Suspended: "asleep",
  Resuming: "waking",
  Active: "awake",
  Suspending: "falling asleep",
  Failed: "failed",
};

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

const times = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const phase = (name) => PHASE_WORDS[name] ?? name.toLowerCase();

export const number = (value) => numbers.format(value);

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export const cu = (value) => `${number(value)}\u00a0CU`;

/** Milliseconds in three digits at most: 4.2 ms, 48 ms, 1.25 s. No line ends before a unit. */
export function ms(value) {
  if (value == null) return "–";
  if (value < 10) return `${value.toFixed(1)}\u00a0ms`;
  if (value < 1000) return `${Math.round(value)}\u00a0ms`;
  return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)}\u00a0s`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 2 * 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 2 * 86_400) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} days`;
}

/** `timestamp`: as the API writes it; empty for never. */
export function ago(timestamp, now = Date.now()) {
  if (!timestamp) return "never";
  const seconds = (now - Date.parse(timestamp)) / 1000;
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

export const percent = (part, whole) => `${Math.round((100 * part) / Math.max(whole, 1e-9))}\u00a0%`;

/** The time of day, as clocks on the wall show it. */
export const clock = (timestamp) => times.format(new Date(timestamp));

/** How often it woke, with what is known where that is less than the hour. */
export function wakes(row) {
  const told = row.wakes ? count(row.wakes, "wake") : "no wake";
  return row.wakesKnownSince ? `${told} since ${clock(row.wakesKnownSince)}` : `${told} in the last hour`;
}

/** The same in a word or two: there may have been more. */
const wakesShort = (row) => (row.wakesKnownSince ? `${number(row.wakes)}+ wakes` : count(row.wakes, "wake"));

/** What a tile says besides its name, by the order that was chosen. */
export function fact(row, order) {
  switch (order) {
    case "wakes":
      return row.wakes ? wakesShort(row) : phase(row.phase);
    case "slowest":
      return row.slowestWakeMs == null ? phase(row.phase) : ms(row.slowestWakeMs);
    case "cu":
      return isAwake(row) ? cu(row.cu) : phase(row.phase);
    default:
      return isAwake(row) ? `${phase(row.phase)} · ${cu(row.cu)}` : phase(row.phase);
  }
}

/** The whole tile, for whoever hears it. */
export function spoken(row) {
  const parts = [row.name, phase(row.phase)];
  if (isAwake(row)) parts.push(cu(row.cu));
  if (row.sessions) parts.push(count(row.sessions, "session"));
  if (row.waiting) parts.push(`${number(row.waiting)} waiting`);
  parts.push(wakes(row));
  if (row.slowestWakeMs != null) parts.push(`the slowest took ${ms(row.slowestWakeMs)}`);
  return parts.join(", ");
}

export const isAwake = (row) => row.phase !== "Suspended" && row.phase !== "Failed";
