"""The demonstration: two chains over real servers, watched live, counted and reported."""
