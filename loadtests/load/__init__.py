"""Load as users make it: crowds, their course over time, objectives, a report. See docs/load.md."""
