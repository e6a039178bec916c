"""`chute bench`, its parts."""
