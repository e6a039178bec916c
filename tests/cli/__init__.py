"""The command line, tested as a user meets it: processes, their exit codes and what they print."""
