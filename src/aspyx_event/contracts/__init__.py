"""What an event promises to those who read it: its schema, its versions, and whether a change breaks them."""
