"""What methods are judged by: scores on held-out pairs, resolution, honesty of intervals, and the floor to stand above."""
