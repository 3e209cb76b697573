"""Pure decisions: facts and now in, actions with reasons out."""
