"""What is tried, one module a target: `WHAT` it is, the `VALUES` that are given to it, and `look`, which raises where something is wrong. `VARIED`:
whether each value may be edited at random besides; where a value says what is to come of it, it may not."""
