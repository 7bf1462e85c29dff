"""WorkTrain drives a development task to a merged, proven change, durably, on Temporal."""
