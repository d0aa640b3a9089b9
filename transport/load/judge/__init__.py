"""The history of a run, and the judge of whether the promises of a chat server were kept in it."""
