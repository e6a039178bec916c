"""The public contract, tested from outside: what other programs and other languages rely on, on real servers and real worker processes."""
