"""Word-vector tables: their files, nearest words, co-occurrence counts. Knows no family."""
