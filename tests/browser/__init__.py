"""The dashboard in a real Chromium, on a phone's window and a desk's: `make browser`."""
