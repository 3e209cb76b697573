// All databases as they were told last: kept, found, put in order, summed up. Touches no document.

import { isAwake, phase, PHASES } from "./words.js";

export const ORDERS = [
  { id: "wakes", label: "Woke most", of: (row) => row.wakes },
  { id: "slowest", label: "Slowest wake", of: (row) => row.slowestWakeMs ?? -1 },
  { id: "cu", label: "CU", of: (row) => (isAwake(row) ? row.cu : 0) },
  { id: "phase", label: "Phase", of: (row) => -PHASES.indexOf(row.phase) },
  { id: "name", label: "Name", of: () => 0 },
];

export class Fleet {
  #rows = new Map();
  #fields = [];

  /** Everything anew, as /api/fleet tells it. */
  begin({ fields, tiles }) {
    this.#fields = fields;
    this.#rows = new Map(tiles.map((tile) => [tile[0], this.#row(tile)]));
  }

  /** What is new; returns the rows whose phase is another one now. */
  change({ tiles, gone }) {
    for (const name of gone) this.#rows.delete(name);
    const moved = [];
    for (const tile of tiles) {
      const row = this.#row(tile);
      const before = this.#rows.get(row.name);
      this.#rows.set(row.name, row);
      if (before && before.phase !== row.phase) moved.push(row);
    }
    return moved;
  }

  get(name) {
    return this.#rows.get(name);
  }

  get size() {
    return this.#rows.size;
  }

  /** Rows that have every one of the words in their name or phase, in that order. */
  found(search, orderId) {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const order = ORDERS.find((each) => each.id === orderId) ?? ORDERS[0];
    const rows = [...this.#rows.values()].filter((row) => {
      const text = `${row.name} ${phase(row.phase)} ${row.phase.toLowerCase()}`;
      return words.every((word) => text.includes(word));
    });
    return rows.sort((a, b) => order.of(b) - order.of(a) || (a.name < b.name ? -1 : 1));
  }

  /** Whoever comes first in an order, whatever is searched for; undefined where nobody has any. */
  most(orderId) {
    const { of } = ORDERS.find((each) => each.id === orderId);
    let most;
    for (const row of this.#rows.values()) {
      const value = of(row);
      const best = most ? of(most) : 0;
      if (value > best || (most && value === best && row.name < most.name)) most = row;
    }
    return most;
  }

  summary() {
    const phases = Object.fromEntries(PHASES.map((name) => [name, 0]));
    let units = 0;
    let wakes = 0;
    let mayBeMore = false;
    for (const row of this.#rows.values()) {
      phases[row.phase] = (phases[row.phase] ?? 0) + 1;
      if (isAwake(row)) units += row.cu;
      wakes += row.wakes;
      mayBeMore ||= Boolean(row.wakesKnownSince);
    }
    const asleep = phases.Suspended;
    const failed = phases.Failed;
    return { phases, asleep, failed, awake: this.size - asleep - failed, cu: units, wakes, mayBeMore };
  }

  #row(tile) {
    return Object.fromEntries(this.#fields.map((field, index) => [field, tile[index]]));
  }
}
