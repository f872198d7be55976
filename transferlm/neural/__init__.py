"""Training and prediction with torch: loop, batches, precision, schedules, heads. It knows no family and no task."""
