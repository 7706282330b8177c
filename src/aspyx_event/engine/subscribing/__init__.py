"""Declaration -> queue -> chain -> subscription."""
