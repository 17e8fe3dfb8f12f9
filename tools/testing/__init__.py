"""The stages of tools/run-tests, each a function from a Context to a Result."""
