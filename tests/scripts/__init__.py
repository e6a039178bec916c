"""State tables of the server's scripts: state before, call, reply, and the state of every key after. One file a script."""
