"""Data out and in: ratings in the formats that others read, ratings and prompts from files."""
