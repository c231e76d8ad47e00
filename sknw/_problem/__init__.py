"""The problem: what is to be summed, and over which distances. Rows, distance, kernel and basis each own their part."""
