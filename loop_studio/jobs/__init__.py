"""The worker: claims jobs from the database, runs them on the accelerator, writes their files."""
