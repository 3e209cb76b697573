// A tile that is held for a moment sleeps or wakes; one that is tapped opens. A ring fills meanwhile.

/** Long enough that nobody does it by chance, short enough to be no wait. */
export const HOLD_MS = 600;

/** Until then a touch may still be a tap, and shows nothing. */
const SHOWN_AFTER_MS = 120;

/** Further than that it is a scroll. */
const MOVED_PX_MAX = 10;

/** `nameOf(element)`, `tapped(name)`, `held(name, tile)`. Returns whether a finger is down now. */
export function holdable(element, { nameOf, tapped, held }) {
  let touch = null;
  let swallows = false;

  const end = () => {
    if (!touch) return;
    clearTimeout(touch.shown);
    clearTimeout(touch.done);
    touch.tile.classList.remove("held");
    touch = null;
  };

  element.addEventListener("pointerdown", (event) => {
    end();
    swallows = false;
    const tile = event.target.closest("[role=gridcell]");
    if (!tile || event.button !== 0 || !event.isPrimary) return;
    const name = nameOf(tile);
    touch = { tile, x: event.clientX, y: event.clientY };
    touch.shown = setTimeout(() => tile.classList.add("held"), SHOWN_AFTER_MS);
    touch.done = setTimeout(() => {
      end();
      swallows = true;
      navigator.vibrate?.(15);
      held(name, tile);
    }, HOLD_MS);
  });
  element.addEventListener("pointermove", (event) => {
    if (touch && Math.hypot(event.clientX - touch.x, event.clientY - touch.y) > MOVED_PX_MAX) end();
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"])
    element.addEventListener(type, end);
  element.addEventListener("click", (event) => {
    const name = nameOf(event.target);
    if (!swallows && name) tapped(name);
    swallows = false;
  });
  // The menu of a long touch would come in between.
  element.addEventListener("contextmenu", (event) => {
    if (touch || swallows) event.preventDefault();
  });
  return () => touch !== null;
}
