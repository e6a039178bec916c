"""Writes the alerts of deploy/prometheus as a PrometheusRule, which is how the Prometheus Operator takes them. `make docs` runs it."""

from pathlib import Path

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "chute.rules.yml"
MANIFEST = DEPLOY / "kubernetes" / "components" / "monitoring" / "rules.yaml"
HEAD = """\
# Made of deploy/prometheus/chute.rules.yml by tools/alerts.py: change that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: chute
  namespace: chute
spec:
"""


def manifest() -> str:
    """The rules file, below `spec`."""
    _, key, groups = RULES.read_text().partition("groups:\n")
    return HEAD + "".join(f"  {line}" if line.strip() else line for line in (key + groups).splitlines(keepends=True))


if __name__ == "__main__":
    MANIFEST.write_text(manifest())
