"""The monitoring in deploy/: its alerts and dashboards, against a real Prometheus that scrapes real workers."""
