"""What is learned of scans: from arrays and labels to a fitted model, and from it to answers (torch, scikit-learn)."""
