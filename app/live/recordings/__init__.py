"""What a recording is to hold: which frames, the ones of before it began, its name, and the room that it needs."""
