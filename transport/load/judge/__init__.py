"""What a run did and saw, and whether it kept the promises: events, recorder, judge."""
