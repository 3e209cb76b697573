// One transition as bars over its time: those that held it up, and those that had time to spare.

import { make } from "./dom.js";
import { ms, percent } from "./words.js";

/** As torpor_api.transition says it: less slack is the clock's. */
const SLACK_MS_MIN = 0.01;

/** Of the whole: shorter steps are summed up, because nobody can see them. */
const SHARE_MIN = 0.01;

/** A second step is told in words where it took that share. */
const SHARE_TOLD = 0.15;

const isCritical = (span) => span.slack_ms < SLACK_MS_MIN;

const isLeaf = (spans, index) => !spans[index + 1] || spans[index + 1].depth <= spans[index].depth;

/** The deepest spans without slack: each millisecond of them is one of the whole. */
export function criticalChain(transition) {
  return transition.spans.filter((span, index, all) => isLeaf(all, index) && isCritical(span));
}

/** Why it took its time, in a sentence's parts: [{name, where, ms, share}], the longest first. */
export function reasons(transition) {
  const whole = Math.max(transition.total_ms, 0.001);
  const chain = criticalChain(transition).sort((a, b) => b.ms - a.ms);
  return chain.slice(0, 2).filter((span, index) => index === 0 || span.ms / whole >= SHARE_TOLD);
}

/** A sentence with the longest steps in it; empty where nothing is known of them. */
export function sentence(transition) {
  const [first, second] = reasons(transition);
  if (!first) return [];
  const whole = transition.total_ms;
  const said = (span) => [
    make("strong", {}, span.name),
    ` (${span.where}), ${ms(span.ms)} or ${percent(span.ms, whole)}`,
  ];
  const parts = ["Most of it was ", ...said(first)];
  return second ? [...parts, ", then ", ...said(second), "."] : [...parts, "."];
}

export function bars(transition) {
  const spans = transition.spans;
  if (!spans.length) return make("p", { class: "nothing" }, "Nothing is known of its steps.");
  const whole = Math.max(transition.total_ms, ...spans.map((span) => span.begin_ms + span.ms), 0.001);
  const isLong = (span) => span.ms / whole >= SHARE_MIN;
  const shown = spans.filter(isLong);
  const short = spans.filter((span, index) => !isLong(span) && isLeaf(spans, index));
  const list = make("ol", { class: "bars" }, shown.map((span) => bar(span, spans, whole)));
  const parts = [list, scale(whole)];
  if (short.length) {
    const sum = short.reduce((total, span) => total + span.ms, 0);
    const steps = short.length === 1 ? `one shorter step, ${ms(sum)}` : `${short.length} shorter steps, ${ms(sum)} together`;
    parts.push(make("p", { class: "short" }, `and ${steps}`));
  }
  if (shown.some((span) => !isCritical(span))) parts.push(legend());
  return make("div", { class: "chain" }, ...parts);
}

function bar(span, spans, whole) {
  const leaf = isLeaf(spans, spans.indexOf(span));
  const critical = isCritical(span);
  const kind = !leaf ? "whole" : critical ? "critical" : "spare";
  const share = (value) => `${((100 * value) / whole).toFixed(2)}%`;
  const slack = critical ? null : make("i", {
    class: "slack",
    style: { left: share(span.begin_ms + span.ms), width: share(Math.min(span.slack_ms, whole - span.begin_ms - span.ms)) },
  });
  const spare = critical ? "" : `could have taken ${ms(span.slack_ms)} longer`;
  return make(
    "li",
    { class: kind, style: { "--depth": span.depth } },
    make("span", { class: "step" }, span.name, " ", make("small", {}, span.where)),
    make("span", { class: "took" }, ms(span.ms)),
    make(
      "span",
      { class: "track", "aria-hidden": "true" },
      make("i", { class: "bar", style: { left: share(span.begin_ms), width: share(span.ms) } }),
      slack,
    ),
    leaf ? make("span", { class: "unseen" }, critical ? ", held it up" : `, ${spare}`) : null,
  );
}

function scale(whole) {
  return make(
    "p",
    { class: "scale", "aria-hidden": "true" },
    make("span", {}, "0"),
    make("span", {}, ms(whole / 2)),
    make("span", {}, ms(whole)),
  );
}

function legend() {
  return make(
    "p",
    { class: "legend", "aria-hidden": "true" },
    make("span", { class: "critical" }, "held it up"),
    make("span", { class: "spare" }, "had time to spare"),
  );
}
