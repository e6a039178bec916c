"""Anything in, nothing out of bounds: what takes bytes, text or objects that others make is tried with millions of them.

A target (`targets`) is a strategy of hypothesis and a function that looks at one value; whatever that raises is a finding, as is a value that takes
more than 100 ms of the processor or more than 50 MB. The hostile entries of tests/corpus are what mutations begin with (`seeds`), and hypothesis
makes a finding as small as it can be. `python -m fuzz` plays targets side by side and exits with 1 when one has a finding.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))  # the corpus, and values that JSON has
